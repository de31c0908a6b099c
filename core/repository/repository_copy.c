#include "repository/repository_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "flow/line.h"
#include "flow/task.h"
#include "format/vault.h"
#include "repository/catalogue.h"
#include "repository/chunker.h"
#include "repository/confirm.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/lacking.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

/* Packs under way at once, each held in memory. */
#define WORKERS_MAX 6
#define ITEMS_MAX (WORKERS_MAX + 1)

/* A pack on its way. */
struct item {
    struct pack_name name;
    struct bytes pack;
    struct pack_chunk *chunks;
    uint32_t count;
    bool damaged; /* that of the target was found so: this one takes its place */
    bool there;   /* it was there already, and whole */
};

/* What each worker needs to open chunks: one at a time. */
struct tools {
    struct pack_decompressor *decompressor;
    uint8_t *sealed, *plain;
};

struct copy {
    const struct repository_copy_progress *progress;
    struct repository *from, *to;
    const struct manifest *manifest;
    struct copy_result *result;
    struct lacking lacking;
    struct bytes body; /* of the index object for what was copied since the last one */
    struct confirm confirm;
    uint32_t packs, chunks;
    _Atomic uint64_t moved; /* bytes so far, for who waits */
    struct line *line;
    struct item items[ITEMS_MAX];
    void *slots[ITEMS_MAX];
    size_t workers;
    struct tools tools[WORKERS_MAX];
};

/* What is there, once and for all: rows are counted by. */
static int load_index(struct repository *r, struct error *e)
{
    AUTO_FREE struct index_pack *packs = NULL;
    size_t count;
    if (repository_load_index(r, REPOSITORY_ALL, e) < 0 || repository_check_index(r, e) < 0 ||
        repository_list_packs(r, &packs, &count, e) < 0 || index_set_present(r->index, packs, count, e) < 0)
        return -1;
    return repository_fix_index(r, packs, count, e);
}

/* ---- copying ---- */

static void count(struct copy *c, uint64_t bytes)
{
    c->result->objects++;
    c->result->bytes += bytes;
    c->moved += bytes;
}

/* The bytes that its name stands for take the place of the damaged ones. It is described already. */
static int put_right(struct copy *c, const char *key, const struct item *item, struct error *e)
{
    if (sink_put(c->to->sink, key, item->pack.data, item->pack.length, false, e) < 0)
        return error_context(e, "replace a damaged pack: ");
    return 0;
}

/* An interrupted copy may have left the pack there already. */
static int put_pack(struct copy *c, const char *key, struct item *item, struct error *e)
{
    uint64_t size;
    if (sink_put(c->to->sink, key, item->pack.data, item->pack.length, true, e) == 0)
        return 0;
    if (e->class != ERROR_EXISTS || sink_stat(c->to->sink, key, &size, e) < 0)
        return -1;
    item->there = true;
    if (size == item->pack.length)
        return 0;
    error_set(e, ERROR_INTEGRITY, "'%s' has another size than in sink '%s'", key, sink_name(c->from->sink));
    return error_subject(e, "sink", sink_name(c->to->sink));
}

/* Open every chunk of the pack and compare it with its id: the index object in the target says that they are right, and
 * its host relies on that. */
static int prove_pack(struct copy *c, const struct tools *tools, const struct item *item, const char *key,
                      struct error *e)
{
    struct seal_box box;
    if (pack_open_header(c->from->key, item->pack.data, key, &box, e) < 0)
        return -1;
    for (uint32_t i = 0; i < item->count; i++) {
        const struct pack_chunk *chunk = &item->chunks[i];
        memcpy(tools->sealed, item->pack.data + chunk->offset, chunk->stored);
        if (pack_open_chunk(tools->decompressor, c->from->key, &box, chunk, tools->sealed, tools->plain, key, e) < 0)
            return -1;
    }
    return 0;
}

static int read_pack(struct copy *c, const struct tools *tools, struct item *item, const char *key, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    bytes_reset(&item->pack);
    if (sink_get(c->from->sink, key, PACK_SIZE_MAX, &item->pack, e) < 0)
        return -1;
    seal_hash(item->pack.data, item->pack.length, hash);
    if (memcmp(hash, item->name.hash, sizeof hash) != 0)
        return error_set(e, ERROR_INTEGRITY, "'%s' is damaged: its hash is not its name", key);
    if (repository_read_directory(c->from, &item->name, item->pack.length, &item->chunks, &item->count, e) < 0)
        return -1;
    return prove_pack(c, tools, item, key, e);
}

static int store_index(struct copy *c, struct error *e)
{
    uint8_t name[SEAL_HASH_SIZE];
    uint64_t size;
    index_body_end(&c->body, c->packs);
    if (bytes_check(&c->body, "index", e) < 0 || sink_sync(c->to->sink, e) < 0 ||
        confirm_packs(&c->confirm, c->to, e) < 0 ||
        repository_store_index(c->to, c->manifest->host, &c->body, name, &size, e) < 0)
        return -1;
    count(c, size);
    return 0;
}

/* What was copied so far, made durable and findable. */
static int put_index(struct copy *c, struct error *e)
{
    if (c->packs == 0 || store_index(c, e) == 0)
        return 0;
    return error_subject(e, "sink", sink_name(c->to->sink));
}

static void begin_index(struct copy *c)
{
    bytes_reset(&c->body);
    index_body_begin(&c->body, c->manifest->host, clock_now());
    c->packs = c->chunks = 0;
}

/* The pack in the target, where it is of the snapshot's host, whoever stored it first. */
static struct pack_name target_of(const struct copy *c, const struct item *item)
{
    return pack_name_of(c->manifest->host, item->name.hash);
}

/* By any worker: the pack over there. */
static int move_pack(void *context, size_t worker, void *slot, struct error *e)
{
    struct copy *c = context;
    struct item *item = slot;
    const struct pack_name target = target_of(c, item);
    char key[201];
    pack_name_key(&item->name, key);
    if (read_pack(c, &c->tools[worker], item, key, e) < 0)
        return error_subject(e, "sink", sink_name(c->from->sink));
    pack_name_key(&target, key);
    return item->damaged ? put_right(c, key, item, e) : put_pack(c, key, item, e);
}

/* It is there, and goes into the next index object. */
static int describe_pack(struct copy *c, const struct item *item, struct error *e)
{
    const struct pack_name target = target_of(c, item);
    index_body_add_pack(&c->body, target.hash, item->pack.length, item->chunks, item->count);
    if (confirm_note(&c->confirm, &target, item->pack.length, item->chunks, item->count, e) < 0)
        return -1;
    c->packs++;
    c->chunks += item->count;
    if (c->chunks < INDEX_BODY_CHUNKS)
        return bytes_check(&c->body, "index", e);
    if (put_index(c, e) < 0)
        return -1;
    begin_index(c);
    return 0;
}

/* Rows that say what the pack says itself. */
static void note_chunks(struct copy *c, const struct item *item)
{
    struct index_location location;
    for (uint32_t i = 0; i < item->count; i++)
        for (unsigned nth = 0; index_find(c->from->index, item->chunks[i].id, INDEX_READ, nth, &location); nth++)
            if (pack_name_is(&location.pack, &item->name) &&
                memcmp(&location.chunk, &item->chunks[i], sizeof location.chunk) == 0)
                c->lacking.chunks[location.row] = 0;
}

/* Each chunk that was to come has come. */
static int check_needed(struct copy *c, struct error *e)
{
    for (size_t row = 0; row < index_chunk_count(c->from->index); row++) {
        struct index_location location;
        char pack[201], object[201] = "index/";
        if (!c->lacking.chunks[row])
            continue;
        index_chunk_at(c->from->index, row, INDEX_READ, &location);
        pack_name_key(&location.pack, pack);
        if (index_pack_object(c->from->index, location.pack_row))
            repository_index_key(pack_name_host(&location.pack), index_pack_object(c->from->index, location.pack_row),
                                 object);
        error_set(e, ERROR_INTEGRITY,
                  "'%s' says of '%s' what the pack itself does not: it lacks a chunk of the snapshot", object, pack);
        return error_subject(e, "sink", sink_name(c->from->sink));
    }
    return 0;
}

/* In order. */
static int note_pack(void *context, void *slot, struct error *e)
{
    struct copy *c = context;
    struct item *item = slot;
    const struct pack_name target = target_of(c, item);
    char key[201];
    int result = 0;
    if (!item->there)
        count(c, item->pack.length);
    note_chunks(c, item);
    pack_name_key(&target, key);
    if (item->damaged) {
        log_line(LOG_NOTICE, "sink '%s': '%s' was damaged, and is whole again", sink_name(c->to->sink), key);
        repository_trust(c->to, &target);
    } else {
        result = describe_pack(c, item, e);
    }
    free(item->chunks);
    item->chunks = NULL;
    return result;
}

static int make_line(struct copy *c, struct error *e)
{
    size_t from = sink_parallel(c->from->sink), to = sink_parallel(c->to->sink);
    c->workers = from > to ? from : to;
    c->workers = c->workers > task_processors() ? c->workers : task_processors();
    c->workers = c->workers < WORKERS_MAX ? c->workers : WORKERS_MAX;
    for (size_t i = 0; i <= c->workers; i++) {
        c->items[i].pack.maximum = PACK_SIZE_MAX + 1;
        c->slots[i] = &c->items[i];
    }
    for (size_t i = 0; i < c->workers; i++) {
        struct tools *tools = &c->tools[i];
        if (pack_decompressor_new(&tools->decompressor, e) < 0)
            return -1;
        tools->sealed = malloc(pack_compress_bound(CHUNKER_MAXIMUM) + SEAL_OVERHEAD);
        tools->plain = malloc(CHUNKER_MAXIMUM);
        if (!tools->sealed || !tools->plain)
            return error_memory(e);
    }
    struct line_spec spec = {.slots = c->workers + 1,
                             .workers = c->workers,
                             .items = c->slots,
                             .work = move_pack,
                             .consume = note_pack,
                             .context = c};
    return line_new(&spec, &c->line, e);
}

/* It cannot be stored under the name that is going to be removed. */
static int refuse_planned(const struct copy *c, const struct pack_name *name, struct error *e)
{
    char key[201];
    pack_name_key(name, key);
    error_set(e, ERROR_BUSY, "a gc is going to remove '%s', which the snapshot needs", key);
    error_subject(e, "sink", sink_name(c->to->sink));
    return error_hint(e, "copy it once that gc has removed what it planned: cofre gc %s", sink_name(c->to->sink));
}

static int submit_pack(struct copy *c, const struct pack_name *name, struct error *e)
{
    void *slot;
    if (line_slot(c->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    item->name = *name;
    if (repository_plans_pack(c->to, name->hash))
        return refuse_planned(c, name, e);
    item->damaged = index_doubts(c->to->index, name->hash);
    item->there = false;
    return line_submit(c->line, e);
}

static int copy_packs(struct copy *c, struct error *e)
{
    begin_index(c);
    confirm_begin(&c->confirm);
    if (make_line(c, e) < 0)
        return -1;
    for (size_t row = 0; row < index_pack_count(c->from->index); row++) {
        struct pack_name name;
        uint64_t size;
        index_pack_at(c->from->index, row, &name, &size);
        if (c->lacking.packs[row] && submit_pack(c, &name, e) < 0)
            return -1;
        c->progress->report(c->progress->context, line_consumed(c->line), c->moved);
    }
    return line_drain(c->line, e) < 0 || check_needed(c, e) < 0 ? -1 : put_index(c, e);
}

/* ---- the snapshot ---- */

static int same_manifest(struct copy *c, const char *key, const struct bytes *manifest, bool *existed, struct error *e)
{
    AUTO_BYTES struct bytes there = {.maximum = MANIFEST_OBJECT_MAX + 1};
    *existed = sink_get(c->to->sink, key, MANIFEST_OBJECT_MAX, &there, e) == 0;
    if (!*existed)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (there.length == manifest->length && memcmp(there.data, manifest->data, there.length) == 0)
        return 0;
    error_set(e, ERROR_INTEGRITY, "has another manifest under '%s'", key);
    return error_subject(e, "sink", sink_name(c->to->sink));
}

/* Those of an earlier copy that was interrupted may be of other packs; those that hold are left as they are. */
static int put_needs(struct copy *c, const struct bytes *manifest, struct error *e)
{
    const struct manifest *m = c->manifest;
    AUTO_NEEDS struct needs there = {0};
    AUTO_BYTES struct bytes planned = {0};
    struct error ignored;
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hash(manifest->data, manifest->length, hash);
    if (c->result->existed && needs_read(c->to, m->host, m->job, m->id, NULL, &there, &ignored) == 0 &&
        memcmp(there.manifest, hash, sizeof hash) == 0)
        return 0;
    if (needs_put(c->to, &c->lacking.needs, m, manifest, true, e) < 0 ||
        repository_heed_plans(c->to, &c->lacking.needs, &planned, e) < 0)
        return error_subject(e, "sink", sink_name(c->to->sink));
    return 0;
}

static int copy_snapshot(struct copy *c, struct bytes *manifest, char key[201], struct error *e)
{
    const struct manifest *m = c->manifest;
    manifest_object_key(m->host, m->job, m->id, key);
    if (sink_get(c->from->sink, key, MANIFEST_OBJECT_MAX, manifest, e) < 0)
        return -1;
    bool there;
    if (same_manifest(c, key, manifest, &there, e) < 0 ||
        lacking_find(&c->lacking, c->from, c->to, c->manifest, e) < 0 || copy_packs(c, e) < 0)
        return -1;
    c->result->existed = there && c->result->objects == 0;
    return put_needs(c, manifest, e);
}

static void free_copy(struct copy *c)
{
    line_free(c->line);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        bytes_free(&c->items[i].pack);
        free(c->items[i].chunks);
    }
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        pack_decompressor_free(c->tools[i].decompressor);
        free(c->tools[i].sealed);
        free(c->tools[i].plain);
    }
    lacking_free(&c->lacking);
    bytes_free(&c->body);
    confirm_free(&c->confirm);
}

int repository_copy(struct repository *from, struct repository *to, const struct manifest *manifest,
                    const struct repository_copy_progress *progress, struct copy_result *result, struct bytes *object,
                    char key[201], struct error *e)
{
    *result = (struct copy_result){0};
    if (memcmp(&from->key->public, &to->key->public, sizeof from->key->public) != 0) {
        error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' have different keys", sink_name(from->sink),
                  sink_name(to->sink));
        return error_hint(e, "a snapshot can be copied between sinks of one key; otherwise restore it and run a job");
    }
    if (repository_check_writer(to, manifest->host, e) < 0 || load_index(from, e) < 0 ||
        repository_read_plans(to, e) < 0 || repository_load_index(to, REPOSITORY_ALL, e) < 0)
        return -1;
    index_prefer(from->index, manifest->signer, manifest->host);
    struct copy c = {.progress = progress,
                     .from = from,
                     .to = to,
                     .manifest = manifest,
                     .result = result,
                     .body = {.maximum = INDEX_BODY_MAX}};
    int done = copy_snapshot(&c, object, key, e);
    free_copy(&c);
    return done;
}
