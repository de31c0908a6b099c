#include "job/backup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "job/chain.h"
#include "job/commit.h"
#include "job/engine.h"
#include "job/gather.h"
#include "job/hold.h"
#include "job/place.h"
#include "job/baseline.h"
#include "store/recorder.h"
#include "store/repository.h"
#include "store/shipper.h"
#include "store/writer.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define LEVEL 3
#define SWEEP_AGE (INT64_C(24) * 3600 * 1000000000) /* ns */

/* One sink of the job. hold is NULL when it could not be opened; then its result says why. */
struct target {
    const struct config_instance *config;
    struct hold *hold;
    struct backup_sink *result;
    size_t lane; /* its number in the shipper */
};

/* Everything of one run. */
struct run {
    const struct engine *engine;
    const struct config_job *job;
    bool dry;
    struct backup_result *result;
    struct manifest *manifest;
    char state[PATH_MAX], cache[PATH_MAX];
    int lock;
    struct worker **sources; /* started and checked; opened, used and stopped one after another */
    struct target *targets;
    struct repository *live[SHIPPER_SINKS_MAX]; /* repositories that could be opened */
    size_t live_count;
    struct chain chain;
    struct shipper *shipper;
    struct writer *writer;
};

void backup_result_free(struct backup_result *result)
{
    for (size_t i = 0; i < result->sink_count; i++)
        free(result->sinks[i].error);
    free(result->sinks);
    manifest_free(result->manifest);
    *result = (struct backup_result){0};
}

bool backup_complete(const struct backup_result *result)
{
    if (!result->manifest || result->manifest->status != MANIFEST_COMPLETE)
        return false;
    for (size_t i = 0; i < result->sink_count; i++)
        if (!result->sinks[i].committed)
            return false;
    return true;
}

/* ---- before anything is read ---- */

static int take_lock(struct run *run, struct error *e)
{
    char path[PATH_MAX];
    long holder;
    if (chain_directory(run->engine->config, run->job->name, run->state, e) < 0)
        return -1;
    if (snprintf(path, sizeof path, "%s/lock", run->state) >= (int)sizeof path)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", run->state);
    if (file_lock(path, &run->lock, &holder, e) == 0)
        return 0;
    if (e->class != ERROR_BUSY)
        return -1;
    error_set(e, ERROR_BUSY, "another run of job '%s' is active (process %ld)", run->job->name, holder);
    return error_hint(e, "wait for it, or end that process");
}

static int copy_texts(struct error *e, char **to, const char *from)
{
    *to = text_copy(from);
    return *to ? 0 : error_memory(e);
}

/* The options as configured; what a plugin calls a secret is left out. */
static int copy_options(struct manifest_source *row, const struct config_instance *config,
                        const struct worker_plugin *plugin, struct error *e)
{
    row->options = calloc(config->key_count + 1, sizeof *row->options);
    if (!row->options)
        return error_memory(e);
    for (size_t i = 0; i < config->key_count; i++) {
        const struct option *option = NULL;
        for (size_t k = 0; k < plugin->option_count; k++)
            if (strcmp(plugin->options[k].name, config->keys[i].name) == 0)
                option = &plugin->options[k];
        if (!option || option->type == OPTION_SECRET)
            continue;
        struct manifest_pair *pair = &row->options[row->option_count++];
        if (copy_texts(e, &pair->key, config->keys[i].name) < 0 ||
            copy_texts(e, &pair->value, config->keys[i].value) < 0)
            return -1;
    }
    return 0;
}

static int describe_source(struct run *run, size_t i, struct error *e)
{
    const struct config_instance *config = run->job->sources[i];
    const struct worker_plugin *plugin = worker_plugin(run->sources[i]);
    struct manifest_source *row = &run->manifest->sources[run->manifest->source_count++];
    if (copy_texts(e, &row->name, config->name) < 0 || copy_texts(e, &row->plugin, plugin->name) < 0 ||
        copy_texts(e, &row->plugin_version, plugin->version) < 0)
        return -1;
    return copy_options(row, config, plugin, e);
}

static int describe_run(struct run *run, struct error *e)
{
    struct manifest *m = run->manifest = calloc(1, sizeof *m);
    if (!m || !(m->sources = calloc(run->job->source_count, sizeof *m->sources)))
        return error_memory(e);
    m->started = clock_now();
    if (copy_texts(e, &m->job, run->job->name) < 0 || copy_texts(e, &m->host, run->engine->config->host) < 0)
        return -1;
    return copy_texts(e, &m->version, COFRE_VERSION);
}

/* Load every plugin and check every section, so that a mistake in the configuration shows before anything is read. */
static int check_sources(struct run *run, struct error *e)
{
    run->sources = calloc(run->job->source_count, sizeof(struct worker *));
    if (!run->sources)
        return error_memory(e);
    for (size_t i = 0; i < run->job->source_count; i++)
        if (engine_start(run->engine, run->job->sources[i], WORKER_SOURCE, NULL, 0, &run->sources[i], e) < 0 ||
            describe_source(run, i, e) < 0)
            return -1;
    return 0;
}

/* ---- sinks ---- */

static void drop_target(struct target *target, const struct error *why)
{
    if (target->result->error)
        return;
    target->result->error = text_copy(why->message);
    log_error(LOG_ERROR, why);
}

/* What interrupted puts left. On a disk that other machines share their running puts cannot be told from dead ones but
 * by age. That it does not work is no reason not to save. */
static void sweep(const struct hold *hold)
{
    struct error e;
    if (sink_sweep(hold->worker, clock_now() - SWEEP_AGE, &e) < 0)
        log_line(LOG_WARNING, "sink '%s': left-overs of interrupted runs stay: %s", hold->sink, e.message);
}

static int open_target(struct run *run, struct target *target, struct error *e)
{
    if (hold_open(run->engine, target->config, &target->hold, e) < 0)
        return -1;
    struct repository *repository = target->hold->repository;
    const struct key *first = run->live_count > 0 ? run->live[0]->key : NULL;
    if (first && memcmp(&first->public, &repository->key->public, sizeof first->public) != 0) {
        error_set(e, ERROR_CONFIG, "job '%s': sink '%s' has another key than sink '%s'", run->job->name,
                  repository->sink, run->live[0]->sink);
        return error_hint(e, "use one key for the sinks of a job, or make a job for each");
    }
    sweep(target->hold);
    if (hold_prepare(target->hold, e) < 0)
        return -1;
    if (chain_compare(&run->chain, target->hold, run->job->name, run->manifest, e) < 0)
        return error_context(e, "sink '%s': ", target->config->name);
    return 0;
}

/* A sink that cannot be used is dropped; none left is an error. A mistake in the configuration ends the run. */
static int open_targets(struct run *run, struct error *e)
{
    size_t count = run->job->sink_count;
    run->targets = calloc(count, sizeof *run->targets);
    run->result->sinks = calloc(count, sizeof *run->result->sinks);
    if (!run->targets || !run->result->sinks)
        return error_memory(e);
    struct error first;
    for (size_t i = 0; i < count; i++) {
        struct target *target = &run->targets[i];
        *target = (struct target){.config = run->job->sinks[i], .result = &run->result->sinks[i]};
        target->result->name = target->config->name;
        run->result->sink_count++;
        if (open_target(run, target, e) == 0) {
            target->lane = run->live_count;
            run->live[run->live_count++] = target->hold->repository;
            continue;
        }
        hold_close(target->hold);
        target->hold = NULL;
        if (e->class == ERROR_CONFIG || e->class == ERROR_CANCELLED)
            return -1;
        if (i == 0)
            first = *e;
        if (count > 1)
            drop_target(target, e);
    }
    if (run->live_count == 0)
        *e = first;
    return run->live_count > 0 ? 0 : -1;
}

/* Sources of which this machine has no catalogue: make it anew from the newest snapshot. Before the sinks are written
 * to, since a sink does one thing at a time. */
static int recover_baselines(struct run *run, struct error *e)
{
    for (size_t i = 0; i < run->manifest->source_count; i++) {
        const char *source = run->manifest->sources[i].name;
        char path[PATH_MAX], fresh[PATH_MAX];
        if (place_catalogue(run->cache, source, path, fresh, e) < 0 ||
            baseline_recover(path, run->live[0], run->manifest, source, e) < 0)
            return -1;
    }
    return 0;
}

static int start_writer(struct run *run, struct error *e)
{
    if (place_directory(run->engine->config, run->live[0]->key, run->job->name, run->cache, e) < 0 ||
        recover_baselines(run, e) < 0 || shipper_new(run->live, run->live_count, run->state, &run->shipper, e) < 0)
        return -1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct writer_spec spec = {
        .shipper = run->shipper, .level = LEVEL, .workers = processors < 1 ? 1 : (unsigned)processors};
    return writer_new(&spec, &run->writer, e);
}

/* ---- sources ---- */

/* Open the source and take all that it has. */
static int gather_source(struct run *run, size_t i, struct recorder *recorder, struct baseline *baseline,
                         bool *source_failed, struct error *e)
{
    struct worker *worker = run->sources[i];
    *source_failed = true;
    if (engine_open_worker(run->job->sources[i], worker, NULL, 0, e) < 0)
        return -1;
    struct gather gather = {.engine = run->engine,
                            .worker = worker,
                            .recorder = recorder,
                            .baseline = baseline,
                            .source = &run->manifest->sources[i]};
    int result = gather_run(&gather, source_failed, e);
    run->result->unchanged += gather.unchanged;
    worker_stop(worker);
    run->sources[i] = NULL;
    return result;
}

static int record_source(struct run *run, size_t i, bool *source_failed, struct error *e)
{
    struct manifest_source *row = &run->manifest->sources[i];
    char path[PATH_MAX], fresh[PATH_MAX];
    struct baseline *baseline = NULL;
    struct recorder *recorder = NULL;
    uint8_t fingerprint_key[16];
    *source_failed = false;
    place_fingerprint_key(run->live[0]->key, worker_plugin(run->sources[i]), run->job->sources[i], fingerprint_key);
    /* A source before may have failed with chunks still on their way. */
    if (writer_drain(run->writer, e) < 0 || place_catalogue(run->cache, row->name, path, fresh, e) < 0 ||
        baseline_open(path, run->cache, fingerprint_key, run->writer, &baseline, e) < 0)
        return -1;
    int result = run->dry ? 0 : recorder_new(run->writer, fresh, fingerprint_key, &recorder, e);
    if (result == 0)
        result = gather_source(run, i, recorder, baseline, source_failed, e);
    recorder_free(recorder);
    baseline_close(baseline);
    if (result < 0 && !run->dry)
        unlink(fresh);
    return result;
}

/* A source that failed is a part that is missing; nothing of it is kept. */
static int mark_missing(struct manifest_source *row, const struct error *why, struct error *e)
{
    log_error(LOG_ERROR, why);
    row->status = MANIFEST_MISSING;
    row->entries = row->bytes = row->vanished = row->problem_count = row->catalogue_bytes = 0;
    for (size_t i = 0; i < row->problems_listed; i++) {
        free(row->problems[i].path);
        free(row->problems[i].error);
    }
    row->problems_listed = 0;
    for (size_t i = 0; i < row->chunk_count; i++)
        free(row->chunks[i].first_path);
    row->chunk_count = 0;
    return copy_texts(e, &row->error, why->message);
}

static void say_source(const struct manifest_source *row)
{
    char size[TEXT_SIZE_MAX];
    log_line(LOG_NOTICE, "source '%s': %llu entries, %s%s", row->name, (unsigned long long)row->entries,
             text_size(row->bytes, size), row->status == MANIFEST_COMPLETE ? "" : ", incomplete");
}

static int record_sources(struct run *run, struct error *e)
{
    size_t missing = 0;
    struct error first = {0};
    for (size_t i = 0; i < run->job->source_count; i++) {
        struct manifest_source *row = &run->manifest->sources[i];
        bool source_failed;
        if (record_source(run, i, &source_failed, e) == 0) {
            say_source(row);
        } else if (source_failed && !worker_cancelled()) {
            if (missing++ == 0)
                first = *e;
            struct error why = *e;
            if (mark_missing(row, &why, e) < 0)
                return -1;
        } else {
            return -1;
        }
        if (row->status != MANIFEST_COMPLETE)
            run->manifest->status = MANIFEST_INCOMPLETE;
    }
    if (missing < run->job->source_count)
        return 0;
    *e = first;
    return missing > 1 ? error_context(e, "every source failed; the first: ") : -1;
}

/* ---- commit ---- */

static int collect_indexes(struct run *run, struct error *e)
{
    struct manifest *m = run->manifest;
    for (size_t i = 0; i < run->live_count; i++) {
        const struct shipper_sink *sink = shipper_sink(run->shipper, i);
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

static void collect_added(struct run *run)
{
    for (size_t i = 0; i < run->job->sink_count; i++) {
        const struct target *target = &run->targets[i];
        if (!target->hold)
            continue;
        const struct shipper_sink *sink = shipper_sink(run->shipper, target->lane);
        target->result->added = sink->added;
        if (!sink->failed && sink->added > run->manifest->added)
            run->manifest->added = sink->added;
    }
}

static int remember(struct run *run, const uint8_t *hash, struct error *e)
{
    const char *committed[SHIPPER_SINKS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < run->job->sink_count; i++)
        if (run->targets[i].result->committed)
            committed[count++] = run->targets[i].hold->id;
    if (count == 0)
        return -1; /* *e says why the last of them failed */
    if (chain_append(&run->chain, run->manifest, hash, committed, count, e) < 0)
        log_line(LOG_WARNING, "the snapshot is committed, but this machine could not note it: %s", e->message);
    return 0;
}

/* The fresh catalogues become what the next run compares with. */
static void keep_catalogues(const struct run *run)
{
    for (size_t i = 0; i < run->manifest->source_count; i++) {
        char path[PATH_MAX], fresh[PATH_MAX];
        struct error e;
        const struct manifest_source *row = &run->manifest->sources[i];
        if (row->status == MANIFEST_MISSING || place_catalogue(run->cache, row->name, path, fresh, &e) < 0)
            continue;
        if (rename(fresh, path) < 0)
            log_line(LOG_WARNING, "cannot keep '%s': the next run reads everything again", path);
    }
}

static void commit_target(struct run *run, struct target *target, const char *key, const struct bytes *object,
                          struct error *e)
{
    const struct shipper_sink *sink = shipper_sink(run->shipper, target->lane);
    if (!sink->failed && commit_manifest(target->hold->worker, key, object, e) == 0) {
        target->result->committed = true;
        log_line(LOG_NOTICE, "committed %s@%s to %s", run->manifest->job, run->manifest->id, target->config->name);
        return;
    }
    if (sink->failed) { /* which was said at once */
        *e = sink->error;
        target->result->error = text_copy(e->message);
        return;
    }
    error_context(e, "sink '%s': ", target->config->name);
    drop_target(target, e);
}

static int commit(struct run *run, struct error *e)
{
    struct manifest *m = run->manifest;
    if (writer_checkpoint(run->writer, e) < 0 || collect_indexes(run, e) < 0)
        return -1;
    collect_added(run);
    m->ended = clock_now();
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    if (manifest_seal(m, run->live[0]->key, &object, e) < 0)
        return -1;
    char key[201];
    uint8_t hash[SEAL_HASH_SIZE];
    manifest_object_key(m->host, m->job, m->id, key);
    seal_hash(object.data, object.length, hash);
    for (size_t i = 0; i < run->job->sink_count; i++)
        if (run->targets[i].hold)
            commit_target(run, &run->targets[i], key, &object, e);
    if (remember(run, hash, e) < 0)
        return -1;
    keep_catalogues(run);
    return 0;
}

/* ---- the run ---- */

static int carry_out(struct run *run, struct error *e)
{
    if (describe_run(run, e) < 0 || take_lock(run, e) < 0 || check_sources(run, e) < 0 ||
        chain_load(run->state, run->manifest->host, &run->chain, e) < 0 || open_targets(run, e) < 0)
        return -1;
    chain_continue(&run->chain, run->manifest);
    if (start_writer(run, e) < 0 || record_sources(run, e) < 0)
        return -1;
    return run->dry ? 0 : commit(run, e);
}

static void end_run(struct run *run)
{
    writer_free(run->writer);
    shipper_free(run->shipper);
    chain_free(&run->chain);
    for (size_t i = 0; run->targets && i < run->job->sink_count; i++)
        hold_close(run->targets[i].hold);
    for (size_t i = 0; run->sources && i < run->job->source_count; i++)
        worker_stop(run->sources[i]);
    free(run->targets);
    free(run->sources);
    if (run->lock >= 0)
        close(run->lock);
}

int backup_run(const struct engine *engine, const struct config_job *job, bool dry_run, struct backup_result *result,
               struct error *e)
{
    *result = (struct backup_result){0};
    struct run run = {.engine = engine, .job = job, .dry = dry_run, .result = result, .lock = -1};
    int64_t started = clock_monotonic();
    if (job->sink_count > SHIPPER_SINKS_MAX)
        return error_set(e, ERROR_CONFIG, "job '%s' has more than %d sinks", job->name, SHIPPER_SINKS_MAX);
    int done = seal_init(e) < 0 ? -1 : carry_out(&run, e);
    end_run(&run);
    result->elapsed = clock_monotonic() - started;
    if (done == 0)
        result->manifest = run.manifest;
    else
        manifest_free(run.manifest);
    return done;
}
