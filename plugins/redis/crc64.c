#include "redis/crc64.h"

#include <string.h>

#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* reflected */

void crc64_init(struct crc64_table *table)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? (v >> 1) ^ POLYNOMIAL : v >> 1;
        table->rows[0][i] = v;
    }
    for (unsigned row = 1; row < 8; row++)
        for (unsigned i = 0; i < 256; i++) {
            uint64_t v = table->rows[row - 1][i];
            table->rows[row][i] = table->rows[0][v & 0xff] ^ (v >> 8);
        }
}

/* Little-endian, whatever the machine is; compilers make one load of it. */
static uint64_t load(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

uint64_t crc64_add(const struct crc64_table *table, uint64_t crc, const void *p, size_t n)
{
    const uint64_t(*t)[256] = table->rows;
    const uint8_t *from = p;
    for (; n >= 8; from += 8, n -= 8) {
        crc ^= load(from);
        crc = t[7][crc & 0xff] ^ t[6][crc >> 8 & 0xff] ^ t[5][crc >> 16 & 0xff] ^ t[4][crc >> 24 & 0xff] ^
              t[3][crc >> 32 & 0xff] ^ t[2][crc >> 40 & 0xff] ^ t[1][crc >> 48 & 0xff] ^ t[0][crc >> 56];
    }
    for (; n > 0; from++, n--)
        crc = t[0][(crc ^ *from) & 0xff] ^ (crc >> 8);
    return crc;
}
