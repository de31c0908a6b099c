/* Reading ahead: ranges of packs, in the order in which they will be wanted, side by side with all of a sink's
 * connections but one, which stays free for everything else. */
#ifndef COFRE_REPOSITORY_READAHEAD_H
#define COFRE_REPOSITORY_READAHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/index.h"
#include "repository/pack.h"

struct readahead;
struct error;
struct repository;

/* *readahead is NULL when the sink has one connection only. */
int readahead_new(struct repository *repository, struct readahead **readahead, struct error *e);
/* Waits for what is under way. NULL is fine. */
void readahead_free(struct readahead *readahead);

/* The chunk will be wanted: each once, in this order, at most READAHEAD_CHUNKS of them before they are taken (more are
 * passed over: they are not expected). */
#define READAHEAD_CHUNKS 128
void readahead_expect(struct readahead *readahead, const struct index_location *location);

/* Is this the chunk that is expected next? */
bool readahead_is_next(const struct readahead *readahead, const struct index_location *location);
/* Wait for the chunk that is expected next; its bytes to out; the header of its pack too, where it was read along.
 * Whether it worked or not, the chunk is expected no more. */
int readahead_take(struct readahead *readahead, const struct index_location *location, uint8_t *out,
                   uint8_t header[PACK_HEADER_SIZE], bool *has_header, struct error *e);

#endif
