/* Objects that say where they belong: envelopes whose clear part begins with the hash of their own key and the id of
 * their repository. So nobody who can write into a sink can pass one off as another, nor bring one here from another
 * repository that has the same key: needs, removals, plans and annotations are such objects.
 *
 *   clear part:  BLAKE3 of the object's key 32 | repository id 16 | what the kind adds
 */
#ifndef COFRE_REPOSITORY_PLACED_H
#define COFRE_REPOSITORY_PLACED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "format/vault.h"
#include "repository/seal.h"

struct bytes;
struct error;
struct repository;

#define PLACED_CLEAR_SIZE (SEAL_HASH_SIZE + 16)
#define NEEDS_PREFIX "needs" /* of keys of needs */

/* The object for that key, appended to *out. own: what the kind adds to the clear part. */
int placed_seal(const struct repository *repository, enum seal_kind kind, const char *key, const void *own,
                size_t own_length, const struct bytes *body, struct bytes *out, struct error *e);
/* Verified, in its place, and the word of somebody who may say it of the host and is not revoked; opened, with the body
 * (at most body->maximum bytes) appended to *body. opened->clear is what the kind has added, exactly own_length bytes.
 * Else ERROR_INTEGRITY; of another key: ERROR_AUTH. */
int placed_open(const struct repository *repository, enum seal_kind kind, const char *host, const char *key,
                const struct bytes *object, size_t own_length, struct seal_opened *opened, struct bytes *body,
                struct error *e);

/* Keys "PREFIX/HOST/JOB/ID", as "removed/web1/nightly/20261120T020000Z-ab12cd", into out[201]; id "" = where those of
 * the job begin. And such a key taken apart; false when it is none of that prefix. Of needs there may be several for
 * one snapshot: behind ID then stand "." and 16 hex digits. */
void placed_key(const char *prefix, const struct vault_name *name, char *out);
bool placed_parse_key(const char *prefix, const char *key, struct vault_name *name);

/* The keys below the prefix that are of that host and job (NULL = any), each NUL terminated, in the order of their
 * names, appended to *keys. What is no such key is passed over. */
int placed_list(const struct repository *repository, const char *prefix, const char *host, const char *job,
                struct bytes *keys, struct error *e);
/* What is wrong with one object that says nothing then: 0, and it was logged; or -1 with *e, when the place is out of
 * reach or memory is short, so that nothing can be said of it. */
int placed_pass_over(struct repository *repository, const struct error *why, struct error *e);

/* Bodies that are JSON: an object with format, features, repository, host and job, to which the kind adds its members.
 * NULL = out of memory. */
json_t *placed_json(const struct repository *repository, const struct vault_name *name);
/* Takes json (NULL = out of memory) and appends its text to *out. */
int placed_json_write(json_t *json, struct bytes *out, struct error *e);
/* A body as such an object; repository, host and job must be those of its place. key: for messages. ERROR_INTEGRITY; a
 * format or feature that is not known: ERROR_UNSUPPORTED. Other members are left to the caller, who also frees it. */
int placed_json_parse(const struct repository *repository, const struct vault_name *name, const char *key,
                      const struct bytes *body, json_t **json, struct error *e);
/* ERROR_INTEGRITY: a member of such a body is not what it must be. */
int placed_malformed(const char *key, const char *member, struct error *e);

#endif
