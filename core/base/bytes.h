/* Bytes: a growable buffer with a maximum given at birth. base/cursor.h reads what was written with it.
 *
 * All integers in cofre's formats and on its wire are little-endian; these two are the only ones that write and read
 * them.
 */
#ifndef COFRE_BASE_BYTES_H
#define COFRE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* A growable run of bytes. Zeroed is empty with maximum 0, so set the maximum: struct bytes b = {.maximum = 1 << 20}.
 * An append that fails (memory, maximum) sets `failed` and leaves the rest unchanged; later appends do nothing. So a
 * writer may append many times and look once, with bytes_check. */
struct bytes {
    uint8_t *data;
    size_t length, capacity, maximum;
    bool failed;
    bool too_large; /* it failed because of maximum, not of memory */
};

void bytes_free(struct bytes *b);
/* Cleanup attribute for locals. */
#define AUTO_BYTES __attribute__((cleanup(bytes_free)))
/* Forget the content, keep the memory; clears `failed`. */
void bytes_reset(struct bytes *b);
/* -1 with ERROR_MEMORY or ERROR_RANGE when an append has failed. what names the thing: "manifest". */
int bytes_check(const struct bytes *b, const char *what, struct error *e);

/* Lend room for n more bytes at data + length; NULL when failed. The caller adds to length itself. */
uint8_t *bytes_reserve(struct bytes *b, size_t n);
void bytes_put(struct bytes *b, const void *p, size_t n);
void bytes_put_u8(struct bytes *b, uint8_t v);
void bytes_put_u16(struct bytes *b, uint16_t v);
void bytes_put_u32(struct bytes *b, uint32_t v);
void bytes_put_u64(struct bytes *b, uint64_t v);
/* u32 length, then the bytes. */
void bytes_put_blob(struct bytes *b, const void *p, size_t n);
/* The same for text; NULL counts as "". */
void bytes_put_text(struct bytes *b, const char *text);
/* Text as it is, formatted, without length. */
void bytes_print(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Texts one after another, each NUL terminated: in the order of their bytes. After an error as before. */
int bytes_sort_texts(struct bytes *b, struct error *e);

/* Little-endian access to memory. */
static inline uint32_t bytes_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t bytes_get_u64(const uint8_t *p)
{
    return bytes_get_u32(p) | (uint64_t)bytes_get_u32(p + 4) << 32;
}
static inline void bytes_set_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}
static inline void bytes_set_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

#endif
