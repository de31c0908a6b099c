/* The journal: packs that were sent to a sink and that no index object describes yet.
 *
 * Before a pack goes to a sink, its directory is appended to a file on this machine. When a run is cut off, the next
 * one finds there what the sink already has: it adopts those packs instead of sending them again, and nothing is left
 * behind. The file is emptied when an index object describes them all. It is a convenience: without it, packs are sent
 * again.
 */
#ifndef COFRE_REPOSITORY_JOURNAL_H
#define COFRE_REPOSITORY_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct error;
struct journal;
struct pack_chunk;

/* path: made when absent, mode 0600. */
int journal_open(const char *path, struct journal **journal, struct error *e);
void journal_close(struct journal *journal);

int journal_add(struct journal *journal, const uint8_t pack[SEAL_HASH_SIZE], uint64_t size,
                const struct pack_chunk *chunks, uint32_t count, struct error *e);

/* Then there is nothing to adopt. */
int journal_is_empty(const struct journal *journal, bool *empty, struct error *e);

/* Every pack in it, up to the first record that is not whole; that one and what follows is cut off. pack returns 0, or
 * -1 with *e set. */
int journal_each(struct journal *journal,
                 int (*pack)(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                             const struct pack_chunk *chunks, uint32_t count, struct error *e),
                 void *context, struct error *e);

int journal_clear(struct journal *journal, struct error *e);

#endif
