#include "snapshot/manifest_text.h"

#include <stdlib.h>
#include <string.h>

static bool is_plain(char c)
{
    return c >= 0x20 && c <= 0x7e && c != '%' && c != '"' && c != '\\';
}

char *manifest_text_escape(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = malloc(3 * strlen(text) + 1), *to = out;
    for (; out && *text; text++) {
        if (is_plain(*text)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)*text >> 4];
        *to++ = digits[(unsigned char)*text & 15];
    }
    if (out)
        *to = '\0';
    return out;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool manifest_text_unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (is_plain(*from)) {
            *to++ = *from;
            continue;
        }
        int high = *from == '%' ? digit_of(from[1]) : -1;
        int low = high >= 0 ? digit_of(from[2]) : -1;
        char c = (char)(high * 16 + low);
        if (low < 0 || c == '\0' || is_plain(c))
            return false;
        *to++ = c;
        from += 2;
    }
    *to = '\0';
    return true;
}
