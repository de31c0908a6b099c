/* What kind of keys a server holds: the words with which their names begin ("session:8f3a" is of the family session).
 * An application keeps to its words while keys come and go; the server of another one has others. */
#ifndef COFRE_REDIS_FAMILY_H
#define COFRE_REDIS_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAMILY_MAX 64

/* The smallest hashes of all that were added, ascending, each once. */
struct family_set {
    uint64_t hashes[FAMILY_MAX];
    size_t count;
};

/* The beginning of a key's name, at least FAMILY_NAME bytes of it or all. The word is its first letters, behind any
 * punctuation; it may be empty. */
#define FAMILY_NAME 20
void family_add(struct family_set *set, const uint8_t *name, size_t n);

/* Do they have one in common? */
bool family_meet(const struct family_set *a, const struct family_set *b);

#endif
