#include "repository/repository_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "format/vault.h"
#include "repository/catalogue.h"
#include "repository/index.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"
#include "repository/placed.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "repository/repository_annotation.h"
#include "repository/signers.h"
#include "repository/verify_index.h"
#include "repository/verify_packs.h"
#include "repository/verify_record.h"
#include "worker/engine.h"
#include "worker/sink.h"

#define PATHS_NAMED 20 /* affected entries of one source that are named; the others are counted */

struct verify {
    const struct engine *engine;
    struct repository *repository;
    const struct verify_request *request;
    const struct verify_audience *audience;
    struct verify_result *result;
    struct bytes keys; /* of all manifests, each NUL terminated */
    struct verify_packs packs;
    uint64_t found;                             /* damages that walks through snapshots came upon */
    bool unsaid;                                /* another walk says them */
    struct repository_annotation_proofs proofs; /* of what the last walk found */
    char snapshot[201];                         /* the one at hand: "HOST/JOB/ID" */
    struct needs needs;                         /* of it, in the first walk */
    struct needs_listing needs_listed;
    bool needs_lack; /* something that it needs is not among them */
    char stage[96];
};

static void report(struct verify *v, const struct verify_damage *damage)
{
    v->audience->damage(v->audience->context, damage);
}

static void report_found(struct verify *v, const struct verify_damage *damage)
{
    v->found++;
    if (!v->unsaid)
        report(v, damage);
}

static void report_object(struct verify *v, const char *object, const char *text, const char *snapshot)
{
    struct verify_damage damage = {.object = object, .text = text, .snapshot = snapshot};
    report(v, &damage);
}

/* What is wrong, and what to do about it. */
static void report_wrong(struct verify *v, const char *object, const struct error *why, const char *snapshot)
{
    char text[sizeof why->message + sizeof why->hint + 4];
    snprintf(text, sizeof text, why->hint[0] ? "%s; %s" : "%s", why->message, why->hint);
    report_object(v, object, text, snapshot);
}

/* ---- snapshots ---- */

/* What stands between the snapshots and is none. */
static void report_strangers(struct verify *v)
{
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    for (size_t at = 0; at < v->keys.length; at += strlen((const char *)v->keys.data + at) + 1) {
        const char *key = (const char *)v->keys.data + at;
        if (!manifest_object_parse_key(key, host, job, id))
            report_object(v, key, "it does not belong to a repository", NULL);
    }
}

/* Is the manifest under this key one of those asked for? Fills v->snapshot. */
static bool is_chosen(struct verify *v, const char *key)
{
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    const struct verify_request *r = v->request;
    if (!manifest_object_parse_key(key, host, job, id))
        return false;
    snprintf(v->snapshot, sizeof v->snapshot, "%s", key + strlen("snapshots/"));
    return (!r->host || strcmp(host, r->host) == 0) && (!r->job || strcmp(job, r->job) == 0) &&
           (!r->id || strcmp(id, r->id) == 0);
}

typedef int (*each_fn)(struct verify *v, const struct manifest *manifest, struct error *e);

/* Its needs, when they are right: it is said when they are not. */
static int load_needs(struct verify *v, const char *key, const struct bytes *manifest, struct error *e)
{
    char host[64], job[64], id[MANIFEST_ID_SIZE], object[201];
    uint8_t hash[SEAL_HASH_SIZE];
    needs_free(&v->needs);
    v->needs_lack = true;
    manifest_object_parse_key(key, host, job, id);
    needs_key(host, job, id, object);
    seal_hash(manifest->data, manifest->length, hash);
    bool read = needs_read(v->repository, host, job, id, &v->needs_listed, &v->needs, e) == 0;
    if (!read && !sink_is_of_object(e))
        return -1;
    if (!read)
        report_wrong(v, object, e, v->snapshot);
    else if (memcmp(v->needs.manifest, hash, sizeof hash) != 0)
        report_object(v, object, "it is of another manifest than that of its snapshot", v->snapshot);
    else
        v->needs_lack = false;
    verify_packs_miss(&v->packs, v->needs_lack ? NULL : &v->needs);
    return 0;
}

static int open_snapshot(struct verify *v, const char *key, bool first_pass, struct manifest **manifest,
                         struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_OBJECT_MAX + 1};
    if (sink_get(v->repository->sink, key, MANIFEST_OBJECT_MAX, &object, e) < 0 ||
        manifest_object_take(v->repository, object.data, object.length, key, manifest, e) < 0)
        return -1;
    struct error why;
    if (!first_pass || load_needs(v, key, &object, &why) == 0)
        return 0;
    manifest_free(*manifest);
    *e = why;
    return -1;
}

/* Open every chosen manifest; damaged ones are reported by the first pass. */
static int each_snapshot(struct verify *v, bool first_pass, each_fn each, struct error *e)
{
    for (size_t at = 0; at < v->keys.length; at += strlen((const char *)v->keys.data + at) + 1) {
        const char *key = (const char *)v->keys.data + at;
        struct manifest *manifest;
        if (!is_chosen(v, key))
            continue;
        v->result->snapshots += first_pass;
        if (open_snapshot(v, key, first_pass, &manifest, e) < 0) {
            if (!sink_is_of_object(e))
                return -1;
            v->result->snapshots_damaged++; /* in each pass: the second counts anew */
            if (first_pass)
                report_wrong(v, key, e, v->snapshot);
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

/* One source being walked. */
struct source_walk {
    struct verify *v;
    const struct manifest_source *source;
    uint64_t entries, bytes, bad;
    uint8_t last[SEAL_HASH_SIZE]; /* the chunk whose place among the needs was looked up last */
    bool bad_entry, missing;      /* the entry at hand; a part of it is nowhere */
    char *path;                   /* of it */
};

static void end_entry(struct source_walk *w)
{
    if (!w->bad_entry)
        return;
    bool missing = w->missing;
    w->bad_entry = w->missing = false;
    if (w->bad++ >= PATHS_NAMED)
        return;
    struct verify_damage damage = {.text = missing ? "content is missing" : "content is damaged",
                                   .snapshot = w->v->snapshot,
                                   .source = w->source->name,
                                   .path = w->path};
    report_found(w->v, &damage);
}

static void note_bad(struct source_walk *w, const uint8_t *id)
{
    struct index_location location;
    w->bad_entry = true;
    w->missing = w->missing || !index_find(w->v->repository->index, id, INDEX_READ, 0, &location);
}

/* A pack that is gone may have been stored again since, under another name: nothing is lost by that. */
static void report_lack(struct verify *v)
{
    char key[201];
    snprintf(key, sizeof key, NEEDS_PREFIX "/%.190s", v->snapshot);
    if (needs_missing(&v->needs, v->packs.listed, v->packs.count) == 0)
        report_object(v, key, "it does not name all packs that the snapshot needs", v->snapshot);
    else
        log_line(LOG_NOTICE, "sink '%s': '%s' names packs that are gone; what they held is in others now",
                 sink_name(v->repository->sink), key);
}

/* Does what the snapshot says of its needs name a pack that has the chunk? */
static void check_need(struct source_walk *w, const uint8_t *id)
{
    const struct verify *v = w->v;
    struct index_location location;
    if (v->needs_lack || memcmp(w->last, id, sizeof w->last) == 0)
        return;
    memcpy(w->last, id, sizeof w->last);
    for (unsigned nth = 0; index_find(v->repository->index, id, INDEX_READ, nth, &location); nth++)
        if (needs_has(&v->needs, &location.pack))
            return;
    w->v->needs_lack = true;
    report_lack(w->v);
}

static int walk_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
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
        if (catalogue_is_hole(&record->extents[i]))
            continue;
        uint64_t end = record->extents[i].offset + record->extents[i].length;
        if (!verify_packs_have(&w->v->packs, record->extents[i].id, end))
            note_bad(w, record->extents[i].id);
        else if (!w->v->packs.looked) {
            verify_packs_need(&w->v->packs, record->extents[i].id, end);
            check_need(w, record->extents[i].id);
        }
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
    report_found(w->v, &damage);
}

static int walk_source(struct verify *v, struct reader *reader, const struct manifest_source *source, struct error *e)
{
    struct source_walk w = {.v = v, .source = source};
    for (size_t i = 0; i < source->chunk_count; i++)
        verify_packs_need(&v->packs, source->chunks[i].id, source->chunks[i].length);
    int result = reader_catalogue(reader, source, NULL, walk_record, &w, e);
    if (result == 0) {
        end_entry(&w);
        check_totals(&w);
    } else if (reader_is_damage(e)) {
        struct verify_damage damage = {.text = e->message, .snapshot = v->snapshot, .source = source->name};
        report_found(v, &damage);
        result = 0;
    }
    if (w.bad > PATHS_NAMED) {
        char text[96];
        snprintf(text, sizeof text, "and %llu more entries", (unsigned long long)(w.bad - PATHS_NAMED));
        struct verify_damage damage = {.text = text, .snapshot = v->snapshot, .source = source->name};
        report_found(v, &damage);
    }
    free(w.path);
    return result;
}

static int walk_snapshot(struct verify *v, const struct manifest *manifest, struct error *e)
{
    struct reader *reader;
    uint64_t before = v->found;
    index_prefer(v->repository->index, manifest->signer, manifest->host);
    if (reader_new(v->repository, &reader, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < manifest->source_count; i++)
        if (manifest->sources[i].status != MANIFEST_MISSING)
            result = walk_source(v, reader, &manifest->sources[i], e);
    reader_free(reader);
    v->result->snapshots_damaged += v->found > before;
    return result < 0 ? -1 : repository_annotation_note(&v->proofs, manifest, v->found == before, e);
}

/* ---- the history ---- */

/* Its place in the history. One that does not open, or does not count, has none, whatever it says of itself outside:
 * with the full key that is said when the snapshots are gone through, else here. */
static int admit_link(const struct verify *v, const char *name, const struct bytes *object, struct verify_link *link,
                      struct error *e)
{
    struct manifest_clear clear;
    if (manifest_object_admit(v->repository, object->data, object->length, name, &clear, e) < 0)
        return -1;
    link->sequence = clear.sequence;
    memcpy(link->previous[0], clear.previous_hash, sizeof clear.previous_hash);
    return 0;
}

static int read_link(const struct verify *v, const char *name, const struct bytes *object, struct verify_link *link,
                     struct error *e)
{
    struct manifest *m;
    if (!v->repository->key->full)
        return admit_link(v, name, object, link, e);
    if (manifest_object_take(v->repository, object->data, object->length, name, &m, e) < 0)
        return -1;
    link->sequence = m->sequence;
    memcpy(link->previous[0], m->previous_hash, sizeof m->previous_hash);
    manifest_free(m);
    return 0;
}

static int tell_link(void *context, const char *key, const struct bytes *object, const struct error *why,
                     struct error *e)
{
    struct verify *v = context;
    const struct key *ours = v->repository->key;
    struct verify_link link = {.previous_count = 1};
    const struct bytes nothing = {0};
    if (!object && !sink_is_of_object(why)) {
        *e = *why;
        return -1;
    }
    manifest_object_parse_key(key, link.host, link.job, link.id);
    snprintf(link.object, sizeof link.object, "%s", key);
    link.readable = object && read_link(v, key, object, &link, e) == 0;
    if (!link.readable && !ours->full)
        report_wrong(v, key, object ? e : why, key + strlen("snapshots/"));
    return v->audience->link(v->audience->context, &link, object ? object : &nothing, e);
}

static int tell_links(struct verify *v, struct error *e)
{
    AUTO_BYTES struct bytes chosen = {.maximum = v->keys.length + 1};
    for (size_t at = 0; at < v->keys.length; at += strlen((const char *)v->keys.data + at) + 1) {
        const char *key = (const char *)v->keys.data + at;
        if (is_chosen(v, key))
            bytes_put(&chosen, key, strlen(key) + 1);
    }
    if (bytes_check(&chosen, "listing of snapshots", e) < 0)
        return -1;
    return sink_get_each(v->repository->sink, (const char *)chosen.data, chosen.length, MANIFEST_OBJECT_MAX, tell_link,
                         v, e);
}

/* ---- what is said of snapshots ---- */

static void on_object_damage(void *context, const char *key, const struct error *why)
{
    report_wrong(context, key, why, NULL);
}

/* ---- the whole ---- */

static void on_pack_damage(void *context, const char *object, const char *text)
{
    report_object(context, object, text, NULL);
}

static void on_progress(void *context, uint64_t bytes)
{
    struct verify *v = context;
    v->result->objects++;
    v->result->bytes += bytes;
    engine_report(v->engine, v->stage, v->result->objects, v->result->bytes, 0);
}

static int collect_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing", e);
}

/* In the order of their names, so that who signed first is known first. Snapshots before packs: what those need that
 * are listed is there when packs are listed afterwards. */
static int load(struct verify *v, struct error *e)
{
    if (sink_list(v->repository->sink, "snapshots/", collect_key, &v->keys, e) < 0 || bytes_sort_texts(&v->keys, e) < 0)
        return -1;
    return verify_packs_load(&v->packs, e);
}

static int look_into_packs(struct verify *v, struct error *e)
{
    bool all = v->request->everything || !v->repository->key->full;
    return verify_packs_look(&v->packs, all, v->request->quick, e);
}

/* With the full key: everything that leads to an entry. What is missing is known at once, and said with what turns out
 * to be damaged: by the last walk alone. */
static int verify_snapshots(struct verify *v, struct error *e)
{
    v->unsaid = !v->request->quick;
    if (each_snapshot(v, true, walk_snapshot, e) < 0 || look_into_packs(v, e) < 0)
        return -1;
    /* Something is damaged: whom does it affect? */
    if (!v->request->quick && (v->found > 0 || v->packs.bad.length > 0 || v->packs.short_of)) {
        v->unsaid = false;
        repository_annotation_forget(&v->proofs);
        v->result->snapshots_damaged = 0;
        if (each_snapshot(v, false, walk_snapshot, e) < 0)
            return -1;
    }
    v->packs.aside = v->request->id && v->found == 0;
    if (verify_packs_report(&v->packs, e) < 0)
        return -1;
    repository_annotation_prove(v->repository, &v->proofs, !v->request->quick);
    return 0;
}

/* What the needs of all snapshots name, as far as this key opens them. */
static int miss_packs(struct verify *v, struct error *e)
{
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    for (size_t at = 0; at < v->keys.length; at += strlen((const char *)v->keys.data + at) + 1) {
        AUTO_NEEDS struct needs needs = {0};
        if (!manifest_object_parse_key((const char *)v->keys.data + at, host, job, id))
            continue;
        bool read = needs_read(v->repository, host, job, id, &v->needs_listed, &needs, e) == 0;
        if (!read && !sink_is_of_object(e))
            return -1;
        verify_packs_miss(&v->packs, read ? &needs : NULL);
    }
    return 0;
}

/* Without the full key: signatures, history, and hashes of all bytes. */
static int verify_outside(struct verify *v, struct error *e)
{
    log_line(LOG_NOTICE, "sink '%s': with a %s key only hashes, signatures and the chain of snapshots can be checked",
             sink_name(v->repository->sink), key_kind(v->repository->key));
    if (v->packs.bad.length > 0 && miss_packs(v, e) < 0)
        return -1;
    return look_into_packs(v, e) < 0 ? -1 : verify_packs_report(&v->packs, e);
}

static int carry_out(struct verify *v, struct error *e)
{
    if (load(v, e) < 0 || verify_index_each(v->repository, on_object_damage, v, &v->result->objects, e) < 0)
        return -1;
    if (!v->request->id) {
        report_strangers(v);
        if (tell_links(v, e) < 0 ||
            verify_record_each(v->repository, v->request->host, v->request->job, on_object_damage, v, e) < 0)
            return -1;
    }
    return v->repository->key->full ? verify_snapshots(v, e) : verify_outside(v, e);
}

int repository_verify(const struct engine *engine, struct repository *repository, const struct verify_request *request,
                      const struct verify_audience *audience, struct verify_result *result, struct error *e)
{
    struct verify v = {.engine = engine,
                       .repository = repository,
                       .request = request,
                       .audience = audience,
                       .result = result,
                       .keys = {.maximum = (size_t)64 << 20},
                       .packs = {.repository = repository, .damage = on_pack_damage, .progress = on_progress}};
    v.packs.context = &v;
    snprintf(v.stage, sizeof v.stage, "verifying %s", sink_name(repository->sink));
    int done = carry_out(&v, e);
    needs_free(&v.needs);
    needs_listing_free(&v.needs_listed);
    bytes_free(&v.keys);
    repository_annotation_forget(&v.proofs);
    verify_packs_free(&v.packs);
    return done;
}
