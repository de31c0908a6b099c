#include "cli/stored_view.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/status_view.h"
#include "cli/table.h"
#include "config/config.h"
#include "operation/stored.h"

static const char *const words[STORED_STATES] = {
    [STORED_COMPLETE] = "complete", [STORED_PARTIAL] = "partial", [STORED_INCOMPLETE] = "incomplete",
    [STORED_SUSPECT] = "suspect",   [STORED_UNKNOWN] = "unknown",
};

/* ---- text ---- */

static const char *ago(const struct stored *stored, int64_t when, const char *never, char out[TEXT_AGE_MAX])
{
    return when == INT64_MIN ? never : text_age((stored->now - when) / 1000000, out);
}

static const char *number(size_t n, char out[24])
{
    snprintf(out, 24, "%zu", n);
    return out;
}

static int add_row(const struct stored *stored, const struct stored_row *row, bool color, struct table *t,
                   struct error *e)
{
    char good[CLOCK_TEXT_MAX] = "never", age[TEXT_AGE_MAX], last[TEXT_AGE_MAX], verified[TEXT_AGE_MAX];
    char proven[TEXT_AGE_MAX], count[24], suspect[24], incomplete[24], newest[64] = "never";
    if (row->good != INT64_MIN)
        clock_format_shown(row->good, good);
    if (row->last != INT64_MIN)
        snprintf(newest, sizeof newest, "%s, %s", words[row->last_state], ago(stored, row->last, "", last));
    const char *cells[] = {row->host,
                           row->job,
                           row->sink->name,
                           good,
                           ago(stored, row->good, "", age),
                           newest,
                           number(stored_count(row), count),
                           number(row->states[STORED_SUSPECT], suspect),
                           number(row->states[STORED_INCOMPLETE], incomplete),
                           ago(stored, row->verified, "never", verified),
                           ago(stored, row->proven, "never", proven)};
    const struct problem_subject of = {.host = row->host, .job = row->job, .sink = row->sink->name};
    const char *paint = color ? status_view_paint((int)problem_worst(&stored->problems, of)) : NULL;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if (table_add_painted(t, cells[i], i <= 5 ? paint : NULL, e) < 0)
            return -1;
    return 0;
}

static int print_table(struct output *out, const struct stored *stored, bool color, struct error *e)
{
    static const struct table_column columns[] = {
        {"HOST", 0},      {"JOB", 0},     {"SINK", 0},       {"LAST GOOD", 0}, {"AGE", 0},   {"NEWEST", 0},
        {"SNAPSHOTS", 1}, {"SUSPECT", 1}, {"INCOMPLETE", 1}, {"VERIFIED", 0},  {"PROVEN", 0}};
    struct table table;
    int result = 0;
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < stored->row_count && result == 0; i++)
        result = add_row(stored, &stored->rows[i], color, &table, e);
    if (result == 0)
        table_print(&table, out);
    table_free(&table);
    return result;
}

int stored_view_text(struct output *out, const struct stored *stored, bool color, struct error *e)
{
    status_view_problems(out, &stored->problems, color);
    if (stored->problems.count > 0 && stored->row_count > 0)
        output_print(out, "\n");
    return print_table(out, stored, color, e);
}

/* ---- JSON ---- */

static json_t *row_json(struct output *out, const struct stored *stored, const struct stored_row *row)
{
    bool good = row->good != INT64_MIN, any = row->last != INT64_MIN;
    json_t *age = good ? json_real((double)((stored->now - row->good) / 1000000) / 1000) : json_null();
    json_t *newest = any ? json_pack("{s:s, s:o, s:s}", "snapshot", row->last_id, "time", output_time(row->last),
                                     "status", words[row->last_state])
                         : json_null();
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "host", row->host, "job", row->job, "sink",
        row->sink->name, "snapshot", output_text(out, good ? row->good_id : NULL), "last_good", output_time(row->good),
        "age", age, "max_age", row->max_age > 0 ? json_real((double)row->max_age / 1000) : json_null(), "stale",
        row->stale, "newest", newest, "verified", output_time(row->verified), "proven", output_time(row->proven),
        "snapshots", output_number(stored_count(row)), "unreadable", output_number(row->unreadable));
    for (size_t i = 0; i < STORED_STATES; i++)
        if (json_object_set_new(object, words[i], output_number(row->states[i])) < 0)
            out->no_memory = true;
    return object;
}

void stored_view_json(struct output *out, const struct stored *stored)
{
    for (size_t i = 0; i < stored->problems.count; i++) {
        const struct problem *p = &stored->problems.items[i];
        output_object(out, "finding",
                      json_pack("{s:s, s:o, s:o, s:s, s:o}", "level", status_view_level((int)p->level), "host",
                                output_text(out, p->of.host), "job", output_text(out, p->of.job), "sink", p->of.sink,
                                "text", output_text(out, p->text)));
    }
    for (size_t i = 0; i < stored->row_count; i++)
        output_object(out, "stored", row_json(out, stored, &stored->rows[i]));
    output_object(out, "summary",
                  json_pack("{s:s, s:o, s:o}", "status", status_view_level((int)stored->problems.level), "time",
                            output_time(stored->now), "problems", output_number(stored->problems.count)));
}

/* ---- Nagios ---- */

/* 'label'=value;warning;critical;minimum */
static void print_performance(struct output *out, const struct stored *stored)
{
    output_print(out, " |");
    for (size_t i = 0; i < stored->row_count; i++) {
        const struct stored_row *row = &stored->rows[i];
        if (row->good == INT64_MIN)
            continue;
        output_print(out, " '%s %s on %s age'=%llds;;", row->host, row->job, row->sink->name,
                     (long long)((stored->now - row->good) / 1000000000));
        output_print(out, row->max_age > 0 ? "%lld;0" : ";0", (long long)(row->max_age / 1000));
    }
    output_print(out, "\n");
}

int stored_view_nagios(struct output *out, const struct stored *stored)
{
    char age[TEXT_AGE_MAX];
    int64_t oldest = stored->now;
    status_view_nagios_begin(out, (int)stored->problems.level);
    status_view_nagios_problems(out, &stored->problems);
    for (size_t i = 0; i < stored->row_count; i++)
        oldest = stored->rows[i].good < oldest ? stored->rows[i].good : oldest;
    if (stored->problems.count == 0 && stored->row_count == 0)
        output_print(out, "nothing is stored");
    else if (stored->problems.count == 0)
        output_print(out, "%zu job%s of hosts in sinks, and no newest snapshot is older than %s", stored->row_count,
                     stored->row_count == 1 ? "" : "s", ago(stored, oldest, "", age));
    print_performance(out, stored);
    return status_view_nagios_exit((int)stored->problems.level);
}
