/* Fetching: the sealed bytes of chunks from a sink, read ahead while chunks are wanted in the order in which they lie.
 */
#ifndef COFRE_STORE_FETCH_H
#define COFRE_STORE_FETCH_H

#include <stdint.h>

#include "store/index.h"
#include "store/seal.h"

struct error;
struct fetch;
struct repository;

int fetch_new(struct repository *repository, struct fetch **fetch, struct error *e);
void fetch_free(struct fetch *fetch);

/* Copy the sealed bytes of the chunk (location->chunk.stored of them) to out, and give the box of its pack. The pack
 * may be gone (ERROR_NOT_FOUND), shorter (ERROR_RANGE) or damaged (ERROR_INTEGRITY). */
int fetch_chunk(struct fetch *fetch, const struct index_location *location, uint8_t *out, struct seal_box *box,
                struct error *e);

#endif
