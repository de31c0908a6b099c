#include "repository/manifest_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "repository/chunker.h"
#include "repository/key.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "repository/seal.h"
#include "repository/signers.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_json.h"
#include "worker/sink.h"

#define CLEAR_SIZE (8 + 2 * SEAL_HASH_SIZE + 8 + 8 + 4)
#define OBJECT_KEY_SIZE 201

_Static_assert(MANIFEST_HASH_SIZE == SEAL_HASH_SIZE, "a manifest names chunks and objects by their hashes");
_Static_assert(MANIFEST_CHUNK_MAX == CHUNKER_MAXIMUM, "a catalogue is cut as any data is");

static int refuse(const char *name, const char *why, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "read '%s': %s", name, why);
}

void manifest_object_key(const char *host, const char *job, const char *id, char *out)
{
    int n = snprintf(out, OBJECT_KEY_SIZE, "snapshots/%s/%s/%s", host, job, id);
    ASSERT(n > 0 && n < OBJECT_KEY_SIZE);
}

/* ---- the clear part ---- */

static void object_key_hash(const char *object_key, uint8_t hash[SEAL_HASH_SIZE])
{
    seal_hash(object_key, strlen(object_key), hash);
}

static uint32_t flags_of(const struct manifest *m)
{
    return (m->status == MANIFEST_COMPLETE ? 0 : MANIFEST_CLEAR_INCOMPLETE) |
           (m->partial ? MANIFEST_CLEAR_PARTIAL : 0) | (manifest_is_suspect(m) ? MANIFEST_CLEAR_SUSPECT : 0);
}

static void write_clear(const struct manifest *m, const char *object_key, uint8_t clear[CLEAR_SIZE])
{
    uint8_t *to = clear;
    bytes_set_u64(to, m->sequence);
    memcpy(to += 8, m->previous_hash, SEAL_HASH_SIZE);
    object_key_hash(object_key, to += SEAL_HASH_SIZE);
    bytes_set_u64(to += SEAL_HASH_SIZE, (uint64_t)m->started);
    bytes_set_u64(to += 8, (uint64_t)m->ended);
    bytes_set_u32(to + 8, flags_of(m));
}

static struct manifest_clear read_clear(const struct seal_opened *opened)
{
    const uint8_t *from = opened->clear;
    struct manifest_clear clear = {.sequence = bytes_get_u64(from)};
    memcpy(clear.previous_hash, from += 8, SEAL_HASH_SIZE);
    from += 2 * SEAL_HASH_SIZE;
    clear.started = (int64_t)bytes_get_u64(from);
    clear.ended = (int64_t)bytes_get_u64(from + 8);
    clear.flags = bytes_get_u32(from + 16);
    memcpy(clear.signer, opened->signer, sizeof clear.signer);
    return clear;
}

/* Is the clear part one, does the object stand under the key it was made for, and may who signed it for that host? */
static int check_clear(const struct seal_opened *opened, const char *name, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    if (opened->clear_length != CLEAR_SIZE)
        return refuse(name, "its clear part is malformed", e);
    object_key_hash(name, hash);
    if (memcmp(opened->clear + 8 + SEAL_HASH_SIZE, hash, SEAL_HASH_SIZE) != 0)
        return refuse(name, "it is the manifest of another snapshot under this name", e);
    if (!manifest_object_parse_key(name, host, job, id))
        return refuse(name, "that is no snapshot's name", e);
    return seal_check_host(opened, host, name, e);
}

/* ---- the object ---- */

/* Reading back what will be sealed is cheap beside a run, and a manifest that cannot be read is a lost snapshot. */
static int check_readable(const struct manifest *written, const struct bytes *body, const char *name, struct error *e)
{
    struct manifest *m = calloc(1, sizeof *m);
    if (!m)
        return error_memory(e);
    int result = manifest_json_parse(body->data, body->length, name, m, e);
    if (result == 0) {
        m->sequence = written->sequence;
        memcpy(m->previous_hash, written->previous_hash, SEAL_HASH_SIZE);
        result = manifest_check(m, name, e);
    }
    manifest_free(m);
    if (result < 0)
        return error_context(e, "while making it: ");
    return 0;
}

static size_t body_max(size_t object)
{
    size_t most = MANIFEST_OBJECT_FREE + MANIFEST_OBJECT_RATIO * (object < MANIFEST_MAX ? object : MANIFEST_MAX);
    return most < MANIFEST_MAX ? most : MANIFEST_MAX;
}

static int check_size(const struct bytes *body, const struct bytes *object, size_t before, const char *name,
                      struct error *e)
{
    size_t n = object->length - before;
    if (n <= MANIFEST_OBJECT_MAX && body->length <= body_max(n))
        return 0;
    error_set(e, ERROR_RANGE, "make '%s': it has %zu bytes, and %zu once unpacked", name, n, body->length);
    return error_hint(e, "divide the sources among several jobs");
}

int manifest_object_seal(const struct manifest *manifest, const struct key *key, struct bytes *out, struct error *e)
{
    char object_key[OBJECT_KEY_SIZE];
    uint8_t clear[CLEAR_SIZE];
    struct bytes body = {.maximum = MANIFEST_MAX};
    size_t before = out->length;
    manifest_object_key(manifest->host, manifest->job, manifest->id, object_key);
    write_clear(manifest, object_key, clear);
    int result = manifest_json_write(manifest, &body, e);
    if (result == 0)
        result = check_readable(manifest, &body, object_key, e);
    if (result == 0)
        result = seal_envelope(key, SEAL_MANIFEST, clear, sizeof clear, body.data, body.length, out, e);
    if (result == 0)
        result = check_size(&body, out, before, object_key, e);
    bytes_free(&body);
    return result;
}

static int parse(const struct seal_opened *opened, const struct bytes *body, const char *name, struct manifest *m,
                 struct error *e)
{
    char object_key[OBJECT_KEY_SIZE];
    if (manifest_json_parse(body->data, body->length, name, m, e) < 0)
        return -1;
    const struct manifest_clear clear = read_clear(opened);
    m->sequence = clear.sequence;
    memcpy(m->previous_hash, clear.previous_hash, SEAL_HASH_SIZE);
    memcpy(m->signer, clear.signer, sizeof m->signer);
    manifest_object_key(m->host, m->job, m->id, object_key);
    if (strcmp(object_key, name) != 0)
        return refuse(name, "it is the manifest of another snapshot under this name", e);
    if (clear.started != m->started || clear.ended != m->ended || (clear.flags & MANIFEST_CLEAR_KNOWN) != flags_of(m))
        return refuse(name, "its clear part says something else than its body", e);
    return manifest_check(m, name, e);
}

/* Form, signature, key, and whose it is: all that comes before the body is looked at. */
static int verify(const void *p, size_t n, const struct key *key, const char *name, struct seal_opened *opened,
                  struct error *e)
{
    return seal_envelope_verify(key, SEAL_MANIFEST, p, n, name, opened, e) < 0 ? -1 : check_clear(opened, name, e);
}

static int open_verified(const void *p, size_t n, const struct key *key, const char *name,
                         const struct seal_opened *opened, struct manifest **manifest, struct error *e)
{
    struct bytes body = {.maximum = body_max(n)};
    struct manifest *m = calloc(1, sizeof *m);
    int result = m ? seal_envelope_body(key, SEAL_MANIFEST, p, n, name, &body, e) : error_memory(e);
    if (result == 0)
        result = parse(opened, &body, name, m, e);
    if (result == 0)
        seal_hash(p, n, m->hash);
    bytes_free(&body);
    if (result == 0)
        *manifest = m;
    else
        manifest_free(m);
    return result;
}

struct signers_claim manifest_object_claim(const void *p, size_t n, const char *name, const uint8_t signer[32])
{
    struct signers_claim claim = {.object = name};
    memcpy(claim.signer, signer, sizeof claim.signer);
    seal_hash(p, n, claim.hash);
    return claim;
}

int manifest_object_open(const void *p, size_t n, const struct key *key, const struct signers *signers,
                         const char *name, struct manifest **manifest, struct error *e)
{
    struct seal_opened opened;
    if (verify(p, n, key, name, &opened, e) < 0)
        return -1;
    const struct signers_claim claim = manifest_object_claim(p, n, name, opened.signer);
    if (signers && signers_check_revoked(signers, &claim, e) < 0)
        return -1;
    return open_verified(p, n, key, name, &opened, manifest, e);
}

int manifest_object_peek(const void *p, size_t n, const struct key *key, const char *name, struct manifest_clear *clear,
                         struct error *e)
{
    struct seal_opened opened;
    if (verify(p, n, key, name, &opened, e) < 0)
        return -1;
    *clear = read_clear(&opened);
    return 0;
}

int manifest_object_admit(struct repository *r, const void *p, size_t n, const char *key, struct manifest_clear *clear,
                          struct error *e)
{
    if (manifest_object_peek(p, n, r->key, key, clear, e) < 0)
        return -1;
    const struct signers_claim claim = manifest_object_claim(p, n, key, clear->signer);
    return signers_admit(r->signers, &claim, e);
}

/* Where nobody is known yet, whoever signed the snapshot before is; it may be gone, or be no word of anybody. */
static int admit_before(struct repository *r, const struct manifest *m, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_OBJECT_MAX + 1};
    struct manifest_clear clear;
    char key[OBJECT_KEY_SIZE];
    manifest_object_key(m->host, m->job, m->previous_id, key);
    if (sink_get(r->sink, key, MANIFEST_OBJECT_MAX, &object, e) == 0 &&
        manifest_object_admit(r, object.data, object.length, key, &clear, e) == 0)
        return 0;
    return e->class == ERROR_MEMORY || e->class == ERROR_CANCELLED ? -1 : 0;
}

int manifest_object_admit_opened(struct repository *r, const void *p, size_t n, const char *key,
                                 const struct manifest *m, struct error *e)
{
    if (m->previous_id[0] != '\0' && signers_is_first(r->signers, key, m->signer) && admit_before(r, m, e) < 0)
        return -1;
    const struct signers_claim claim = manifest_object_claim(p, n, key, m->signer);
    return signers_admit(r->signers, &claim, e);
}

int manifest_object_take(struct repository *r, const void *p, size_t n, const char *key, struct manifest **manifest,
                         struct error *e)
{
    struct manifest *m;
    if (manifest_object_open(p, n, r->key, r->signers, key, &m, e) < 0)
        return -1;
    if (manifest_object_admit_opened(r, p, n, key, m, e) < 0) {
        manifest_free(m);
        return -1;
    }
    *manifest = m;
    return 0;
}

int manifest_object_read(struct repository *repository, const char *key, struct manifest **manifest, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_OBJECT_MAX + 1};
    if (sink_get(repository->sink, key, MANIFEST_OBJECT_MAX, &object, e) < 0)
        return -1;
    return manifest_object_take(repository, object.data, object.length, key, manifest, e);
}

bool manifest_object_parse_key(const char *key, char host[64], char job[64], char id[MANIFEST_ID_SIZE])
{
    struct vault_name name;
    if (!placed_parse_key("snapshots", key, &name))
        return false;
    memcpy(host, name.host, sizeof name.host);
    memcpy(job, name.job, sizeof name.job);
    memcpy(id, name.id, sizeof name.id);
    return true;
}
