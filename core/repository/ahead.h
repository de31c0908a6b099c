/* Reading ahead: ranges of packs, in the order in which they will be wanted, side by side with all of a sink's
 * connections but one, which stays free for everything else. */
#ifndef COFRE_REPOSITORY_AHEAD_H
#define COFRE_REPOSITORY_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/index.h"
#include "repository/pack.h"

struct ahead;
struct error;
struct repository;

/* *ahead is NULL when the sink has one connection only. */
int ahead_new(struct repository *repository, struct ahead **ahead, struct error *e);
/* Waits for what is under way. NULL is fine. */
void ahead_free(struct ahead *ahead);

/* The chunk will be wanted: each once, in this order, at most AHEAD_CHUNKS of them before they are taken (more are
 * passed over: they are not expected). */
#define AHEAD_CHUNKS 128
void ahead_expect(struct ahead *ahead, const struct index_location *location);

/* Is this the chunk that is expected next? */
bool ahead_is_next(const struct ahead *ahead, const struct index_location *location);
/* Wait for the chunk that is expected next; its bytes to out; the header of its pack too, where it was read along.
 * Whether it worked or not, the chunk is expected no more. */
int ahead_take(struct ahead *ahead, const struct index_location *location, uint8_t *out,
               uint8_t header[PACK_HEADER_SIZE], bool *has_header, struct error *e);

#endif
