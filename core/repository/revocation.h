/* A revocation: a signer counts no more. It is a statement of the root (statement.h), stored as
 * `signers/revoked/SIGNER`, and says which of the manifests, needs, removal
 * records and annotations that the signer had stored before still count: by the
 * hashes of their bytes, so that nothing can be added to them. docs/format.md, section 11.
 */
#ifndef COFRE_REPOSITORY_REVOCATION_H
#define COFRE_REPOSITORY_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct bytes;
struct error;
struct key;

#define REVOCATION_MAX ((size_t)8 << 20) /* bytes of the object: about 100,000 snapshots */

struct revocation {
    uint8_t signer[32];
    int64_t since; /* ns */
    uint8_t (*counting)[SEAL_HASH_SIZE];
    size_t count;
};

/* Appended to *out. key: full, else ERROR_DENIED. */
int revocation_encode(const struct revocation *revocation, const struct key *key, struct bytes *out, struct error *e);
/* name: the object's key. Whatever is wrong with it, or another root's: ERROR_INTEGRITY; a newer format:
 * ERROR_UNSUPPORTED. After success revocation_free is due. */
int revocation_decode(const void *p, size_t n, const char *name, const uint8_t root[KEY_SIZE],
                      struct revocation *revocation, struct error *e);
void revocation_free(struct revocation *revocation);

bool revocation_counts(const struct revocation *revocation, const uint8_t object[SEAL_HASH_SIZE]);

/* Key of the object of this signer, into out[201]; and the signer of a key, false when it is none. */
void revocation_key(const uint8_t signer[32], char *out);
bool revocation_parse_key(const char *key, uint8_t signer[32]);

#endif
