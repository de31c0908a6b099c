#include "operation/report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

#define ELAPSED_MAX 1e9 /* s */

/* One job while its records are read, newest first. */
struct reading {
    const struct report *report;
    struct report_job *job;
    json_t *accepted; /* ids of snapshots that were suspect, as members */
    json_t *copied;   /* ids of snapshots, with the name of a sink elsewhere that they were copied to */
    size_t capacity;  /* of the runs */
    bool no_memory;
};

bool report_elsewhere(const struct config_instance *sink)
{
    return strcmp(sink->plugin, "local") != 0;
}

double report_success(const struct report_job *job)
{
    size_t all = job->results[REPORT_COMPLETE] + job->results[REPORT_PARTLY] + job->results[REPORT_FAILED];
    return all == 0 ? -1 : (double)job->results[REPORT_COMPLETE] / (double)all;
}

double report_deduplication(uint64_t bytes, uint64_t added)
{
    return bytes == 0 ? -1 : added >= bytes ? 0 : 1 - (double)added / (double)bytes;
}

static bool is_accepted(const struct reading *r, const json_t *record)
{
    const char *id = records_text(record, "snapshot");
    return id && json_object_get(r->accepted, id);
}

/* ---- runs ---- */

/* A record may have been made by anybody who can write the file. */
static uint64_t size_of(const json_t *record, const char *member)
{
    int64_t number = records_number(record, member);
    return number > 0 ? (uint64_t)number : 0;
}

/* ms; -1 = not known */
static int64_t elapsed_of(const json_t *record)
{
    const json_t *elapsed = json_object_get(record, "elapsed");
    double seconds = json_number_value(elapsed);
    return json_is_number(elapsed) && seconds >= 0 && seconds < ELAPSED_MAX ? (int64_t)(1000 * seconds) : -1;
}

static enum report_result result_of(const struct reading *r, const json_t *record)
{
    if (records_is(record, "status", "skipped") || records_is(record, "snapshot_status", "partial") ||
        json_array_size(json_object_get(record, "asked")) > 0)
        return REPORT_ASIDE;
    if (records_is(record, "status", "complete") || (records_is(record, "status", "suspect") && is_accepted(r, record)))
        return REPORT_COMPLETE;
    return records_is(record, "status", "incomplete") || records_is(record, "status", "suspect") ? REPORT_PARTLY
                                                                                                 : REPORT_FAILED;
}

/* NULL stays NULL. */
static char *keep(struct reading *r, const char *text)
{
    char *copy = text ? text_copy(text) : NULL;
    r->no_memory |= text && !copy;
    return copy;
}

static struct report_run *add_run(struct reading *r)
{
    struct report_job *job = r->job;
    if (job->run_count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 128;
        struct report_run *grown = reallocarray(job->runs, capacity, sizeof *grown);
        if (!grown) {
            r->no_memory = true;
            return NULL;
        }
        job->runs = grown;
        r->capacity = capacity;
    }
    return &job->runs[job->run_count++];
}

static void take_run(struct reading *r, const json_t *record)
{
    struct report_run *run = add_run(r);
    if (!run)
        return;
    enum report_result result = result_of(r, record);
    bool complete = records_is(record, "snapshot_status", "complete") || is_accepted(r, record);
    *run = (struct report_run){.started = records_time(record, "started"),
                               .ended = records_time(record, "ended"),
                               .elapsed = elapsed_of(record),
                               .result = result,
                               .sized = result != REPORT_ASIDE && complete,
                               .id = keep(r, records_text(record, "id")),
                               .status = keep(r, records_text(record, "status")),
                               .snapshot = keep(r, records_text(record, "snapshot")),
                               .label = keep(r, records_text(record, "label")),
                               .error = keep(r, records_why(record))};
    r->job->results[result]++;
    if (!run->sized)
        return;
    run->bytes = size_of(record, "bytes");
    run->added = size_of(record, "added");
    r->job->bytes += run->bytes;
    r->job->added += run->added;
}

static void take_sinks(struct reading *r, const json_t *record)
{
    for (size_t i = 0; i < r->job->status->job->sink_count; i++) {
        const json_t *row = records_row(record, "sinks", r->job->status->sinks[i].sink->name);
        struct report_sink *sink = &r->job->sinks[i];
        bool committed = json_is_true(json_object_get(row, "committed"));
        sink->runs += row != NULL;
        sink->committed += committed;
        sink->added += committed ? size_of(row, "added") : 0;
    }
}

static void take_restore(struct reading *r, const json_t *record)
{
    int64_t ended = records_time(record, "ended");
    for (size_t i = 0; i < r->job->status->job->sink_count; i++) {
        struct report_sink *sink = &r->job->sinks[i];
        if (records_is(record, "status", "complete") && ended > sink->restored &&
            records_row(record, "sinks", r->job->status->sinks[i].sink->name))
            sink->restored = ended;
    }
}

/* ---- what outlives the machine ---- */

/* The sink elsewhere that the snapshot of the run is in; NULL = none that is known. */
static const struct config_instance *away(const struct reading *r, const json_t *record)
{
    const char *id = records_text(record, "snapshot");
    const char *copied = id ? json_string_value(json_object_get(r->copied, id)) : NULL;
    for (size_t i = 0; i < r->job->status->job->sink_count; i++) {
        const struct config_instance *sink = r->job->status->job->sinks[i];
        const json_t *row = records_row(record, "sinks", sink->name);
        if (report_elsewhere(sink) &&
            (json_is_true(json_object_get(row, "committed")) || (copied && strcmp(copied, sink->name) == 0)))
            return sink;
    }
    return NULL;
}

static void take_sources(struct reading *r, const json_t *record)
{
    const char *id = records_text(record, "snapshot");
    const struct config_instance *sink = id && strlen(id) < MANIFEST_ID_SIZE ? away(r, record) : NULL;
    int64_t began = records_time(record, "snapshot_started");
    for (size_t i = 0; i < r->job->status->job->source_count && sink; i++) {
        struct report_source *source = &r->job->sources[i];
        const json_t *row = records_row(record, "sources", source->source->name);
        if (!records_is(row, "status", "complete") || (records_text(row, "suspect") && !is_accepted(r, record)) ||
            began <= source->began)
            continue;
        source->sink = sink;
        source->began = began;
        memcpy(source->id, id, strlen(id) + 1);
    }
}

static void take_copy(struct reading *r, const json_t *record)
{
    const char *id = records_text(record, "snapshot");
    for (size_t i = 0; i < r->job->status->job->sink_count && id && records_is(record, "status", "complete"); i++) {
        const struct config_instance *sink = r->job->status->job->sinks[i];
        if (report_elsewhere(sink) && records_row(record, "sinks", sink->name) &&
            json_object_set_new(r->copied, id, json_string(sink->name)) < 0)
            r->no_memory = true;
    }
}

/* ---- the records of one job ---- */

static void take(struct reading *r, const json_t *record)
{
    bool within = records_time(record, "ended") >= r->report->since;
    if (records_accepted(record) && json_object_set_new(r->accepted, records_accepted(record), json_true()) < 0)
        r->no_memory = true;
    if (records_is(record, "command", "copy"))
        take_copy(r, record);
    if (within && records_is(record, "command", "restore"))
        take_restore(r, record);
    if (!records_is(record, "command", "run"))
        return;
    take_sources(r, record);
    if (!within)
        return;
    take_run(r, record);
    take_sinks(r, record);
}

static bool knows_sources(const struct report_job *job)
{
    for (size_t i = 0; i < job->status->job->source_count; i++)
        if (!job->sources[i].sink)
            return false;
    return true;
}

/* Can one that is older say more than is known? */
static bool may_know_sources(const struct report_job *job)
{
    for (size_t i = 0; i < job->status->job->sink_count; i++)
        if (report_elsewhere(job->status->job->sinks[i]))
            return !knows_sources(job);
    return false;
}

static bool visit(void *context, const char *line, size_t length)
{
    struct reading *r = context;
    json_t *record = records_parse(line, length);
    /* A line that is none is a flaw of the chain. */
    bool past = record && records_time(record, "ended") < r->report->since;
    if (record)
        take(r, record);
    json_decref(record);
    return !r->no_memory && (!past || may_know_sources(r->job));
}

static void reverse(struct report_job *job)
{
    for (size_t i = 0; i < job->run_count / 2; i++) {
        struct report_run *a = &job->runs[i], *b = &job->runs[job->run_count - 1 - i], run = *a;
        *a = *b;
        *b = run;
    }
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure(struct reading *r)
{
    struct report_job *job = r->job;
    int64_t *took = calloc(job->run_count + 1, sizeof *took);
    size_t count = 0;
    job->median = job->longest = -1;
    r->no_memory |= !took;
    for (size_t i = 0; i < job->run_count && took; i++)
        if (job->runs[i].result != REPORT_ASIDE && job->runs[i].elapsed >= 0)
            took[count++] = job->runs[i].elapsed;
    if (count > 0) {
        qsort(took, count, sizeof *took, by_value);
        job->median = took[(count - 1) / 2];
        job->longest = took[count - 1];
    }
    free(took);
}

static int make_job(const struct status_job *from, struct report_job *job, struct error *e)
{
    job->status = from;
    job->sinks = calloc(from->job->sink_count + 1, sizeof *job->sinks);
    job->sources = calloc(from->job->source_count + 1, sizeof *job->sources);
    if (!job->sinks || !job->sources)
        return error_memory(e);
    for (size_t i = 0; i < from->job->sink_count; i++)
        job->sinks[i].restored = INT64_MIN;
    for (size_t i = 0; i < from->job->source_count; i++)
        job->sources[i] = (struct report_source){.source = from->job->sources[i], .began = INT64_MIN};
    return 0;
}

static int read_job(const struct config *config, const struct report *report, struct report_job *job, struct error *e)
{
    struct reading r = {.report = report, .job = job, .accepted = json_object(), .copied = json_object()};
    char directory[PATH_MAX];
    struct error ignored;
    int result = 0;
    if (!r.accepted || !r.copied)
        r.no_memory = true;
    else if ((result = records_directory(config, job->status->job->name, NULL, directory, e)) == 0)
        /* What cannot be read is said with the chain. */
        (void)records_back(directory, visit, &r, &ignored);
    json_decref(r.accepted);
    json_decref(r.copied);
    reverse(job);
    measure(&r);
    return r.no_memory ? error_memory(e) : result;
}

/* ---- the chains ---- */

static void note_flaw(void *context, size_t line, const char *what)
{
    struct report_chain *chain = context;
    if (!chain->flaw[0])
        snprintf(chain->flaw, sizeof chain->flaw, "line %zu: %s", line, what);
}

static int check_chain(const struct config *config, struct report *report, const char *job, const char *sink,
                       struct error *e)
{
    struct report_chain *chain = &report->chains[report->chain_count];
    char directory[PATH_MAX];
    struct error why_not;
    *chain = (struct report_chain){.job = job, .sink = sink};
    if (records_directory(config, job, sink, directory, e) < 0)
        return -1;
    if (records_check(directory, note_flaw, chain, &chain->chain, &why_not) < 0)
        snprintf(chain->flaw, sizeof chain->flaw, "%.200s", why_not.message);
    report->chain_count++;
    report->flawed += chain->flaw[0] != '\0';
    return 0;
}

int report_read(const struct config *config, int64_t since, struct report *report, struct error *e)
{
    *report = (struct report){.since = since};
    if (status_read(config, NULL, &report->status, e) < 0)
        return -1;
    report->jobs = calloc(config->job_count + 1, sizeof *report->jobs);
    report->chains = calloc(config->job_count + config->sink_count + 1, sizeof *report->chains);
    if (!report->jobs || !report->chains)
        return error_memory(e);
    for (size_t i = 0; i < report->status.job_count; i++)
        if (make_job(&report->status.jobs[i], &report->jobs[i], e) < 0 ||
            read_job(config, report, &report->jobs[i], e) < 0 ||
            check_chain(config, report, config->jobs[i].name, NULL, e) < 0)
            return -1;
    for (size_t i = 0; i < config->sink_count; i++)
        if (check_chain(config, report, NULL, config->sinks[i].name, e) < 0)
            return -1;
    return 0;
}

static void free_job(struct report_job *job)
{
    for (size_t i = 0; i < job->run_count; i++) {
        char *texts[] = {job->runs[i].id, job->runs[i].status, job->runs[i].snapshot, job->runs[i].label,
                         job->runs[i].error};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
            free(texts[k]);
    }
    free(job->runs);
    free(job->sinks);
    free(job->sources);
}

void report_free(struct report *report)
{
    for (size_t i = 0; report->jobs && i < report->status.job_count; i++)
        free_job(&report->jobs[i]);
    free(report->jobs);
    free(report->chains);
    status_free(&report->status);
    *report = (struct report){0};
}
