#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define NAME_MAX_BYTES 63

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {"PiB", INT64_C(1) << 50},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", INT64_C(1000000000000)},
    {"PB", INT64_C(1000000000000000)},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"min", 60 * 1000},
    {"h", 3600 * 1000},
    {"d", 24 * 3600 * 1000},
    {"w", 7 * 24 * 3600 * 1000},
    {"mo", INT64_C(30) * 24 * 3600 * 1000},
    {"y", INT64_C(365) * 24 * 3600 * 1000},
    {NULL, 0},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool text_is_name(const char *text)
{
    if (!((*text >= 'a' && *text <= 'z') || is_digit(*text)))
        return false;
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return text[n] == '\0' && n <= NAME_MAX_BYTES;
}

/* Digits at *text into value, and *text behind them. False: there are none, or too many for 63 bits. */
static bool take_number(const char **text, int64_t *value)
{
    if (!is_digit(**text))
        return false;
    *value = 0;
    for (; is_digit(**text); ++*text)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, **text - '0', value))
            return false;
    return true;
}

/* The unit spelled by the letters at *text, and *text behind them; NULL when there is none of that name. */
static const struct unit *take_unit(const char **text, const struct unit *units)
{
    size_t n = 0;
    while (is_letter((*text)[n]))
        n++;
    for (; units->name; units++)
        if (strlen(units->name) == n && memcmp(units->name, *text, n) == 0) {
            *text += n;
            return units;
        }
    return NULL;
}

int text_parse_size(const char *text, int64_t *bytes, struct error *e)
{
    const char *at = text;
    int64_t number;
    const struct unit *unit = NULL;
    if (take_number(&at, &number))
        unit = take_unit(&at, size_units);
    if (!unit || *at)
        return error_set(e, ERROR_CONFIG, "'%.100s' is no size: write 512, 64MiB, 10GB, ...", text);
    if (__builtin_mul_overflow(number, unit->factor, bytes))
        return error_set(e, ERROR_CONFIG, "'%.100s' is too large a size", text);
    return 0;
}

static int bad_duration(const char *text, const char *at, int64_t number, struct error *e)
{
    if (at[0] == 'm' && !is_letter(at[1]))
        return error_set(e, ERROR_CONFIG,
                         "'%.100s' is no duration: 'm' could be minutes or months; write %lldmin or %lldmo", text,
                         (long long)number, (long long)number);
    if (!is_letter(at[0]) && at[0] != '.' && at[0] != ',')
        return error_set(e, ERROR_CONFIG, "'%.100s' is no duration: it has no unit; write %llds, %lldmin, %lldh, ...",
                         text, (long long)number, (long long)number, (long long)number);
    return error_set(e, ERROR_CONFIG, "'%.100s' is no duration: write 90s, 15min, 6h, 7d, 4w, 6mo or 1y", text);
}

int text_parse_duration(const char *text, int64_t *milliseconds, struct error *e)
{
    *milliseconds = 0;
    if (strcmp(text, "0") == 0)
        return 0;
    const char *at = text;
    do {
        int64_t number;
        if (!take_number(&at, &number))
            return error_set(e, ERROR_CONFIG, "'%.100s' is no duration: write 90s, 15min, 6h, 7d, 4w, 6mo or 1y", text);
        const struct unit *unit = take_unit(&at, duration_units);
        if (!unit)
            return bad_duration(text, at, number, e);
        if (__builtin_mul_overflow(number, unit->factor, &number) ||
            __builtin_add_overflow(*milliseconds, number, milliseconds))
            return error_set(e, ERROR_CONFIG, "'%.100s' is too long a duration", text);
        while (*at == ' ' && at[1])
            at++;
    } while (*at);
    return 0;
}

int text_parse_integer(const char *text, int64_t *value, struct error *e)
{
    bool negative = *text == '-';
    const char *at = text + negative;
    int64_t number;
    if (!take_number(&at, &number) || *at)
        return error_set(e, ERROR_CONFIG, "'%.100s' is no whole number", text);
    *value = negative ? -number : number;
    return 0;
}

int text_parse_boolean(const char *text, bool *value, struct error *e)
{
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0)
        return error_set(e, ERROR_CONFIG, "'%.100s' is neither yes nor no", text);
    *value = yes;
    return 0;
}

const char *text_size(uint64_t bytes, char *out)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(out, TEXT_SIZE_MAX, "%u B", (unsigned)bytes);
        return out;
    }
    /* In tenths, rounded; what rounds up to 1024.0 is shown in the next unit. */
    for (unsigned i = 0;; i++) {
        unsigned shift = 10 * (i + 1);
        uint64_t rest = bytes & ((UINT64_C(1) << shift) - 1);
        uint64_t tenths = (bytes >> shift) * 10 + ((rest * 10 + (UINT64_C(1) << (shift - 1))) >> shift);
        if (tenths < 10240 || i == 5) {
            unsigned whole = (unsigned)(tenths / 10) % 10000;
            snprintf(out, TEXT_SIZE_MAX, "%u.%u %s", whole, (unsigned)(tenths % 10), names[i]);
            return out;
        }
    }
}

const char *text_elapsed(int64_t milliseconds, char *out)
{
    int64_t ms = milliseconds < 0 ? 0 : milliseconds;
    int64_t seconds = ms / 1000;
    if (ms < 1000)
        snprintf(out, TEXT_ELAPSED_MAX, "0.%d s", (int)(ms / 100));
    else if (seconds < 3600)
        snprintf(out, TEXT_ELAPSED_MAX, "%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
    else
        snprintf(out, TEXT_ELAPSED_MAX, "%lld:%02d:%02d", (long long)(seconds / 3600), (int)(seconds / 60 % 60),
                 (int)(seconds % 60));
    return out;
}

const char *text_age(int64_t milliseconds, char *out)
{
    int64_t seconds = milliseconds < 0 ? 0 : milliseconds / 1000, minutes = seconds / 60, hours = minutes / 60;
    if (minutes == 0)
        snprintf(out, TEXT_AGE_MAX, "%d s", (int)seconds);
    else if (hours == 0)
        snprintf(out, TEXT_AGE_MAX, "%d min", (int)minutes);
    else if (hours < 24)
        snprintf(out, TEXT_AGE_MAX, minutes % 60 ? "%d h %d min" : "%d h", (int)hours, (int)(minutes % 60));
    else
        snprintf(out, TEXT_AGE_MAX, hours % 24 ? "%lld d %d h" : "%lld d", (long long)(hours / 24), (int)(hours % 24));
    return out;
}

const char *text_hex(const void *p, size_t n, char *out)
{
    const uint8_t *from = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[from[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[from[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

/* 16 when c is no lower case hexadecimal digit. */
static unsigned hex_digit(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

bool text_parse_hex(const char *text, void *p, size_t n)
{
    uint8_t *to = p;
    for (size_t i = 0; i < n; i++) {
        unsigned high = hex_digit(text[2 * i]);
        unsigned low = high < 16 ? hex_digit(text[2 * i + 1]) : 16;
        if (low == 16)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * n] == '\0';
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edit distance in which two swapped neighbours count as one step and case does not count; both at most
 * NAME_MAX_BYTES. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(last[j - 1] + (x != y), smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && tolower((unsigned char)a[i - 2]) == y)
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_length];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    size_t length = strlen(word);
    if (length == 0 || length > NAME_MAX_BYTES)
        return NULL;
    const char *best = NULL;
    /* One slip in a short word, a third of a long one: further away it is another word. */
    unsigned limit = length < 6 ? 1 : smaller((unsigned)length / 3, 4);
    for (; *candidates; candidates++) {
        size_t candidate_length = strlen(*candidates);
        if (candidate_length > NAME_MAX_BYTES)
            continue;
        unsigned d = distance(word, length, *candidates, candidate_length);
        if (d <= limit && d < length && (!best || d < limit)) {
            best = *candidates;
            limit = d;
        }
    }
    return best;
}

char *text_copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}
