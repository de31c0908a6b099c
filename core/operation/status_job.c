/* Of status: one job, by its records and by what is at work. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attempt/attempt.h"
#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "operation/status.h"

#define SECOND INT64_C(1000000000) /* ns */
#define HOUR (3600 * SECOND)
#define USUAL_LEAST 3 /* runs */
#define RHYTHM 6      /* so many runs are one */
#define TOOK_MAX 1e12 /* ms */
#define DATE 11       /* bytes: "2026-11-20" */

/* One job while its records are read, newest first. */
struct reading {
    struct status *status;
    struct status_job *job;
    size_t complete[STATUS_DAYS], partly[STATUS_DAYS], runs[STATUS_DAYS];
    int64_t day;           /* today */
    int64_t began[RHYTHM]; /* the newest runs of the whole job, without a schedule */
    size_t began_count;
    struct {
        int64_t began, took;  /* ns, ms */
    } took[STATUS_USUAL + 1]; /* the newest complete runs of the whole job */
    size_t took_count;
    json_t *accepted; /* ids of snapshots that were suspect, as members */
    bool began_reading;
    bool past;           /* what comes is older than all of the days, */
    bool older;          /* or would be older than what tells a trend */
    char oldest[DATE];   /* day of that, */
    char day_told[DATE]; /* and the last of it that was looked at */
};

/* Days since 1970 as the calendar here has them. */
static int64_t day_of(int64_t ns)
{
    time_t when = ns / SECOND;
    struct tm tm;
    return localtime_r(&when, &tm) ? (when + tm.tm_gmtoff) / 86400 : 0;
}

/* ---- what a record says ---- */

/* "status" or "snapshot_status" as the run left it; a snapshot that somebody accepted later is as any other. */
static const char *word_of(const struct reading *r, const json_t *record, const char *member)
{
    const char *id = records_text(record, "snapshot"), *word = records_text(record, member);
    bool suspect = id && word && strcmp(word, "suspect") == 0;
    return suspect && json_object_get(r->accepted, id) ? "complete" : word;
}

static void take_duration(struct reading *r, const json_t *record)
{
    double took = 1000 * json_number_value(json_object_get(record, "elapsed"));
    if (r->took_count > STATUS_USUAL || !records_is(record, "status", "complete") || !(took >= 0 && took < TOOK_MAX))
        return;
    r->took[r->took_count].began = records_time(record, "started");
    r->took[r->took_count++].took = (int64_t)took;
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
    if (!part)
        take_duration(r, record);
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

static void take_future(struct status_job *job, int64_t began, const char *id)
{
    if (began <= job->future)
        return;
    job->future = began;
    snprintf(job->future_id, sizeof job->future_id, "%s", id);
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
        if (clock_is_ahead(began, r->status->now, CLOCK_APART)) {
            take_future(r->job, began, id);
            continue;
        }
        s->good = began;
        s->added = (uint64_t)records_number(row, "added");
        memcpy(s->good_id, id, strlen(id) + 1);
    }
}

/* The snapshot that came first, since a run before it had no such sink. */
static void take_first(struct reading *r, const json_t *record)
{
    bool any = json_array_size(json_object_get(record, "sinks")) > 0;
    for (size_t i = 0; i < r->job->job->sink_count && any; i++) {
        struct status_sink *s = &r->job->sinks[i];
        const json_t *row = records_row(record, "sinks", s->sink->name);
        s->first_known = s->first_known || (!row && s->first != INT64_MIN);
        if (s->first_known || !json_is_true(json_object_get(row, "committed")))
            continue;
        s->first = records_time(record, "started");
        int64_t added = records_number(row, "added");
        s->first_added = added > 0 ? (uint64_t)added : 0;
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
        take_first(r, record);
    }
    for (size_t i = 0; i < r->job->job->sink_count; i++)
        if (r->job->sinks[i].place)
            status_place_take(r->job->sinks[i].place, r->status->now, record);
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

static bool knows_usual(const struct reading *r)
{
    return r->took_count > STATUS_USUAL;
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

static const char run[] = "\"command\":\"run\"", verify[] = "\"command\":\"verify\"";

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
    bool may = ((!job->tried || !knows_rhythm(r)) && has(line, length, run)) ||
               (!knows_usual(r) && has(line, length, run) && has(line, length, "\"status\":\"complete\"")) ||
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

/* When the record ended, as a day of UTC; NULL: that is not known. */
static const char *date_of(const char *line, size_t length)
{
    static const char ended[] = "\"ended\":\"";
    const char *found = memmem(line, length, ended, sizeof ended - 1);
    size_t before = found ? (size_t)(found - line) + sizeof ended - 1 : length;
    return length - before >= DATE - 1 ? line + before : NULL;
}

/* Of the time that tells a trend one run a day will do. */
static bool tells_trend(struct reading *r, const char *line, size_t length)
{
    const char *date = date_of(line, length);
    r->older = r->older || (date && memcmp(date, r->oldest, DATE - 1) < 0);
    if (r->older || !date || memcmp(date, r->day_told, DATE - 1) == 0 || !has(line, length, run))
        return false;
    memcpy(r->day_told, date, DATE - 1);
    return true;
}

static bool visit(void *context, const char *line, size_t length)
{
    struct reading *r = context;
    bool wanted = !r->past || tells_trend(r, line, length);
    if (r->older && knows_snapshots(r->job) && knows_verified(r->job) && knows_rhythm(r) && knows_usual(r))
        return false;
    if (!wanted && !may_tell(r, line, length))
        return true;
    json_t *record = records_parse(line, length);
    if (!r->began_reading)
        status_see(r->status, record);
    r->began_reading = true;
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
    json_t *killed = attempt_killed(open);
    if (killed)
        take(r, killed);
    else
        r->job->damaged = true;
    r->past = false; /* of the records */
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

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void look_at_usual(struct reading *r)
{
    int64_t took[STATUS_USUAL], before = r->job->running;
    size_t count = 0;
    if (before == INT64_MIN)
        before = records_time(r->job->tried, "started");
    for (size_t i = 0; i < r->took_count && count < STATUS_USUAL; i++)
        if (r->took[i].began < before)
            took[count++] = r->took[i].took;
    if (count < USUAL_LEAST)
        return;
    qsort(took, count, sizeof *took, by_value);
    r->job->usual = took[(count - 1) / 2];
}

int status_job_read(const struct config *config, struct status *status, struct status_job *job, struct error *e)
{
    struct reading r = {.status = status, .job = job, .day = day_of(status->now), .accepted = json_object()};
    char directory[PATH_MAX], oldest[CLOCK_TEXT_MAX];
    memcpy(r.oldest, clock_format(status->now - STATUS_TREND * 86400 * SECOND, oldest), DATE - 1);
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
    for (size_t i = 0; i < job->job->sink_count && r.older; i++)
        if (!job->sinks[i].first_known)
            job->sinks[i].first = INT64_MIN;
    sum_up(&r);
    look_at_rhythm(&r);
    look_at_usual(&r);
    return 0;
}
