/* Of the archive format: how snapshots stand, and removing them (the calls of format/vault.h).
 *
 * A snapshot goes manifest first: without it, it is none, and what is left of it is removed by the next prune, if this
 * one is interrupted; the removal record, which comes before all, names it.
 */
#ifndef COFRE_ARCHIVE_ARCHIVE_PRUNE_H
#define COFRE_ARCHIVE_ARCHIVE_PRUNE_H

#include "format/vault.h"

int archive_prune_standings(struct vault *vault, const char *host, const char *job, vault_stands *stands, void *context,
                            struct error *e);
int archive_prune_remove(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                         void *context, struct error *e);
int archive_prune_removals(struct vault *vault, const char *host, const char *job, vault_removed *removed,
                           void *context, struct error *e);
int archive_prune_records(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e);
int archive_prune_record(struct vault *vault, const char *host, const char *job, const struct verify_link *rows,
                         size_t count, struct error *e);
int archive_prune_forget(struct vault *vault, const struct bytes *keys, struct error *e);
bool archive_prune_may(struct vault *vault, const char *host);

#endif
