#include "job/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "job/chain.h"
#include "job/engine.h"
#include "job/scrub.h"
#include "job/snapshot.h"
#include "job/verify_chain.h"
#include "store/catalogue.h"
#include "store/index.h"
#include "store/index_body.h"
#include "store/objects.h"
#include "store/reader.h"
#include "store/repository.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define PATHS_NAMED 20 /* affected entries of one source that are named; the others are counted */

struct verify {
    const struct engine *engine;
    struct repository *repository;
    const struct verify_request *request;
    void (*damage)(void *context, const struct verify_damage *);
    void *context;
    struct verify_result *result;
    struct bytes keys;        /* of all manifests, each NUL terminated */
    struct index_pack *packs; /* that the sink lists; known: an index object describes it */
    size_t pack_count;
    uint8_t *needed;    /* per pack row: a chosen snapshot refers to it */
    uint8_t *whole;     /* per chunk row: opened and right */
    bool looked;        /* `whole` is filled */
    char snapshot[201]; /* the one at hand: "HOST/JOB/ID" */
    char stage[96];
};

static void report(struct verify *v, const struct verify_damage *damage)
{
    v->result->damages++;
    v->damage(v->context, damage);
}

static void report_object(struct verify *v, const char *object, const char *text, const char *snapshot)
{
    struct verify_damage damage = {.object = object, .text = text, .snapshot = snapshot};
    report(v, &damage);
}

/* ---- index objects ---- */

static int collect_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing", e);
}

/* Every index object as it is in the sink, whatever the cache says. */
static int check_index_objects(struct verify *v, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = (size_t)1 << 30};
    if (sink_list(v->repository->worker, "index/", collect_key, &keys, e) < 0)
        return -1;
    for (size_t at = 0; at < keys.length; at += strlen((const char *)keys.data + at) + 1) {
        const char *key = (const char *)keys.data + at;
        AUTO_BYTES struct bytes body = {.maximum = (size_t)256 << 20};
        uint8_t name[SEAL_HASH_SIZE];
        bool own;
        if (!text_parse_hex(key + strlen("index/"), name, sizeof name)) {
            report_object(v, key, "it does not belong to a repository", NULL);
            continue;
        }
        v->result->objects++;
        if (repository_read_index_object(v->repository, name, &body, &own, e) == 0 &&
            index_body_each(body.data, body.length, NULL, NULL, e) == 0)
            continue;
        if (!reader_is_damage(e))
            return -1;
        report_object(v, key, e->message, NULL);
    }
    return 0;
}

/* ---- snapshots ---- */

/* Is the manifest under this key one of those asked for? Fills v->snapshot. */
static bool is_chosen(struct verify *v, const char *key)
{
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    const struct verify_request *r = v->request;
    if (!snapshot_parse_key(key, host, job, id))
        return false;
    snprintf(v->snapshot, sizeof v->snapshot, "%s", key + strlen("snapshots/"));
    return (!r->host || strcmp(host, r->host) == 0) && (!r->job || strcmp(job, r->job) == 0) &&
           (!r->id || strcmp(id, r->id) == 0);
}

typedef int (*each_fn)(struct verify *v, const struct manifest *manifest, struct error *e);

/* Open every chosen manifest; damaged ones are reported by the first pass. */
static int each_snapshot(struct verify *v, bool first_pass, each_fn each, struct error *e)
{
    for (size_t at = 0; at < v->keys.length; at += strlen((const char *)v->keys.data + at) + 1) {
        const char *key = (const char *)v->keys.data + at;
        struct manifest *manifest;
        if (!is_chosen(v, key))
            continue;
        v->result->snapshots += first_pass;
        if (snapshot_read(v->repository, key, &manifest, e) < 0) {
            if (!reader_is_damage(e))
                return -1;
            v->result->snapshots_damaged += first_pass;
            if (first_pass)
                report_object(v, key, e->message, v->snapshot);
            continue;
        }
        int result = each(v, manifest, e);
        manifest_free(manifest);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- what is needed, and whether it is there ---- */

/* A place of the chunk: any present one, or, once packs were looked into, a whole one. */
static bool find_chunk(const struct verify *v, const uint8_t *id, struct index_location *location)
{
    for (unsigned nth = 0; index_find(v->repository->index, id, false, nth, location); nth++)
        if (!v->looked || v->whole[location->row])
            return true;
    return false;
}

/* One source being walked. */
struct source_walk {
    struct verify *v;
    const struct manifest_source *source;
    uint64_t entries, bytes, bad;
    bool bad_entry; /* the entry at hand */
    char *path;     /* of it */
};

static void mark(struct verify *v, const uint8_t *id)
{
    struct index_location location;
    for (unsigned nth = 0; index_find(v->repository->index, id, false, nth, &location); nth++)
        v->needed[location.pack_row] = 1;
}

static void end_entry(struct source_walk *w)
{
    if (!w->bad_entry)
        return;
    w->bad_entry = false;
    if (w->bad++ >= PATHS_NAMED)
        return;
    struct verify_damage damage = {.text = w->v->looked ? "content is damaged" : "content is missing",
                                   .snapshot = w->v->snapshot,
                                   .source = w->source->name,
                                   .path = w->path};
    report(w->v, &damage);
}

static int walk_record(void *context, const struct catalogue_record *record, const uint8_t *bytes, size_t n,
                       struct error *e)
{
    struct source_walk *w = context;
    (void)bytes;
    (void)n;
    if (!record->continuation) {
        end_entry(w);
        w->entries++;
        w->bytes += (uint64_t)record->entry.size;
        free(w->path);
        w->path = strndup(record->entry.path, record->entry.path_length);
        if (!w->path)
            return error_memory(e);
    }
    for (size_t i = 0; i < record->extent_count; i++) {
        struct index_location location;
        if (catalogue_is_hole(&record->extents[i]))
            continue;
        if (!find_chunk(w->v, record->extents[i].id, &location))
            w->bad_entry = true;
        else if (!w->v->looked)
            mark(w->v, record->extents[i].id);
    }
    return 0;
}

static void check_totals(struct source_walk *w)
{
    if (w->entries == w->source->entries && w->bytes == w->source->bytes)
        return;
    struct verify_damage damage = {.text = "its catalogue has other totals than the manifest says",
                                   .snapshot = w->v->snapshot,
                                   .source = w->source->name};
    report(w->v, &damage);
}

static int walk_source(struct verify *v, struct reader *reader, const struct manifest_source *source, struct error *e)
{
    struct source_walk w = {.v = v, .source = source};
    for (size_t i = 0; i < source->chunk_count; i++)
        mark(v, source->chunks[i].id);
    int result = reader_catalogue(reader, source, NULL, walk_record, &w, e);
    if (result == 0) {
        end_entry(&w);
        check_totals(&w);
    } else if (reader_is_damage(e)) {
        struct verify_damage damage = {.text = e->message, .snapshot = v->snapshot, .source = source->name};
        report(v, &damage);
        result = 0;
    }
    if (w.bad > PATHS_NAMED) {
        char text[96];
        snprintf(text, sizeof text, "and %llu more entries", (unsigned long long)(w.bad - PATHS_NAMED));
        struct verify_damage damage = {.text = text, .snapshot = v->snapshot, .source = source->name};
        report(v, &damage);
    }
    free(w.path);
    return result;
}

static int walk_snapshot(struct verify *v, const struct manifest *manifest, struct error *e)
{
    struct reader *reader;
    uint64_t before = v->result->damages;
    if (reader_new(v->repository, &reader, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < manifest->source_count; i++)
        if (manifest->sources[i].status != MANIFEST_MISSING)
            result = walk_source(v, reader, &manifest->sources[i], e);
    reader_free(reader);
    v->result->snapshots_damaged += v->result->damages > before;
    return result;
}

/* ---- packs ---- */

static void on_chunk(void *context, const uint8_t pack[32], const uint8_t id[32], uint32_t offset)
{
    struct verify *v = context;
    struct index_location location;
    for (unsigned nth = 0; index_find(v->repository->index, id, false, nth, &location); nth++)
        if (location.chunk.offset == offset && memcmp(location.pack, pack, SEAL_HASH_SIZE) == 0)
            v->whole[location.row] = 1;
}

static void on_damage(void *context, const uint8_t pack[32], const char *text)
{
    char key[201];
    repository_pack_key(pack, key);
    report_object(context, key, text, NULL);
}

static void on_progress(void *context, uint64_t bytes)
{
    struct verify *v = context;
    v->result->objects++;
    v->result->bytes += bytes;
    engine_report(v->engine, v->stage, v->result->objects, v->result->bytes, 0);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(((const struct index_pack *)a)->name, ((const struct index_pack *)b)->name, SEAL_HASH_SIZE);
}

/* Packs that an index object describes and that are not there, or have another size. */
static void report_absent(struct verify *v)
{
    for (size_t row = 0; row < index_pack_count(v->repository->index); row++) {
        uint8_t name[SEAL_HASH_SIZE];
        uint64_t size;
        char key[201];
        if (index_pack_at(v->repository->index, row, name, &size))
            continue;
        repository_pack_key(name, key);
        report_object(v, key, "it is missing, or has another size than its index object says", NULL);
    }
}

/* Which of the listed packs (sorted by name) does a chosen snapshot refer to? */
static void find_needed(const struct verify *v, const struct index_pack *packs, size_t count, uint8_t *needed)
{
    for (size_t row = 0; row < index_pack_count(v->repository->index); row++) {
        struct index_pack wanted;
        if (!v->needed[row] || !index_pack_at(v->repository->index, row, wanted.name, &wanted.size))
            continue;
        const struct index_pack *found =
            count > 0 ? bsearch(&wanted, packs, count, sizeof wanted, compare_names) : NULL;
        if (found)
            needed[found - packs] = 1;
    }
}

/* The packs to look into: those that are needed, or all, moved to the front. One that is listed and that no index
 * object describes is damage when a snapshot needs it; else a run was cut off there, and nothing has followed it yet.
 */
static int choose_packs(struct verify *v, size_t *chosen, struct error *e)
{
    bool all = v->request->everything || !v->repository->key->full;
    AUTO_FREE uint8_t *needed = calloc(v->pack_count + 1, 1);
    if (!needed)
        return error_memory(e);
    find_needed(v, v->packs, v->pack_count, needed);
    size_t left_over = 0;
    *chosen = 0;
    for (size_t i = 0; i < v->pack_count; i++) {
        char key[201];
        repository_pack_key(v->packs[i].name, key);
        if (!v->packs[i].known && needed[i])
            report_object(v, key, "snapshots need it, but the index object that described it is gone or damaged", NULL);
        left_over += !v->packs[i].known && !needed[i];
        if (all || needed[i])
            v->packs[(*chosen)++] = v->packs[i];
    }
    if (left_over > 0 && v->request->everything)
        log_line(LOG_NOTICE, "sink '%s': %zu packs of runs that did not end belong to no snapshot", v->repository->sink,
                 left_over);
    return 0;
}

static int look_into_packs(struct verify *v, struct error *e)
{
    size_t chosen = 0;
    if (choose_packs(v, &chosen, e) < 0)
        return -1;
    if (v->request->quick)
        return 0;
    struct scrub_audience audience = {.chunk = on_chunk, .damage = on_damage, .progress = on_progress, .context = v};
    if (scrub_packs(v->repository, v->packs, chosen, &audience, e) < 0)
        return -1;
    v->looked = true;
    return 0;
}

/* ---- the chain ---- */

static int read_chained(void *place, const struct verify_link *link, struct manifest **manifest, struct error *e)
{
    return snapshot_read(place, link->object, manifest, e);
}

/* Damage inside a manifest is found when it is opened; without the full key, here. */
static int add_link(struct verify *v, struct verify_chain *chain, const char *key, const struct bytes *object,
                    struct error *e)
{
    struct verify_link link = {.previous.count = 1};
    struct repository *r = v->repository;
    snapshot_parse_key(key, link.host, link.job, link.id);
    snprintf(link.object, sizeof link.object, "%s", key);
    seal_hash(object->data, object->length, link.hash);
    link.readable = manifest_peek(object->data, object->length, r->key, key, &link.sequence, link.previous.hashes[0],
                                  link.signer, e) == 0;
    if (!link.readable && !r->key->full)
        verify_chain_report(chain, &link, e->message);
    return verify_chain_add(chain, &link, e);
}

static int add_links(struct verify *v, struct verify_chain *chain, const struct bytes *keys, struct error *e)
{
    struct objects *objects;
    const char *key = (const char *)keys->data, *end = key + keys->length;
    if (keys->length == 0)
        return 0;
    if (objects_new(v->repository, key, keys->length, MANIFEST_MAX - 1, &objects, e) < 0)
        return -1;
    int result = 0;
    for (; result == 0 && key < end; key += strlen(key) + 1) {
        const struct bytes *object;
        result = objects_next(objects, &object, e);
        if (result == 0)
            result = add_link(v, chain, key, object, e);
    }
    objects_free(objects);
    return result;
}

static int choose_keys(struct verify *v, struct bytes *chosen, struct error *e)
{
    for (size_t at = 0; at < v->keys.length; at += strlen((const char *)v->keys.data + at) + 1) {
        const char *key = (const char *)v->keys.data + at;
        if (is_chosen(v, key))
            bytes_put(chosen, key, strlen(key) + 1);
    }
    return bytes_check(chosen, "listing of snapshots", e);
}

static int check_chain(struct verify *v, struct error *e)
{
    struct repository *r = v->repository;
    struct verify_chain chain = {.engine = v->engine,
                                 .sink = r->sink,
                                 .id = r->id_text,
                                 .read = r->key->full ? read_chained : NULL,
                                 .place = r,
                                 .damage = v->damage,
                                 .context = v->context,
                                 .result = v->result};
    AUTO_BYTES struct bytes keys = {.maximum = v->keys.length + 1};
    int result = choose_keys(v, &keys, e);
    if (result == 0)
        result = add_links(v, &chain, &keys, e);
    if (result == 0)
        result = verify_chain_run(&chain, v->request, e);
    verify_chain_free(&chain);
    return result;
}

/* ---- the whole ---- */

/* What is there, and, where an index object is gone, what the packs themselves say: before rows of the index are
 * counted. Snapshots first: what those need that are listed is there when packs are listed afterwards. */
static int load(struct verify *v, struct error *e)
{
    struct repository *r = v->repository;
    if (sink_list(r->worker, "snapshots/", collect_key, &v->keys, e) < 0 || repository_load_index(r, e) < 0 ||
        repository_list_packs(r, &v->packs, &v->pack_count, e) < 0 ||
        index_set_present(r->index, v->packs, v->pack_count, e) < 0)
        return -1;
    report_absent(v);
    if (repository_fix_index(r, v->packs, v->pack_count, e) < 0)
        return -1;
    v->needed = calloc(index_pack_count(r->index) + 1, 1);
    v->whole = calloc(index_chunk_count(r->index) + 1, 1);
    return v->needed && v->whole ? 0 : error_memory(e);
}

/* With the full key: everything that leads to an entry. */
static int verify_snapshots(struct verify *v, struct error *e)
{
    uint64_t before = v->result->damages;
    if (each_snapshot(v, true, walk_snapshot, e) < 0 || look_into_packs(v, e) < 0)
        return -1;
    if (v->request->quick || v->result->damages == before)
        return 0;
    /* Something is damaged: whom does it affect? */
    v->result->snapshots_damaged = 0;
    return each_snapshot(v, false, walk_snapshot, e);
}

/* With a put key: signatures, chain, and hashes of all bytes. */
static int verify_outside(struct verify *v, struct error *e)
{
    log_line(LOG_NOTICE, "sink '%s': with a put key only hashes, signatures and the chain of snapshots can be checked",
             v->repository->sink);
    return look_into_packs(v, e);
}

static int carry_out(struct verify *v, struct error *e)
{
    if (load(v, e) < 0 || check_index_objects(v, e) < 0)
        return -1;
    if (!v->request->id && check_chain(v, e) < 0)
        return -1;
    return v->repository->key->full ? verify_snapshots(v, e) : verify_outside(v, e);
}

int verify_run(const struct engine *engine, struct repository *repository, const struct verify_request *request,
               void (*damage)(void *context, const struct verify_damage *), void *context, struct verify_result *result,
               struct error *e)
{
    *result = (struct verify_result){0};
    struct verify v = {.engine = engine,
                       .repository = repository,
                       .request = request,
                       .damage = damage,
                       .context = context,
                       .result = result,
                       .keys = {.maximum = (size_t)256 << 20}};
    snprintf(v.stage, sizeof v.stage, "verifying %s", repository->sink);
    int done = carry_out(&v, e);
    bytes_free(&v.keys);
    free(v.packs);
    free(v.needed);
    free(v.whole);
    return done;
}
