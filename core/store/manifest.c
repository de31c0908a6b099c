#include "store/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "store/chunker.h"
#include "store/key.h"
#include "store/manifest_json.h"

#define CLEAR_SIZE (8 + 2 * SEAL_HASH_SIZE)
#define OBJECT_KEY_SIZE 201

/* The time in an id, in seconds; -1 for none. */
static int64_t id_time(const char *id)
{
    struct tm tm = {0};
    if (!manifest_is_id(id) || !strptime(id, "%Y%m%dT%H%M%SZ", &tm))
        return -1;
    return timegm(&tm);
}

void manifest_make_id(int64_t now, const char *after, char id[MANIFEST_ID_SIZE])
{
    char when[CLOCK_TEXT_MAX], hex[7];
    uint8_t random[3];
    int64_t last = id_time(after);
    if (last >= now / 1000000000 && last < INT64_MAX / 1000000000)
        now = (last + 1) * 1000000000;
    seal_random(random, sizeof random);
    snprintf(id, MANIFEST_ID_SIZE, "%.16s-%s", clock_format_compact(now, when), text_hex(random, sizeof random, hex));
}

bool manifest_is_id(const char *text)
{
    static const char form[] = "00000000T000000Z-xxxxxx";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        bool open = form[i] == '0' || form[i] == 'x';
        bool digit = text[i] >= '0' && text[i] <= '9';
        bool letter = form[i] == 'x' && text[i] >= 'a' && text[i] <= 'f';
        if (open ? !digit && !letter : text[i] != form[i])
            return false;
    }
    return true;
}

void manifest_object_key(const char *host, const char *job, const char *id, char *out)
{
    int n = snprintf(out, OBJECT_KEY_SIZE, "snapshots/%s/%s/%s", host, job, id);
    ASSERT(n > 0 && n < OBJECT_KEY_SIZE);
}

void manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return;
    manifest_json_free(manifest);
    free(manifest->previous_forms);
    free(manifest);
}

/* ---- what must hold between the members ---- */

static int refuse(const char *name, const char *source, const char *why, struct error *e)
{
    if (source)
        return error_set(e, ERROR_INTEGRITY, "read '%s': source '%s' %s", name, source, why);
    return error_set(e, ERROR_INTEGRITY, "read '%s': %s", name, why);
}

static int check_catalogue(const struct manifest_source *source, const char *name, struct error *e)
{
    uint64_t total = 0;
    for (size_t i = 0; i < source->chunk_count; i++) {
        const struct manifest_chunk *chunk = &source->chunks[i];
        if (chunk->length == 0 || chunk->length > CHUNKER_MAXIMUM || chunk->first_record > chunk->length)
            return refuse(name, source->name, "has a catalogue chunk that cannot be", e);
        total += chunk->length;
    }
    if (total != source->catalogue_bytes)
        return refuse(name, source->name, "has a catalogue of another length than its chunks", e);
    if (source->chunk_count > 0 && source->chunks[0].first_record != 0)
        return refuse(name, source->name, "has a catalogue that does not begin with a record", e);
    return 0;
}

static int check_source(const struct manifest *m, size_t i, const char *name, struct error *e)
{
    const struct manifest_source *source = &m->sources[i];
    for (size_t k = 0; k < i; k++)
        if (strcmp(source->name, m->sources[k].name) == 0)
            return refuse(name, source->name, "is there twice", e);
    if (source->problems_listed > source->problem_count)
        return refuse(name, source->name, "lists more problems than it counts", e);
    if (source->left_out_listed > source->left_out_count)
        return refuse(name, source->name, "lists more that was left out than it counts", e);
    bool missing = source->status == MANIFEST_MISSING;
    if (missing && (!source->error || source->chunk_count > 0))
        return refuse(name, source->name, "is missing, but has a catalogue or no reason", e);
    if (m->status == MANIFEST_COMPLETE && source->status != MANIFEST_COMPLETE)
        return refuse(name, source->name, "is not complete, but the snapshot is said to be", e);
    return check_catalogue(source, name, e);
}

int manifest_check(const struct manifest *m, const char *name, struct error *e)
{
    static const uint8_t zero[SEAL_HASH_SIZE];
    if (m->status == MANIFEST_MISSING)
        return refuse(name, NULL, "its status is that of a source", e);
    if (m->sequence == 0 || m->sequence > INT64_MAX)
        return refuse(name, NULL, "its sequence number cannot be", e);
    bool first = memcmp(m->previous_hash, zero, sizeof zero) == 0;
    if (first != (m->previous_id[0] == '\0'))
        return refuse(name, NULL, "it has only one of the previous snapshot's id and hash", e);
    if (m->source_count == 0)
        return refuse(name, NULL, "it has no source", e);
    for (size_t i = 0; i < m->source_count; i++)
        if (check_source(m, i, name, e) < 0)
            return -1;
    return 0;
}

/* ---- the clear part ---- */

static void object_key_hash(const char *object_key, uint8_t hash[SEAL_HASH_SIZE])
{
    seal_hash(object_key, strlen(object_key), hash);
}

static void write_clear(const struct manifest *m, const char *object_key, uint8_t clear[CLEAR_SIZE])
{
    bytes_set_u64(clear, m->sequence);
    memcpy(clear + 8, m->previous_hash, SEAL_HASH_SIZE);
    object_key_hash(object_key, clear + 8 + SEAL_HASH_SIZE);
}

/* Is the clear part one, and does the object stand under the key it was made for? */
static int check_clear(const struct seal_opened *opened, const char *name, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    if (opened->clear_length != CLEAR_SIZE)
        return refuse(name, NULL, "its clear part is malformed", e);
    object_key_hash(name, hash);
    if (memcmp(opened->clear + 8 + SEAL_HASH_SIZE, hash, SEAL_HASH_SIZE) != 0)
        return refuse(name, NULL, "it is the manifest of another snapshot under this name", e);
    return 0;
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

int manifest_seal(const struct manifest *manifest, const struct key *key, struct bytes *out, struct error *e)
{
    char object_key[OBJECT_KEY_SIZE];
    uint8_t clear[CLEAR_SIZE];
    struct bytes body = {.maximum = MANIFEST_MAX};
    manifest_object_key(manifest->host, manifest->job, manifest->id, object_key);
    write_clear(manifest, object_key, clear);
    int result = manifest_json_write(manifest, &body, e);
    if (result == 0)
        result = check_readable(manifest, &body, object_key, e);
    if (result == 0)
        result = seal_envelope(key, SEAL_MANIFEST, clear, sizeof clear, body.data, body.length, out, e);
    bytes_free(&body);
    return result;
}

static int parse(const struct seal_opened *opened, const struct bytes *body, const char *name, struct manifest *m,
                 struct error *e)
{
    char object_key[OBJECT_KEY_SIZE];
    if (manifest_json_parse(body->data, body->length, name, m, e) < 0)
        return -1;
    m->sequence = bytes_get_u64(opened->clear);
    memcpy(m->previous_hash, opened->clear + 8, SEAL_HASH_SIZE);
    memcpy(m->signer, opened->signer, sizeof m->signer);
    manifest_object_key(m->host, m->job, m->id, object_key);
    if (strcmp(object_key, name) != 0)
        return refuse(name, NULL, "it is the manifest of another snapshot under this name", e);
    return manifest_check(m, name, e);
}

int manifest_open(const void *p, size_t n, const struct key *key, const char *name, struct manifest **manifest,
                  struct error *e)
{
    struct seal_opened opened;
    struct bytes body = {.maximum = MANIFEST_MAX};
    struct manifest *m = calloc(1, sizeof *m);
    int result = m ? seal_envelope_open(key, SEAL_MANIFEST, p, n, name, &opened, &body, e) : error_memory(e);
    if (result == 0)
        result = check_clear(&opened, name, e);
    if (result == 0)
        result = parse(&opened, &body, name, m, e);
    bytes_free(&body);
    if (result == 0)
        *manifest = m;
    else
        manifest_free(m);
    return result;
}

int manifest_peek(const void *p, size_t n, const struct key *key, const char *name, uint64_t *sequence,
                  uint8_t previous_hash[SEAL_HASH_SIZE], uint8_t signer[32], struct error *e)
{
    struct seal_opened opened;
    if (seal_envelope_verify(key, SEAL_MANIFEST, p, n, name, &opened, e) < 0 || check_clear(&opened, name, e) < 0)
        return -1;
    *sequence = bytes_get_u64(opened.clear);
    memcpy(previous_hash, opened.clear + 8, SEAL_HASH_SIZE);
    memcpy(signer, opened.signer, 32);
    return 0;
}
