/* The text of INFO: "key:value" lines. */
#ifndef COFRE_REDIS_INFO_H
#define COFRE_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a key into out, cut when it does not fit; "" when there is none. Returns out. */
const char *info_text(const char *info, const char *key, char *out, size_t size);
/* Does it have this value? */
bool info_is(const char *info, const char *key, const char *value);
/* As a number; 0 when there is none. */
uint64_t info_number(const char *info, const char *key);

/* One database of the section Keyspace. */
struct info_database {
    uint64_t number, keys, expires;
};
/* The next one; *at begins as the text. */
bool info_database(const char **at, struct info_database *database);

#endif
