/* CRC-64 as RDB files have it: polynomial of Jones (0xad93d23594c935a9), reflected, initial value 0, no final change.
 * The CRC of "123456789" is 0xe9c6d914c4b8d9ca. Over data followed by its own CRC in little-endian order it is 0. */
#ifndef COFRE_REDIS_CRC64_H
#define COFRE_REDIS_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Eight bytes at a time: 16 KiB, made once for each use and not shared. */
struct crc64_table {
    uint64_t rows[8][256];
};

void crc64_init(struct crc64_table *table);
uint64_t crc64_add(const struct crc64_table *table, uint64_t crc, const void *p, size_t n);

#endif
