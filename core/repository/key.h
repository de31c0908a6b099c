/* Keys: the full key, which seals and opens; put keys, which only seal; prune keys, which only remove.
 *
 * Everything follows from one 32-byte seed, by crypto_kdf (BLAKE2b) with the context "cofrekey":
 *
 *   1  chunk-id key     32 bytes: ids of chunks are BLAKE3 of the plain bytes under it
 *   2  chunker seed     32 bytes: the cut table of the chunker
 *   3  index key        32 bytes: wraps the keys of index objects
 *   4  seed of the X25519 pair to which packs and manifests are sealed (crypto_box_seed_keypair)
 *   5  seed of the Ed25519 root pair, which certifies signers (crypto_sign_seed_keypair)
 *   6  seed of the full key's own Ed25519 signer pair
 *
 * key id = first 16 bytes of BLAKE3("cofre key id 1" || X25519 public || root public).
 * A certificate says of a signer what it may do, and for which host: the root's signature over
 * "cofre signer 1" || key id || signer public || roles || host. That of the full key's own signer holds for every host.
 *
 * A put key holds 1, 2, 3, the two public keys, and a signer pair of its own with its certificate, for one host and to
 * add alone. It cannot open packs or manifests. A prune key holds 3, the two public keys, and such a pair to remove
 * alone, for one host or for all: it opens what says what is stored and needed, and no content. With encryption = none
 * the full key stands in the repository's config, so everyone can open, and all formats are the same.
 */
#ifndef COFRE_REPOSITORY_KEY_H
#define COFRE_REPOSITORY_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;

#define KEY_ID_SIZE 16
#define KEY_SIZE 32
#define KEY_SIGNATURE_SIZE 64

/* What a signer may do. */
enum key_role { KEY_ADD = 1, KEY_REMOVE = 2 };
#define KEY_HOST_SIZE 63

/* As it is stored. The parts are valid only after key_certifies. */
struct key_certificate {
    uint8_t roles;               /* enum key_role, together */
    uint8_t host[KEY_HOST_SIZE]; /* a name, filled up with zeros; all zero: every host */
    uint8_t signature[KEY_SIGNATURE_SIZE];
};
#define KEY_CERTIFICATE_SIZE (1 + KEY_HOST_SIZE + KEY_SIGNATURE_SIZE)

/* What is public of a key; stored in the repository's config. */
struct key_public {
    uint8_t id[KEY_ID_SIZE];
    uint8_t box[KEY_SIZE];  /* X25519 */
    uint8_t root[KEY_SIZE]; /* Ed25519 */
};

/* All members are valid; those that a kind of key does not have are zero. Lives in memory from secret_alloc. */
struct key {
    bool full;
    struct key_public public;
    uint8_t chunk_id_key[KEY_SIZE]; /* not in a prune key */
    uint8_t chunker_seed[KEY_SIZE]; /* likewise */
    uint8_t index_key[KEY_SIZE];
    uint8_t signer_public[KEY_SIZE];
    uint8_t signer_secret[64];
    struct key_certificate certificate;
    /* full only */
    uint8_t seed[KEY_SIZE];
    uint8_t box_secret[KEY_SIZE];
    uint8_t root_secret[64];
};

/* A fresh full key. */
int key_create(struct key **key, struct error *e);
/* A fresh put key of a full key, for what that host stores; ERROR_DENIED when *full is not a full key, ERROR_USAGE when
 * host is no name. */
int key_create_put(const struct key *full, const char *host, struct key **put, struct error *e);
/* A fresh prune key of a full key, for that host's snapshots, NULL = every host's. Errors as above. */
int key_create_prune(const struct key *full, const char *host, struct key **prune, struct error *e);
/* "full", "put" or "prune", for messages: what its certificate allows says which. */
const char *key_kind(const struct key *key);
/* From the 32 bytes (encryption = none, recovery). */
int key_from_seed(const uint8_t seed[KEY_SIZE], struct key **key, struct error *e);
/* Is this the root's certificate of that signer, and well formed? */
bool key_certifies(const struct key_public *public, const uint8_t signer[KEY_SIZE],
                   const struct key_certificate *certificate);
/* May who has the certificate do any of that for the host? roles: enum key_role, together. */
bool key_may(const struct key_certificate *certificate, unsigned roles, const char *host);
/* The host that it holds for, "" = every one, into out; returns out. */
const char *key_host(const struct key_certificate *certificate, char out[KEY_HOST_SIZE + 1]);
/* Wipes. NULL is fine. */
void key_free(struct key *key);

/* The text form: a first line "cofre full key 1", "cofre put key 1" or "cofre prune key 1"; then "name: hex" for each
 * part, in this order: of a full key id, seed; of a put key id, box, root, chunk-id, chunker, index, signer (its seed),
 * certificate; of a prune key the same without chunk-id and chunker; and last "check: " with the first 8 bytes of
 * BLAKE3 over all lines before, so that a mistyped or cut key is noticed. The reader derives everything and compares.
 * The caller wipes *out, which must not have to grow more than once: give it an empty one. */
#define KEY_TEXT_MAX 2048
int key_encode(const struct key *key, struct bytes *out, struct error *e);
/* What happens to a text on its way through mail programs, editors and other systems does no harm: blanks and carriage
 * returns at the ends of lines, empty lines, no last newline, a byte order mark. name is for messages. Wrong form or
 * checksum: ERROR_AUTH. */
int key_decode(const void *p, size_t n, const char *name, struct key **key, struct error *e);

/* Files: private (file_read_private); never overwritten: ERROR_EXISTS. */
int key_load(const char *path, struct key **key, struct error *e);
int key_save(const struct key *key, const char *path, struct error *e);

#endif
