/* An acceptance: the holder of the root says that a signer may sign for a host, although another did before. A
 * statement (statement.h), stored as `signers/accepted/HOST/SIGNER`. docs/format.md, section 11.
 */
#ifndef COFRE_REPOSITORY_ACCEPTANCE_H
#define COFRE_REPOSITORY_ACCEPTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/key.h"

struct bytes;
struct error;

#define ACCEPTANCE_MAX ((size_t)4096) /* bytes of the object */

struct acceptance {
    char host[KEY_HOST_SIZE + 1];
    uint8_t signer[KEY_SIZE];
};

/* Appended to *out. key: full, else ERROR_DENIED. */
int acceptance_encode(const struct acceptance *acceptance, const struct key *key, struct bytes *out, struct error *e);
/* name: the object's key. Whatever is wrong with it, or another root's: ERROR_INTEGRITY; a newer format:
 * ERROR_UNSUPPORTED. */
int acceptance_decode(const void *p, size_t n, const char *name, const uint8_t root[KEY_SIZE],
                      struct acceptance *acceptance, struct error *e);

/* Key of the object, into out[201]; and what such a key names, false when it is none. */
void acceptance_key(const struct acceptance *acceptance, char *out);
bool acceptance_parse_key(const char *key, struct acceptance *acceptance);

#endif
