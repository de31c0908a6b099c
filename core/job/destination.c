#include "job/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/bundle.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "job/backup.h"
#include "job/baseline.h"
#include "job/commit.h"
#include "job/engine.h"
#include "job/place.h"
#include "job/retain.h"
#include "job/vault.h"
#include "repository/manifest_object.h"
#include "repository/recorder.h"
#include "repository/repository.h"
#include "repository/writer.h"
#include "worker/sink.h"
#include "worker/worker.h"

/* ---- opening ---- */

static void drop(struct destination *item, const struct error *why)
{
    if (item->result->error)
        return;
    char text[ERROR_TEXT_MAX];
    item->result->error = text_copy(error_text(why, text));
    log_error(LOG_ERROR, why);
}

static int check_key(const struct destinations *d, const struct repository *repository, struct error *e)
{
    const struct key *first = d->live_count > 0 ? d->live[0]->key : NULL;
    if (!first || memcmp(&first->public, &repository->key->public, sizeof first->public) == 0)
        return 0;
    error_set(e, ERROR_CONFIG, "sink '%s' has another key than sink '%s'", sink_name(repository->sink),
              sink_name(d->live[0]->sink));
    error_subject(e, "job", d->job->name);
    return error_hint(e, "use one key for the repositories of a job, or make a job for each");
}

static void warn(void *context, const char *text, const char *hint)
{
    struct error e;
    error_set(&e, ERROR_PERMANENT, "%s", text);
    error_subject(&e, "sink", context);
    error_hint(&e, "%s", hint);
    log_error(LOG_WARNING, &e);
}

/* What is to seal is shown to work before anything is read. */
static int open_one(struct destinations *d, struct destination *item, struct manifest *manifest, struct error *e)
{
    if (vault_open(d->engine, item->config, &item->vault, e) < 0)
        return -1;
    struct vault *vault = item->vault;
    if (vault->repository && check_key(d, vault->repository, e) < 0)
        return -1;
    if (vault->archive && archive_ready(vault->archive, warn, item->config->name, e) < 0)
        return -1;
    vault_sweep(vault);
    if (vault_prepare(vault, e) < 0)
        return -1;
    if (chain_compare(&d->chain, vault, d->job->name, manifest, e) < 0)
        return error_subject(e, "sink", item->config->name);
    return 0;
}

static void take_in(struct destinations *d, struct destination *item)
{
    d->archive_count += item->vault->archive != NULL;
    if (!item->vault->repository)
        return;
    item->lane = d->live_count;
    d->live[d->live_count++] = item->vault->repository;
}

int destination_open(struct destinations *d, struct backup_sink *results, struct manifest *manifest, struct error *e)
{
    size_t count = d->job->sink_count;
    struct error first = {0};
    if (!(d->items = calloc(count, sizeof *d->items)))
        return error_memory(e);
    for (; d->count < count; d->count++) {
        struct destination *item = &d->items[d->count];
        *item = (struct destination){.config = d->job->sinks[d->count], .result = &results[d->count]};
        if (open_one(d, item, manifest, e) == 0) {
            take_in(d, item);
            continue;
        }
        vault_close(item->vault);
        item->vault = NULL;
        if (e->class == ERROR_CONFIG || e->class == ERROR_CANCELLED)
            return -1;
        if (d->count == 0)
            first = *e;
        if (count > 1)
            drop(item, e);
    }
    if (d->live_count + d->archive_count > 0)
        return 0;
    *e = first;
    return -1;
}

int destination_before(struct destinations *d, const struct manifest *now, struct manifest **before, struct error *e)
{
    struct vault_name name = {.id = ""};
    snprintf(name.host, sizeof name.host, "%s", now->host);
    snprintf(name.job, sizeof name.job, "%s", now->job);
    snprintf(name.id, sizeof name.id, "%s", now->previous_id);
    error_set(e, ERROR_AUTH, "no key is at hand that opens snapshot %s", name.id);
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].vault && d->items[i].vault->opens && vault_read(d->items[i].vault, &name, before, e) == 0)
            return 0;
    return -1;
}

/* ---- starting ---- */

/* Sources of which this machine has no catalogue: make it anew from the newest snapshot. Before the sinks are written
 * to, since a sink does one thing at a time. With an archive everything is read anyway. */
static int recover_baselines(const struct destinations *d, const struct manifest *manifest, struct error *e)
{
    for (size_t i = 0; i < manifest->source_count && d->archive_count == 0; i++) {
        const char *source = manifest->sources[i].name;
        char path[PATH_MAX], fresh[PATH_MAX];
        if (place_catalogue(d->cache, source, path, fresh, e) < 0 ||
            baseline_recover(path, d->live[0], manifest, source, e) < 0)
            return -1;
    }
    return 0;
}

static int start_writer(struct destinations *d, const struct manifest *manifest, struct error *e)
{
    if (d->live_count == 0)
        return 0;
    if (place_directory(d->engine->config, d->live[0]->key, d->job->name, d->cache, e) < 0 ||
        recover_baselines(d, manifest, e) < 0 || shipper_new(d->live, d->live_count, d->state, &d->shipper, e) < 0)
        return -1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct writer_spec spec = {.shipper = d->shipper, .workers = processors < 1 ? 1 : (unsigned)processors};
    d->repositories = (struct saver){.calls = &saver_recorder};
    if (!d->dry)
        d->savers[d->list.count++] = &d->repositories;
    return writer_new(&spec, &d->writer, e);
}

static int start_bundle(struct destinations *d, struct destination *item, const struct manifest *manifest,
                        struct error *e)
{
    if (bundle_new(item->vault->archive, manifest->job, manifest->id, d->job->source_count, &item->bundle, e) < 0)
        return -1;
    item->saver = (struct saver){.calls = &saver_bundle, .context = item->bundle, .sink = item->config->name};
    d->savers[d->list.count++] = &item->saver;
    return 0;
}

int destination_start(struct destinations *d, struct manifest *manifest, struct error *e)
{
    d->list = (struct savers){.items = d->savers};
    if (start_writer(d, manifest, e) < 0)
        return -1;
    for (size_t i = 0; i < d->count && !d->dry; i++)
        if (d->items[i].vault && d->items[i].vault->archive && start_bundle(d, &d->items[i], manifest, e) < 0)
            return -1;
    return 0;
}

void destination_close(struct destinations *d)
{
    writer_free(d->writer);
    shipper_free(d->shipper);
    chain_free(&d->chain);
    for (size_t i = 0; i < d->count; i++) {
        bundle_free(d->items[i].bundle);
        vault_close(d->items[i].vault);
    }
    free(d->items);
}

/* ---- sources ---- */

/* With an archive among the sinks no entry can be taken over: the archive needs its content. */
static int begin_recorder(struct destinations *d, size_t i, const struct worker *worker, const char *name,
                          struct destination_source *source, struct error *e)
{
    char path[PATH_MAX];
    uint8_t fingerprint_key[16];
    place_fingerprint_key(d->live[0]->key, worker_plugin(worker), d->job->sources[i], fingerprint_key);
    /* A source before may have failed with chunks still on their way. */
    if (writer_drain(d->writer, e) < 0 || place_catalogue(d->cache, name, path, source->fresh, e) < 0)
        return -1;
    int opened = d->archive_count > 0 ? baseline_none(fingerprint_key, &source->baseline, e)
                                      : baseline_open(path, d->cache, fingerprint_key, d->writer, &source->baseline, e);
    if (opened < 0 || d->dry)
        return opened;
    return recorder_new(d->writer, source->fresh, fingerprint_key, &source->recorder, e);
}

/* The repositories have failed together: archives can go on. */
static int without_repositories(struct destinations *d, struct destination_source *source, struct error *e)
{
    static const uint8_t no_key[16];
    if (cancel_requested() || d->archive_count == 0)
        return -1;
    saver_fail(&d->repositories, e);
    baseline_close(source->baseline);
    return baseline_none(no_key, &source->baseline, e);
}

int destination_begin(struct destinations *d, size_t i, const struct manifest *manifest, const struct worker *worker,
                      struct destination_source *source, struct error *e)
{
    static const uint8_t no_key[16];
    const char *name = manifest->sources[i].name;
    *source = (struct destination_source){0};
    for (size_t k = 0; k < d->count; k++)
        if (d->items[k].bundle)
            bundle_begin(d->items[k].bundle, i, name);
    if (!d->writer || d->repositories.failed)
        return baseline_none(no_key, &source->baseline, e);
    int result = begin_recorder(d, i, worker, name, source, e);
    d->repositories.context = source->recorder;
    return result < 0 ? without_repositories(d, source, e) : 0;
}

void destination_end(struct destinations *d, struct destination_source *source, bool failed)
{
    recorder_free(source->recorder);
    baseline_close(source->baseline);
    d->repositories.context = NULL;
    if (!failed || d->dry)
        return;
    if (source->fresh[0] != '\0')
        unlink(source->fresh);
    for (size_t k = 0; k < d->count; k++)
        if (d->items[k].bundle && !d->items[k].saver.failed)
            bundle_drop(d->items[k].bundle);
}

/* ---- commit ---- */

static int collect_indexes(struct destinations *d, struct manifest *m, struct error *e)
{
    for (size_t i = 0; i < d->live_count; i++) {
        const struct shipper_sink *sink = shipper_sink(d->shipper, i);
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

static bool has_failed(const struct destinations *d, const struct destination *item)
{
    if (item->bundle)
        return item->saver.failed;
    return d->repositories.failed || shipper_sink(d->shipper, item->lane)->failed;
}

static void collect_added(struct destinations *d, struct manifest *m)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct destination *item = &d->items[i];
        if (!item->vault)
            continue;
        item->result->added = item->bundle ? bundle_stored(item->bundle) : shipper_sink(d->shipper, item->lane)->added;
        if (!has_failed(d, item) && item->result->added > m->added)
            m->added = item->result->added;
    }
}

static int remember(struct destinations *d, const struct manifest *manifest, const struct chain_forms *forms,
                    struct error *e)
{
    const char *committed[SHIPPER_SINKS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].result->committed)
            committed[count++] = d->items[i].vault->id;
    if (count == 0)
        return -1; /* *e says why the last of them failed */
    if (chain_append(&d->chain, manifest, forms, committed, count, e) < 0)
        log_line(LOG_WARNING, "the snapshot is committed, but this machine could not note it: %s", e->message);
    return 0;
}

/* The fresh catalogues become what the next run compares with. */
static void keep_catalogues(const struct destinations *d, const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->source_count && d->writer && !d->repositories.failed; i++) {
        char path[PATH_MAX], fresh[PATH_MAX];
        struct error e;
        const struct manifest_source *row = &manifest->sources[i];
        if (row->status == MANIFEST_MISSING || place_catalogue(d->cache, row->name, path, fresh, &e) < 0)
            continue;
        if (rename(fresh, path) < 0)
            log_line(LOG_WARNING, "cannot keep '%s': the next run reads everything again", path);
    }
}

/* What the snapshot re-uses of a repository stays locked as long as what it adds. */
static int retain(const struct destinations *d, const struct destination *item, const struct manifest *manifest,
                  struct error *e)
{
    return item->bundle ? 0 : retain_extend(item->vault->repository, manifest, d->cache, e);
}

static void commit_one(const struct destinations *d, struct destination *item, const struct manifest *manifest,
                       const char *key, const struct bytes *object, struct error *e)
{
    if (retain(d, item, manifest, e) == 0 && commit_manifest(item->vault->sink, key, object, e) == 0) {
        item->result->committed = true;
        if (item->bundle)
            bundle_committed(item->bundle);
        log_line(LOG_NOTICE, "committed %s@%s to %s", manifest->job, manifest->id, item->config->name);
        return;
    }
    error_subject(e, "sink", item->config->name);
    drop(item, e);
}

/* One that failed before: which was said at once. */
static void give_up(const struct destinations *d, struct destination *item, struct error *e)
{
    *e = item->bundle             ? item->saver.error
         : d->repositories.failed ? d->repositories.error
                                  : shipper_sink(d->shipper, item->lane)->error;
    char text[ERROR_TEXT_MAX];
    if (!item->result->error)
        item->result->error = text_copy(error_text(e, text));
}

static int commit_repositories(struct destinations *d, struct manifest *m, struct chain_forms *forms, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    char key[201];
    if (!d->writer || d->repositories.failed)
        return 0;
    if (manifest_object_seal(m, d->live[0]->key, &object, e) < 0)
        return -1;
    manifest_object_key(m->host, m->job, m->id, key);
    chain_add_form(forms, object.data, object.length);
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].vault && !d->items[i].bundle && !has_failed(d, &d->items[i]))
            commit_one(d, &d->items[i], m, key, &object, e);
    return 0;
}

static void commit_archive(const struct destinations *d, struct destination *item, struct manifest *m,
                           struct chain_forms *forms, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = MANIFEST_MAX};
    char key[201];
    if (bundle_seal(item->bundle, m, &text, key, e) < 0 || bundle_confirm(item->bundle, e) < 0) {
        saver_fail(&item->saver, e);
        return;
    }
    chain_add_form(forms, text.data, text.length);
    commit_one(d, item, m, key, &text, e);
}

int destination_commit(struct destinations *d, struct manifest *manifest, struct error *e)
{
    struct chain_forms forms = {.count = 0};
    if (d->writer && !d->repositories.failed &&
        (writer_checkpoint(d->writer, e) < 0 || collect_indexes(d, manifest, e) < 0)) {
        if (d->archive_count == 0 || cancel_requested())
            return -1;
        saver_fail(&d->repositories, e);
    }
    collect_added(d, manifest);
    manifest->ended = clock_now();
    if (commit_repositories(d, manifest, &forms, e) < 0)
        return -1;
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].bundle && !has_failed(d, &d->items[i]))
            commit_archive(d, &d->items[i], manifest, &forms, e);
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].vault && has_failed(d, &d->items[i]))
            give_up(d, &d->items[i], e);
    if (remember(d, manifest, &forms, e) < 0)
        return -1;
    keep_catalogues(d, manifest);
    return 0;
}
