#include "cli/status_view.h"

#include <stdio.h>
#include <string.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/table.h"
#include "config/config.h"
#include "operation/status.h"

#define RED "\033[31m"
#define YELLOW "\033[33m"
#define GREEN "\033[32m"
#define SINK_LINE 256

static const char *const levels[] = {[PROBLEM_NONE] = "ok",
                                     [PROBLEM_UNKNOWN] = "unknown",
                                     [PROBLEM_WARNING] = "warning",
                                     [PROBLEM_DAMAGED] = "damaged",
                                     [PROBLEM_STALE] = "stale"};
static const char *const paints[] = {[PROBLEM_NONE] = GREEN,
                                     [PROBLEM_UNKNOWN] = YELLOW,
                                     [PROBLEM_WARNING] = YELLOW,
                                     [PROBLEM_DAMAGED] = RED,
                                     [PROBLEM_STALE] = RED};
static const char *const day_words[] = {
    [STATUS_NO_RUN] = "none", [STATUS_GOOD] = "good", [STATUS_MIXED] = "mixed", [STATUS_BAD] = "bad"};

const char *status_view_level(int level)
{
    return levels[level];
}

const char *status_view_paint(int level)
{
    return paints[level];
}

const char *status_view_subject(const struct problem *problem, char *out)
{
    const char *const names[] = {problem->of.host, problem->of.job, problem->of.sink};
    static const char *const what[] = {"host", "job", "sink"};
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i])
            n += snprintf(out + n, STATUS_VIEW_SUBJECT - (size_t)n, "%s%s '%.63s'", n > 0 ? ", " : "", what[i],
                          names[i]);
    if (n == 0)
        snprintf(out, STATUS_VIEW_SUBJECT, "this machine");
    return out;
}

/* ---- text ---- */

static const char *ago(const struct status *status, int64_t when, char out[TEXT_AGE_MAX])
{
    return when == INT64_MIN ? "never" : text_age((status->now - when) / 1000000, out);
}

static void show_next(const struct status *status, const struct status_job *job, char *out, size_t size)
{
    char left[TEXT_AGE_MAX];
    if (job->running != INT64_MIN)
        snprintf(out, size, "running");
    else if (job->next != INT64_MIN)
        snprintf(out, size, "in %s", text_age((job->next - status->now) / 1000000, left));
}

static void show_size(const struct status_job *job, char *out, size_t size)
{
    char bytes[TEXT_SIZE_MAX];
    if (job->sizes == 0)
        return;
    int n = snprintf(out, size, "%s", text_size(job->bytes, bytes));
    if (job->sizes == 2 && job->bytes_before > 0)
        snprintf(out + n, size - (size_t)n, " (%+.0f %%)",
                 100 * ((double)job->bytes - (double)job->bytes_before) / (double)job->bytes_before);
}

static const char *show_days(const struct status_job *job, char out[STATUS_DAYS + 1])
{
    for (size_t i = 0; i < STATUS_DAYS; i++)
        out[i] = ".+~x"[job->days[i]];
    out[STATUS_DAYS] = '\0';
    return out;
}

static enum problem_level level_of(const struct status *status, const struct status_job *job,
                                   const struct status_sink *sink)
{
    return problem_worst(&status->problems, (struct problem_subject){.job = job->job->name, .sink = sink->sink->name});
}

static int add_row(const struct status *status, const struct status_job *job, const struct status_sink *sink,
                   bool color, struct table *t, struct error *e)
{
    char good[CLOCK_TEXT_MAX] = "never", age[TEXT_AGE_MAX] = "", last[64] = "never", took[TEXT_ELAPSED_MAX] = "";
    char full[8] = "", size[48] = "", days[STATUS_DAYS + 1], next[32] = "", verified[TEXT_AGE_MAX];
    const json_t *elapsed = json_object_get(job->last, "elapsed");
    if (sink->place->space > 0)
        snprintf(full, sizeof full, "%.0f %%", status_percent(sink->place));
    if (sink->good != INT64_MIN) {
        clock_format_shown(sink->good, good);
        ago(status, sink->good, age);
    }
    if (job->last)
        snprintf(last, sizeof last, "%.60s",
                 job->accepted && job->last == job->tried ? "accepted" : records_text(job->last, "status"));
    if (json_is_number(elapsed))
        text_elapsed((int64_t)(1000 * json_number_value(elapsed)), took);
    show_size(job, size, sizeof size);
    show_next(status, job, next, sizeof next);
    const char *cells[] = {job->job->name,
                           sink->sink->name,
                           full,
                           good,
                           age,
                           last,
                           took,
                           size,
                           show_days(job, days),
                           next,
                           ago(status, sink->verified, verified)};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if (table_add_painted(t, cells[i], color && i <= 5 ? paints[level_of(status, job, sink)] : NULL, e) < 0)
            return -1;
    return 0;
}

static int print_table(struct output *out, const struct status *status, bool color, struct error *e)
{
    static const struct table_column columns[] = {{"JOB", 0},    {"SINK", 0},     {"FULL", 1},    {"LAST GOOD", 0},
                                                  {"AGE", 0},    {"LAST RUN", 0}, {"TOOK", 1},    {"SIZE", 1},
                                                  {"7 DAYS", 0}, {"NEXT", 0},     {"VERIFIED", 0}};
    struct table table;
    int result = 0;
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < status->job_count; i++)
        for (size_t k = 0; k < status->jobs[i].job->sink_count && result == 0; k++)
            result = add_row(status, &status->jobs[i], &status->jobs[i].sinks[k], color, &table, e);
    if (result == 0)
        table_print(&table, out);
    table_free(&table);
    return result;
}

void status_view_problems(struct output *out, const struct problem_list *problems, bool color)
{
    char subject[STATUS_VIEW_SUBJECT];
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->items[i];
        output_print(out, "%s%s%s: %s: ", color ? paints[p->level] : "", levels[p->level], color ? "\033[0m" : "",
                     status_view_subject(p, subject));
        output_print(out, "%s\n", output_escape(out, p->text, strlen(p->text)));
    }
}

/* "82 % full, 1.1 TiB of 6 TiB left, full about 2027-03-14 (in 15 weeks), last reached 3 h ago"; "" when nothing is
 * known. */
static const char *show_place(const struct status *status, const struct status_place *p, char out[SINK_LINE])
{
    char left[TEXT_SIZE_MAX], size[TEXT_SIZE_MAX], full[STATUS_FULL_TEXT], reached[TEXT_AGE_MAX];
    int n = 0;
    out[0] = '\0';
    if (p->space > 0)
        n += snprintf(out, SINK_LINE, "%.0f %% full, %s of %s left", status_percent(p), text_size(p->available, left),
                      text_size(p->space, size));
    if (status_full_text(p, status->now, full)[0])
        n += snprintf(out + n, SINK_LINE - (size_t)n, ", %s", full);
    if (p->reached != INT64_MIN)
        snprintf(out + n, SINK_LINE - (size_t)n, "%slast reached %s ago", n > 0 ? ", " : "",
                 ago(status, p->reached, reached));
    return out;
}

void status_view_sinks(struct output *out, const struct status *status)
{
    char line[SINK_LINE];
    bool any = false;
    for (size_t i = 0; i < status->place_count; i++) {
        const struct status_place *p = &status->places[i];
        if (!show_place(status, p, line)[0])
            continue;
        output_print(out, "%ssink '%s': %s\n", any ? "" : "\n", p->sink->name, line);
        any = true;
    }
}

int status_view_text(struct output *out, const struct status *status, bool color, struct error *e)
{
    status_view_problems(out, &status->problems, color);
    if (status->problems.count > 0)
        output_print(out, "\n");
    if (print_table(out, status, color, e) < 0)
        return -1;
    status_view_sinks(out, status);
    return 0;
}

/* ---- JSON ---- */

static json_t *space_json(const struct status_place *place, uint64_t bytes)
{
    return place->space > 0 ? output_number(bytes) : json_null();
}

static json_t *sinks_json(struct output *out, const struct status *status, const struct status_job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->job->sink_count && list; i++) {
        const struct status_sink *s = &job->sinks[i];
        bool good = s->good != INT64_MIN;
        json_t *age = good ? json_real((double)((status->now - s->good) / 1000000) / 1000) : json_null();
        json_t *row = json_pack("{s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "name", s->sink->name, "snapshot",
                                output_text(out, good ? s->good_id : NULL), "last_good", output_time(s->good), "age",
                                age, "stale", s->stale, "added", good ? output_number(s->added) : json_null(),
                                "verified", output_time(s->verified), "space", space_json(s->place, s->place->space),
                                "available", space_json(s->place, s->place->available));
        if (json_array_append_new(list, row) < 0)
            out->no_memory = true;
    }
    return list;
}

static json_t *days_json(struct output *out, const struct status_job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < STATUS_DAYS; i++)
        if (json_array_append_new(list, json_string(day_words[job->days[i]])) < 0)
            out->no_memory = true;
    return list;
}

static json_t *last_json(const struct status_job *job)
{
    static const char *const members[] = {"id", "started", "ended", "elapsed", "status", "exit", "snapshot", "error"};
    json_t *last = job->last ? json_object() : json_null();
    for (size_t i = 0; job->last && last && i < sizeof members / sizeof members[0]; i++) {
        json_t *value = json_object_get(job->last, members[i]);
        if (json_object_set_new(last, members[i], value ? json_incref(value) : json_null()) < 0) {
            json_decref(last);
            last = NULL;
        }
    }
    return last;
}

static json_t *job_json(struct output *out, const struct status *status, const struct status_job *job)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "job", job->job->name,
                     "last", last_json(job), "running", output_time(job->running), "next", output_time(job->next),
                     "missed", output_time(job->missed), "elapsed_usual",
                     job->usual > 0 ? json_real((double)job->usual / 1000) : json_null(), "max_age",
                     job->job->max_age > 0 ? json_real((double)job->job->max_age / 1000) : json_null(), "bytes",
                     job->sizes > 0 ? output_number(job->bytes) : json_null(), "bytes_before",
                     job->sizes > 1 ? output_number(job->bytes_before) : json_null(), "entries",
                     job->sizes > 0 ? output_number(job->entries) : json_null(), "days", days_json(out, job), "runs",
                     output_number(job->runs), "runs_complete", output_number(job->runs_complete), "sinks",
                     sinks_json(out, status, job));
}

void status_view_findings(struct output *out, const struct status *status)
{
    for (size_t i = 0; i < status->problems.count; i++) {
        const struct problem *p = &status->problems.items[i];
        output_object(out, "finding",
                      json_pack("{s:s, s:o, s:o, s:o}", "level", levels[p->level], "job", output_text(out, p->of.job),
                                "sink", output_text(out, p->of.sink), "text", output_text(out, p->text)));
    }
}

void status_view_places(struct output *out, const struct status *status)
{
    for (size_t i = 0; i < status->place_count; i++) {
        const struct status_place *p = &status->places[i];
        output_object(out, "sink",
                      json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "sink", p->sink->name, "reached",
                                output_time(p->reached), "measured", output_time(p->measured), "space",
                                space_json(p, p->space), "available", space_json(p, p->available), "growth",
                                p->growth > 0 ? json_real(p->growth) : json_null(), "full", output_time(p->full)));
    }
}

void status_view_json(struct output *out, const struct status *status)
{
    status_view_findings(out, status);
    for (size_t i = 0; i < status->job_count; i++)
        output_object(out, "status", job_json(out, status, &status->jobs[i]));
    status_view_places(out, status);
    output_object(out, "summary",
                  json_pack("{s:s, s:o, s:o}", "status", levels[status->problems.level], "time",
                            output_time(status->now), "problems", output_number(status->problems.count)));
}
