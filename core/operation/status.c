#include "operation/status.h"

#include <limits.h>
#include <stdlib.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "operation/due.h"

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

static struct status_place *place_of(const struct status *status, const struct config_instance *sink)
{
    for (size_t i = 0; i < status->place_count; i++)
        if (status->places[i].sink == sink)
            return &status->places[i];
    return NULL;
}

static int make_job(const struct status *status, const struct config_job *from, struct status_job *job, struct error *e)
{
    *job = (struct status_job){
        .job = from, .running = INT64_MIN, .next = INT64_MIN, .missed = INT64_MIN, .future = INT64_MIN};
    if (!(job->sinks = calloc(from->sink_count, sizeof *job->sinks)))
        return error_memory(e);
    for (size_t i = 0; i < from->sink_count; i++)
        job->sinks[i] = (struct status_sink){.sink = from->sinks[i],
                                             .good = INT64_MIN,
                                             .verified = INT64_MIN,
                                             .damaged = INT64_MIN,
                                             .first = INT64_MIN,
                                             .place = place_of(status, from->sinks[i])};
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

static int make_places(const struct config *config, const struct config_job *only, struct status *status,
                       struct error *e)
{
    status->places = calloc(config->sink_count + 1, sizeof *status->places);
    if (!status->places)
        return error_memory(e);
    for (size_t i = 0; i < config->sink_count; i++) {
        bool used = false;
        for (size_t k = 0; k < config->job_count; k++)
            used =
                used || ((!only || &config->jobs[k] == only) && config_job_uses(&config->jobs[k], &config->sinks[i]));
        if (used)
            status_place_begin(&status->places[status->place_count++], &config->sinks[i]);
    }
    return 0;
}

struct looking {
    struct status *status;
    struct status_place *place;
    bool began;
};

void status_see(struct status *status, const json_t *record)
{
    int64_t ended = records_time(record, "ended");
    status->seen = ended > status->seen ? ended : status->seen;
}

static bool visit_place(void *context, const char *line, size_t length)
{
    struct looking *l = context;
    int64_t reached = l->place->reached;
    json_t *record = records_parse(line, length);
    if (!l->began)
        status_see(l->status, record);
    l->began = true;
    if (record)
        status_place_take(l->place, l->status->now, record);
    bool older = record && records_time(record, "ended") <= reached;
    json_decref(record);
    return !older && l->place->reached == reached;
}

/* What is recorded of a sink alone. */
static void look_at_place(const struct config *config, struct status *status, struct status_place *place)
{
    struct looking l = {.status = status, .place = place};
    char directory[PATH_MAX];
    struct error e;
    if (records_directory(config, NULL, place->sink->name, directory, &e) < 0 ||
        records_back(directory, visit_place, &l, &e) < 0)
        log_error(LOG_WARNING, &e);
}

/* As if the first snapshots of jobs had always been there: they come once. */
static void forecast(struct status *status)
{
    for (size_t i = 0; i < status->job_count; i++)
        for (size_t k = 0; k < status->jobs[i].job->sink_count; k++) {
            const struct status_sink *s = &status->jobs[i].sinks[k];
            if (s->place && s->first != INT64_MIN)
                status_place_level(s->place, s->first, s->first_added);
        }
    for (size_t i = 0; i < status->place_count; i++)
        status_place_forecast(&status->places[i], status->now);
}

static void free_job(struct status_job *job)
{
    json_decref(job->last);
    json_decref(job->tried);
    free(job->sinks);
}

static void keep(struct status *status, const struct config_job *only)
{
    size_t kept = 0;
    for (size_t i = 0; i < status->job_count; i++) {
        if (status->jobs[i].job == only)
            status->jobs[kept++] = status->jobs[i];
        else
            free_job(&status->jobs[i]);
    }
    status->job_count = kept;
}

int status_read(const struct config *config, const struct config_job *only, struct status *status, struct error *e)
{
    *status = (struct status){.now = clock_now(), .looked = due_looked(config)};
    status->seen = status->looked;
    status->jobs = calloc(config->job_count + 1, sizeof *status->jobs);
    if (!status->jobs)
        return error_memory(e);
    if (make_places(config, only, status, e) < 0)
        return -1;
    for (size_t i = 0; i < config->job_count; i++) {
        struct error why;
        struct status_job *job = &status->jobs[status->job_count];
        if (make_job(status, &config->jobs[i], job, e) < 0)
            return -1;
        status->job_count++;
        if (status_job_read(config, status, job, &why) < 0) {
            if (!only || only == job->job)
                log_error(LOG_WARNING, &why);
            job->damaged = true;
        }
        look_at_schedule(config, status, job);
        look_at_age(status, job);
    }
    for (size_t i = 0; i < status->place_count; i++)
        look_at_place(config, status, &status->places[i]);
    forecast(status);
    if (only)
        keep(status, only);
    return status_judge(config, status, e);
}

void status_free(struct status *status)
{
    for (size_t i = 0; i < status->job_count; i++)
        free_job(&status->jobs[i]);
    free(status->jobs);
    for (size_t i = 0; i < status->place_count; i++)
        status_place_free(&status->places[i]);
    free(status->places);
    problem_free(&status->problems);
    *status = (struct status){0};
}

char *status_text(const char *escaped)
{
    char *text = text_copy(escaped);
    if (text)
        (void)log_unescape(text, text);
    return text;
}
