#include "config/ini.h"

#include <ini.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

/* inih's buffer has INI_MAX_LINE bytes; a slice with its blank, its guards and the terminator must fit. */
#define SLICE (INI_MAX_LINE - 16)
/* A control byte, which no line may hold: it keeps inih from trimming blanks where a line was cut. */
#define GUARD '\x01'

/* One line on its way through inih. */
struct passage {
    const char *at, *end;
    bool begun, split;  /* begun: the first slice is out; split: inih found "name = value" in it */
    char *name, *value; /* INI_LINE_MAX + 1 bytes each */
    size_t value_length;
};

struct scan {
    const struct ini_events *events;
    unsigned line;
    char *text; /* the line, INI_LINE_MAX + 1 bytes */
    struct passage passage;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* inih asks for the next line: a slice. All but the first begin with a blank, so that inih takes them for more of it.
 */
static char *give_slice(char *to, int size, void *user)
{
    struct passage *p = user;
    if (p->at == p->end || size < SLICE + 4)
        return NULL;
    size_t left = (size_t)(p->end - p->at), n = left < SLICE ? left : SLICE, used = 0;
    if (p->begun) {
        to[used++] = '\t';
        to[used++] = GUARD;
    }
    memcpy(to + used, p->at, n);
    used += n;
    p->at += n;
    p->begun = true;
    if (p->at < p->end)
        to[used++] = GUARD;
    to[used] = '\0';
    return to;
}

static int take_slice(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    struct passage *p = user;
    size_t n = strlen(value);
    if (!p->split)
        memcpy(p->name, name, strlen(name) + 1);
    p->split = true;
    if (n > 0 && value[0] == GUARD) {
        value++;
        n--;
    }
    if (n > 0 && value[n - 1] == GUARD)
        n--;
    memcpy(p->value + p->value_length, value, n);
    p->value_length += n;
    return 1;
}

static void trim_value(struct passage *p)
{
    size_t start = 0;
    while (p->value_length > 0 && is_blank(p->value[p->value_length - 1]))
        p->value_length--;
    while (start < p->value_length && is_blank(p->value[start]))
        start++;
    memmove(p->value, p->value + start, p->value_length - start);
    p->value_length -= start;
    p->value[p->value_length] = '\0';
}

/* The end of the line without blanks and without a comment behind the value. */
static char *content_end(char *text)
{
    char *end = text;
    while (*end && !(*end == ';' && end > text && is_blank(end[-1])))
        end++;
    while (end > text && is_blank(end[-1]))
        end--;
    return end;
}

static int scan_key(struct scan *s, struct error *e)
{
    struct passage *p = &s->passage;
    char *end = content_end(s->text);
    size_t before = strcspn(s->text, "=:");
    if (s->text + before >= end)
        return error_set(e, ERROR_CONFIG, "this line is neither '[section]' nor 'key = value'");
    if (s->text[before] == ':')
        return error_set(e, ERROR_CONFIG, "':' behind a key: write 'key = value'");
    if (before >= SLICE)
        return error_set(e, ERROR_CONFIG, "the key is longer than %d bytes", SLICE);
    p->at = s->text;
    p->end = end;
    p->begun = p->split = false;
    p->value_length = 0;
    if (ini_parse_stream(give_slice, p, take_slice, p) != 0 || !p->split)
        return error_set(e, ERROR_CONFIG, "this line cannot be read as 'key = value'");
    trim_value(p);
    return s->events->key(s->events->user, s->line, p->name, p->value, e);
}

static int scan_section(struct scan *s, struct error *e)
{
    char *close = strchr(s->text, ']');
    if (!close)
        return error_set(e, ERROR_CONFIG, "the section has no closing ']'");
    const char *rest = close + 1 + strspn(close + 1, " \t");
    if (*rest && !(*rest == ';' || *rest == '#'))
        return error_set(e, ERROR_CONFIG, "there is text behind the section's ']'");
    *close = '\0';
    return s->events->section(s->events->user, s->line, s->text + 1, e);
}

/* The length of the UTF-8 sequence at p; 0 when it is none. */
static size_t sequence(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first, last, low, high; /* leading bytes, and what the second byte may be */
        size_t length;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (p[0] < forms[i].first || p[0] > forms[i].last)
            continue;
        size_t n = forms[i].length;
        if (n > left || (n > 1 && (p[1] < forms[i].low || p[1] > forms[i].high)))
            return 0;
        for (size_t k = 2; k < n; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return n;
    }
    return 0;
}

static int check_bytes(const uint8_t *p, size_t length, struct error *e)
{
    for (size_t i = 0, n; i < length; i += n) {
        n = sequence(p + i, length - i);
        if (n == 0) {
            error_set(e, ERROR_CONFIG, "byte %zu of this line is not UTF-8", i + 1);
            return error_hint(e, "save the file as UTF-8");
        }
        if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
            return error_set(e, ERROR_CONFIG, "byte %zu of this line is the control character 0x%02x", i + 1, p[i]);
    }
    return 0;
}

static int scan_line(struct scan *s, const char *line, size_t length, struct error *e)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length > INI_LINE_MAX)
        return error_set(e, ERROR_CONFIG, "the line is longer than %d bytes", INI_LINE_MAX);
    if (check_bytes((const uint8_t *)line, length, e) < 0)
        return -1;
    memcpy(s->text, line, length);
    s->text[length] = '\0';
    const char *start = s->text + strspn(s->text, " \t");
    if (*start == '\0' || *start == ';' || *start == '#')
        return 0;
    if (start > s->text) {
        error_set(e, ERROR_CONFIG, "the line is indented");
        return error_hint(
            e, "a value stands on one line, as long as it may be; begin a section or a key in the first column");
    }
    return *start == '[' ? scan_section(s, e) : scan_key(s, e);
}

static int scan_lines(struct scan *s, const char *at, const char *end, struct error *e)
{
    for (; at < end; s->line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (scan_line(s, at, (size_t)(stop - at), e) < 0)
            return -1;
        at = newline ? newline + 1 : end;
    }
    return 0;
}

int ini_scan(const void *text, size_t length, const struct ini_events *events, unsigned *line, struct error *e)
{
    const char *at = text, *end = at + length;
    *line = 1;
    if (length >= 2 && (memcmp(at, "\xff\xfe", 2) == 0 || memcmp(at, "\xfe\xff", 2) == 0)) {
        error_set(e, ERROR_CONFIG, "the file is UTF-16");
        return error_hint(e, "save the file as UTF-8");
    }
    if (length >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    AUTO_FREE char *memory = malloc(3 * (INI_LINE_MAX + 1));
    if (!memory)
        return error_memory(e);
    struct scan s = {.events = events, .line = 1, .text = memory};
    s.passage.name = memory + INI_LINE_MAX + 1;
    s.passage.value = s.passage.name + INI_LINE_MAX + 1;
    int result = scan_lines(&s, at, end, e);
    *line = s.line;
    explicit_bzero(memory, 3 * (INI_LINE_MAX + 1)); /* values may be secrets */
    return result;
}
