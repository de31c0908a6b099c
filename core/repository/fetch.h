/* Fetching: the sealed bytes of chunks from a sink, read ahead.
 *
 * Who knows what will be wanted says so, in order, with fetch_expect. Neighbouring chunks are read together, and where
 * the sink takes several requests at once (sink_parallel), what is expected is read side by side, so that
 * latency does not add up. Without expectations, or with one worker, chunks that are wanted in the order in which they
 * lie are read some at a time.
 */
#ifndef COFRE_REPOSITORY_FETCH_H
#define COFRE_REPOSITORY_FETCH_H

#include <stdint.h>

#include "repository/index.h"
#include "repository/readahead.h"
#include "repository/seal.h"

struct error;
struct fetch;
struct repository;

/* Only one fetch of a repository may expect. */
int fetch_new(struct repository *repository, struct fetch **fetch, struct error *e);
void fetch_free(struct fetch *fetch);

/* The chunk will be fetched: each that is expected, once, in this order; others may be fetched in between. At most
 * FETCH_AHEAD may be expected and not yet fetched. Never fails: what goes wrong shows when the chunk is fetched. */
#define FETCH_AHEAD READAHEAD_CHUNKS
void fetch_expect(struct fetch *fetch, const struct index_location *location);

/* Copy the sealed bytes of the chunk (location->chunk.stored of them) to out, and give the box of its pack. The pack
 * may be gone (ERROR_NOT_FOUND), shorter (ERROR_RANGE) or damaged (ERROR_INTEGRITY). */
int fetch_chunk(struct fetch *fetch, const struct index_location *location, uint8_t *out, struct seal_box *box,
                struct error *e);

#endif
