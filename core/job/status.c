#include "job/status.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "job/attempt.h"
#include "job/due.h"
#include "job/records.h"

#define SECOND INT64_C(1000000000) /* ns */
#define HOUR (3600 * SECOND)
#define RHYTHM 6 /* so many runs are one, */

/* One job while its records are read, newest first. */
struct reading {
    struct status *status;
    struct status_job *job;
    size_t complete[STATUS_DAYS], partly[STATUS_DAYS], runs[STATUS_DAYS];
    int64_t day;           /* today */
    int64_t began[RHYTHM]; /* the newest runs of the whole job, without a schedule */
    size_t began_count;
    json_t *accepted; /* ids of snapshots that were suspect, as members */
    bool past;        /* what comes is older than all of the days */
};

/* Days since 1970 as the calendar here has them. */
static int64_t day_of(int64_t ns)
{
    time_t when = ns / SECOND;
    struct tm tm;
    return localtime_r(&when, &tm) ? (when + tm.tm_gmtoff) / 86400 : 0;
}

/* The row of a sink in the record's list; NULL = none. */
/* ---- what a record says ---- */

/* "status" or "snapshot_status" as the run left it; a snapshot that somebody accepted later is as any other. */
static const char *word_of(const struct reading *r, const json_t *record, const char *member)
{
    const char *id = records_text(record, "snapshot"), *word = records_text(record, member);
    bool suspect = id && word && strcmp(word, "suspect") == 0;
    return suspect && json_object_get(r->accepted, id) ? "complete" : word;
}

static void take_run(struct reading *r, const json_t *record)
{
    const char *word = word_of(r, record, "status");
    int64_t day = r->day - day_of(records_time(record, "ended"));
    if (!r->job->last)
        r->job->last = json_incref((json_t *)(uintptr_t)record);
    bool part =
        records_is(record, "snapshot_status", "partial") || json_array_size(json_object_get(record, "asked")) > 0;
    if (!part && !r->job->job->schedule && r->began_count < RHYTHM)
        r->began[r->began_count++] = records_time(record, "started");
    if (records_is(record, "status", "skipped"))
        return;
    if (!r->job->tried) {
        r->job->tried = json_incref((json_t *)(uintptr_t)record);
        r->job->accepted = !records_is(record, "status", word);
    }
    /* Of some sources alone: it says nothing of the job. */
    if (day < 0 || day >= STATUS_DAYS || records_is(record, "snapshot_status", "partial"))
        return;
    size_t at = (size_t)(STATUS_DAYS - 1 - day);
    r->runs[at]++;
    r->complete[at] += strcmp(word, "complete") == 0;
    r->partly[at] += strcmp(word, "incomplete") == 0 || strcmp(word, "suspect") == 0;
}

static void take_size(struct reading *r, const json_t *record)
{
    struct status_job *job = r->job;
    uint64_t bytes = (uint64_t)records_number(record, "bytes");
    const char *word = word_of(r, record, "snapshot_status");
    if (!word || strcmp(word, "complete") != 0 || job->sizes == 2)
        return;
    if (job->sizes == 0) {
        job->bytes = bytes;
        job->entries = (uint64_t)records_number(record, "entries");
    } else {
        job->bytes_before = bytes;
    }
    job->sizes++;
}

/* A snapshot that came to sinks: by a run, or by a copy; or was accepted there. rows: they say of each sink whether it
 * did. */
static void take_snapshot(struct reading *r, const json_t *record, bool rows)
{
    const char *id = records_text(record, "snapshot");
    int64_t began = records_time(record, "snapshot_started");
    if (!id || strlen(id) >= MANIFEST_ID_SIZE || !records_is(record, "snapshot_status", "complete") ||
        (!rows && !records_is(record, "status", "complete")))
        return;
    for (size_t i = 0; i < r->job->job->sink_count; i++) {
        struct status_sink *s = &r->job->sinks[i];
        const json_t *row = records_row(record, "sinks", s->sink->name);
        if (!row || (rows && !json_is_true(json_object_get(row, "committed"))) || began <= s->good)
            continue;
        s->good = began;
        s->added = (uint64_t)records_number(row, "added");
        memcpy(s->good_id, id, strlen(id) + 1);
    }
}

static void take_space(struct reading *r, const json_t *record)
{
    int64_t when = records_time(record, "ended");
    for (size_t i = 0; i < r->job->job->sink_count; i++) {
        struct status_sink *s = &r->job->sinks[i];
        const json_t *row = records_row(record, "sinks", s->sink->name);
        int64_t space = records_number(row, "space"), available = records_number(row, "available");
        if (when <= s->measured || space <= 0 || available < 0 || available > space)
            continue;
        s->measured = when;
        s->space = (uint64_t)space;
        s->available = (uint64_t)available;
    }
}

static void take_verified(struct status_sink *s, const json_t *record)
{
    const json_t *row = records_row(record, "sinks", s->sink->name);
    int64_t when = records_time(record, "ended");
    bool all = !records_text(record, "snapshot") && !json_is_true(json_object_get(record, "quick"));
    if (row && all && records_is(row, "status", "verified") && when > s->verified)
        s->verified = when;
    if (row && records_is(row, "status", "damaged") && when > s->damaged)
        s->damaged = when;
}

static void take(struct reading *r, const json_t *record)
{
    r->past = records_time(record, "ended") < r->status->now - (STATUS_DAYS + 1) * 86400 * SECOND;
    bool run = records_is(record, "command", "run");
    if (run) {
        take_run(r, record);
        take_size(r, record);
        take_space(r, record);
    }
    bool accept = records_is(record, "command", "accept");
    if (run || accept || records_is(record, "command", "copy"))
        take_snapshot(r, record, run || accept);
    if (records_accepted(record) && json_object_set_new(r->accepted, records_accepted(record), json_true()) < 0)
        r->job->damaged = true;
    if (records_is(record, "command", "verify"))
        for (size_t i = 0; i < r->job->job->sink_count; i++)
            take_verified(&r->job->sinks[i], record);
}

/* ---- reading no more than is needed ---- */

static bool knows_snapshots(const struct status_job *job)
{
    bool all = job->tried && job->sizes == 2;
    for (size_t i = 0; i < job->job->sink_count; i++)
        all = all && job->sinks[i].good != INT64_MIN;
    return all;
}

static bool knows_rhythm(const struct reading *r)
{
    return r->job->job->schedule || r->began_count == RHYTHM;
}

static bool knows_verified(const struct status_job *job)
{
    bool all = true;
    for (size_t i = 0; i < job->job->sink_count; i++)
        all = all && job->sinks[i].verified != INT64_MIN;
    return all;
}

static const char verify[] = "\"command\":\"verify\"";

static bool has(const char *line, size_t length, const char *text)
{
    return memmem(line, length, text, strlen(text)) != NULL;
}

/* Parsing takes a hundred times as long as a look: may the line tell what is not known yet? Quotes inside of a text are
 * escaped, so these can be found in no other place. */
static bool may_tell(const struct reading *r, const char *line, size_t length)
{
    const struct status_job *job = r->job;
    char name[96];
    bool may = ((!job->tried || !knows_rhythm(r)) && has(line, length, "\"command\":\"run\"")) ||
               (job->sizes < 2 && (has(line, length, "\"snapshot_status\":\"complete\"") ||
                                   has(line, length, "\"snapshot_status\":\"suspect\""))) ||
               (!knows_verified(job) && has(line, length, verify)) || has(line, length, "\"command\":\"accept\"");
    for (size_t i = 0; i < job->job->sink_count && !may; i++) {
        if (job->sinks[i].good != INT64_MIN)
            continue;
        snprintf(name, sizeof name, "\"name\":\"%.64s\"", job->sinks[i].sink->name);
        const char *row = memmem(line, length, name, strlen(name)), *end = line + length;
        const char *close = row ? memchr(row, '}', (size_t)(end - row)) : NULL;
        may = close &&
              (has(row, (size_t)(close - row), "\"committed\":true") || has(line, length, "\"command\":\"copy\""));
    }
    return may;
}

static bool visit(void *context, const char *line, size_t length)
{
    struct reading *r = context;
    if (r->past && knows_snapshots(r->job) && knows_verified(r->job) && knows_rhythm(r))
        return false;
    if (r->past && !may_tell(r, line, length))
        return true;
    json_t *record = records_parse(line, length);
    if (record)
        take(r, record);
    else
        r->job->damaged = true;
    json_decref(record);
    return true;
}

static bool visit_verified(void *context, const char *line, size_t length)
{
    struct status_sink *s = context;
    if (!has(line, length, verify))
        return true;
    json_t *record = records_parse(line, length);
    if (record && records_is(record, "command", "verify"))
        take_verified(s, record);
    bool older = record && records_time(record, "ended") <= s->verified;
    json_decref(record);
    return !older;
}

/* ---- what is at work, or was killed and has no record yet ---- */

static void look_at_open(void *context, const struct attempt_open *open)
{
    struct reading *r = context;
    int64_t started = records_time(open->record, "started");
    if (open->alive) {
        if (records_is(open->record, "command", "run") && r->job->running < started)
            r->job->running = started;
        return;
    }
    json_t *killed = json_deep_copy(open->record);
    json_t *end = json_pack("{s:s, s:O}", "status", "killed", "ended", json_object_get(killed, "started"));
    if (killed && end && json_object_update(killed, end) == 0)
        take(r, killed);
    r->past = false; /* of the records */
    json_decref(end);
    json_decref(killed);
}

/* ---- one job ---- */

static void sum_up(const struct reading *r)
{
    struct status_job *job = r->job;
    for (size_t i = 0; i < STATUS_DAYS; i++) {
        job->runs += r->runs[i];
        job->runs_complete += r->complete[i];
        job->days[i] = r->runs[i] == 0                 ? STATUS_NO_RUN
                       : r->complete[i] == r->runs[i]  ? STATUS_GOOD
                       : r->complete[i] + r->partly[i] ? STATUS_MIXED
                                                       : STATUS_BAD;
    }
}

static void look_at_schedule(const struct config *config, const struct status *status, struct status_job *job)
{
    struct due_rule rule;
    int64_t due, began = job->running;
    if (!due_rule_of(config, job->job, &rule))
        return;
    if (!due_next(&rule, status->now, &job->next))
        job->next = INT64_MIN;
    if (job->last && records_time(job->last, "started") > began)
        began = records_time(job->last, "started");
    if (began != INT64_MIN && due_next(&rule, began, &due) && due + DUE_LATE < status->now)
        job->missed = due;
    bool looks = status->looked != INT64_MIN && status->now - status->looked < DUE_UNSEEN;
    job->unattended = !looks && (began == INT64_MIN || job->missed != INT64_MIN);
}

/* Runs at intervals that are much alike are not those of a person. */
static void look_at_rhythm(struct reading *r)
{
    int64_t least = INT64_MAX, most = 0;
    bool newest = r->began_count == RHYTHM && records_time(r->job->last, "started") == r->began[0];
    if (!newest || r->job->running != INT64_MIN)
        return;
    for (size_t i = 0; i + 1 < RHYTHM; i++) {
        int64_t interval = r->began[i] - r->began[i + 1];
        least = interval < least ? interval : least;
        most = interval > most ? interval : most;
    }
    if (least >= HOUR && most - least <= least / 2 && (r->status->now - r->began[0]) / 2 > most)
        r->job->silent = most / 1000000;
}

static int read_job(const struct config *config, struct status *status, struct status_job *job, struct error *e)
{
    struct reading r = {.status = status, .job = job, .day = day_of(status->now), .accepted = json_object()};
    char directory[PATH_MAX];
    int result = r.accepted ? records_directory(config, job->job->name, NULL, directory, e) : error_memory(e);
    if (result == 0)
        result = attempt_each_open(directory, look_at_open, &r, e);
    if (result == 0)
        result = records_back(directory, visit, &r, e);
    json_decref(r.accepted);
    if (result < 0)
        return -1;
    for (size_t i = 0; i < job->job->sink_count; i++)
        if (records_directory(config, NULL, job->sinks[i].sink->name, directory, e) < 0 ||
            records_back(directory, visit_verified, &job->sinks[i], e) < 0)
            return -1;
    sum_up(&r);
    look_at_rhythm(&r);
    return 0;
}

static int make_job(const struct config_job *from, struct status_job *job, struct error *e)
{
    *job = (struct status_job){.job = from, .running = INT64_MIN, .next = INT64_MIN, .missed = INT64_MIN};
    if (!(job->sinks = calloc(from->sink_count, sizeof *job->sinks)))
        return error_memory(e);
    for (size_t i = 0; i < from->sink_count; i++)
        job->sinks[i] = (struct status_sink){.sink = from->sinks[i],
                                             .good = INT64_MIN,
                                             .verified = INT64_MIN,
                                             .damaged = INT64_MIN,
                                             .measured = INT64_MIN};
    return 0;
}

static void look_at_age(const struct status *status, struct status_job *job)
{
    for (size_t i = 0; i < job->job->sink_count; i++) {
        struct status_sink *s = &job->sinks[i];
        s->stale =
            job->job->max_age > 0 && (s->good == INT64_MIN || (status->now - s->good) / 1000000 > job->job->max_age);
    }
}

int status_read(const struct config *config, const struct config_job *only, struct status *status, struct error *e)
{
    *status = (struct status){.now = clock_now(), .looked = due_looked(config)};
    if (!(status->jobs = calloc(config->job_count + 1, sizeof *status->jobs)))
        return error_memory(e);
    for (size_t i = 0; i < config->job_count; i++) {
        struct error why;
        if (only && &config->jobs[i] != only)
            continue;
        struct status_job *job = &status->jobs[status->job_count];
        if (make_job(&config->jobs[i], job, e) < 0)
            return -1;
        status->job_count++;
        if (read_job(config, status, job, &why) < 0) {
            log_error(LOG_WARNING, &why);
            job->damaged = true;
        }
        look_at_schedule(config, status, job);
        look_at_age(status, job);
    }
    return status_judge(config, status, e);
}

void status_free(struct status *status)
{
    for (size_t i = 0; i < status->job_count; i++) {
        json_decref(status->jobs[i].last);
        json_decref(status->jobs[i].tried);
        free(status->jobs[i].sinks);
    }
    free(status->jobs);
    free(status->problems);
    *status = (struct status){0};
}

char *status_text(const char *escaped)
{
    char *text = text_copy(escaped);
    if (text)
        (void)log_unescape(text, text);
    return text;
}
