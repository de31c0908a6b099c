#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "job/leftover.h"
#include "job/records.h"
#include "job/status.h"

#define ERROR_SHOWN 1000 /* bytes */

static int add(struct status *status, enum status_level level, const struct config_job *job,
               const struct config_instance *sink, struct error *e, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

static int add(struct status *status, enum status_level level, const struct config_job *job,
               const struct config_instance *sink, struct error *e, const char *format, ...)
{
    struct status_problem *grown = reallocarray(status->problems, status->problem_count + 1, sizeof *grown);
    va_list arguments;
    if (!grown)
        return error_memory(e);
    status->problems = grown;
    struct status_problem *p = &grown[status->problem_count++];
    *p = (struct status_problem){.level = level, .job = job, .sink = sink};
    va_start(arguments, format);
    vsnprintf(p->text, sizeof p->text, format, arguments);
    va_end(arguments);
    if (level > status->level)
        status->level = level;
    return 0;
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
        int result = add(status, STATUS_WARNING, job->job, NULL, e, "at the end of the last run, %s ago: %.*s",
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
    int result = add(status, STATUS_WARNING, job->job, NULL, e, "the last run, %s ago, %s%s%.*s",
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
        add(status, STATUS_UNKNOWN, job->job, NULL, e,
            "some of its records cannot be read, so this may not be the whole truth: cofre log %s --check",
            job->job->name) < 0)
        return -1;
    if (!job->last && job->running == INT64_MIN && !job->damaged)
        return add(
            status, STATUS_UNKNOWN, job->job, NULL, e,
            "no record of a run is on this machine: it never ran here, or what was in '%s' is lost: what the sinks "
            "hold is shown by cofre status --from-sinks",
            config->state_dir);
    if (job->missed == INT64_MIN)
        return 0;
    return add(status, STATUS_WARNING, job->job, NULL, e, "it was due at %s, and no run has begun since",
               clock_format_shown(job->missed, when));
}

/* A job that no schedule and no cron runs. */
static int judge_attendance(struct status *status, const struct status_job *job, struct error *e)
{
    char since[CLOCK_TEXT_MAX], ago[TEXT_AGE_MAX], usual[TEXT_AGE_MAX];
    bool never = status->looked == INT64_MIN;
    if (job->silent > 0)
        return add(status, STATUS_WARNING, job->job, NULL, e,
                   "no run has begun for %s, and it used to run every %s: nothing seems to run it any more",
                   age(status, records_time(job->last, "started"), ago), text_age(job->silent, usual));
    if (!job->unattended)
        return 0;
    return add(status, STATUS_WARNING, job->job, NULL, e,
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
            result =
                add(status, STATUS_STALE, job->job, s->sink, e,
                    "no complete snapshot is known to be there, and max_age is %s", text_age(job->job->max_age, most));
        else if (s->stale)
            result = add(status, STATUS_STALE, job->job, s->sink, e,
                         "the newest complete snapshot is %s old, older than max_age (%s)", age(status, s->good, old),
                         text_age(job->job->max_age, most));
        else if (s->good == INT64_MIN && job->last)
            result = add(status, STATUS_WARNING, job->job, s->sink, e, "no complete snapshot is known to be there");
        if (result == 0 && s->damaged > s->verified)
            result = add(status, STATUS_DAMAGED, job->job, s->sink, e,
                         "a verification, %s ago, found damage, and none has found all of it whole since",
                         age(status, s->damaged, old));
        if (result < 0)
            return -1;
    }
    return 0;
}

static int judge_space(struct status *status, const struct status_job *job, struct error *e)
{
    char size[TEXT_SIZE_MAX], left[TEXT_SIZE_MAX], when[TEXT_AGE_MAX];
    for (size_t i = 0; i < job->job->sink_count; i++) {
        const struct status_sink *s = &job->sinks[i];
        double full = s->space > 0 ? 100 * (double)(s->space - s->available) / (double)s->space : 0;
        if (s->sink->warn_space > 0 && full >= (double)s->sink->warn_space &&
            add(status, STATUS_WARNING, job->job, s->sink, e, "it was %.0f %% full %s ago: %s of %s left", full,
                age(status, s->measured, when), text_size(s->available, left), text_size(s->space, size)) < 0)
            return -1;
    }
    return 0;
}

static int judge_duration(struct status *status, const struct status_job *job, struct error *e)
{
    char took[TEXT_AGE_MAX], most[TEXT_AGE_MAX];
    int64_t longest = job->job->max_duration, elapsed = 0;
    if (longest == 0)
        return 0;
    if (job->tried)
        elapsed = (int64_t)(1000 * json_number_value(json_object_get(job->tried, "elapsed")));
    if (job->running != INT64_MIN && (status->now - job->running) / 1000000 > longest)
        return add(status, STATUS_WARNING, job->job, NULL, e, "a run is at work for %s, longer than max_duration (%s)",
                   age(status, job->running, took), text_age(longest, most));
    if (elapsed <= longest)
        return 0;
    return add(status, STATUS_WARNING, job->job, NULL, e, "the last run took %s, longer than max_duration (%s)",
               text_age(elapsed, took), text_age(longest, most));
}

static int judge_faults(struct status *status, const struct config_job *job, struct error *e)
{
    for (size_t i = 0; i < job->source_count; i++)
        if (job->sources[i]->fault && add(status, STATUS_WARNING, job, NULL, e, "source '%s' cannot be used: %s",
                                          job->sources[i]->name, job->sources[i]->fault) < 0)
            return -1;
    for (size_t i = 0; i < job->sink_count; i++)
        if (job->sinks[i]->fault &&
            add(status, STATUS_WARNING, job, job->sinks[i], e, "it cannot be used: %s", job->sinks[i]->fault) < 0)
            return -1;
    return 0;
}

static int judge_leftover(struct status *status, const struct config_job *job, const char *source,
                          const json_t *leftover, struct error *e)
{
    char when[TEXT_AGE_MAX];
    const char *escaped[] = {records_text(leftover, "what"), records_text(leftover, "removal")};
    char *what = status_text(escaped[0] ? escaped[0] : ""), *removal = status_text(escaped[1] ? escaped[1] : "");
    int64_t since = records_time(leftover, "since");
    int result = what && removal
                     ? add(status, STATUS_WARNING, job, NULL, e,
                           "source '%s': a restore has left %.500s, known for %s, which no job saves; when all is "
                           "well: %.500s",
                           source, what, age(status, since == INT64_MIN ? status->now : since, when), removal)
                     : error_memory(e);
    free(what);
    free(removal);
    return result;
}

static bool has_source(const struct config_job *job, const struct config_instance *source)
{
    for (size_t i = 0; i < job->source_count; i++)
        if (job->sources[i] == source)
            return true;
    return false;
}

/* Of a source of several jobs at the first. */
static int judge_leftovers(const struct config *config, struct status *status, size_t at, struct error *e)
{
    const struct config_job *job = status->jobs[at].job;
    int result = 0;
    for (size_t i = 0; i < job->source_count && result == 0; i++) {
        const struct config_instance *source = job->sources[i];
        struct error why;
        json_t *list;
        bool seen = false;
        for (size_t k = 0; k < at && !seen; k++)
            seen = has_source(status->jobs[k].job, source);
        if (seen)
            continue;
        if (leftover_read(config, source->name, &list, &why) < 0)
            result =
                add(status, STATUS_UNKNOWN, job, NULL, e, "what restores of source '%s' have left is not known: %s: %s",
                    source->name, why.message, why.hint);
        for (size_t k = 0; result == 0 && k < json_array_size(list); k++)
            result = judge_leftover(status, job, source->name, json_array_get(list, k), e);
        json_decref(list);
    }
    return result;
}

/* ---- all of them ---- */

static int worst_first(const void *a, const void *b)
{
    const struct status_problem *x = a, *y = b;
    if (x->level != y->level)
        return x->level > y->level ? -1 : 1;
    if (x->job != y->job)
        return x->job < y->job ? -1 : 1;
    return strcmp(x->text, y->text);
}

int status_judge(const struct config *config, struct status *status, struct error *e)
{
    for (size_t i = 0; i < status->job_count; i++) {
        const struct status_job *job = &status->jobs[i];
        if (judge_sinks(status, job, e) < 0 || judge_last(status, job, e) < 0 || judge_after(status, job, e) < 0 ||
            judge_record(config, status, job, e) < 0 || judge_attendance(status, job, e) < 0 ||
            judge_space(status, job, e) < 0 || judge_duration(status, job, e) < 0 ||
            judge_faults(status, job->job, e) < 0 || judge_leftovers(config, status, i, e) < 0)
            return -1;
    }
    if (status->problem_count > 0)
        qsort(status->problems, status->problem_count, sizeof *status->problems, worst_first);
    return 0;
}
