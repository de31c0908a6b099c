#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
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

static void put_line(struct output *out, json_t *object)
{
    progress_pause();
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (!line)
        out->no_memory = true;
    else if (!out->failed_errno && printf("%s\n", line) < 0)
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

const char *output_escape(struct output *out, const void *text, size_t length)
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
    return log_escape(text, length, out->escaped, out->escaped_size);
}

json_t *output_bytes(struct output *out, const void *text, size_t length)
{
    return text ? json_string(output_escape(out, text, length)) : json_null();
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
