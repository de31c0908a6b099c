#include "repository/seal.h"

#include <blake3.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "repository/aead.h"
#include "repository/key.h"

#define ENVELOPE_LABEL "cofre envelope 1"
#define BODY_LEVEL 3
#define MAGIC_SIZE 8
#define KEY_NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define WRAPPED_INDEX_SIZE (KEY_NONCE_SIZE + KEY_SIZE + SEAL_OVERHEAD)

_Static_assert(SEAL_OVERHEAD == AEAD_TAG_SIZE && AEAD_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES, "the tag");
_Static_assert(SEAL_WRAPPED_SIZE == KEY_SIZE + crypto_box_SEALBYTES, "a wrapped key");
_Static_assert(KEY_SIGNATURE_SIZE == crypto_sign_BYTES, "a signature");
_Static_assert(SEAL_HASH_SIZE == BLAKE3_OUT_LEN && KEY_SIZE == BLAKE3_KEY_LEN, "a hash and its key");
_Static_assert(sizeof(((struct seal_hasher *)0)->state) >= sizeof(blake3_hasher), "a hasher's state");

int seal_init(struct error *e)
{
    if (sodium_init() < 0)
        return error_set(e, ERROR_UNSUPPORTED, "start libsodium: no source of random numbers");
    if (aead_init(e) < 0)
        return -1;
    /* BLAKE3 looks at the processor in its first hash and remembers what it found without a lock: before any thread. */
    uint8_t unused[SEAL_HASH_SIZE];
    seal_hash("", 0, unused);
    return 0;
}

void seal_hash(const void *p, size_t n, uint8_t hash[SEAL_HASH_SIZE])
{
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    blake3_hasher_update(&hasher, p, n);
    blake3_hasher_finalize(&hasher, hash, SEAL_HASH_SIZE);
}

int seal_hash_compare(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

void seal_chunk_id(const struct key *key, const void *p, size_t n, uint8_t id[SEAL_HASH_SIZE])
{
    blake3_hasher hasher;
    blake3_hasher_init_keyed(&hasher, key->chunk_id_key);
    blake3_hasher_update(&hasher, p, n);
    blake3_hasher_finalize(&hasher, id, SEAL_HASH_SIZE);
    sodium_memzero(hasher.key, sizeof hasher.key);
}

void seal_random(void *p, size_t n)
{
    randombytes_buf(p, n);
}

static blake3_hasher *state_of(struct seal_hasher *h)
{
    return (blake3_hasher *)(void *)h->state;
}

void seal_hasher_init(struct seal_hasher *h)
{
    blake3_hasher_init(state_of(h));
}

void seal_hasher_add(struct seal_hasher *h, const void *p, size_t n)
{
    blake3_hasher_update(state_of(h), p, n);
}

void seal_hasher_end(struct seal_hasher *h, uint8_t hash[SEAL_HASH_SIZE])
{
    blake3_hasher_finalize(state_of(h), hash, SEAL_HASH_SIZE);
}

/* ---- boxes ---- */

void seal_box_new(const struct key *key, struct seal_box *box, uint8_t wrapped[SEAL_WRAPPED_SIZE])
{
    randombytes_buf(box->key, sizeof box->key);
    /* Fails only for a public key of low order, and ours comes from a seed. */
    int result = crypto_box_seal(wrapped, box->key, sizeof box->key, key->public.box);
    ASSERT(result == 0);
}

int seal_box_open(const struct key *key, const uint8_t wrapped[SEAL_WRAPPED_SIZE], struct seal_box *box,
                  struct error *e)
{
    if (!key->full) {
        error_set(e, ERROR_AUTH, "open what was sealed: a %s key cannot", key_kind(key));
        return error_hint(e, "give the full key of this repository");
    }
    if (crypto_box_seal_open(box->key, wrapped, SEAL_WRAPPED_SIZE, key->public.box, key->box_secret) < 0)
        return error_set(e, ERROR_AUTH, "open what was sealed: the key does not fit, or the wrapped key is damaged");
    return 0;
}

static void nonce_of(uint64_t position, uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, AEAD_NONCE_SIZE);
    bytes_set_u64(nonce, position);
}

int seal_encrypt(const struct seal_box *box, uint64_t position, const void *context, size_t context_length,
                 const void *p, size_t n, uint8_t *out, struct error *e)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    nonce_of(position, nonce);
    return aead_seal(box->key, nonce, context, context_length, p, n, out, e);
}

int seal_decrypt(const struct seal_box *box, uint64_t position, const void *context, size_t context_length,
                 const void *p, size_t n, uint8_t *out, const char *what, struct error *e)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    nonce_of(position, nonce);
    if (n < SEAL_OVERHEAD)
        return error_set(e, ERROR_INTEGRITY, "open '%s': it is cut", what);
    return aead_open(box->key, nonce, context, context_length, p, n, out, what, e);
}

/* ---- envelopes ---- */

struct kind {
    char magic[MAGIC_SIZE + 1];
    uint8_t roles; /* any of these: who signs it must have it */
    size_t wrapped_size;
    void (*wrap)(const struct kind *kind, const struct key *key, struct seal_box *box, uint8_t *wrapped);
    int (*unwrap)(const struct kind *kind, const struct key *key, const uint8_t *wrapped, struct seal_box *box,
                  const char *name, struct error *e);
};

static void wrap_for_index_key(const struct kind *kind, const struct key *key, struct seal_box *box, uint8_t *wrapped)
{
    randombytes_buf(box->key, sizeof box->key);
    randombytes_buf(wrapped, KEY_NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped + KEY_NONCE_SIZE, NULL, box->key, sizeof box->key,
                                               (const uint8_t *)kind->magic, MAGIC_SIZE, NULL, wrapped, key->index_key);
}

static int unwrap_with_index_key(const struct kind *kind, const struct key *key, const uint8_t *wrapped,
                                 struct seal_box *box, const char *name, struct error *e)
{
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(box->key, NULL, NULL, wrapped + KEY_NONCE_SIZE,
                                                   KEY_SIZE + SEAL_OVERHEAD, (const uint8_t *)kind->magic, MAGIC_SIZE,
                                                   wrapped, key->index_key) < 0)
        return error_set(e, ERROR_INTEGRITY, "open '%s': its wrapped key is not valid", name);
    return 0;
}

static void wrap_for_box_pair(const struct kind *kind, const struct key *key, struct seal_box *box, uint8_t *wrapped)
{
    (void)kind;
    seal_box_new(key, box, wrapped);
}

static int unwrap_with_box_pair(const struct kind *kind, const struct key *key, const uint8_t *wrapped,
                                struct seal_box *box, const char *name, struct error *e)
{
    (void)kind;
    return seal_box_open(key, wrapped, box, e) < 0 ? error_context(e, "'%s': ", name) : 0;
}

#define FOR_INDEX_KEY WRAPPED_INDEX_SIZE, wrap_for_index_key, unwrap_with_index_key
#define FOR_BOX_PAIR SEAL_WRAPPED_SIZE, wrap_for_box_pair, unwrap_with_box_pair

static const struct kind kinds[] = {
    [SEAL_INDEX] = {"cofreix1", KEY_ADD, FOR_INDEX_KEY},
    [SEAL_MANIFEST] = {"cofremf1", KEY_ADD, FOR_BOX_PAIR},
    [SEAL_NEEDS] = {"cofrend1", KEY_ADD, FOR_INDEX_KEY},
    [SEAL_REMOVAL] = {"cofrerm1", KEY_REMOVE, FOR_INDEX_KEY},
    [SEAL_PLAN] = {"cofrepl1", KEY_REMOVE, FOR_INDEX_KEY},
    [SEAL_ANNOTATION] = {"cofrean1", KEY_ADD | KEY_REMOVE, FOR_INDEX_KEY},
};

#define SIGNED_SIZE (sizeof ENVELOPE_LABEL - 1 + SEAL_HASH_SIZE)

/* What the signature of an envelope of n bytes (without it) signs. */
static void signed_bytes(const void *p, size_t n, uint8_t out[SIGNED_SIZE])
{
    memcpy(out, ENVELOPE_LABEL, strlen(ENVELOPE_LABEL));
    seal_hash(p, n, out + strlen(ENVELOPE_LABEL));
}

/* Compresses the body right behind what *out holds. */
static int compress_body(const void *body, size_t n, struct bytes *out, size_t *length, struct error *e)
{
    size_t bound = ZSTD_compressBound(n);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    uint8_t *to = bytes_reserve(out, bound + SEAL_OVERHEAD + KEY_SIGNATURE_SIZE);
    if (!context || !to) {
        ZSTD_freeCCtx(context);
        return out->failed ? bytes_check(out, "sealed object", e) : error_memory(e);
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, BODY_LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1);
    *length = ZSTD_compress2(context, to, bound, body, n);
    ZSTD_freeCCtx(context);
    if (ZSTD_isError(*length))
        return error_set(e, ERROR_MEMORY, "compress a sealed object: %s", ZSTD_getErrorName(*length));
    return 0;
}

int seal_envelope(const struct key *key, enum seal_kind kind, const void *clear, size_t clear_length, const void *body,
                  size_t body_length, struct bytes *out, struct error *e)
{
    const struct kind *k = &kinds[kind];
    struct seal_box box;
    uint8_t wrapped[SEAL_WRAPPED_SIZE];
    size_t start = out->length, compressed = 0;
    ASSERT(clear_length <= SEAL_CLEAR_MAX);
    k->wrap(k, key, &box, wrapped);
    bytes_put(out, k->magic, MAGIC_SIZE);
    bytes_put(out, key->public.id, KEY_ID_SIZE);
    bytes_put(out, key->signer_public, KEY_SIZE);
    bytes_put(out, &key->certificate, sizeof key->certificate);
    bytes_put_blob(out, clear, clear_length);
    bytes_put(out, wrapped, k->wrapped_size);
    size_t head = out->length - start;
    if (compress_body(body, body_length, out, &compressed, e) < 0) {
        sodium_memzero(&box, sizeof box);
        out->length = start;
        return -1;
    }
    uint8_t *p = out->data + start;
    int sealed = seal_encrypt(&box, 0, p, head, p + head, compressed, p + head, e);
    sodium_memzero(&box, sizeof box);
    if (sealed < 0) {
        out->length = start;
        return -1;
    }
    size_t n = head + compressed + SEAL_OVERHEAD;
    uint8_t message[SIGNED_SIZE];
    signed_bytes(p, n, message);
    crypto_sign_detached(p + n, NULL, message, sizeof message, key->signer_secret);
    out->length = start + n + KEY_SIGNATURE_SIZE;
    return 0;
}

/* The parts of an envelope, in place. */
struct parts {
    const uint8_t *magic, *id, *signer, *clear, *wrapped, *sealed, *signature;
    struct key_certificate certificate;
    size_t clear_length, head, sealed_length;
};

static bool take_parts(const struct kind *k, const void *p, size_t n, struct parts *parts)
{
    struct cursor c = cursor_of(p, n);
    parts->magic = cursor_bytes(&c, MAGIC_SIZE);
    parts->id = cursor_bytes(&c, KEY_ID_SIZE);
    parts->signer = cursor_bytes(&c, KEY_SIZE);
    const uint8_t *certificate = cursor_bytes(&c, sizeof parts->certificate);
    parts->clear = cursor_blob(&c, SEAL_CLEAR_MAX, &parts->clear_length);
    parts->wrapped = cursor_bytes(&c, k->wrapped_size);
    if (c.failed || c.left < SEAL_OVERHEAD + KEY_SIGNATURE_SIZE)
        return false;
    memcpy(&parts->certificate, certificate, sizeof parts->certificate);
    parts->head = n - c.left;
    parts->sealed_length = c.left - KEY_SIGNATURE_SIZE;
    parts->sealed = cursor_bytes(&c, parts->sealed_length);
    parts->signature = cursor_bytes(&c, KEY_SIGNATURE_SIZE);
    return memcmp(parts->magic, k->magic, MAGIC_SIZE) == 0;
}

static int verify(const struct key *key, const struct kind *k, const void *p, size_t n, const char *name,
                  struct parts *parts, struct error *e)
{
    if (!take_parts(k, p, n, parts))
        return error_set(e, ERROR_INTEGRITY, "read '%s': it has not the form of its kind, or is cut", name);
    uint8_t message[SIGNED_SIZE];
    signed_bytes(p, n - KEY_SIGNATURE_SIZE, message);
    /* The signature first: a key id that differs in a damaged object says nothing about keys. */
    if (crypto_sign_verify_detached(parts->signature, message, sizeof message, parts->signer) < 0)
        return error_set(e, ERROR_INTEGRITY, "read '%s': its signature does not match, it was changed or damaged",
                         name);
    if (memcmp(parts->id, key->public.id, KEY_ID_SIZE) != 0)
        return error_set(e, ERROR_AUTH, "read '%s': it was made with another key", name);
    if (!key_certifies(&key->public, parts->signer, &parts->certificate))
        return error_set(e, ERROR_INTEGRITY, "read '%s': who signed it holds no certificate of this repository", name);
    if (!(parts->certificate.roles & k->roles))
        return error_set(e, ERROR_INTEGRITY, "read '%s': who signed it may not %s this repository", name,
                         k->roles & KEY_ADD ? "add to" : "remove from");
    return 0;
}

static struct seal_opened opened_of(const struct kind *k, const struct parts *parts)
{
    struct seal_opened opened = {.certificate = parts->certificate,
                                 .roles = k->roles,
                                 .clear = parts->clear,
                                 .clear_length = parts->clear_length};
    memcpy(opened.signer, parts->signer, KEY_SIZE);
    return opened;
}

int seal_envelope_verify(const struct key *key, enum seal_kind kind, const void *p, size_t n, const char *name,
                         struct seal_opened *opened, struct error *e)
{
    struct parts parts;
    if (verify(key, &kinds[kind], p, n, name, &parts, e) < 0)
        return -1;
    *opened = opened_of(&kinds[kind], &parts);
    return 0;
}

/* Exactly one zstd frame, its size known and within bounds. */
static int decompress_body(const uint8_t *frame, size_t n, const char *name, struct bytes *body, struct error *e)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame, n);
    if (n < 4 || bytes_get_u32(frame) != ZSTD_MAGICNUMBER || size >= ZSTD_CONTENTSIZE_ERROR ||
        ZSTD_findFrameCompressedSize(frame, n) != n)
        return error_set(e, ERROR_INTEGRITY, "open '%s': its body is not one zstd frame of known size", name);
    if (size > body->maximum - body->length)
        return error_set(e, ERROR_INTEGRITY, "open '%s': its body is larger than %zu bytes", name, body->maximum);
    uint8_t *to = bytes_reserve(body, (size_t)size);
    if (!to)
        return bytes_check(body, name, e);
    size_t done = ZSTD_decompress(to, (size_t)size, frame, n);
    if (ZSTD_isError(done) || done != size)
        return error_set(e, ERROR_INTEGRITY, "open '%s': its body does not decompress", name);
    body->length += done;
    return 0;
}

static int open_body(const struct key *key, const struct kind *k, const void *p, const struct parts *parts,
                     const char *name, struct bytes *body, struct error *e)
{
    struct seal_box box;
    if (k->unwrap(k, key, parts->wrapped, &box, name, e) < 0)
        return -1;
    uint8_t *frame = malloc(parts->sealed_length);
    int result = frame ? seal_decrypt(&box, 0, p, parts->head, parts->sealed, parts->sealed_length, frame, name, e)
                       : error_memory(e);
    sodium_memzero(&box, sizeof box);
    if (result == 0)
        result = decompress_body(frame, parts->sealed_length - SEAL_OVERHEAD, name, body, e);
    free(frame);
    return result;
}

int seal_envelope_body(const struct key *key, enum seal_kind kind, const void *p, size_t n, const char *name,
                       struct bytes *body, struct error *e)
{
    struct parts parts;
    bool is_whole = take_parts(&kinds[kind], p, n, &parts);
    ASSERT(is_whole);
    return open_body(key, &kinds[kind], p, &parts, name, body, e);
}

int seal_envelope_open(const struct key *key, enum seal_kind kind, const void *p, size_t n, const char *name,
                       struct seal_opened *opened, struct bytes *body, struct error *e)
{
    if (seal_envelope_verify(key, kind, p, n, name, opened, e) < 0)
        return -1;
    return seal_envelope_body(key, kind, p, n, name, body, e);
}

int seal_check_host(const struct seal_opened *opened, const char *host, const char *name, struct error *e)
{
    char own[KEY_HOST_SIZE + 1];
    if (key_may(&opened->certificate, opened->roles, host))
        return 0;
    return error_set(e, ERROR_INTEGRITY, "read '%s': it was signed with the key of host '%s', not of host '%s'", name,
                     key_host(&opened->certificate, own), host);
}

/* ---- the root's signature ---- */

#define STATEMENT_MAX (16 + SEAL_HASH_SIZE)

static size_t labelled(enum seal_statement kind, const void *p, size_t n, uint8_t message[STATEMENT_MAX])
{
    static const char *const labels[] = {
        [SEAL_CONFIG] = "cofre config 1", [SEAL_REVOKED] = "cofre revoked 1", [SEAL_ACCEPTED] = "cofre accepted 1"};
    size_t label = strlen(labels[kind]);
    memcpy(message, labels[kind], label);
    seal_hash(p, n, message + label);
    return label + SEAL_HASH_SIZE;
}

int seal_sign_root(const struct key *key, enum seal_statement kind, const void *p, size_t n, uint8_t signature[64],
                   struct error *e)
{
    uint8_t message[STATEMENT_MAX];
    if (!key->full)
        return error_set(e, ERROR_DENIED, "sign for the repository: this takes the full key");
    crypto_sign_detached(signature, NULL, message, labelled(kind, p, n, message), key->root_secret);
    return 0;
}

bool seal_verify_root(const uint8_t root[32], enum seal_statement kind, const void *p, size_t n,
                      const uint8_t signature[64])
{
    uint8_t message[STATEMENT_MAX];
    return crypto_sign_verify_detached(signature, message, labelled(kind, p, n, message), root) == 0;
}
