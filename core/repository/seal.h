/* Sealing: hashes, boxes and envelopes. Cryptography is called here, in aead.c and key.c, and for the chunker's table,
 * nowhere else.
 *
 * A box is a fresh 32-byte key used for one object. With it, byte strings are sealed by XChaCha20-Poly1305 (IETF):
 *   nonce = u64 position, 16 zero bytes       position: where in the object; never twice with one box
 *   additional data = context bytes that the caller binds in
 * Sealing adds SEAL_OVERHEAD bytes (the tag, at the end).
 */
#ifndef COFRE_REPOSITORY_SEAL_H
#define COFRE_REPOSITORY_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/key.h"

struct bytes;
struct error;

#define SEAL_HASH_SIZE 32
#define SEAL_OVERHEAD 16

/* Must be called once before anything else of repository/. */
int seal_init(struct error *e);

/* BLAKE3 without key: the names of objects; `b3sum` computes the same. */
void seal_hash(const void *p, size_t n, uint8_t hash[SEAL_HASH_SIZE]);
/* The order of hashes, and of whatever begins with one: for qsort and bsearch. */
int seal_hash_compare(const void *a, const void *b);
/* BLAKE3 under the key's chunk-id key. */
void seal_chunk_id(const struct key *key, const void *p, size_t n, uint8_t id[SEAL_HASH_SIZE]);

void seal_random(void *p, size_t n);

/* Piecewise plain hash. */
struct seal_hasher {
    _Alignas(8) unsigned char state[1920];
};
void seal_hasher_init(struct seal_hasher *h);
void seal_hasher_add(struct seal_hasher *h, const void *p, size_t n);
void seal_hasher_end(struct seal_hasher *h, uint8_t hash[SEAL_HASH_SIZE]);

/* ---- boxes ---- */

struct seal_box {
    uint8_t key[32];
};
#define SEAL_WRAPPED_SIZE 80 /* crypto_box_seal of the box's key to the X25519 public key */

/* A fresh box, wrapped so that only the full key opens it. */
void seal_box_new(const struct key *key, struct seal_box *box, uint8_t wrapped[SEAL_WRAPPED_SIZE]);
/* ERROR_AUTH without the full key or with another one. */
int seal_box_open(const struct key *key, const uint8_t wrapped[SEAL_WRAPPED_SIZE], struct seal_box *box,
                  struct error *e);

/* out has n + SEAL_OVERHEAD bytes; may be p itself. It fails for lack of memory alone. */
int seal_encrypt(const struct seal_box *box, uint64_t position, const void *context, size_t context_length,
                 const void *p, size_t n, uint8_t *out, struct error *e);
/* out has n - SEAL_OVERHEAD bytes; may be p itself. ERROR_INTEGRITY when anything was changed; then out is zeroed. what
 * names it. */
int seal_decrypt(const struct seal_box *box, uint64_t position, const void *context, size_t context_length,
                 const void *p, size_t n, uint8_t *out, const char *what, struct error *e);

/* ---- envelopes: signed and sealed objects ----
 *
 *   magic 8 | key id 16 | signer public 32 | certificate 128 | u32 clear length | clear bytes
 *   | wrapped box key (SEAL_WRAPPED_SIZE in a manifest, else 72) | sealed body | signature 64
 *
 * The body is a zstd frame (with checksum and content size), sealed in the box at position 0, with everything before it
 * as context. The signature is Ed25519 over "cofre envelope 1" || the BLAKE3 of all bytes before it (a hash, so
 * that a large object is passed over once and not copied). A manifest's box key is wrapped for the full key alone, that
 * of every other kind symmetrically, by XChaCha20-Poly1305 under the index key: nonce 24 | 32 + 16 bytes, context =
 * magic, so put and prune keys read it.
 */
#define SEAL_CLEAR_MAX 4096u
/* Who signs one must be certified to add, or to remove. */
enum seal_kind {
    SEAL_INDEX,     /* "cofreix1", add */
    SEAL_MANIFEST,  /* "cofremf1", add */
    SEAL_NEEDS,     /* "cofrend1", add */
    SEAL_REMOVAL,   /* "cofrerm1", remove */
    SEAL_PLAN,      /* "cofrepl1", remove */
    SEAL_ANNOTATION /* "cofrean1", either */
};

/* The wrapped and signed object, appended to *out. At most SEAL_CLEAR_MAX clear bytes. */
int seal_envelope(const struct key *key, enum seal_kind kind, const void *clear, size_t clear_length, const void *body,
                  size_t body_length, struct bytes *out, struct error *e);

struct seal_opened {
    uint8_t signer[32];
    struct key_certificate certificate; /* of the signer */
    uint8_t roles;                      /* any of which will do for that kind */
    const uint8_t *clear;               /* in the object given */
    size_t clear_length;
};
/* Verify form, signature, key id, certificate and that it allows this kind, without opening: any holder of the public
 * parts can. For which host it may, seal_check_host tells. name: for messages. Classes as below. *opened is set on
 * success alone. */
int seal_envelope_verify(const struct key *key, enum seal_kind kind, const void *p, size_t n, const char *name,
                         struct seal_opened *opened, struct error *e);
/* Verify, open and unpack the body (at most body->maximum bytes), appended to *body. A manifest needs the full key:
 * ERROR_AUTH. Another repository's or key's object: ERROR_AUTH. Damage: ERROR_INTEGRITY. */
int seal_envelope_open(const struct key *key, enum seal_kind kind, const void *p, size_t n, const char *name,
                       struct seal_opened *opened, struct bytes *body, struct error *e);

/* Open and unpack the body of what seal_envelope_verify has found good. */
int seal_envelope_body(const struct key *key, enum seal_kind kind, const void *p, size_t n, const char *name,
                       struct bytes *body, struct error *e);
/* May the signer do it for this host? ERROR_INTEGRITY. */
int seal_check_host(const struct seal_opened *opened, const char *host, const char *name, struct error *e);

/* The root's signature over a label, which is another for each kind of statement, and the BLAKE3 of the bytes; full
 * keys only: ERROR_DENIED. */
/* "cofre config 1", "cofre revoked 1", "cofre accepted 1" */
enum seal_statement { SEAL_CONFIG, SEAL_REVOKED, SEAL_ACCEPTED };
int seal_sign_root(const struct key *key, enum seal_statement kind, const void *p, size_t n, uint8_t signature[64],
                   struct error *e);
bool seal_verify_root(const uint8_t root[32], enum seal_statement kind, const void *p, size_t n,
                      const uint8_t signature[64]);

#endif
