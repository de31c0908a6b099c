#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "job/leftover.h"
#include "operation/status.h"

#define ELAPSED_MAX 1e12        /* ms */
#define ERROR_SHOWN 1000        /* bytes */
#define NAME_SHOWN 300          /* bytes */
#define SLOW 3                  /* times as long as usual is much longer, */
#define SLOW_LEAST (10 * 60000) /* when it is so many ms more */

static struct problem_subject of_job(const struct config_job *job)
{
    return (struct problem_subject){.job = job->name};
}

static struct problem_subject of_sink(const struct config_job *job, const struct config_instance *sink)
{
    return (struct problem_subject){.job = job->name, .sink = sink->name};
}

static struct problem_subject of_place(const struct status_place *place)
{
    return (struct problem_subject){.sink = place->sink->name};
}

static const char *age(const struct status *status, int64_t when, char out[TEXT_AGE_MAX])
{
    return text_age((status->now - when) / 1000000, out);
}

/* ---- of a job ---- */

/* It ran after whatever became of the run, and may have left things as they are during one. */
static int judge_after(struct status *status, const struct status_job *job, struct error *e)
{
    char when[TEXT_AGE_MAX];
    const json_t *rows = json_object_get(job->last, "hooks");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *hook = records_text(row, "hook"), *escaped = records_text(row, "error");
        if (!hook || strcmp(hook, "after") != 0 || !escaped)
            continue;
        char *text = status_text(escaped);
        int result = problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e,
                                 "at the end of the last run, %s ago: %.*s",
                                 age(status, records_time(job->last, "ended"), when), ERROR_SHOWN, text ? text : "");
        free(text);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int judge_last(struct status *status, const struct status_job *job, struct error *e)
{
    char when[TEXT_AGE_MAX];
    const char *word = job->tried ? records_text(job->tried, "status") : NULL;
    if (!word || strcmp(word, "complete") == 0 || strcmp(word, "partial") == 0 || job->accepted)
        return 0;
    const char *escaped = records_why(job->tried);
    char *text = escaped ? status_text(escaped) : NULL;
    int result = problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e, "the last run, %s ago, %s%s%.*s",
                             age(status, records_time(job->tried, "ended"), when),
                             strcmp(word, "killed") == 0       ? "was killed"
                             : strcmp(word, "incomplete") == 0 ? "was incomplete"
                             : strcmp(word, "suspect") == 0    ? "was suspect"
                                                               : "failed",
                             text ? ": " : "", ERROR_SHOWN, text ? text : "");
    free(text);
    return result;
}

static int judge_record(const struct config *config, struct status *status, const struct status_job *job,
                        struct error *e)
{
    char when[CLOCK_TEXT_MAX];
    if (job->damaged &&
        problem_add(&status->problems, PROBLEM_UNKNOWN, of_job(job->job), e,
                    "some of its records cannot be read, so this may not be the whole truth: cofre log %s --check",
                    job->job->name) < 0)
        return -1;
    if (!job->last && job->running == INT64_MIN && !job->damaged)
        return problem_add(
            &status->problems, PROBLEM_UNKNOWN, of_job(job->job), e,
            "no record of a run is on this machine: it never ran here, or what was in '%s' is lost: what the sinks "
            "hold is shown by cofre status --from-sinks",
            config->state_dir);
    if (job->missed == INT64_MIN)
        return 0;
    return problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e,
                       "it was due at %s, and no run has begun since", clock_format_shown(job->missed, when));
}

/* A job that no schedule and no cron runs. */
static int judge_attendance(struct status *status, const struct status_job *job, struct error *e)
{
    char since[CLOCK_TEXT_MAX], ago[TEXT_AGE_MAX], usual[TEXT_AGE_MAX];
    bool never = status->looked == INT64_MIN;
    if (job->silent > 0)
        return problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e,
                           "no run has begun for %s, and it used to run every %s: nothing seems to run it any more",
                           age(status, records_time(job->last, "started"), ago), text_age(job->silent, usual));
    if (!job->unattended)
        return 0;
    return problem_add(
        &status->problems, PROBLEM_WARNING, of_job(job->job), e,
        "nobody looks after its schedule: 'cofre due' has %s%s: let cron or a timer call it every five minutes, "
        "or run 'cofre daemon'",
        never ? "never looked" : "not looked since ", never ? "" : clock_format_shown(status->looked, since));
}

static int judge_sinks(struct status *status, const struct status_job *job, struct error *e)
{
    char old[TEXT_AGE_MAX], most[TEXT_AGE_MAX];
    for (size_t i = 0; i < job->job->sink_count; i++) {
        const struct status_sink *s = &job->sinks[i];
        int result = 0;
        if (s->stale && s->good == INT64_MIN)
            result = problem_add(&status->problems, PROBLEM_STALE, of_sink(job->job, s->sink), e,
                                 "no complete snapshot is known to be there, and max_age is %s",
                                 text_age(job->job->max_age, most));
        else if (s->stale)
            result = problem_add(&status->problems, PROBLEM_STALE, of_sink(job->job, s->sink), e,
                                 "the newest complete snapshot is %s old, older than max_age (%s)",
                                 age(status, s->good, old), text_age(job->job->max_age, most));
        else if (s->good == INT64_MIN && job->last)
            result = problem_add(&status->problems, PROBLEM_WARNING, of_sink(job->job, s->sink), e,
                                 "no complete snapshot is known to be there");
        if (result == 0 && s->damaged > s->verified)
            result = problem_add(&status->problems, PROBLEM_DAMAGED, of_sink(job->job, s->sink), e,
                                 "a verification, %s ago, found damage, and none has found all of it whole since",
                                 age(status, s->damaged, old));
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ms that a run took; 0: that is not known. */
static int64_t elapsed_of(const json_t *run)
{
    double elapsed = 1000 * json_number_value(json_object_get(run, "elapsed"));
    return elapsed > 0 && elapsed < ELAPSED_MAX ? (int64_t)elapsed : 0;
}

/* Is it unlike the usual: of some sources alone, or the first that stores everything in a sink? */
static bool is_unusual(const struct status_job *job, bool running)
{
    int64_t began = records_time(job->tried, "started");
    if (!running && (records_is(job->tried, "snapshot_status", "partial") ||
                     json_array_size(json_object_get(job->tried, "asked")) > 0))
        return true;
    for (size_t i = 0; i < job->job->sink_count; i++)
        if (running ? job->sinks[i].good == INT64_MIN : job->sinks[i].first == began && began != INT64_MIN)
            return true;
    return false;
}

static int judge_elapsed(struct status *status, const struct status_job *job, bool running, int64_t elapsed,
                         struct error *e)
{
    char took[TEXT_AGE_MAX], other[TEXT_AGE_MAX];
    const char *what = running ? "a run is at work for" : "the last run took";
    int64_t longest = job->job->max_duration, usual = job->usual;
    text_age(elapsed, took);
    if (longest > 0 && elapsed > longest)
        return problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e,
                           "%s %s, longer than max_duration (%s)", what, took, text_age(longest, other));
    if (usual == 0 || elapsed <= SLOW * usual || elapsed - usual < SLOW_LEAST || is_unusual(job, running))
        return 0;
    return problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e,
                       "%s %s, and usually it takes %s: what changed? cofre log %s shows what each took", what, took,
                       text_age(usual, other), job->job->name);
}

/* Of the run that is at work, or else of the last. */
static int judge_duration(struct status *status, const struct status_job *job, struct error *e)
{
    size_t before = status->problems.count;
    bool running = job->running != INT64_MIN;
    if (running && judge_elapsed(status, job, true, (status->now - job->running) / 1000000, e) < 0)
        return -1;
    return status->problems.count > before ? 0 : judge_elapsed(status, job, false, elapsed_of(job->tried), e);
}

static int judge_future(struct status *status, const struct status_job *job, struct error *e)
{
    char when[CLOCK_TEXT_MAX];
    if (job->future == INT64_MIN)
        return 0;
    return problem_add(&status->problems, PROBLEM_WARNING, of_job(job->job), e,
                       "snapshot %s lies in the future, at %s, and counts for nothing until then: either this "
                       "machine's clock is wrong, or it was when that was made",
                       job->future_id, clock_format_shown(job->future, when));
}

static int judge_faults(struct status *status, const struct config_job *job, struct error *e)
{
    for (size_t i = 0; i < job->source_count; i++)
        if (job->sources[i]->fault &&
            problem_add(&status->problems, PROBLEM_WARNING, of_job(job), e, "source '%s' cannot be used: %s",
                        job->sources[i]->name, job->sources[i]->fault) < 0)
            return -1;
    for (size_t i = 0; i < job->sink_count; i++)
        if (job->sinks[i]->fault && problem_add(&status->problems, PROBLEM_WARNING, of_sink(job, job->sinks[i]), e,
                                                "it cannot be used: %s", job->sinks[i]->fault) < 0)
            return -1;
    return 0;
}

/* ---- of a sink ---- */

static int judge_space(struct status *status, const struct status_place *place, struct error *e)
{
    char size[TEXT_SIZE_MAX], left[TEXT_SIZE_MAX], when[TEXT_AGE_MAX], full[STATUS_FULL_TEXT], grown[TEXT_SIZE_MAX];
    if (status_is_full(place) &&
        problem_add(&status->problems, PROBLEM_WARNING, of_place(place), e, "it was %.0f %% full %s ago: %s of %s left",
                    status_percent(place), age(status, place->measured, when), text_size(place->available, left),
                    text_size(place->space, size)) < 0)
        return -1;
    if (!status_is_filling(place, status->now))
        return 0;
    return problem_add(&status->problems, PROBLEM_WARNING, of_place(place), e,
                       "it is going to be %s: %s are left, and it grows by %s a day: make room, or see what grows: "
                       "cofre log",
                       status_full_text(place, status->now, full), text_size(place->available, left),
                       text_size((uint64_t)place->growth, grown));
}

static int judge_reach(struct status *status, const struct status_place *place, struct error *e)
{
    char since[CLOCK_TEXT_MAX], ago[TEXT_AGE_MAX], tried[TEXT_AGE_MAX];
    if (!status_is_away(place, status->now))
        return 0;
    char *why = place->why ? status_text(json_string_value(place->why)) : NULL;
    int result = problem_add(&status->problems, PROBLEM_WARNING, of_place(place), e,
                             "nothing has worked there since %s, %s ago; the last try, %s ago, failed%s%.*s: bring it "
                             "within reach; or, when it "
                             "is away on purpose, take it out of 'sinks' of its jobs, and let cofre copy bring it up "
                             "to date when it is back",
                             clock_format_shown(place->reached, since), age(status, place->reached, ago),
                             age(status, place->failed, tried), why ? ": " : "", ERROR_SHOWN, why ? why : "");
    free(why);
    return result;
}

static int judge_expiry(struct status *status, const struct status_place *place, struct error *e)
{
    char ago[TEXT_AGE_MAX];
    if (!place->expiry)
        return 0;
    char *text = status_text(json_string_value(place->expiry));
    int result = problem_add(&status->problems, PROBLEM_WARNING, of_place(place), e, "the last run said, %s ago: %.*s",
                             age(status, place->told, ago), ERROR_SHOWN, text ? text : "");
    free(text);
    return result;
}

/* ---- what restores have left ---- */

static int judge_leftover(struct status *status, struct problem_subject of, const char *source, const json_t *leftover,
                          struct error *e)
{
    char when[TEXT_AGE_MAX];
    char *what = status_text(records_text(leftover, "what")), *removal = status_text(records_text(leftover, "removal"));
    int result = what && removal
                     ? problem_add(&status->problems, PROBLEM_WARNING, of, e,
                                   "source '%s': a restore has left %.*s%s, known for %s, which no job saves; when all "
                                   "is well: %.*s",
                                   source, NAME_SHOWN, what, strlen(what) > NAME_SHOWN ? "..." : "",
                                   age(status, records_time(leftover, "since"), when), ERROR_SHOWN, removal)
                     : error_memory(e);
    free(what);
    free(removal);
    return result;
}

static int judge_list(struct status *status, struct problem_subject of, const char *source, const json_t *list,
                      struct error *e)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (judge_leftover(status, of, source, json_array_get(list, i), e) < 0)
            return -1;
    if (json_array_size(list) < LEFTOVER_MAX)
        return 0;
    return problem_add(&status->problems, PROBLEM_WARNING, of, e,
                       "source '%s': restores have left %d things, and there may be more, which are not remembered: "
                       "remove those that are not needed any more",
                       source, LEFTOVER_MAX);
}

static int judge_source(const struct config *config, struct status *status, struct problem_subject of,
                        const char *source, struct error *e)
{
    struct error why;
    json_t *list;
    if (leftover_read(config, source, &list, &why) == 0) {
        int result = judge_list(status, of, source, list, e);
        json_decref(list);
        return result;
    }
    if (why.class == ERROR_MEMORY)
        return error_memory(e);
    return problem_add(&status->problems, PROBLEM_UNKNOWN, of, e,
                       "what restores of source '%s' have left is not known: %s%s%s", source, why.message,
                       why.hint[0] ? ": " : "", why.hint);
}

/* Of a source of several jobs at the first. */
static int judge_leftovers(const struct config *config, struct status *status, size_t at, struct error *e)
{
    const struct config_job *job = status->jobs[at].job;
    for (size_t i = 0; i < job->source_count; i++) {
        bool seen = false;
        for (size_t k = 0; k < at && !seen; k++)
            seen = config_job_saves(status->jobs[k].job, job->sources[i]);
        if (!seen && judge_source(config, status, of_job(job), job->sources[i]->name, e) < 0)
            return -1;
    }
    return 0;
}

/* What a source has left that was taken out of its job. */
static int judge_jobless(const struct config *config, struct status *status, struct error *e)
{
    for (size_t i = 0; i < config->source_count; i++)
        if (!config_saves(config, &config->sources[i]) &&
            judge_source(config, status, (struct problem_subject){0}, config->sources[i].name, e) < 0)
            return -1;
    return 0;
}

/* ---- of the machine ---- */

static int judge_clock(struct status *status, struct error *e)
{
    char now[CLOCK_TEXT_MAX], seen[CLOCK_TEXT_MAX], behind[TEXT_AGE_MAX];
    if (!clock_is_ahead(status->seen, status->now, CLOCK_APART))
        return 0;
    return problem_add(&status->problems, PROBLEM_WARNING, (struct problem_subject){0}, e,
                       "its time, %s, is %s behind what it has written down itself, at %s: set the clock right; until "
                       "then ages, and what is due, may be wrong, and prune and gc may refuse",
                       clock_format_shown(status->now, now), text_age((status->seen - status->now) / 1000000, behind),
                       clock_format_shown(status->seen, seen));
}

/* ---- all of them ---- */

int status_judge(const struct config *config, struct status *status, struct error *e)
{
    if (judge_clock(status, e) < 0 || judge_jobless(config, status, e) < 0)
        return -1;
    for (size_t i = 0; i < status->job_count; i++) {
        const struct status_job *job = &status->jobs[i];
        if (judge_sinks(status, job, e) < 0 || judge_last(status, job, e) < 0 || judge_after(status, job, e) < 0 ||
            judge_record(config, status, job, e) < 0 || judge_attendance(status, job, e) < 0 ||
            judge_duration(status, job, e) < 0 || judge_future(status, job, e) < 0 ||
            judge_faults(status, job->job, e) < 0 || judge_leftovers(config, status, i, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < status->place_count; i++)
        if (judge_reach(status, &status->places[i], e) < 0 || judge_space(status, &status->places[i], e) < 0 ||
            judge_expiry(status, &status->places[i], e) < 0)
            return -1;
    problem_sort(&status->problems);
    return 0;
}
