#include "common/failure.h"

#include <stdbool.h>
#include <string.h>

size_t failure_character(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t need = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    bool control = p[0] == 0xc2 && p[1] < 0xa0;
    return overlong || outside || control ? 0 : need;
}

/* One character, or one byte escaped, to out[at], when it fits below limit. Returns the bytes read; 0 = full. */
static size_t quote_one(const char *p, size_t left, char *out, size_t *at, size_t limit)
{
    char piece[8];
    size_t take = failure_character(p, left), length = take;
    if (*p == '\\')
        length = (size_t)snprintf(piece, sizeof piece, "\\\\");
    else if (take)
        memcpy(piece, p, take);
    else
        length = (size_t)snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)*p);
    if (*at + length > limit)
        return 0;
    memcpy(out + *at, piece, length);
    *at += length;
    return take ? take : 1;
}

const char *failure_quote(const char *path, size_t length, char out[FAILURE_QUOTE_MAX])
{
    enum { HEAD = 140, TAIL_BYTES = 40 };
    size_t at = 0, i = 0, n;
    /* What is longer shows its beginning and its last bytes: the name matters most. */
    size_t limit = length > HEAD ? HEAD : FAILURE_QUOTE_MAX - 1;
    while (i < length && (n = quote_one(path + i, length - i, out, &at, limit)) > 0)
        i += n;
    if (i < length) {
        memcpy(out + at, "...", 3);
        at += 3;
        if (i < length - TAIL_BYTES)
            i = length - TAIL_BYTES;
        while (i < length && (n = quote_one(path + i, length - i, out, &at, FAILURE_QUOTE_MAX - 1)) > 0)
            i += n;
    }
    out[at] = '\0';
    return out;
}

void failure_about(struct cofre_error *error, const char *path, size_t length, const struct cofre_error *why)
{
    char quoted[FAILURE_QUOTE_MAX];
    int n = snprintf(error->message, sizeof error->message, "'%s': ", failure_quote(path, length, quoted));
    snprintf(error->message + n, sizeof error->message - (size_t)n, "%s", why->message);
    error->os_errno = why->os_errno;
    snprintf(error->hint, sizeof error->hint, "%s", why->hint);
}
