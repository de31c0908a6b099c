/* Objects that say where they belong: envelopes whose clear part begins with the hash of their own key and the id of
 * their repository. So nobody who can write into a sink can pass one off as another, nor bring one here from another
 * repository that has the same key: needs, removals, plans and annotations are such objects.
 *
 *   clear part:  BLAKE3 of the object's key 32 | repository id 16 | what the kind adds
 */
#ifndef COFRE_REPOSITORY_PLACED_H
#define COFRE_REPOSITORY_PLACED_H

#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct bytes;
struct error;
struct repository;

#define PLACED_CLEAR_SIZE (SEAL_HASH_SIZE + 16)

/* The object for that key, appended to *out. own: what the kind adds to the clear part. */
int placed_seal(const struct repository *repository, enum seal_kind kind, const char *key, const void *own,
                size_t own_length, const struct bytes *body, struct bytes *out, struct error *e);
/* Verified, in its place, and the word of somebody who may say it of the host and is not revoked; opened, with the body
 * (at most body->maximum bytes) appended to *body. opened->clear is what the kind has added, exactly own_length bytes.
 * Else ERROR_INTEGRITY; of another key: ERROR_AUTH. */
int placed_open(const struct repository *repository, enum seal_kind kind, const char *host, const char *key,
                const struct bytes *object, size_t own_length, struct seal_opened *opened, struct bytes *body,
                struct error *e);

#endif
