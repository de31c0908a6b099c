#include "job/backup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "job/chain.h"
#include "job/destination.h"
#include "job/engine.h"
#include "job/gather.h"
#include "worker/worker.h"

/* Everything of one run. */
struct run {
    const struct engine *engine;
    const struct config_job *job;
    bool dry;
    struct backup_result *result;
    struct manifest *manifest;
    int lock;
    struct worker **sources; /* started and checked; opened, used and stopped one after another */
    struct destinations to;
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
    if (chain_directory(run->engine->config, run->job->name, run->to.state, e) < 0)
        return -1;
    if (snprintf(path, sizeof path, "%s/lock", run->to.state) >= (int)sizeof path)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", run->to.state);
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

static int open_sinks(struct run *run, struct error *e)
{
    struct backup_result *result = run->result;
    result->sinks = calloc(run->job->sink_count, sizeof *result->sinks);
    if (!result->sinks)
        return error_memory(e);
    result->sink_count = run->job->sink_count;
    for (size_t i = 0; i < result->sink_count; i++)
        result->sinks[i].name = run->job->sinks[i]->name;
    return destination_open(&run->to, result->sinks, run->manifest, e);
}

/* ---- sources ---- */

/* Open the source and take all that it has. */
static int gather_source(struct run *run, size_t i, struct baseline *baseline, bool *source_failed, struct error *e)
{
    struct worker *worker = run->sources[i];
    *source_failed = true;
    if (engine_open_worker(run->job->sources[i], worker, NULL, 0, e) < 0)
        return -1;
    struct gather gather = {.engine = run->engine,
                            .worker = worker,
                            .savers = &run->to.list,
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
    struct destination_source source;
    *source_failed = false;
    int result = destination_begin(&run->to, i, run->manifest, run->sources[i], &source, e);
    if (result == 0)
        result = gather_source(run, i, source.baseline, source_failed, e);
    destination_end(&run->to, &source, result < 0);
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

/* ---- the run ---- */

static int carry_out(struct run *run, struct error *e)
{
    struct destinations *to = &run->to;
    if (describe_run(run, e) < 0 || take_lock(run, e) < 0 || check_sources(run, e) < 0 ||
        chain_load(to->state, run->manifest->host, &to->chain, e) < 0 || open_sinks(run, e) < 0)
        return -1;
    chain_continue(&to->chain, run->manifest);
    if (destination_start(to, run->manifest, e) < 0 || record_sources(run, e) < 0)
        return -1;
    return run->dry ? 0 : destination_commit(to, run->manifest, e);
}

static void end_run(struct run *run)
{
    destination_close(&run->to);
    for (size_t i = 0; run->sources && i < run->job->source_count; i++)
        worker_stop(run->sources[i]);
    free(run->sources);
    if (run->lock >= 0)
        close(run->lock);
}

int backup_run(const struct engine *engine, const struct config_job *job, bool dry_run, struct backup_result *result,
               struct error *e)
{
    *result = (struct backup_result){0};
    struct run run = {.engine = engine,
                      .job = job,
                      .dry = dry_run,
                      .result = result,
                      .lock = -1,
                      .to = {.engine = engine, .job = job, .dry = dry_run}};
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
