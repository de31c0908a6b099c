/* Of segment.h: how its file is laid out, for who writes it. */
#ifndef COFRE_REPOSITORY_SEGMENT_LAYOUT_H
#define COFRE_REPOSITORY_SEGMENT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "repository/segment.h"

#define SEGMENT_MAGIC UINT64_C(0x0231676573666f63)
#define SEGMENT_BITS_MAX 22
#define SEGMENT_BUCKET 24 /* chunks with the same first bits, about */
/* A filter has a byte for each chunk, and no segment of more chunks has one. */
#define SEGMENT_FILTERED_MAX (UINT64_C(32) << 20)
#define SEGMENT_MARKS 5 /* bits for a chunk, all in one block */

/* Of all of the row before its check. */
uint32_t segment_row_check(const void *row, size_t n);
void segment_head_hash(const struct segment *segment, uint8_t hash[SEAL_HASH_SIZE]);
/* Offsets in the file. */
uint64_t segment_packs_place(const struct segment_header *h);
uint64_t segment_chunks_place(const struct segment_header *h);

/* In the order of memcmp. */
static inline size_t segment_bucket(const uint8_t *id, uint64_t bits)
{
    uint32_t first = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return (size_t)((uint64_t)first >> (32 - bits));
}

/* The block of an id, and its nth bit there. Ids are hashes already; the fan-out goes by their first bytes. */
static inline size_t segment_block(const uint8_t *id, uint64_t blocks)
{
    uint32_t number = (uint32_t)id[4] << 24 | (uint32_t)id[5] << 16 | (uint32_t)id[6] << 8 | id[7];
    return (size_t)(number * blocks >> 32);
}

static inline unsigned segment_mark(const uint8_t *id, unsigned n)
{
    return ((unsigned)id[8 + 2 * n] << 8 | id[9 + 2 * n]) % (8 * SEGMENT_BLOCK);
}

#endif
