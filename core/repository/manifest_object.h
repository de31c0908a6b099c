/* The manifest as an object of a repository, the same on every sink.
 *
 * An envelope (seal.h). Clear part: struct manifest_clear, and the BLAKE3 of the object's own key
 * "snapshots/HOST/JOB/ID", so that the history of one host and job can be checked, and what is kept of it decided,
 * without opening, and no manifest passes for another. Body: JSON (docs/format.md lists every member). Paths and other
 * free text in JSON are percent-encoded: bytes outside printable ASCII, '%' and '"' and '\\' become %HH.
 */
#ifndef COFRE_REPOSITORY_MANIFEST_OBJECT_H
#define COFRE_REPOSITORY_MANIFEST_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"
#include "snapshot/manifest.h"

struct bytes;
struct error;
struct key;
struct repository;
struct signers;
struct signers_claim;

/* Bytes of the object. Its body has MANIFEST_MAX at most, and no more than these and so many times the bytes of the
 * object: a few bytes do not make much. */
#define MANIFEST_OBJECT_MAX ((size_t)16 << 20)
#define MANIFEST_OBJECT_FREE ((size_t)4 << 20)
#define MANIFEST_OBJECT_RATIO ((size_t)256)

/* The object, appended to *out. It is read back before it is sealed: what does not hold together (a complete snapshot
 * with an incomplete source, an impossible name) is refused here already. */
int manifest_object_seal(const struct manifest *manifest, const struct key *key, struct bytes *out, struct error *e);
/* Verify, open, parse. signers: one who is revoked and does not count is refused before anything is opened; NULL =
 * whoever is certified may be. name: the object's key, for messages; its HOST/JOB/ID must be those inside:
 * ERROR_INTEGRITY. */
int manifest_object_open(const void *p, size_t n, const struct key *key, const struct signers *signers,
                         const char *name, struct manifest **manifest, struct error *e);
/* What can be known without the full key. Stored in this order, the hash of the key behind previous_hash. */
struct manifest_clear {
    uint64_t sequence;
    uint8_t previous_hash[SEAL_HASH_SIZE]; /* of the bytes of the manifest before; zero in a first one */
    int64_t started, ended;                /* ns */
    uint32_t flags;                        /* MANIFEST_CLEAR_*; others mean something that this version does not know */
    uint8_t signer[32];
};
#define MANIFEST_CLEAR_INCOMPLETE 1u
#define MANIFEST_CLEAR_PARTIAL 2u
#define MANIFEST_CLEAR_SUSPECT 4u
#define MANIFEST_CLEAR_KNOWN 7u

/* name: as for manifest_object_open. */
int manifest_object_peek(const void *p, size_t n, const struct key *key, const char *name, struct manifest_clear *clear,
                         struct error *e);
/* The same of an object that was read from the repository, which must be the word of somebody who counts (signers.h).
 */
int manifest_object_admit(struct repository *repository, const void *p, size_t n, const char *key,
                          struct manifest_clear *clear, struct error *e);
/* An object that was read from the repository, opened; and it must be the word of somebody who counts (signers.h). */
int manifest_object_take(struct repository *repository, const void *p, size_t n, const char *key,
                         struct manifest **manifest, struct error *e);
/* The second half of that, for one that manifest_object_open has opened with the repository's signers. */
int manifest_object_admit_opened(struct repository *repository, const void *p, size_t n, const char *key,
                                 const struct manifest *manifest, struct error *e);
/* What signers are asked about. */
struct signers_claim manifest_object_claim(const void *p, size_t n, const char *key, const uint8_t signer[32]);
/* The manifest stored under key, read and taken. */
int manifest_object_read(struct repository *repository, const char *key, struct manifest **manifest, struct error *e);

/* The sink's key of a snapshot, "snapshots/HOST/JOB/ID", into out[201]. */
void manifest_object_key(const char *host, const char *job, const char *id, char *out);
/* Split such a key; false when it is none. */
bool manifest_object_parse_key(const char *key, char host[64], char job[64], char id[MANIFEST_ID_SIZE]);

#endif
