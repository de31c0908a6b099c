/* Results on standard output: text, or JSON with one object per line.
 *
 * A write that fails (no space, closed) is remembered and said once, by output_finish; what the command does goes on,
 * since a backup is not worth less because nobody listens.
 *
 * Text from outside is escaped everywhere in the same, reversible way, in JSON before JSON's own escapes: bytes that
 * are not printable UTF-8 become \xHH, a newline \n, a backslash \\. Characters that hide or reverse text are escaped
 * where people read; in JSON they are \uHHHH, as any character may be.
 */
#ifndef COFRE_CLI_OUTPUT_H
#define COFRE_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct error;

#define OUTPUT_SCHEMA 1

struct output {
    bool json;
    const char *command; /* for the first line; NULL = not known */
    bool started;        /* the first line of JSON is out */
    int failed_errno;    /* of the first write that failed; 0 = none */
    bool no_memory;      /* an object could not be built */
    char *escaped;       /* output_escape's */
    size_t escaped_size;
};

void output_free(struct output *out);

/* Text, only when not JSON. */
void output_print(struct output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One object, whose first member becomes "type". Takes it; NULL counts as out of memory. Only when JSON. */
void output_object(struct output *out, const char *type, json_t *object);
/* Give out what is buffered: after a line that somebody waits for. */
void output_flush(struct output *out);
/* Flush. -1: something was not written. */
int output_finish(struct output *out, struct error *e);

/* The text escaped, valid until the next call; "?" when out of memory. */
const char *output_escape(struct output *out, const void *text, size_t length);

/* Members of JSON objects; a NULL text is null. Failures show up as a NULL object in output_object. */
json_t *output_text(struct output *out, const char *text);
json_t *output_bytes(struct output *out, const void *text, size_t length);
json_t *output_number(uint64_t number);
/* RFC 3339 with nanoseconds; null when ns is INT64_MIN. */
json_t *output_time(int64_t ns);

#endif
