/* Removal records become few again: rows that follow one another in the history become one row, and records one record.
 *
 * Each act of pruning leaves a record, and a job of every five minutes would leave a hundred thousand in a year, each
 * of which every verify and every prune reads. A gap between two snapshots that are kept needs but one row, which says
 * where the gap begins and ends.
 */
#ifndef COFRE_FORMAT_JOIN_H
#define COFRE_FORMAT_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/vault.h"

struct error;

#define JOIN_RECORDS 64u /* so many of one host and job are joined */

/* What a row stands for begins there. */
uint64_t join_first_sequence(const struct verify_link *row);
const char *join_first_id(const struct verify_link *row);
/* Is it a range, and that snapshot in it? */
bool join_is_within(const struct verify_link *row, uint64_t sequence, const char *id);
/* Is it the next one's word that this one came before it? */
bool join_follows(const struct verify_link *next, const struct verify_link *before);

/* Of removed ones: what stands within a range of another row goes, unless it is another claim to where that one ends;
 * ranges that overlap become one, and of the same row one stays. They are sorted by host, job and first sequence;
 * returned is how many are left. */
size_t join_cover(struct verify_link *rows, size_t count);
/* join_cover, and rows become a range with those that they follow: by sequence, hash and the order of ids. Of several
 * that claim one place that may be any; what follows another than that goes on by itself. */
size_t join_rows(struct verify_link *rows, size_t count);

/* Where there are JOIN_RECORDS records of that host and job since they were last joined: those whose word is this
 * machine's own are put again as one (or as few as hold them), durably, and then removed. standings: all that was there
 * of them before this prune, the greatest id first: what records say of these, and of others in their places, stays by
 * itself. Records that may not be removed yet say the same as the new ones, and go at a later time. Whatever the error,
 * nothing is less explained than it was. */
int join_records(struct vault *vault, const char *host, const char *job, const struct vault_standing *standings,
                 size_t count, struct error *e);

#endif
