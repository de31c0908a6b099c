/* The body of an index object: packs and the chunks in them. docs/format.md specifies every byte. */
#ifndef COFRE_REPOSITORY_INDEX_BODY_H
#define COFRE_REPOSITORY_INDEX_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "repository/pack.h"

struct bytes;
struct error;

/* A body has at most so many bytes. Who writes one describes at most INDEX_BODY_CHUNKS chunks in it, and what one pack
 * has beyond them. */
#define INDEX_BODY_MAX ((size_t)8 << 20)
#define INDEX_BODY_CHUNKS (64u << 10)

/* Begin a body in an empty buffer. */
void index_body_begin(struct bytes *body, const char *host, int64_t created);
void index_body_add_pack(struct bytes *body, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                         const struct pack_chunk *chunks, uint32_t count);
/* Patch the number of packs that were added. */
void index_body_end(struct bytes *body, uint32_t pack_count);
/* The host that wrote it, into host[64]. */
int index_body_host(const void *body, size_t n, char *host, struct error *e);
/* Check the whole body and call pack for each; pack may be NULL. chunks is lent until the next: all that a pack of that
 * size has, as in its own directory, as far as it can be told without it. */
int index_body_each(const void *body, size_t n,
                    int (*pack)(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                                const struct pack_chunk *chunks, uint32_t count, struct error *e),
                    void *context, struct error *e);

#endif
