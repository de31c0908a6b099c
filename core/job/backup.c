#include "job/backup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "job/destination.h"
#include "job/expect.h"
#include "job/freeze.h"
#include "job/gate.h"
#include "job/gather.h"
#include "job/leftover.h"
#include "job/history.h"
#include "job/past.h"
#include "job/prune.h"
#include "job/row.h"
#include "job/state.h"
#include "worker/engine.h"
#include "worker/retry.h"
#include "worker/worker.h"

/* Snapshots that are looked through for what a source recorded: it may have failed, or not have been asked for. */
#define LOOK_BACK_MAX 16

/* Everything of one run. */
struct run {
    const struct engine *engine;
    const struct config_job *job;
    bool dry, partial;
    const struct backup_request *request;
    struct backup_result *result;
    struct manifest *manifest;
    int lock;
    struct worker **sources; /* started and checked; opened, used and stopped one after another */
    struct freeze *freeze;
    struct expect *expect;
    struct gate *gate;
    struct manifest *before[LOOK_BACK_MAX]; /* the last snapshots, the newest first, as far as somebody asks for them */
    size_t before_count;
    bool differs; /* from it, in a source at least */
    struct destinations to;
};

void backup_result_free(struct backup_result *result)
{
    for (size_t i = 0; i < result->sink_count; i++) {
        free(result->sinks[i].error);
        free(result->sinks[i].plugin_version);
        free(result->sinks[i].warning);
    }
    free(result->sinks);
    manifest_free(result->manifest);
    *result = (struct backup_result){0};
}

bool backup_complete(const struct backup_result *result)
{
    if (result->held > 0 || !result->manifest || result->manifest->status != MANIFEST_COMPLETE)
        return false;
    for (size_t i = 0; i < result->sink_count; i++)
        if (!result->sinks[i].committed)
            return false;
    return true;
}

/* ---- before anything is read ---- */

static int take_lock(struct run *run, struct error *e)
{
    const char *job = run->job->name;
    if (state_directory(run->engine->config, job, run->to.state, e) < 0)
        return -1;
    return state_lock(run->to.state, job, &run->lock, e);
}

static int describe_run(struct run *run, struct error *e)
{
    struct manifest *m = run->manifest = calloc(1, sizeof *m);
    if (!m || !(m->sources = calloc(run->job->source_count, sizeof *m->sources)))
        return error_memory(e);
    m->started = clock_now();
    m->partial = run->partial;
    m->job = text_copy(run->job->name);
    m->host = text_copy(run->engine->config->host);
    m->version = text_copy(COFRE_VERSION);
    const char *label = run->request->label;
    m->label = label ? text_copy(label) : NULL;
    return m->job && m->host && m->version && (m->label || !label) ? 0 : error_memory(e);
}

/* Load every plugin and check every section, so that a mistake in the configuration shows before anything is read. */
static int check_sources(struct run *run, struct error *e)
{
    run->sources = calloc(run->job->source_count, sizeof(struct worker *));
    if (!run->sources)
        return error_memory(e);
    for (size_t i = 0; i < run->job->source_count; i++)
        if (engine_start(run->engine, run->job->sources[i], PLUGIN_SOURCE, &run->sources[i], e) < 0 ||
            row_describe(&run->manifest->sources[run->manifest->source_count++], run->job->sources[i],
                         worker_plugin(run->sources[i]), e) < 0)
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
    for (size_t i = 0; i < result->sink_count; i++) {
        result->sinks[i].name = run->job->sinks[i]->name;
        result->sinks[i].plugin = run->job->sinks[i]->plugin;
    }
    return destination_open(&run->to, result->sinks, run->manifest, e);
}

/* The last snapshot that has source i, and its row there; NULL = none of those that were read. */
static const struct manifest *find_past(const struct run *run, size_t i, const struct manifest_source **row)
{
    for (size_t k = 0; k < run->before_count; k++) {
        const struct manifest *m = run->before[k];
        for (size_t n = 0; n < m->source_count; n++)
            if (strcmp(m->sources[n].name, run->job->sources[i]->name) == 0 &&
                m->sources[n].status != MANIFEST_MISSING) {
                *row = &m->sources[n];
                return m;
            }
    }
    return NULL;
}

/* Does a source go on from what it recorded, and was that not found yet? */
static bool looks_further(const struct run *run)
{
    const struct manifest_source *row;
    for (size_t i = 0; i < run->job->source_count; i++)
        if (past_is_wanted(worker_plugin(run->sources[i])) && !find_past(run, i, &row))
            return true;
    return false;
}

static int read_before(struct run *run, const struct manifest *now, struct error *e)
{
    struct error why;
    char text[ERROR_TEXT_MAX];
    if (destination_before(&run->to, now, &run->before[run->before_count], &why) == 0) {
        run->before_count++;
        return 0;
    }
    /* Of older ones it is no wonder: they may have been removed. */
    if (run->before_count == 0)
        log_line(LOG_NOTICE, "job '%s': nothing is known of what its sources were before: %s", run->job->name,
                 error_text(&why, text));
    return cancel_requested() ? (*e = why, -1) : 1;
}

static int learn_sizes(struct run *run, const struct manifest *before, struct error *e)
{
    bool accepted = false;
    if (manifest_is_suspect(before) && destination_accepted(&run->to, before, &accepted, e) < 0)
        return -1;
    return gate_learn(run->gate, before, accepted, e);
}

/* Where this machine does not know what to expect, or how large the sources were, the snapshots before may tell; and a
 * source may go on from one. That they cannot be read is no failure. */
static int look_back(struct run *run, struct error *e)
{
    if (expect_load(run->to.state, &run->expect, e) < 0 || gate_load(run->to.state, run->job, &run->gate, e) < 0)
        return -1;
    bool knows = expect_knows(run->expect), learns = !gate_knows(run->gate);
    const struct manifest *now = run->manifest;
    int got = 0;
    while (got == 0 && run->before_count < LOOK_BACK_MAX && now->previous_id[0] != '\0' &&
           (looks_further(run) || (run->before_count == 0 && !knows) || (learns && gate_asks(run->gate)))) {
        got = read_before(run, now, e);
        now = got == 0 ? run->before[run->before_count - 1] : now;
        if (got == 0 && learns && learn_sizes(run, now, e) < 0)
            return -1;
    }
    if (got < 0)
        return -1;
    return knows || run->before_count == 0 ? 0 : expect_learn(run->expect, run->before[0], e);
}

/* ---- sources ---- */

static int compare_source(struct run *run, size_t i, uint64_t below, bool *source_failed, struct error *e)
{
    bool differs;
    struct manifest_source *row = &run->manifest->sources[i];
    *source_failed = false;
    if (expect_compare(run->expect, row, &differs, e) < 0 ||
        gate_look(run->gate, run->job->sources[i], row, below, e) < 0)
        return -1;
    run->differs = run->differs || differs;
    return 0;
}

/* One source being read, as often as it takes. */
struct reading {
    struct run *run;
    size_t i;
    struct baseline *baseline;
    bool source_failed;
    bool again; /* nothing was taken of it: it may be tried again */
};

/* A frozen one is open, and has no other moment: it is not tried again. */
static int open_source(struct reading *r, struct error *e)
{
    struct run *run = r->run;
    const struct config_instance *source = run->job->sources[r->i];
    if (freeze_has_opened(run->freeze, r->i))
        return 0;
    r->again = true;
    if (!run->sources[r->i] && engine_load(run->engine, source, PLUGIN_SOURCE, &run->sources[r->i], e) < 0)
        return -1;
    return engine_try_worker(source, run->sources[r->i], NULL, 0, e);
}

/* What the source recorded last, for a plugin that goes on from there. */
static int recall(const struct reading *r, struct past **past, struct error *e)
{
    const struct run *run = r->run;
    const struct manifest_source *row;
    struct worker *worker = run->sources[r->i];
    const struct manifest *before = past_is_wanted(worker_plugin(worker)) ? find_past(run, r->i, &row) : NULL;
    *past = NULL;
    return before ? past_tell(worker, before->id, row, past, e) : 0;
}

static int gather_source(struct reading *r, struct error *e)
{
    struct run *run = r->run;
    r->source_failed = true;
    r->again = false;
    if (freeze_result(run->freeze, r->i, e) < 0 || open_source(r, e) < 0)
        return -1;
    struct gather gather = {.engine = run->engine,
                            .worker = run->sources[r->i],
                            .savers = &run->to.savers,
                            .baseline = r->baseline,
                            .source = &run->manifest->sources[r->i]};
    const char *name = run->job->sources[r->i]->name;
    int64_t begun = clock_now();
    struct past *past;
    int result = recall(r, &past, e);
    if (result == 0)
        result = gather_run(&gather, &r->source_failed, e);
    past_free(past);
    if (!run->dry && result == 0)
        leftover_replace(run->engine->config, name, run->sources[r->i], begun);
    else if (!run->dry)
        leftover_add(run->engine->config, name, run->sources[r->i]);
    r->again = r->again && r->source_failed && !gather.begun;
    if (result == 0)
        result = compare_source(run, r->i, gather.below, &r->source_failed, e);
    run->result->unchanged += gather.unchanged;
    return result;
}

/* Once, with a worker of its own. */
static int try_source(void *context, struct error *e)
{
    struct reading *r = context;
    struct run *run = r->run;
    int result = gather_source(r, e);
    freeze_thaw(run->freeze, r->i, run->sources[r->i]);
    worker_stop(run->sources[r->i]);
    run->sources[r->i] = NULL;
    if (result < 0 && !r->again && e->class == ERROR_RETRY)
        e->class = ERROR_PERMANENT;
    return result;
}

static int read_source(struct run *run, size_t i, struct baseline *baseline, bool *source_failed, struct error *e)
{
    struct reading reading = {.run = run, .i = i, .baseline = baseline};
    int result = retry_run(engine_patience(run->job->sources[i]), try_source, &reading, e);
    *source_failed = reading.source_failed;
    return result;
}

static int record_source(struct run *run, size_t i, bool *source_failed, struct error *e)
{
    struct baseline *baseline;
    *source_failed = false;
    int result =
        destination_begin(&run->to, i, run->manifest->sources[i].name, worker_plugin(run->sources[i]), &baseline, e);
    if (result == 0)
        result = read_source(run, i, baseline, source_failed, e);
    destination_end(&run->to, baseline, result < 0);
    return result;
}

static void say_source(const struct manifest_source *row)
{
    char size[TEXT_SIZE_MAX];
    log_line(LOG_NOTICE, "source '%s': %llu entries, %s%s%s", row->name, (unsigned long long)row->entries,
             text_size(row->bytes, size), row->status == MANIFEST_COMPLETE ? "" : ", incomplete",
             row->suspect ? ", suspect" : "");
}

/* A source that failed is a part that is missing. */
static int lose_source(struct run *run, size_t i, struct error *e)
{
    struct error why = *e;
    log_error(LOG_ERROR, &why);
    return row_missing(&run->manifest->sources[i], &why, e);
}

static int record_sources(struct run *run, struct error *e)
{
    size_t missing = 0, count = run->job->source_count;
    if (freeze_sources(run->engine, run->job, run->sources, &run->freeze, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        bool source_failed;
        if (record_source(run, i, &source_failed, e) == 0) {
            say_source(&run->manifest->sources[i]);
        } else if (!source_failed || cancel_requested()) {
            return -1;
        } else if (++missing == count) {
            return count > 1 ? error_consequence(e, "every source failed; the last: ") : -1;
        } else if (lose_source(run, i, e) < 0) {
            return -1;
        }
        if (run->manifest->sources[i].status != MANIFEST_COMPLETE)
            run->manifest->status = MANIFEST_INCOMPLETE;
    }
    return 0;
}

/* ---- the run ---- */

static void conclude(const struct run *run)
{
    struct error e;
    if (!run->dry && expect_save(run->expect, &e) < 0)
        log_line(LOG_WARNING, "the snapshot is committed, but this machine could not note what it found: %s",
                 e.message);
    if (run->differs)
        log_line(LOG_WARNING, "job '%s': if what differs from before is as it should be: cofre accept %s",
                 run->job->name, run->job->name);
    if (!manifest_is_suspect(run->manifest))
        return;
    if (run->dry)
        log_line(LOG_WARNING, "job '%s': the snapshot would be suspect", run->job->name);
    else
        log_line(LOG_WARNING,
                 "job '%s': the snapshot is suspect and counts for nothing; if it is as it should be: "
                 "cofre accept %s@%s",
                 run->job->name, run->job->name, run->manifest->id);
}

/* In each sink that has the new snapshot; after a dry run none has. */
static void prune_sinks(struct run *run)
{
    const struct destinations *to = &run->to;
    for (size_t i = 0; i < to->count && !cancel_requested(); i++) {
        struct backup_sink *sink = to->items[i].result;
        struct prune_result pruned;
        if (!sink->committed)
            continue;
        if (!prune_after_run(to->items[i].vault, run->job, &to->history, &pruned))
            run->result->unpruned = true;
        sink->removed = pruned.removed;
        sink->kept = pruned.kept + pruned.held;
    }
}

static int begin(struct run *run, struct error *e)
{
    const struct backup_request *request = run->request;
    int begun = request->begin ? request->begin(request->context, e) : 0;
    run->result->skipped = begun > 0;
    return begun < 0 ? -1 : 0;
}

static int save(struct run *run, struct error *e)
{
    struct destinations *to = &run->to;
    if (open_sinks(run, e) < 0)
        return -1;
    history_say_renamed(&to->history, run->job->name);
    if (history_continue(&to->history, run->manifest, e) < 0 || look_back(run, e) < 0 ||
        destination_start(to, run->manifest, e) < 0 || record_sources(run, e) < 0)
        return -1;
    if (!run->dry && destination_commit(to, run->manifest, e) < 0)
        return -1;
    conclude(run);
    prune_sinks(run);
    return 0;
}

static int carry_out(struct run *run, struct error *e)
{
    struct destinations *to = &run->to;
    if (run->job->sink_count > SAVER_SINKS_MAX) {
        error_set(e, ERROR_CONFIG, "has more than %d sinks", SAVER_SINKS_MAX);
        return error_subject(e, "job", run->job->name);
    }
    if (describe_run(run, e) < 0 || take_lock(run, e) < 0 || check_sources(run, e) < 0 ||
        history_load(to->state, run->manifest->host, &to->history, e) < 0 || begin(run, e) < 0)
        return -1;
    return run->result->skipped ? 0 : save(run, e);
}

/* All but the lock. why: of a failed run, else NULL. */
static void end_run(struct run *run, const struct error *why)
{
    run->result->held = freeze_end(run->freeze, run->sources);
    destination_close(&run->to, why);
    expect_free(run->expect);
    gate_free(run->gate);
    for (size_t i = 0; i < run->before_count; i++)
        manifest_free(run->before[i]);
    for (size_t i = 0; run->sources && i < run->job->source_count; i++)
        worker_stop(run->sources[i]);
    free(run->sources);
}

int backup_run(const struct engine *engine, const struct backup_request *request, struct backup_result *result,
               struct error *e)
{
    /* The job as it is asked for: all below takes its sources from here. */
    struct config_job job = *request->job;
    if (request->sources) {
        job.sources = request->sources;
        job.source_count = request->source_count;
    }
    *result = (struct backup_result){0};
    struct run run = {.engine = engine,
                      .job = &job,
                      .dry = request->dry_run,
                      .request = request,
                      .partial = job.source_count < request->job->source_count,
                      .result = result,
                      .lock = -1,
                      .to = {.run = {.engine = engine, .job = &job, .state = run.to.state, .dry = request->dry_run}}};
    int64_t started = clock_monotonic();
    int done = carry_out(&run, e);
    end_run(&run, done < 0 ? e : NULL);
    result->elapsed = clock_monotonic() - started;
    if (done == 0 && !result->skipped)
        result->manifest = run.manifest;
    else
        manifest_free(run.manifest);
    if (request->end)
        request->end(request->context, result, done < 0 ? e : NULL);
    if (run.lock >= 0)
        close(run.lock);
    return done;
}
