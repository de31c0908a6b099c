#include "base/cursor.h"

#include <string.h>

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
    if (c->failed || n > c->left) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->p;
    if (n > 0) /* an empty cursor may point nowhere */
        c->p += n;
    c->left -= n;
    return p;
}

static uint64_t get_integer(struct cursor *c, size_t width)
{
    const uint8_t *p = cursor_bytes(c, width);
    uint64_t v = 0;
    for (size_t i = 0; p && i < width; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)get_integer(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)get_integer(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)get_integer(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
    return get_integer(c, 8);
}

const uint8_t *cursor_blob(struct cursor *c, size_t maximum, size_t *n)
{
    *n = cursor_u32(c);
    if (*n > maximum)
        c->failed = true;
    const uint8_t *p = cursor_bytes(c, *n);
    if (!p)
        *n = 0;
    return p;
}

void cursor_text(struct cursor *c, char *out, size_t size)
{
    size_t n;
    const uint8_t *p = cursor_blob(c, size - 1, &n);
    if (p && memchr(p, '\0', n))
        c->failed = true;
    if (p)
        memcpy(out, p, n);
    out[n] = '\0';
}
