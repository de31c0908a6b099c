#include "repository/key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/secret.h"
#include "repository/seal.h"

#define KDF_CONTEXT "cofrekey"
#define ID_LABEL "cofre key id 1"
#define SIGNER_LABEL "cofre signer 1"
#define FULL_TITLE "cofre full key 1\n"
#define PUT_TITLE "cofre put key 1\n"
#define PRUNE_TITLE "cofre prune key 1\n"
#define CHECK_SIZE 8
#define FILE_MAX 8192

enum subkey {
    SUBKEY_CHUNK_ID = 1,
    SUBKEY_CHUNKER = 2,
    SUBKEY_INDEX = 3,
    SUBKEY_BOX = 4,
    SUBKEY_ROOT = 5,
    SUBKEY_SIGNER = 6
};

static void derive(const uint8_t seed[KEY_SIZE], enum subkey which, uint8_t out[KEY_SIZE])
{
    crypto_kdf_derive_from_key(out, KEY_SIZE, (uint64_t)which, KDF_CONTEXT, seed);
}

static void derive_id(struct key_public *public)
{
    struct seal_hasher hasher;
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, ID_LABEL, strlen(ID_LABEL));
    seal_hasher_add(&hasher, public->box, KEY_SIZE);
    seal_hasher_add(&hasher, public->root, KEY_SIZE);
    seal_hasher_end(&hasher, hash);
    memcpy(public->id, hash, KEY_ID_SIZE);
}

#define CERTIFIED_SIZE (sizeof SIGNER_LABEL - 1 + KEY_ID_SIZE + KEY_SIZE + 1 + KEY_HOST_SIZE)

_Static_assert(sizeof(struct key_certificate) == KEY_CERTIFICATE_SIZE, "stored as it is");

/* What a certificate signs. */
static void certified_bytes(const uint8_t id[KEY_ID_SIZE], const uint8_t signer[KEY_SIZE],
                            const struct key_certificate *certificate, uint8_t out[CERTIFIED_SIZE])
{
    size_t label = strlen(SIGNER_LABEL);
    memcpy(out, SIGNER_LABEL, label);
    memcpy(out + label, id, KEY_ID_SIZE);
    memcpy(out + label + KEY_ID_SIZE, signer, KEY_SIZE);
    out[label + KEY_ID_SIZE + KEY_SIZE] = certificate->roles;
    memcpy(out + label + KEY_ID_SIZE + KEY_SIZE + 1, certificate->host, KEY_HOST_SIZE);
}

/* host: "" = every one. */
static void certify(const uint8_t root_secret[64], unsigned roles, const char *host, struct key *key)
{
    uint8_t message[CERTIFIED_SIZE];
    size_t n = strlen(host);
    ASSERT(n <= KEY_HOST_SIZE);
    key->certificate = (struct key_certificate){.roles = (uint8_t)roles};
    memcpy(key->certificate.host, host, n);
    certified_bytes(key->public.id, key->signer_public, &key->certificate, message);
    crypto_sign_detached(key->certificate.signature, NULL, message, sizeof message, root_secret);
}

const char *key_host(const struct key_certificate *certificate, char out[KEY_HOST_SIZE + 1])
{
    memcpy(out, certificate->host, KEY_HOST_SIZE);
    out[KEY_HOST_SIZE] = '\0';
    return out;
}

/* Known roles, at least one; a name or nothing, and zeros behind it. */
static bool is_well_formed(const struct key_certificate *certificate)
{
    char host[KEY_HOST_SIZE + 1];
    size_t n = strlen(key_host(certificate, host));
    for (size_t i = n; i < KEY_HOST_SIZE; i++)
        if (certificate->host[i] != 0)
            return false;
    return certificate->roles != 0 && (certificate->roles & ~(KEY_ADD | KEY_REMOVE)) == 0 &&
           (n == 0 || text_is_name(host));
}

bool key_certifies(const struct key_public *public, const uint8_t signer[KEY_SIZE],
                   const struct key_certificate *certificate)
{
    /* What was right a moment ago is so again: what a host has stored it has mostly signed with one key. */
    static _Thread_local struct {
        uint8_t message[CERTIFIED_SIZE], signature[KEY_SIGNATURE_SIZE], root[KEY_SIZE];
    } last;
    uint8_t message[CERTIFIED_SIZE];
    if (!is_well_formed(certificate))
        return false;
    certified_bytes(public->id, signer, certificate, message);
    if (memcmp(last.message, message, sizeof message) == 0 && memcmp(last.root, public->root, sizeof last.root) == 0 &&
        memcmp(last.signature, certificate->signature, sizeof last.signature) == 0)
        return true;
    if (crypto_sign_verify_detached(certificate->signature, message, sizeof message, public->root) != 0)
        return false;
    memcpy(last.message, message, sizeof message);
    memcpy(last.root, public->root, sizeof last.root);
    memcpy(last.signature, certificate->signature, sizeof last.signature);
    return true;
}

bool key_may(const struct key_certificate *certificate, unsigned roles, const char *host)
{
    char own[KEY_HOST_SIZE + 1];
    key_host(certificate, own);
    return (certificate->roles & roles) != 0 && (own[0] == '\0' || strcmp(own, host) == 0);
}

int key_from_seed(const uint8_t seed[KEY_SIZE], struct key **key, struct error *e)
{
    struct key *k = secret_alloc(sizeof *k);
    if (!k)
        return error_memory(e);
    uint8_t pair_seed[KEY_SIZE];
    k->full = true;
    memcpy(k->seed, seed, KEY_SIZE);
    derive(seed, SUBKEY_CHUNK_ID, k->chunk_id_key);
    derive(seed, SUBKEY_CHUNKER, k->chunker_seed);
    derive(seed, SUBKEY_INDEX, k->index_key);
    derive(seed, SUBKEY_BOX, pair_seed);
    crypto_box_seed_keypair(k->public.box, k->box_secret, pair_seed);
    derive(seed, SUBKEY_ROOT, pair_seed);
    crypto_sign_seed_keypair(k->public.root, k->root_secret, pair_seed);
    derive(seed, SUBKEY_SIGNER, pair_seed);
    crypto_sign_seed_keypair(k->signer_public, k->signer_secret, pair_seed);
    sodium_memzero(pair_seed, sizeof pair_seed);
    derive_id(&k->public);
    certify(k->root_secret, KEY_ADD | KEY_REMOVE, "", k);
    *key = k;
    return 0;
}

int key_create(struct key **key, struct error *e)
{
    uint8_t seed[KEY_SIZE];
    randombytes_buf(seed, sizeof seed);
    int result = key_from_seed(seed, key, e);
    sodium_memzero(seed, sizeof seed);
    return result;
}

/* What every key has that is not full, with a signer of its own. host: "" = every one. */
static int create_limited(const struct key *full, unsigned role, const char *host, struct key **key, struct error *e)
{
    const char *kind = role == KEY_ADD ? "put" : "prune";
    if (!full->full)
        return error_set(e, ERROR_DENIED, "make a %s key: this takes the full key, and only a %s key is at hand", kind,
                         key_kind(full));
    if (host[0] != '\0' && !text_is_name(host)) {
        error_set(e, ERROR_USAGE, "make a %s key: '%.100s' is no name of a host", kind, host);
        return error_hint(e, "1 to 63 of a-z, 0-9, - and _: what 'host' is in its [engine], or what 'hostname' says");
    }
    struct key *k = secret_alloc(sizeof *k);
    if (!k)
        return error_memory(e);
    k->full = false;
    k->public = full->public;
    memcpy(k->index_key, full->index_key, KEY_SIZE);
    crypto_sign_keypair(k->signer_public, k->signer_secret);
    certify(full->root_secret, role, host, k);
    *key = k;
    return 0;
}

int key_create_put(const struct key *full, const char *host, struct key **put, struct error *e)
{
    if (host[0] == '\0')
        return error_set(e, ERROR_USAGE, "make a put key: it is for one host, and none is named");
    if (create_limited(full, KEY_ADD, host, put, e) < 0)
        return -1;
    memcpy((*put)->chunk_id_key, full->chunk_id_key, KEY_SIZE);
    memcpy((*put)->chunker_seed, full->chunker_seed, KEY_SIZE);
    return 0;
}

int key_create_prune(const struct key *full, const char *host, struct key **prune, struct error *e)
{
    if (host && host[0] == '\0')
        return error_set(e, ERROR_USAGE, "make a prune key: a host without a name is none");
    return create_limited(full, KEY_REMOVE, host ? host : "", prune, e);
}

const char *key_kind(const struct key *key)
{
    if (key->full)
        return "full";
    return key->certificate.roles == KEY_ADD ? "put" : "prune";
}

void key_free(struct key *key)
{
    secret_free(key);
}

/* ---- the text form ---- */

/* A line "name: hex" and where its bytes stand in struct key. */
struct part {
    const char *name;
    size_t offset, size;
};

static const struct part full_parts[] = {
    {"id", offsetof(struct key, public.id), KEY_ID_SIZE},
    {"seed", offsetof(struct key, seed), KEY_SIZE},
};

/* The signer's line is its seed: the first 32 bytes of the secret key as libsodium keeps it. */
static const struct part put_parts[] = {
    {"id", offsetof(struct key, public.id), KEY_ID_SIZE},
    {"box", offsetof(struct key, public.box), KEY_SIZE},
    {"root", offsetof(struct key, public.root), KEY_SIZE},
    {"chunk-id", offsetof(struct key, chunk_id_key), KEY_SIZE},
    {"chunker", offsetof(struct key, chunker_seed), KEY_SIZE},
    {"index", offsetof(struct key, index_key), KEY_SIZE},
    {"signer", offsetof(struct key, signer_secret), KEY_SIZE},
    {"certificate", offsetof(struct key, certificate), KEY_CERTIFICATE_SIZE},
};

static const struct part prune_parts[] = {
    {"id", offsetof(struct key, public.id), KEY_ID_SIZE},
    {"box", offsetof(struct key, public.box), KEY_SIZE},
    {"root", offsetof(struct key, public.root), KEY_SIZE},
    {"index", offsetof(struct key, index_key), KEY_SIZE},
    {"signer", offsetof(struct key, signer_secret), KEY_SIZE},
    {"certificate", offsetof(struct key, certificate), KEY_CERTIFICATE_SIZE},
};

struct form {
    const char *title;
    unsigned roles; /* of the certificate */
    const struct part *parts;
    size_t count;
};

enum { FULL, PUT, PRUNE, FORMS };
static const struct form key_forms[FORMS] = {
    [FULL] = {FULL_TITLE, KEY_ADD | KEY_REMOVE, full_parts, sizeof full_parts / sizeof full_parts[0]},
    [PUT] = {PUT_TITLE, KEY_ADD, put_parts, sizeof put_parts / sizeof put_parts[0]},
    [PRUNE] = {PRUNE_TITLE, KEY_REMOVE, prune_parts, sizeof prune_parts / sizeof prune_parts[0]},
};

static const struct form *form_of(const struct key *key)
{
    if (key->full)
        return &key_forms[FULL];
    return key->certificate.roles == KEY_ADD ? &key_forms[PUT] : &key_forms[PRUNE];
}

static void check_of(const void *p, size_t n, uint8_t check[CHECK_SIZE])
{
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hash(p, n, hash);
    memcpy(check, hash, CHECK_SIZE);
}

static void put_line(struct bytes *out, const char *name, const void *p, size_t n)
{
    char hex[2 * KEY_CERTIFICATE_SIZE + 1];
    bytes_print(out, "%s: %s\n", name, text_hex(p, n, hex));
    sodium_memzero(hex, sizeof hex);
}

int key_encode(const struct key *key, struct bytes *out, struct error *e)
{
    const struct form *form = form_of(key);
    size_t start = out->length;
    /* All at once, so that growing leaves no copy of a secret behind. */
    bytes_reserve(out, KEY_TEXT_MAX);
    bytes_print(out, "%s", form->title);
    for (size_t i = 0; i < form->count; i++)
        put_line(out, form->parts[i].name, (const uint8_t *)key + form->parts[i].offset, form->parts[i].size);
    if (out->failed)
        return bytes_check(out, "key", e);
    uint8_t check[CHECK_SIZE];
    check_of(out->data + start, out->length - start, check);
    put_line(out, "check", check, sizeof check);
    return bytes_check(out, "key", e);
}

/* Takes "name: hex\n" from the cursor. */
static bool take_line(struct cursor *c, const char *name, void *p, size_t n)
{
    size_t name_length = strlen(name);
    const uint8_t *text = cursor_bytes(c, name_length + 2 + 2 * n + 1);
    if (!text || memcmp(text, name, name_length) != 0 || memcmp(text + name_length, ": ", 2) != 0)
        return false;
    char hex[2 * KEY_CERTIFICATE_SIZE + 1];
    memcpy(hex, text + name_length + 2, 2 * n);
    hex[2 * n] = '\0';
    bool good = text[name_length + 2 + 2 * n] == '\n' && text_parse_hex(hex, p, n);
    sodium_memzero(hex, sizeof hex);
    return good;
}

static bool take_title(struct cursor *c, const char *title)
{
    size_t n = strlen(title);
    if (c->left < n || memcmp(c->p, title, n) != 0)
        return false;
    cursor_bytes(c, n);
    return true;
}

static const struct form *take_form(struct cursor *c)
{
    for (const struct form *form = key_forms; form < key_forms + FORMS; form++)
        if (take_title(c, form->title))
            return form;
    return NULL;
}

/* Fills the parts that stand in the text; the check is right. */
static int parse(const struct form *form, struct cursor *c, const void *p, const char *name, struct key *key,
                 struct error *e)
{
    for (size_t i = 0; i < form->count; i++) {
        const struct part *part = &form->parts[i];
        if (!take_line(c, part->name, (uint8_t *)key + part->offset, part->size))
            return error_set(e, ERROR_AUTH, "read key '%s': its line '%s' is missing or not %zu hexadecimal digits",
                             name, part->name, 2 * part->size);
    }
    uint8_t expected[CHECK_SIZE], found[CHECK_SIZE];
    check_of(p, (size_t)(c->p - (const uint8_t *)p), expected);
    if (!take_line(c, "check", found, sizeof found) || c->left != 0)
        return error_set(e, ERROR_AUTH, "read key '%s': it does not end with its line 'check'", name);
    if (memcmp(expected, found, CHECK_SIZE) != 0) {
        error_set(e, ERROR_AUTH, "read key '%s': it is mistyped or damaged, the check does not match", name);
        return error_hint(e, "compare every line with another copy of the key");
    }
    return 0;
}

static int finish_full(const struct key *read, const char *name, struct key **key, struct error *e)
{
    struct key *k = NULL;
    if (key_from_seed(read->seed, &k, e) < 0)
        return -1;
    if (memcmp(k->public.id, read->public.id, KEY_ID_SIZE) != 0) {
        key_free(k);
        return error_set(e, ERROR_AUTH, "read key '%s': its id is not that of its seed", name);
    }
    *key = k;
    return 0;
}

/* Turns *read, which holds the lines of a key that is not full, into a key, or says why it is none. */
static int check_limited(const struct form *form, struct key *read, const char *name, struct error *e)
{
    uint8_t signer_seed[KEY_SIZE];
    memcpy(signer_seed, read->signer_secret, KEY_SIZE);
    crypto_sign_seed_keypair(read->signer_public, read->signer_secret, signer_seed);
    sodium_memzero(signer_seed, sizeof signer_seed);
    struct key_public derived = read->public;
    derive_id(&derived);
    if (memcmp(derived.id, read->public.id, KEY_ID_SIZE) != 0)
        return error_set(e, ERROR_AUTH, "read key '%s': its id is not that of its public keys", name);
    if (!key_certifies(&read->public, read->signer_public, &read->certificate) ||
        read->certificate.roles != form->roles)
        return error_set(e, ERROR_AUTH, "read key '%s': its certificate is not valid", name);
    return 0;
}

static int decode(const void *p, size_t n, const char *name, struct key **key, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    const struct form *form = take_form(&c);
    if (!form) {
        error_set(e, ERROR_AUTH, "read key '%s': it is not a key of cofre", name);
        return error_hint(e, "the first line of a key is 'cofre full key 1', 'cofre put key 1' or 'cofre prune key 1'");
    }
    struct key *read = secret_alloc(sizeof *read);
    if (!read)
        return error_memory(e);
    int result = parse(form, &c, p, name, read, e);
    if (result == 0 && form != &key_forms[FULL])
        result = check_limited(form, read, name, e);
    if (result == 0 && form != &key_forms[FULL]) {
        *key = read;
        return 0;
    }
    if (result == 0)
        result = finish_full(read, name, key, e);
    key_free(read);
    return result;
}

static void wipe(struct bytes *b)
{
    if (b->data)
        sodium_memzero(b->data, b->capacity);
    bytes_free(b);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What mail programs, editors and other systems do to a text: a byte order mark, blanks at the ends of lines (CR LF is
 * one), empty lines, no last newline. The line 'check' proves that nothing else has changed. to: room for n + 1. */
static size_t tidy(const uint8_t *p, size_t n, uint8_t *to)
{
    size_t length = 0, line = 0; /* line: where the last one begins, in *to */
    size_t mark = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (size_t i = mark; i <= n; i++) {
        if (i < n && p[i] != '\n') {
            to[length++] = p[i];
            continue;
        }
        while (length > line && is_blank(to[length - 1]))
            length--;
        if (length > line)
            to[length++] = '\n';
        line = length;
    }
    return length;
}

int key_decode(const void *p, size_t n, const char *name, struct key **key, struct error *e)
{
    uint8_t *text = secret_alloc(n + 1);
    if (!text)
        return error_memory(e);
    int result = decode(text, tidy(p, n, text), name, key, e);
    secret_free(text);
    return result;
}

int key_load(const char *path, struct key **key, struct error *e)
{
    struct bytes text = {.maximum = FILE_MAX};
    int result = file_read_private(path, "key file", FILE_MAX, &text, e);
    if (result == 0)
        result = key_decode(text.data, text.length, path, key, e);
    wipe(&text);
    return result;
}

int key_save(const struct key *key, const char *path, struct error *e)
{
    struct bytes text = {.maximum = FILE_MAX};
    int result = key_encode(key, &text, e);
    if (result == 0)
        result = file_check_trusted_place(path, e);
    if (result == 0)
        result = file_write(path, text.data, text.length, FILE_NEW, e);
    wipe(&text);
    return result;
}
