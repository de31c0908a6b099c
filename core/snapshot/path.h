/* Paths of entries and keys of objects, as cofre/plugin.h defines them. */
#ifndef COFRE_SNAPSHOT_PATH_H
#define COFRE_SNAPSHOT_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_LONGEST 65535u

/* Relative, '/' between components, none of them "", "." or "..", no NUL. "" is the root and valid. */
bool path_valid(const char *path, size_t length);
/* <0, 0, >0 in path order: bytewise, '/' before every other byte. */
int path_compare(const char *a, size_t a_length, const char *b, size_t b_length);
/* Is path inside parent, at any depth? Everything but the root is inside the root; nothing is inside itself. */
bool path_is_below(const char *path, size_t length, const char *parent, size_t parent_length);
/* The same, or parent itself. */
bool path_is_within(const char *path, size_t length, const char *parent, size_t parent_length);
/* [A-Za-z0-9._-] segments joined by '/', at most 200 bytes. */
bool path_is_key(const char *key, size_t length);

#endif
