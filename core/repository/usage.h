/* Usage: how much of the chunks that small files share a catalogue uses.
 *
 * Small files lie end to end in chunks, and a chunk stays as long as one of its files is in a snapshot. So when most of
 * them have changed, the few that have not keep the bytes of all the others. Who takes over a snapshot's entries looks
 * here first, and has what is left of such a chunk read again: it then lies beside other small files, and the chunk can
 * go with the snapshots that still need all of it.
 */
#ifndef COFRE_REPOSITORY_USAGE_H
#define COFRE_REPOSITORY_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/seal.h"

struct error;
struct record;
struct usage;

int usage_new(struct usage **usage, struct error *e);
void usage_free(struct usage *usage);

/* Of each record of a catalogue. Beyond 2^20 chunks (32 MiB of memory) no more are counted: those pass for used. */
int usage_count(struct usage *usage, const struct record *record, struct error *e);

/* Of a chunk of so many bytes: is too little of it used to go on with it? plain 0 = not known: then it is not. */
bool usage_is_low(const struct usage *usage, const uint8_t id[SEAL_HASH_SIZE], uint64_t plain);

#endif
