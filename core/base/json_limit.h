/* How much JSON is read at all: what a few bytes in a store can make of themselves is looked at before it is parsed. */
#ifndef COFRE_BASE_JSON_LIMIT_H
#define COFRE_BASE_JSON_LIMIT_H

#include <stddef.h>

struct error;

/* Values and names of members; a list or an object counts as JSON_LIMIT_NESTED of them, which is what it costs a
 * parser: 64 MiB for all. It is enough for the list of 60,000 chunks of a catalogue: docs/format.md, 10.2. */
#define JSON_LIMIT_TOKENS 750000u
#define JSON_LIMIT_NESTED 4u
#define JSON_LIMIT_DEPTH 32u

struct json_limit_count {
    size_t tokens, depth; /* depth: the deepest place */
};
/* Of any bytes: as far as a parser would come with them, they are counted as it would. */
void json_limit_count(const void *p, size_t n, struct json_limit_count *count);

/* Before a text from a store is given to a parser. name: for messages. ERROR_INTEGRITY. */
int json_limit_check(const void *p, size_t n, const char *name, struct error *e);

#endif
