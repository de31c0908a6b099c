/* Saving into all repositories of a run: one writer, and with it the chunks, for all of them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/task.h"
#include "format/saver.h"
#include "format/vault.h"
#include "repository/baseline.h"
#include "repository/cache_path.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"
#include "repository/object_lock.h"
#include "repository/recorder.h"
#include "repository/repository.h"
#include "repository/repository_vault.h"
#include "repository/uploader.h"
#include "repository/writer.h"
#include "snapshot/manifest.h"
#include "worker/engine.h"

_Static_assert(SAVER_SINKS_MAX <= UPLOADER_SINKS_MAX, "an uploader serves them all");

struct repositories {
    struct repository *items[SAVER_SINKS_MAX];
    struct bytes planned[SAVER_SINKS_MAX]; /* packs that the snapshot needs and that a gc has planned meanwhile */
    int64_t needs_stored[SAVER_SINKS_MAX]; /* clock_monotonic, before they were */
    char cache[PATH_MAX];                  /* where the catalogues are remembered */
    struct uploader *uploader;
    struct writer *writer;
    struct recorder *recorder; /* of the source at hand; NULL in a dry run */
    char fresh[PATH_MAX];      /* its catalogue being written; "" = none */
};

static struct repositories *own(const struct saver *saver)
{
    return saver->own;
}

/* ---- starting ---- */

/* Sources of which this machine has no catalogue: make it anew from the newest snapshot. */
static int recover_baselines(const struct saver *saver, const struct manifest *manifest, struct error *e)
{
    const struct repositories *r = own(saver);
    for (size_t i = 0; i < manifest->source_count && !saver->run->whole; i++) {
        const char *source = manifest->sources[i].name;
        char path[PATH_MAX], fresh[PATH_MAX];
        if (cache_path_catalogue(r->cache, source, path, fresh, e) < 0 ||
            baseline_recover(path, r->items[0], manifest, source, e) < 0)
            return -1;
    }
    return 0;
}

static int start(struct saver *saver, const struct manifest *manifest, struct error *e)
{
    struct repositories *r = saver->own = calloc(1, sizeof *r);
    if (!r)
        return error_memory(e);
    for (size_t k = 0; k < saver->count; k++) {
        r->items[k] = saver->vaults[k]->own;
        if (repository_check_writer(r->items[k], r->items[k]->host, e) < 0)
            return -1;
    }
    if (cache_path_directory(saver->run->engine->config, r->items[0]->key, saver->run->job->name, r->cache, e) < 0 ||
        recover_baselines(saver, manifest, e) < 0 ||
        uploader_new(r->items, saver->count, saver->run->state, &r->uploader, e) < 0)
        return -1;
    struct writer_spec spec = {.uploader = r->uploader, .workers = task_processors()};
    return writer_new(&spec, &r->writer, e);
}

static void free_own(struct saver *saver)
{
    struct repositories *r = saver->own;
    if (!r)
        return;
    writer_free(r->writer);
    uploader_free(r->uploader);
    for (size_t k = 0; k < SAVER_SINKS_MAX; k++)
        bytes_free(&r->planned[k]);
    free(r);
}

/* ---- a source ---- */

/* Do snapshots go again from one of the job's sinks, by whosever hand? */
static bool is_pruned(const struct config_job *job)
{
    struct config_retention retention;
    bool pruned = false;
    for (size_t i = 0; i < job->sink_count; i++) {
        config_retention_of(job, job->sinks[i], &retention);
        pruned = pruned || config_retention_rules(&retention) || retention.prune == CONFIG_ELSEWHERE;
    }
    return pruned;
}

static int begin(struct saver *saver, size_t i, const char *source, const struct plugin_info *plugin,
                 struct baseline **baseline, struct error *e)
{
    struct repositories *r = own(saver);
    char path[PATH_MAX];
    uint8_t fingerprint_key[16];
    cache_path_fingerprint_key(r->items[0]->key, plugin, saver->run->job->sources[i], fingerprint_key);
    /* A source before may have failed with chunks still on their way. */
    if (writer_drain(r->writer, e) < 0 || cache_path_catalogue(r->cache, source, path, r->fresh, e) < 0)
        return -1;
    int opened = saver->run->whole ? baseline_none(fingerprint_key, baseline, e)
                                   : baseline_open(path, r->cache, fingerprint_key, r->writer,
                                                   is_pruned(saver->run->job), baseline, e);
    if (opened < 0 || saver->run->dry)
        return opened;
    return recorder_new(r->writer, r->fresh, fingerprint_key, &r->recorder, e);
}

static int entry(struct saver *saver, const struct snapshot_entry *entry, struct error *e)
{
    return recorder_entry(own(saver)->recorder, entry, e);
}

static int data(struct saver *saver, const void *p, size_t n, struct error *e)
{
    return recorder_data(own(saver)->recorder, p, n, e);
}

static int hole(struct saver *saver, uint64_t n, struct error *e)
{
    return recorder_hole(own(saver)->recorder, n, e);
}

static int restart(struct saver *saver, struct error *e)
{
    return recorder_restart(own(saver)->recorder, e);
}

static int end(struct saver *saver, enum record_status status, const char *why, struct error *e)
{
    return recorder_end(own(saver)->recorder, status, why, e);
}

static int unchanged(struct saver *saver, const void *records, size_t n, uint64_t size, struct error *e)
{
    return recorder_unchanged(own(saver)->recorder, records, n, size, e);
}

static int finish(struct saver *saver, struct manifest_source *row, struct error *e)
{
    return recorder_finish(own(saver)->recorder, row, e);
}

static void leave(struct saver *saver, bool failed)
{
    struct repositories *r = own(saver);
    recorder_free(r->recorder);
    r->recorder = NULL;
    if (failed && !saver->run->dry && r->fresh[0] != '\0')
        unlink(r->fresh);
    r->fresh[0] = '\0';
}

/* ---- commit ---- */

static int collect_indexes(const struct saver *saver, struct manifest *m, struct error *e)
{
    for (size_t k = 0; k < saver->count; k++) {
        const struct uploader_sink *sink = uploader_sink(own(saver)->uploader, k);
        size_t count = sink->indexes.length / SEAL_HASH_SIZE;
        if (sink->failed || count == 0)
            continue;
        uint8_t(*indexes)[SEAL_HASH_SIZE] = realloc(m->indexes, (m->index_count + count) * SEAL_HASH_SIZE);
        if (!indexes)
            return error_memory(e);
        m->indexes = indexes;
        memcpy(indexes + m->index_count, sink->indexes.data, sink->indexes.length);
        m->index_count += count;
    }
    return 0;
}

static int store(struct saver *saver, struct manifest *manifest, struct error *e)
{
    return writer_checkpoint(own(saver)->writer, e) < 0 ? -1 : collect_indexes(saver, manifest, e);
}

static uint64_t added(const struct saver *saver, size_t k)
{
    return uploader_sink(own(saver)->uploader, k)->added;
}

static const struct error *failure(const struct saver *saver, size_t k)
{
    if (!saver->own || !own(saver)->uploader) /* nothing was begun */
        return NULL;
    const struct uploader_sink *sink = uploader_sink(own(saver)->uploader, k);
    return sink->failed ? &sink->error : NULL;
}

static int seal(struct saver *saver, struct manifest *manifest, struct bytes *object, char key[201], struct error *e)
{
    manifest_object_key(manifest->host, manifest->job, manifest->id, key);
    return manifest_object_seal(manifest, own(saver)->items[0]->key, object, e);
}

/* Needs before plans are looked at: who sweeps a plan that is not there yet reads them. */
static int protect(struct saver *saver, size_t k, const struct manifest *manifest, const struct bytes *object,
                   struct error *e)
{
    struct repositories *all = own(saver);
    struct repository *r = all->items[k];
    AUTO_NEEDS struct needs needs = {0};
    bytes_reset(&all->planned[k]);
    if (needs_of_catalogues(r, manifest, all->cache, &needs, e) < 0)
        return -1;
    all->needs_stored[k] = clock_monotonic();
    if (needs_put(r, &needs, manifest, object, false, e) < 0 ||
        repository_heed_plans(r, &needs, &all->planned[k], e) < 0)
        return -1;
    return object_lock_extend(r, &needs, e);
}

static int look(struct saver *saver, size_t k, const struct manifest *manifest, struct error *e)
{
    struct repositories *r = own(saver);
    char key[201];
    needs_key(manifest->host, manifest->job, manifest->id, key);
    return repository_look_again(r->items[k], key, r->needs_stored[k], &r->planned[k], e);
}

/* The fresh catalogues become what the next run compares with. */
static void committed(struct saver *saver, const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->source_count; i++) {
        char path[PATH_MAX], fresh[PATH_MAX];
        struct error e;
        const struct manifest_source *row = &manifest->sources[i];
        if (row->status == MANIFEST_MISSING || cache_path_catalogue(own(saver)->cache, row->name, path, fresh, &e) < 0)
            continue;
        if (rename(fresh, path) < 0)
            log_line(LOG_WARNING, "cannot keep '%s': the next run reads everything again", path);
    }
}

const struct saver_calls repository_saver = {
    .together = true,
    .takes_over = true,
    .start = start,
    .free = free_own,
    .begin = begin,
    .entry = entry,
    .data = data,
    .hole = hole,
    .restart = restart,
    .end = end,
    .unchanged = unchanged,
    .finish = finish,
    .leave = leave,
    .store = store,
    .added = added,
    .failure = failure,
    .seal = seal,
    .protect = protect,
    .look = look,
    .committed = committed,
};
