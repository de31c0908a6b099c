#include "cli/report_view.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/status_view.h"
#include "cli/table.h"
#include "cli/view.h"
#include "config/config.h"
#include "operation/report.h"

const char report_view_elsewhere[] =
    "Of each source, the newest snapshot with all of it in a sink elsewhere. A sink with plugin local counts as this "
    "machine, since cofre does not know whether its disk would be lost too.";

/* ---- words ---- */

const char *report_view_age(int64_t now, int64_t when, char *out)
{
    if (when != INT64_MIN)
        return text_age((now - when) / 1000000, out);
    snprintf(out, TEXT_AGE_MAX, "never");
    return out;
}

const char *report_view_full(const struct status_sink *sink, char *out)
{
    out[0] = '\0';
    if (sink->place->space > 0)
        snprintf(out, 16, "%.0f %%", status_percent(sink->place));
    return out;
}

enum problem_level report_view_level(const struct status_sink *sink)
{
    if (sink->stale)
        return PROBLEM_STALE;
    if (sink->damaged > sink->verified)
        return PROBLEM_DAMAGED;
    return sink->good == INT64_MIN ? PROBLEM_WARNING : PROBLEM_NONE;
}

const char *report_view_line(const struct report_job *job, char out[REPORT_VIEW_LINE])
{
    char usual[TEXT_ELAPSED_MAX], longest[TEXT_ELAPSED_MAX], bytes[TEXT_SIZE_MAX], added[TEXT_SIZE_MAX];
    double success = report_success(job), known = report_deduplication(job->bytes, job->added);
    if (job->run_count == 0)
        return strcpy(out, "No run ended in this time.");
    int n = snprintf(out, REPORT_VIEW_LINE, "%zu run%s: %zu complete, %zu incomplete or suspect, %zu failed",
                     job->run_count, job->run_count == 1 ? "" : "s", job->results[REPORT_COMPLETE],
                     job->results[REPORT_PARTLY], job->results[REPORT_FAILED]);
    if (job->results[REPORT_ASIDE] > 0)
        n += snprintf(out + n, REPORT_VIEW_LINE - (size_t)n, ", %zu skipped or of some sources alone",
                      job->results[REPORT_ASIDE]);
    if (success >= 0)
        n += snprintf(out + n, REPORT_VIEW_LINE - (size_t)n, " (%.1f %% complete)", 100 * success);
    if (job->median >= 0)
        n += snprintf(out + n, REPORT_VIEW_LINE - (size_t)n, "; half took %s or less, the longest %s",
                      text_elapsed(job->median, usual), text_elapsed(job->longest, longest));
    if (known >= 0)
        n += snprintf(out + n, REPORT_VIEW_LINE - (size_t)n,
                      "; of %s in their snapshots %s were added, %.1f %% were there before",
                      text_size(job->bytes, bytes), text_size(job->added, added), 100 * known);
    snprintf(out + n, REPORT_VIEW_LINE - (size_t)n, ".");
    return out;
}

const char *report_view_chain(const struct report_chain *chain, char out[REPORT_VIEW_LINE])
{
    if (chain->chain.flaws > 1)
        snprintf(out, REPORT_VIEW_LINE, "%s; and %zu more", chain->flaw, chain->chain.flaws - 1);
    else if (chain->flaw[0])
        snprintf(out, REPORT_VIEW_LINE, "%s", chain->flaw);
    else
        snprintf(out, REPORT_VIEW_LINE, "%s",
                 chain->chain.count == 0 ? "none is there"
                 : chain->chain.cut      ? "whole; older ones were cut off"
                                         : "whole");
    return out;
}

/* ---- text ---- */

static int add_sink(const struct report *report, const struct report_job *job, size_t at, struct table *t,
                    struct error *e)
{
    const struct status_sink *s = &job->status->sinks[at];
    const struct report_sink *r = &job->sinks[at];
    int64_t now = report->status.now;
    char good[CLOCK_TEXT_MAX] = "never", age[TEXT_AGE_MAX], verified[TEXT_AGE_MAX], restored[TEXT_AGE_MAX] = "";
    char stored[48], added[TEXT_SIZE_MAX], full[16];
    if (s->good != INT64_MIN)
        clock_format_shown(s->good, good);
    if (r->restored != INT64_MIN)
        report_view_age(now, r->restored, restored);
    snprintf(stored, sizeof stored, "%zu of %zu", r->committed, r->runs);
    const char *cells[] = {job->status->job->name,
                           s->sink->name,
                           status_view_level((int)report_view_level(s)),
                           good,
                           report_view_age(now, s->good, age),
                           report_view_age(now, s->verified, verified),
                           restored,
                           stored,
                           text_size(r->added, added),
                           report_view_full(s, full)};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if (table_add(t, cells[i], e) < 0)
            return -1;
    return 0;
}

static int print_sinks(struct output *out, const struct report *report, struct error *e)
{
    static const struct table_column columns[] = {{"JOB", 0},   {"SINK", 0},     {"STATE", 0},    {"LAST GOOD", 0},
                                                  {"AGE", 0},   {"VERIFIED", 0}, {"RESTORED", 0}, {"STORED", 1},
                                                  {"ADDED", 1}, {"FULL", 1}};
    struct table table;
    int result = 0;
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < report->status.job_count; i++)
        for (size_t k = 0; k < report->jobs[i].status->job->sink_count && result == 0; k++)
            result = add_sink(report, &report->jobs[i], k, &table, e);
    if (result == 0)
        table_print(&table, out);
    table_free(&table);
    return result;
}

static void print_losses(struct output *out, const struct report *report)
{
    char age[TEXT_AGE_MAX];
    output_print(out, "\nIf this machine were lost now (sinks with plugin local lost with it):\n");
    for (size_t i = 0; i < report->status.job_count; i++) {
        const struct report_job *job = &report->jobs[i];
        for (size_t k = 0; k < job->status->job->source_count; k++) {
            const struct report_source *s = &job->sources[k];
            output_print(out, "job '%s', source '%s': ", job->status->job->name, s->source->name);
            if (s->sink)
                output_print(out, "what changed in the last %s would be lost; the rest is in sink '%s'\n",
                             report_view_age(report->status.now, s->began, age), s->sink->name);
            else
                output_print(out, "all would be lost: no complete snapshot of it is known to be elsewhere\n");
        }
    }
}

int report_view_text(struct output *out, const struct config *config, const struct report *report, struct error *e)
{
    const struct status *status = &report->status;
    char since[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX], text[REPORT_VIEW_LINE], count[VIEW_COUNT_MAX];
    output_print(out, "Backups of %s, from %s to %s\n\n", config->host, clock_format_shown(report->since, since),
                 clock_format_shown(status->now, now));
    status_view_problems(out, &status->problems, false);
    if (status->problems.count > 0)
        output_print(out, "\n");
    if (print_sinks(out, report, e) < 0)
        return -1;
    status_view_sinks(out, status);
    output_print(out, "\n");
    for (size_t i = 0; i < status->job_count; i++)
        output_print(out, "job '%s': %s\n", report->jobs[i].status->job->name,
                     report_view_line(&report->jobs[i], text));
    print_losses(out, report);
    output_print(out, "\nRecords:\n");
    for (size_t i = 0; i < report->chain_count; i++) {
        const struct report_chain *chain = &report->chains[i];
        report_view_chain(chain, text);
        output_print(out, "%s '%s': %s, chain: %s\n", chain->job ? "job" : "sink",
                     chain->job ? chain->job : chain->sink, view_count(chain->chain.count, count),
                     output_escape(out, text, strlen(text)));
    }
    return 0;
}

/* ---- JSON ---- */

/* null when there is no memory, which is told. */
static void append(struct output *out, json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        out->no_memory = true;
}

static json_t *number_or_null(bool known, double number)
{
    return known ? json_real(number) : json_null();
}

static json_t *age_json(const struct report *report, int64_t when)
{
    return number_or_null(when != INT64_MIN, (double)((report->status.now - when) / 1000000) / 1000);
}

static json_t *sinks_json(struct output *out, const struct report *report, const struct report_job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->status->job->sink_count && list; i++) {
        const struct status_sink *s = &job->status->sinks[i];
        const struct report_sink *r = &job->sinks[i];
        bool good = s->good != INT64_MIN;
        append(out, list,
               json_pack("{s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", s->sink->name,
                         "elsewhere", report_elsewhere(s->sink), "state", status_view_level((int)report_view_level(s)),
                         "snapshot", output_text(out, good ? s->good_id : NULL), "last_good", output_time(s->good),
                         "age", good ? age_json(report, s->good) : json_null(), "verified", output_time(s->verified),
                         "damaged", output_time(s->damaged), "restored", output_time(r->restored), "runs",
                         output_number(r->runs), "committed", output_number(r->committed), "added",
                         output_number(r->added)));
    }
    return list;
}

static json_t *sources_json(struct output *out, const struct report *report, const struct report_job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->status->job->source_count && list; i++) {
        const struct report_source *s = &job->sources[i];
        append(out, list,
               json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", s->source->name, "elsewhere",
                         output_text(out, s->sink ? s->sink->name : NULL), "snapshot",
                         output_text(out, s->sink ? s->id : NULL), "last_good", output_time(s->began), "age",
                         s->sink ? age_json(report, s->began) : json_null()));
    }
    return list;
}

static json_t *job_json(struct output *out, const struct report *report, const struct report_job *job)
{
    double success = report_success(job), known = report_deduplication(job->bytes, job->added);
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "job", job->status->job->name, "runs",
        output_number(job->run_count), "complete", output_number(job->results[REPORT_COMPLETE]), "incomplete",
        output_number(job->results[REPORT_PARTLY]), "failed", output_number(job->results[REPORT_FAILED]), "aside",
        output_number(job->results[REPORT_ASIDE]), "success", number_or_null(success >= 0, success), "bytes",
        output_number(job->bytes), "added", output_number(job->added), "deduplication",
        number_or_null(known >= 0, known), "elapsed", number_or_null(job->median >= 0, (double)job->median / 1000),
        "elapsed_most", number_or_null(job->longest >= 0, (double)job->longest / 1000), "sinks",
        sinks_json(out, report, job), "sources", sources_json(out, report, job));
}

static json_t *recorded(const char *escaped)
{
    return escaped ? json_string(escaped) : json_null();
}

static json_t *run_json(const struct report_job *job, const struct report_run *run)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "job", job->status->job->name, "id",
                     recorded(run->id), "started", output_time(run->started), "ended", output_time(run->ended),
                     "elapsed", number_or_null(run->elapsed >= 0, (double)run->elapsed / 1000), "status",
                     recorded(run->status), "snapshot", recorded(run->snapshot), "bytes",
                     run->sized ? output_number(run->bytes) : json_null(), "added",
                     run->sized ? output_number(run->added) : json_null(), "label", recorded(run->label), "error",
                     recorded(run->error));
}

static void give_job(struct output *out, const struct report *report, const struct report_job *job)
{
    output_object(out, "job", job_json(out, report, job));
    for (size_t i = 0; i < job->run_count; i++)
        output_object(out, "run", run_json(job, &job->runs[i]));
}

void report_view_json(struct output *out, const struct config *config, const struct report *report)
{
    const struct status *status = &report->status;
    char name[96];
    output_object(out, "report",
                  json_pack("{s:s, s:o, s:o}", "host", config->host, "since", output_time(report->since), "until",
                            output_time(status->now)));
    status_view_findings(out, status);
    for (size_t i = 0; i < status->job_count; i++)
        give_job(out, report, &report->jobs[i]);
    status_view_places(out, status);
    for (size_t i = 0; i < report->chain_count; i++) {
        const struct report_chain *c = &report->chains[i];
        snprintf(name, sizeof name, "%s '%.63s'", c->job ? "job" : "sink", c->job ? c->job : c->sink);
        output_object(out, "chain",
                      json_pack("{s:s, s:o, s:o, s:b, s:o}", "of", name, "records", output_number(c->chain.count),
                                "flaws", output_number(c->chain.flaws), "cut", c->chain.cut, "error",
                                output_text(out, c->flaw[0] ? c->flaw : NULL)));
    }
    output_object(out, "summary",
                  json_pack("{s:s, s:o, s:o}", "status", status_view_level((int)status->problems.level), "problems",
                            output_number(status->problems.count), "chains_broken", output_number(report->flawed)));
}
