/* Cursor: reads what others wrote, within bounds. Integers are little-endian, as bytes.h writes them. */
#ifndef COFRE_BASE_CURSOR_H
#define COFRE_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads from [p, p + left). Reading past the end sets `failed` and gives zeros; look once, at the end. */
struct cursor {
    const uint8_t *p;
    size_t left;
    bool failed;
};

static inline struct cursor cursor_of(const void *p, size_t n)
{
    return (struct cursor){.p = p, .left = n, .failed = false};
}
/* The next n bytes in place; NULL when there are fewer. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
/* u32 length and bytes, at most maximum. NULL when failed. */
const uint8_t *cursor_blob(struct cursor *c, size_t maximum, size_t *n);
/* A copy of a text blob into out, terminated; fails when it does not fit or holds a NUL. */
void cursor_text(struct cursor *c, char *out, size_t size);
/* Everything was read, nothing failed. */
static inline bool cursor_done(const struct cursor *c)
{
    return !c->failed && c->left == 0;
}

#endif
