/* Packs: sealed chunks one after another, and a sealed directory of them.
 *
 *   magic "cofrepk1" 8 | key id 16 | wrapped box key 80 | sealed chunk ...
 *   | sealed directory | u32 its length | "1kpc"
 *
 * A sealed chunk: one zstd frame (of any level; with content size; without checksum, since the chunk is compared
 * with its id) of 1 to CHUNKER_MAXIMUM plain bytes, sealed in the pack's box at position = its offset in the pack,
 * context = "chunk" || chunk id. The directory: per chunk id 32, u32 offset, u32 stored length, u32 plain length, in
 * the order of the chunks, which follow each other without a gap; sealed at position 2^64 - 1, context "directory". The
 * pack's name is the BLAKE3 of all its bytes.
 */
#ifndef COFRE_REPOSITORY_PACK_H
#define COFRE_REPOSITORY_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct bytes;
struct error;
struct key;

#define PACK_HEADER_SIZE 104
#define PACK_TRAILER_SIZE 8
#define PACK_ENTRY_SIZE 44        /* of the directory */
#define PACK_TARGET (16u << 20)   /* a pack is finished when it has reached this */
#define PACK_CHUNKS_MAX 65536u    /* chunks in one pack */
#define PACK_SIZE_MAX (24u << 20) /* bytes of a pack: the target, one more chunk, the directory */

/* What a whole pack has behind its chunks, by their number. */
#define PACK_END(count) ((uint64_t)(count)*PACK_ENTRY_SIZE + SEAL_OVERHEAD + PACK_TRAILER_SIZE)

/* Where a chunk is in its pack. */
struct pack_chunk {
    uint8_t id[SEAL_HASH_SIZE];
    uint32_t offset, stored, plain;
};

/* A pack being built, in one buffer of fixed size. */
struct pack {
    const struct key *key;
    struct seal_box box;
    uint8_t *data;
    size_t length, capacity;
    struct pack_chunk *chunks;
    uint32_t count, chunk_capacity;
    struct seal_hasher hasher; /* of data[0 .. hashed) */
    size_t hashed;
    uint8_t name[SEAL_HASH_SIZE]; /* after pack_finish */
};

/* Buffers for packs of at least PACK_TARGET plus one chunk; begun. Memory that is not touched is not taken. key
 * outlives it. */
int pack_new(const struct key *key, struct pack **pack, struct error *e);
void pack_free(struct pack *pack);

/* Start an empty pack in the same memory, with a fresh box. */
void pack_begin(struct pack *pack);
/* Seal the n compressed bytes of a chunk into it, n at most pack_compress_bound(CHUNKER_MAXIMUM). There is room as long
 * as pack_full is false. After an error the pack is as before. */
int pack_add(struct pack *pack, const uint8_t id[SEAL_HASH_SIZE], uint32_t plain, const void *compressed, size_t n,
             struct error *e);
bool pack_full(const struct pack *pack);
/* Append directory and trailer, compute the name. A pack holds at least one chunk. */
int pack_finish(struct pack *pack, struct error *e);

/* Compression of one chunk, with zstd's level 3; a compressor is used by one thread. */
struct pack_compressor;
int pack_compressor_new(struct pack_compressor **compressor, struct error *e);
void pack_compressor_free(struct pack_compressor *compressor);
/* The most bytes that compressing n can give. */
size_t pack_compress_bound(size_t n);
int pack_compress(struct pack_compressor *compressor, const void *p, size_t n, uint8_t *out, size_t capacity,
                  size_t *length, struct error *e);

/* ---- reading ---- */

/* Could this chunk be in a pack whose chunks end at offset end? Lengths a chunk can have, and a place within. Whatever
 * reads the word of others on where chunks are asks this, since buffers are made for the largest chunk there can be. */
bool pack_chunk_can_be(const struct pack_chunk *chunk, uint64_t end);
/* Are these the chunks of a pack, all of them, that end at offset end: each can be, and they follow one another from
 * the header on without a gap? At least one, at most PACK_CHUNKS_MAX. */
bool pack_chunks_fit(const struct pack_chunk *chunks, uint32_t count, uint64_t end);

/* The box of a pack from its first PACK_HEADER_SIZE bytes. name: hex, for messages. */
int pack_open_header(const struct key *key, const uint8_t header[PACK_HEADER_SIZE], const char *name,
                     struct seal_box *box, struct error *e);

struct pack_decompressor;
int pack_decompressor_new(struct pack_decompressor **decompressor, struct error *e);
void pack_decompressor_free(struct pack_decompressor *decompressor);
/* Open one chunk: decrypt (in place, the chunk->stored bytes at sealed are overwritten), decompress into out
 * (chunk->plain bytes; more than CHUNKER_MAXIMUM are refused), and compare its id. */
int pack_open_chunk(struct pack_decompressor *decompressor, const struct key *key, const struct seal_box *box,
                    const struct pack_chunk *chunk, uint8_t *sealed, uint8_t *out, const char *name, struct error *e);

/* The directory of a whole pack of size bytes, from its last bytes: tail holds the last tail_length bytes of the pack.
 * When more of the pack is needed *need says how many last bytes and the result is 0 with *count 0; else *need is 0.
 * chunks: malloc'ed array for the caller to free, NULL unless *count. Checks that the chunks fill the pack from header
 * to directory. */
int pack_read_directory(const struct seal_box *box, const uint8_t *tail, size_t tail_length, uint64_t size,
                        const char *name, struct pack_chunk **chunks, uint32_t *count, size_t *need, struct error *e);
/* The same from the opened directory: n bytes, of a pack whose chunks end at offset end. */
int pack_parse_directory(const uint8_t *p, size_t n, uint64_t end, const char *name, struct pack_chunk **chunks,
                         uint32_t *count, struct error *e);

#endif
