#include "snapshot/path.h"

#include <string.h>

#include "cofre/plugin.h"

static bool component_valid(const char *p, size_t n)
{
    return n > 0 && !(n == 1 && p[0] == '.') && !(n == 2 && p[0] == '.' && p[1] == '.');
}

bool path_valid(const char *path, size_t length)
{
    if (length > PATH_LONGEST || memchr(path, '\0', length))
        return false;
    for (const char *end = path + length; length > 0;) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        if (!component_valid(path, (size_t)((slash ? slash : end) - path)))
            return false;
        if (!slash)
            return true;
        path = slash + 1;
    }
    return true;
}

/* Where a and b first differ; n when they do not. Eight bytes at a time, since neighbours share most of their path. */
static size_t common(const char *a, const char *b, size_t n)
{
    size_t i = 0;
    for (uint64_t x, y; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            break;
    }
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static int rank(char c)
{
    return c == '/' ? 0 : (uint8_t)c;
}

int path_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t n = a_length < b_length ? a_length : b_length, i = common(a, b, n);
    if (i < n)
        return rank(a[i]) - rank(b[i]);
    return (a_length > b_length) - (a_length < b_length);
}

bool path_is_below(const char *path, size_t length, const char *parent, size_t parent_length)
{
    if (parent_length == 0)
        return length > 0;
    return length > parent_length && path[parent_length] == '/' && memcmp(path, parent, parent_length) == 0;
}

bool path_is_within(const char *path, size_t length, const char *parent, size_t parent_length)
{
    return path_is_below(path, length, parent, parent_length) ||
           (length == parent_length && memcmp(path, parent, length) == 0);
}

static bool key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

bool path_is_key(const char *key, size_t length)
{
    if (length == 0 || length > COFRE_MAX_KEY || !path_valid(key, length))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!key_byte(key[i]) && key[i] != '/')
            return false;
    return true;
}
