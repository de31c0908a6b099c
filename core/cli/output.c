#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/progress.h"

void output_free(struct output *out)
{
    free(out->escaped);
    out->escaped = NULL;
    out->escaped_size = 0;
}

static void note_failure(struct output *out)
{
    if (!out->failed_errno)
        out->failed_errno = errno ? errno : EIO;
}

void output_print(struct output *out, const char *format, ...)
{
    if (out->json || out->failed_errno)
        return;
    progress_pause();
    va_list arguments;
    va_start(arguments, format);
    if (vprintf(format, arguments) < 0)
        note_failure(out);
    va_end(arguments);
}

/* What stands in a string and hides or turns text is written as JSON's escape: it means the same, ends no line, and
 * somebody may look. */
static int print_json(const char *line)
{
    size_t length = strlen(line), from = 0;
    for (size_t i = 0, n; i < length; i += n ? n : 1) {
        uint32_t c = 0;
        n = line[i] & 0x80 ? text_character(line + i, length - i, &c) : 1;
        if (n < 2 || !text_is_hidden(c))
            continue;
        fwrite(line + from, 1, i - from, stdout);
        if (c >= 0x10000)
            printf("\\u%04x", 0xd800 + ((c - 0x10000) >> 10));
        printf("\\u%04x", c < 0x10000 ? c : 0xdc00 + (c & 0x3ff));
        from = i + n;
    }
    return printf("%s\n", line + from) < 0 || ferror(stdout) ? -1 : 0;
}

static void put_line(struct output *out, json_t *object)
{
    progress_pause();
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (!line)
        out->no_memory = true;
    else if (!out->failed_errno && print_json(line) < 0)
        note_failure(out);
    free(line);
    json_decref(object);
}

/* The first line says what the others are. */
static void start(struct output *out)
{
    out->started = true;
    put_line(out, json_pack("{s:s, s:i, s:s, s:o}", "type", "cofre", "schema", OUTPUT_SCHEMA, "version", COFRE_VERSION,
                            "command", out->command ? json_string(out->command) : json_null()));
}

void output_object(struct output *out, const char *type, json_t *object)
{
    if (!out->json) {
        json_decref(object);
        return;
    }
    if (!out->started)
        start(out);
    json_t *line = object ? json_pack("{s:s}", "type", type) : NULL;
    if (line && json_object_update(line, object) < 0) {
        json_decref(line);
        line = NULL;
    }
    json_decref(object);
    put_line(out, line);
}

void output_flush(struct output *out)
{
    if (!out->failed_errno && fflush(stdout) != 0)
        note_failure(out);
}

int output_finish(struct output *out, struct error *e)
{
    if (out->json && !out->started)
        start(out);
    output_flush(out);
    if (out->failed_errno)
        return error_system(e, out->failed_errno, "write to 'standard output'");
    return out->no_memory ? error_memory(e) : 0;
}

typedef const char *escape_function(const void *text, size_t length, char *out, size_t size);

static const char *escape(struct output *out, const void *text, size_t length, escape_function *function)
{
    size_t size = 4 * length + 8;
    if (out->escaped_size < size) {
        char *grown = realloc(out->escaped, size);
        if (!grown) {
            out->no_memory = true;
            return "?";
        }
        out->escaped = grown;
        out->escaped_size = size;
    }
    return function(text, length, out->escaped, out->escaped_size);
}

const char *output_escape(struct output *out, const void *text, size_t length)
{
    return escape(out, text, length, log_escape);
}

json_t *output_bytes(struct output *out, const void *text, size_t length)
{
    return text ? json_string(escape(out, text, length, log_escape_bytes)) : json_null();
}

json_t *output_text(struct output *out, const char *text)
{
    return output_bytes(out, text, text ? strlen(text) : 0);
}

json_t *output_number(uint64_t number)
{
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *output_time(int64_t ns)
{
    if (ns == INT64_MIN)
        return json_null();
    char text[CLOCK_TEXT_MAX];
    return json_string(clock_format_exact(ns, text));
}
