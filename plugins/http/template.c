#include "http/template.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define MOST ((size_t)1 << 20) /* bytes that a text becomes */
#define NAME_MAX_LENGTH 16

struct buffer {
    char *p;
    size_t n, room;
    bool failed;
};

static void put(struct buffer *b, const char *p, size_t n)
{
    if (b->failed || n >= MOST - b->n) {
        b->failed = true;
        return;
    }
    if (b->n + n + 1 > b->room) {
        size_t room = 2 * (b->n + n + 1);
        char *grown = realloc(b->p, room);
        if (!grown) {
            b->failed = true;
            return;
        }
        b->p = grown;
        b->room = room;
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

/* ---- what can be filled in ---- */

static const char *time_text(const struct cofre_event *event, char out[32])
{
    time_t seconds = (time_t)(event->time / 1000000000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
    return out;
}

static const char *level_text(int32_t level)
{
    return level <= COFRE_LOG_ERROR     ? "error"
           : level == COFRE_LOG_WARNING ? "warning"
           : level == COFRE_LOG_NOTICE  ? "notice"
                                        : "info";
}

static bool is(const char *name, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(name, word, length) == 0;
}

/* NULL = there is no such name. buffer: for what is no text of the event. */
static const char *value_of(const struct cofre_event *e, const char *name, size_t length, char buffer[32])
{
    const struct {
        const char *name, *value;
    } values[] = {
        {"id", e->id},
        {"event", e->event},
        {"host", e->host},
        {"job", e->job},
        {"sink", e->sink},
        {"title", e->title},
        {"text", e->text},
        {"json", e->json},
        {"level", level_text(e->level)},
        {"failed", e->level <= COFRE_LOG_WARNING ? "1" : "0"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (is(name, length, values[i].name))
            return values[i].value;
    return is(name, length, "time") ? time_text(e, buffer) : NULL;
}

/* ---- as it is written ---- */

static void put_json(struct buffer *b, const char *text)
{
    char code[8];
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p >= 0x20 && *p != '"' && *p != '\\') {
            put(b, (const char *)p, 1);
            continue;
        }
        snprintf(code, sizeof code, *p < 0x20 ? "\\u%04x" : "\\%c", *p);
        put(b, code, strlen(code));
    }
}

static void put_url(struct buffer *b, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char code[4];
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (strchr(plain, *p)) {
            put(b, (const char *)p, 1);
            continue;
        }
        snprintf(code, sizeof code, "%%%02X", *p);
        put(b, code, 3);
    }
}

static void put_line(struct buffer *b, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        put(b, *p < 0x20 || *p == 0x7f ? " " : (const char *)p, 1);
}

static void put_value(struct buffer *b, enum template_escape escape, const char *value, bool is_json)
{
    if (escape == TEMPLATE_JSON && !is_json)
        put_json(b, value);
    else if (escape == TEMPLATE_URL)
        put_url(b, value);
    else if (escape == TEMPLATE_LINE)
        put_line(b, value);
    else
        put(b, value, strlen(value));
}

/* ---- both ---- */

/* The length of the name in "{name}" at p; 0 = there is none. */
static size_t name_at(const char *p, size_t left)
{
    size_t n = 1;
    if (left < 3 || p[0] != '{')
        return 0;
    while (n < left && n <= NAME_MAX_LENGTH && p[n] >= 'a' && p[n] <= 'z')
        n++;
    return n < left && p[n] == '}' ? n - 1 : 0;
}

int32_t template_check(const char *option, const char *text, size_t length, struct cofre_error *error)
{
    const struct cofre_event none = {
        .id = "", .event = "", .host = "", .job = "", .sink = "", .title = "", .text = "", .json = ""};
    char buffer[32];
    for (size_t i = 0; i < length; i++) {
        size_t n = name_at(text + i, length - i);
        if (n == 0 || value_of(&none, text + i + 1, n, buffer))
            continue;
        cofre_fail(error, COFRE_E_CONFIG, "'%s': there is no {%.*s}", option, (int)n, text + i + 1);
        cofre_hint(error, "there are {event} {level} {host} {job} {sink} {time} {title} {text} {json} {id} {failed}");
        return COFRE_E_CONFIG;
    }
    return COFRE_OK;
}

int32_t template_fill(const char *text, size_t length, enum template_escape escape, const struct cofre_event *event,
                      char **out, struct cofre_error *error)
{
    struct buffer b = {.p = NULL};
    char buffer[32];
    put(&b, "", 0);
    for (size_t i = 0; i < length;) {
        size_t n = name_at(text + i, length - i);
        const char *value = n > 0 ? value_of(event, text + i + 1, n, buffer) : NULL;
        if (value)
            put_value(&b, escape, value, is(text + i + 1, n, "json"));
        else
            put(&b, text + i, 1);
        i += value ? n + 2 : 1;
    }
    *out = b.p;
    if (!b.failed)
        return COFRE_OK;
    free(b.p);
    *out = NULL;
    return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
}
