/* Text: the values people write, and the forms people read. */
#ifndef COFRE_BASE_TEXT_H
#define COFRE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* [a-z0-9][a-z0-9_-]*, at most 63 bytes: sections, jobs, hosts made safe. */
bool text_is_name(const char *text);

/* "64MiB", "10GB", "512"; no sign, no space. */
int text_parse_size(const char *text, int64_t *bytes, struct error *e);
/* "90s 15min 6h 7d 4w 6mo 1y", also added up: "1h 30min"; "500ms". A bare "m" is an error that explains itself. */
int text_parse_duration(const char *text, int64_t *milliseconds, struct error *e);
int text_parse_integer(const char *text, int64_t *value, struct error *e);
/* yes, no */
int text_parse_boolean(const char *text, bool *value, struct error *e);

/* "1.4 GiB", "512 B"; into out[16]. Returns out. */
const char *text_size(uint64_t bytes, char *out);
#define TEXT_SIZE_MAX 16
/* "1:02:03", "0:07", "0.3 s"; into out[24]. Returns out. */
const char *text_elapsed(int64_t milliseconds, char *out);
#define TEXT_ELAPSED_MAX 24

/* How long ago, in words: "45 s", "12 min", "5 h 20 min", "3 d 4 h"; into out[24]. Returns out. */
const char *text_age(int64_t milliseconds, char *out);
#define TEXT_AGE_MAX 24

/* Lower case hexadecimal; out has 2 * n + 1 bytes. Returns out. */
const char *text_hex(const void *p, size_t n, char *out);
/* The length of the UTF-8 character that p, of left bytes, begins with, and which it is; 0 when it is none, or is a
 * control character. */
size_t text_character(const void *p, size_t left, uint32_t *character);
/* A Unicode character from U+00A0 on that shows nothing, turns the text around it, or is none (yet): it is escaped
 * where people read (log_escape). */
bool text_is_hidden(uint32_t character);

/* Exactly 2 * n lower case hexadecimal digits. */
bool text_parse_hex(const char *text, void *p, size_t n);

/* The candidate nearest to word by edit distance, when it is near enough to suggest; else NULL. candidates ends with
 * NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

/* A copy with malloc; NULL when out of memory. */
char *text_copy(const char *text);

#endif
