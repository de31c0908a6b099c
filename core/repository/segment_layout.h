/* Of segment.h: how its file is laid out, for who writes it. */
#ifndef COFRE_REPOSITORY_SEGMENT_LAYOUT_H
#define COFRE_REPOSITORY_SEGMENT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "repository/segment.h"

#define SEGMENT_MAGIC UINT64_C(0x0131676573666f63)
#define SEGMENT_BITS_MAX 22
#define SEGMENT_BUCKET 24 /* chunks with the same first bits, about */

/* Of all of the row before its check. */
uint32_t segment_row_check(const void *row, size_t n);
void segment_head_hash(const struct segment_header *h, const struct segment_object *objects, const uint32_t *fanout,
                       uint8_t hash[SEAL_HASH_SIZE]);
/* Offsets in the file. */
uint64_t segment_packs_place(const struct segment_header *h);
uint64_t segment_chunks_place(const struct segment_header *h);

/* In the order of memcmp. */
static inline size_t segment_bucket(const uint8_t *id, uint64_t bits)
{
    uint32_t first = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return (size_t)((uint64_t)first >> (32 - bits));
}

#endif
