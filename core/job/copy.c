#include "job/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "job/commit.h"
#include "job/engine.h"
#include "repository/catalogue.h"
#include "repository/chunker.h"
#include "repository/confirm.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/manifest_object.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

#define PACK_MAX ((size_t)64 << 20)
#define INDEX_CHUNKS (256u << 10) /* an index object is put when it describes so many */

struct copy {
    const struct engine *engine;
    struct repository *from, *to;
    const struct manifest *manifest;
    struct copy_result *result;
    uint8_t *wanted;   /* per pack row of from: to lacks a chunk of it */
    struct bytes body; /* of the index object for what was copied since the last one */
    struct confirm confirm;
    uint32_t packs, chunks;
    struct pack_decompressor *decompressor;
    uint8_t *sealed, *plain; /* of one chunk */
};

/* What is there, once and for all: rows are counted by. */
static int load_index(struct repository *r, struct error *e)
{
    AUTO_FREE struct index_pack *packs = NULL;
    size_t count;
    if (repository_load_index(r, e) < 0 || repository_list_packs(r, &packs, &count, e) < 0 ||
        index_set_present(r->index, packs, count, e) < 0)
        return -1;
    return repository_fix_index(r, packs, count, e);
}

/* ---- what is lacking ---- */

/* Has the target this very pack, under whoever's name? Then what is in it is what is in ours. */
static bool has_pack(const struct copy *c, const uint8_t *id, const uint8_t pack[SEAL_HASH_SIZE])
{
    struct index_location there;
    for (unsigned n = 0; index_find(c->to->index, id, INDEX_RELY, n, &there); n++)
        if (memcmp(there.pack, pack, SEAL_HASH_SIZE) == 0)
            return true;
    return false;
}

/* A chunk that another host has put into the target is not relied on, as in a backup. */
static int want_chunk(struct copy *c, const uint8_t *id, struct error *e)
{
    struct index_location location;
    if (repository_has(c->to, id, &location))
        return 0;
    if (!index_find(c->from->index, id, INDEX_RELY_OWN, 0, &location) &&
        !index_find(c->from->index, id, INDEX_READ, 0, &location))
        return error_set(e, ERROR_INTEGRITY, "sink '%s' lacks a chunk of the snapshot", c->from->sink);
    if (!has_pack(c, id, location.pack))
        c->wanted[location.pack_row] = 1;
    return 0;
}

static int want_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)bytes;
    (void)n;
    for (size_t i = 0; i < record->extent_count; i++)
        if (!catalogue_is_hole(&record->extents[i]) && want_chunk(context, record->extents[i].id, e) < 0)
            return -1;
    return 0;
}

static int want_source(struct copy *c, struct reader *reader, const struct manifest_source *source, struct error *e)
{
    for (size_t i = 0; i < source->chunk_count; i++)
        if (want_chunk(c, source->chunks[i].id, e) < 0)
            return -1;
    return reader_catalogue(reader, source, NULL, want_record, c, e);
}

static int want_snapshot(struct copy *c, struct error *e)
{
    struct reader *reader;
    if (reader_new(c->from, &reader, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < c->manifest->source_count; i++)
        if (c->manifest->sources[i].status != MANIFEST_MISSING)
            result = want_source(c, reader, &c->manifest->sources[i], e);
    reader_free(reader);
    return result;
}

/* ---- copying ---- */

static void count(struct copy *c, uint64_t bytes)
{
    c->result->objects++;
    c->result->bytes += bytes;
}

/* The pack is there and was found damaged: the bytes that its name stands for take its place. It is described already.
 */
static int put_right(struct copy *c, const uint8_t *name, const char *key, const struct bytes *pack, struct error *e)
{
    if (sink_put(c->to->worker, key, pack->data, pack->length, false, e) < 0)
        return error_context(e, "replace a damaged pack: ");
    log_line(LOG_NOTICE, "sink '%s': '%s' was damaged, and is whole again", c->to->sink, key);
    repository_trust(c->to, name);
    count(c, pack->length);
    return 0;
}

/* An interrupted copy may have left the pack there already. */
static int put_pack(struct copy *c, const char *key, const struct bytes *pack, struct error *e)
{
    uint64_t size;
    if (sink_put(c->to->worker, key, pack->data, pack->length, true, e) == 0) {
        count(c, pack->length);
        return 0;
    }
    if (e->class != ERROR_EXISTS || sink_stat(c->to->worker, key, &size, e) < 0)
        return -1;
    return size == pack->length ? 0
                                : error_set(e, ERROR_INTEGRITY, "sink '%s': '%s' has another size than in sink '%s'",
                                            c->to->sink, key, c->from->sink);
}

/* Open every chunk of the pack and compare it with its id: the index object in the target says that they are right, and
 * its host relies on that. */
static int prove_pack(struct copy *c, const struct bytes *pack, const char *key, const struct pack_chunk *chunks,
                      uint32_t count, struct error *e)
{
    struct seal_box box;
    if (pack_open_header(c->from->key, pack->data, key, &box, e) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(c->sealed, pack->data + chunks[i].offset, chunks[i].stored);
        if (pack_open_chunk(c->decompressor, c->from->key, &box, &chunks[i], c->sealed, c->plain, key, e) < 0)
            return -1;
    }
    return 0;
}

static int read_pack(struct copy *c, const uint8_t *name, const char *key, struct bytes *pack,
                     struct pack_chunk **chunks, uint32_t *count, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    bytes_reset(pack);
    if (sink_get(c->from->worker, key, PACK_MAX, pack, e) < 0)
        return -1;
    seal_hash(pack->data, pack->length, hash);
    if (memcmp(hash, name, sizeof hash) != 0)
        return error_set(e, ERROR_INTEGRITY, "'%s' is damaged: its hash is not its name", key);
    if (repository_read_directory(c->from, name, pack->length, chunks, count, e) < 0)
        return -1;
    return prove_pack(c, pack, key, *chunks, *count, e);
}

static int confirm(struct copy *c, struct error *e)
{
    if (confirm_packs(&c->confirm, c->to, e) == 0)
        return 0;
    return error_context(e, "sink '%s': ", c->to->sink);
}

/* What was copied so far, made durable and findable. */
static int put_index(struct copy *c, struct error *e)
{
    if (c->packs == 0)
        return 0;
    AUTO_BYTES struct bytes object = {.maximum = (size_t)64 << 20};
    uint8_t name[SEAL_HASH_SIZE];
    char key[201];
    index_body_end(&c->body, c->packs);
    if (bytes_check(&c->body, "index", e) < 0 || sink_sync(c->to->worker, e) < 0 || confirm(c, e) < 0 ||
        seal_envelope(c->to->key, SEAL_INDEX, NULL, 0, c->body.data, c->body.length, &object, e) < 0)
        return -1;
    seal_hash(object.data, object.length, name);
    repository_index_key(name, key);
    count(c, object.length);
    if (sink_put(c->to->worker, key, object.data, object.length, true, e) < 0 || sink_sync(c->to->worker, e) < 0)
        return -1;
    return confirm_object(c->to, key, object.length, e);
}

static void begin_index(struct copy *c)
{
    bytes_reset(&c->body);
    index_body_begin(&c->body, c->manifest->host, clock_now());
    c->packs = c->chunks = 0;
}

static int copy_pack(struct copy *c, const uint8_t *name, struct bytes *buffer, struct error *e)
{
    char key[201];
    AUTO_FREE struct pack_chunk *chunks = NULL;
    uint32_t count;
    repository_pack_key(name, key);
    if (read_pack(c, name, key, buffer, &chunks, &count, e) < 0)
        return error_context(e, "sink '%s': ", c->from->sink);
    if (index_doubts(c->to->index, name))
        return put_right(c, name, key, buffer, e);
    if (put_pack(c, key, buffer, e) < 0)
        return -1;
    index_body_add_pack(&c->body, name, buffer->length, chunks, count);
    if (confirm_note(&c->confirm, name, buffer->length, chunks, count, e) < 0)
        return -1;
    c->packs++;
    c->chunks += count;
    engine_report(c->engine, "copying", c->result->objects, c->result->bytes, 0);
    if (c->chunks < INDEX_CHUNKS)
        return bytes_check(&c->body, "index", e);
    if (put_index(c, e) < 0)
        return -1;
    begin_index(c);
    return 0;
}

static int copy_packs(struct copy *c, struct error *e)
{
    AUTO_BYTES struct bytes buffer = {.maximum = PACK_MAX + 1};
    begin_index(c);
    confirm_begin(&c->confirm);
    for (size_t row = 0; row < index_pack_count(c->from->index); row++) {
        uint8_t name[SEAL_HASH_SIZE];
        uint64_t size;
        index_pack_at(c->from->index, row, name, &size);
        if (c->wanted[row] && copy_pack(c, name, &buffer, e) < 0)
            return -1;
    }
    return put_index(c, e);
}

/* ---- the snapshot ---- */

static int same_manifest(struct copy *c, const char *key, const struct bytes *manifest, bool *existed, struct error *e)
{
    AUTO_BYTES struct bytes there = {.maximum = MANIFEST_MAX};
    *existed = sink_get(c->to->worker, key, MANIFEST_MAX - 1, &there, e) == 0;
    if (!*existed)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (there.length == manifest->length && memcmp(there.data, manifest->data, there.length) == 0)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "sink '%s' has another manifest under '%s'", c->to->sink, key);
}

static int copy_snapshot(struct copy *c, struct error *e)
{
    const struct manifest *m = c->manifest;
    char key[201];
    AUTO_BYTES struct bytes manifest = {.maximum = MANIFEST_MAX};
    manifest_object_key(m->host, m->job, m->id, key);
    if (sink_get(c->from->worker, key, MANIFEST_MAX - 1, &manifest, e) < 0)
        return -1;
    bool there;
    if (same_manifest(c, key, &manifest, &there, e) < 0 || want_snapshot(c, e) < 0 || copy_packs(c, e) < 0)
        return -1;
    c->result->existed = there && c->result->objects == 0;
    return commit_manifest(c->to->worker, key, &manifest, e);
}

static void free_copy(struct copy *c)
{
    pack_decompressor_free(c->decompressor);
    free(c->wanted);
    free(c->sealed);
    free(c->plain);
    bytes_free(&c->body);
    confirm_free(&c->confirm);
}

int copy_run(const struct engine *engine, struct repository *from, struct repository *to,
             const struct manifest *manifest, struct copy_result *result, struct error *e)
{
    *result = (struct copy_result){0};
    if (memcmp(&from->key->public, &to->key->public, sizeof from->key->public) != 0) {
        error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' have different keys", from->sink, to->sink);
        return error_hint(e, "a snapshot can be copied between sinks of one key; otherwise restore it and run a job");
    }
    if (load_index(from, e) < 0 || repository_load_index(to, e) < 0)
        return -1;
    struct copy c = {.engine = engine,
                     .from = from,
                     .to = to,
                     .manifest = manifest,
                     .result = result,
                     .wanted = calloc(index_pack_count(from->index) + 1, 1),
                     .body = {.maximum = (size_t)64 << 20},
                     .sealed = malloc(pack_compress_bound(CHUNKER_MAXIMUM) + SEAL_OVERHEAD),
                     .plain = malloc(CHUNKER_MAXIMUM)};
    int done = c.wanted && c.sealed && c.plain ? pack_decompressor_new(&c.decompressor, e) : error_memory(e);
    if (done == 0)
        done = copy_snapshot(&c, e);
    free_copy(&c);
    return done;
}
