#include "cli/report_html.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/report_plot.h"
#include "cli/report_view.h"
#include "cli/status_view.h"
#include "cli/view.h"
#include "config/config.h"
#include "operation/report.h"

#define TROUBLES 20 /* runs that were not complete, shown of each job */

struct page {
    struct bytes *text;
    struct output *out;
    const struct report *report;
    size_t plots;
    struct report_plot_point *points; /* room for all runs of a job */
};

/* Colours have a contrast of 4.5 and more to what is behind them. */
static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--box:#f3f5f7;--ink:#1b1f24;--soft:#535c66;--edge:#c9d1d9;"
    "--good:#1a7032;--warn:#855800;--bad:#b8202c;--line:#0757b5}\n"
    "@media (prefers-color-scheme:dark){:root{--back:#0f1318;--box:#191f26;--ink:#e6edf3;--soft:#a3adb8;"
    "--edge:#3b444e;--good:#4cc263;--warn:#dba636;--bad:#ff7b74;--line:#6cb2ff}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--back);color:var(--ink);"
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:break-word}\n"
    "h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.25rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--edge)}"
    "h3{font-size:1rem;margin:1rem 0 .25rem}p,ul{margin:.5rem 0}small,.soft{color:var(--soft)}\n"
    ".verdict{padding:.75rem 1rem;background:var(--box);border-left:.4rem solid currentColor;font-weight:600}\n"
    ".good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}"
    "th,td{padding:.35rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--edge)}"
    "th{white-space:nowrap}td.number,th.number{text-align:right;white-space:nowrap}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem}"
    "figure{margin:0;padding:.75rem;background:var(--box)}figcaption{font-weight:600}"
    "figcaption small{display:block;font-weight:400;min-height:2.9em}\n"
    "svg{display:block;width:100%;height:auto}svg text{font-size:12px;fill:var(--soft)}svg .end{text-anchor:end}"
    "svg .axis,svg .grid{stroke:var(--edge)}svg .grid{stroke-dasharray:3}"
    "svg .line{fill:none;stroke:var(--line);stroke-width:2;stroke-linejoin:round}svg .dot{fill:var(--line)}"
    "svg .bars{stroke:var(--line);stroke-width:1.6}"
    "svg .good{fill:var(--good)}svg .mixed{fill:var(--warn)}svg .bad{fill:var(--bad)}\n"
    "@media print{.wide{overflow:visible}figure,tr{break-inside:avoid}}\n";

/* ---- text ---- */

static void put_escaped(struct bytes *text, const char *shown)
{
    for (const char *p = shown; *p; p++) {
        const char *entity = *p == '&'    ? "&amp;"
                             : *p == '<'  ? "&lt;"
                             : *p == '>'  ? "&gt;"
                             : *p == '"'  ? "&quot;"
                             : *p == '\'' ? "&#39;"
                                          : NULL;
        if (entity)
            bytes_put(text, entity, strlen(entity));
        else
            bytes_put(text, p, 1);
    }
}

static void put(struct page *page, const char *raw)
{
    put_escaped(page->text, output_escape(page->out, raw, strlen(raw)));
}

/* A text of a record; NULL = none. */
static void put_recorded(struct page *page, const char *escaped)
{
    char *raw = escaped ? status_text(escaped) : NULL;
    page->out->no_memory |= escaped && !raw;
    put(page, raw ? raw : "");
    free(raw);
}

#define PRINT(page, ...) bytes_print((page)->text, __VA_ARGS__)

static void put_cell(struct page *page, const char *raw)
{
    PRINT(page, "<td>");
    put(page, raw);
    PRINT(page, "</td>");
}

static void put_number(struct page *page, const char *raw)
{
    PRINT(page, "<td class=\"number\">");
    put(page, raw);
    PRINT(page, "</td>");
}

static void put_head(struct page *page, const char *raw)
{
    PRINT(page, "<th scope=\"row\">");
    put(page, raw);
    PRINT(page, "</th>");
}

/* titles: ends with NULL; those that begin with '#' stand over numbers. */
static void begin_table(struct page *page, const char *name, const char *const *titles)
{
    PRINT(page, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    put(page, name);
    PRINT(page, "\"><table><thead><tr>");
    for (; *titles; titles++)
        PRINT(page, "<th scope=\"col\"%s>%s</th>", **titles == '#' ? " class=\"number\"" : "",
              *titles + (**titles == '#'));
    PRINT(page, "</tr></thead><tbody>\n");
}

static void end_table(struct page *page)
{
    PRINT(page, "</tbody></table></div>\n");
}

static const char *class_of(enum problem_level level)
{
    return level == PROBLEM_NONE ? "good" : level >= PROBLEM_DAMAGED ? "bad" : "warn";
}

/* ---- the machine ---- */

static void put_top(struct page *page, const struct config *config)
{
    const struct status *status = &page->report->status;
    char since[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
    PRINT(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><title>Backups of %s</title>\n<style>\n%s</style></head>\n"
        "<body><header><h1>Backups of %s</h1>\n<p class=\"soft\">From %s to %s, by cofre %s.</p>\n",
        config->host, style, config->host, clock_format_shown(page->report->since, since),
        clock_format_shown(status->now, now), COFRE_VERSION);
    PRINT(page, "<p class=\"verdict %s\">", class_of(status->problems.level));
    if (status->problems.count == 0)
        PRINT(page, "No problem is known.");
    else
        PRINT(page, "%zu problem%s; the worst: %s.", status->problems.count, status->problems.count == 1 ? "" : "s",
              status_view_level((int)status->problems.level));
    PRINT(page, "</p></header>\n<main>\n");
}

static void put_problems(struct page *page)
{
    const struct status *status = &page->report->status;
    char subject[STATUS_VIEW_SUBJECT];
    if (status->problems.count == 0)
        return;
    PRINT(page, "<section><h2>Problems</h2>\n<ul>\n");
    for (size_t i = 0; i < status->problems.count; i++) {
        const struct problem *p = &status->problems.items[i];
        PRINT(page, "<li><strong class=\"%s\">%s</strong>: ", class_of(p->level), status_view_level((int)p->level));
        put(page, status_view_subject(p, subject));
        PRINT(page, ": ");
        put(page, p->text);
        PRINT(page, "</li>\n");
    }
    PRINT(page, "</ul></section>\n");
}

static void put_sink(struct page *page, const struct report_job *job, size_t at)
{
    const struct status_sink *s = &job->status->sinks[at];
    const struct report_sink *r = &job->sinks[at];
    int64_t now = page->report->status.now;
    char text[64];
    enum problem_level level = report_view_level(s);
    PRINT(page, "<tr>");
    put_head(page, job->status->job->name);
    put_cell(page, s->sink->name);
    PRINT(page, "<td><strong class=\"%s\">%s</strong></td>", class_of(level), status_view_level((int)level));
    put_number(page, report_view_age(now, s->good, text));
    put_number(page, report_view_age(now, s->verified, text));
    put_number(page, r->restored == INT64_MIN ? "" : report_view_age(now, r->restored, text));
    put_cell(page, s->good == INT64_MIN ? "never" : clock_format_shown(s->good, text));
    snprintf(text, sizeof text, "%zu of %zu", r->committed, r->runs);
    put_number(page, text);
    put_number(page, text_size(r->added, text));
    put_number(page, report_view_full(s, text));
    PRINT(page, "</tr>\n");
}

static void put_sinks(struct page *page)
{
    static const char *const titles[] = {
        "Job",     "Sink",   "State", "#Age", "#Verified", "#Restored", "Newest complete",
        "#Stored", "#Added", "#Full", NULL};
    PRINT(page, "<section><h2>Age and proof</h2>\n<p class=\"soft\">Age of the newest complete snapshot; how long ago "
                "all of the job was last read back there and found whole; how long ago a restore from there was last "
                "complete; and, of this time, how many runs reached it and what they added.</p>\n");
    begin_table(page, "Age and proof", titles);
    for (size_t i = 0; i < page->report->status.job_count; i++)
        for (size_t k = 0; k < page->report->jobs[i].status->job->sink_count; k++)
            put_sink(page, &page->report->jobs[i], k);
    end_table(page);
    PRINT(page, "</section>\n");
}

static void put_place(struct page *page, const struct status_place *place)
{
    char text[STATUS_FULL_TEXT];
    int64_t now = page->report->status.now;
    PRINT(page, "<tr>");
    put_head(page, place->sink->name);
    snprintf(text, sizeof text, "%.0f %%", place->space > 0 ? status_percent(place) : 0);
    put_number(page, place->space > 0 ? text : "");
    put_number(page, place->space > 0 ? text_size(place->available, text) : "");
    put_number(page, place->space > 0 ? text_size(place->space, text) : "");
    put_number(page, place->growth > 0 ? text_size((uint64_t)place->growth, text) : "");
    put_cell(page, status_full_text(place, now, text));
    put_number(page, place->reached == INT64_MIN ? "" : report_view_age(now, place->reached, text));
    PRINT(page, "</tr>\n");
}

static void put_places(struct page *page)
{
    static const char *const titles[] = {"Sink",     "#Full",    "#Left", "#Of", "#Grows by, a day",
                                         "Forecast", "#Reached", NULL};
    const struct status *status = &page->report->status;
    PRINT(page, "<section><h2>Sinks</h2>\n<p class=\"soft\">How full their places were at the end of the last run, "
                "where they can tell; when they will be full, if they grow as in the last weeks; and how long ago "
                "something was last done "
                "there.</p>\n");
    begin_table(page, "Sinks", titles);
    for (size_t i = 0; i < status->place_count; i++)
        put_place(page, &status->places[i]);
    end_table(page);
    PRINT(page, "</section>\n");
}

static void put_source(struct page *page, const struct report_job *job, const struct report_source *source)
{
    char age[TEXT_AGE_MAX], when[CLOCK_TEXT_MAX];
    bool kept = source->sink;
    PRINT(page, "<tr>");
    put_head(page, job->status->job->name);
    put_cell(page, source->source->name);
    PRINT(page, "<td><strong class=\"%s\">%s%s</strong></td>", kept ? "" : "bad",
          kept ? "what changed in the last " : "all",
          kept ? report_view_age(page->report->status.now, source->began, age) : "");
    put_cell(page, kept ? clock_format_shown(source->began, when) : "none");
    put_cell(page, kept ? source->sink->name : "");
    PRINT(page, "</tr>\n");
}

static void put_losses(struct page *page)
{
    static const char *const titles[] = {"Job", "Source", "Would be lost", "What is left is of", "In sink", NULL};
    PRINT(page, "<section><h2>If this machine were lost now</h2>\n<p class=\"soft\">%s</p>\n", report_view_elsewhere);
    begin_table(page, "If this machine were lost now", titles);
    for (size_t i = 0; i < page->report->status.job_count; i++)
        for (size_t k = 0; k < page->report->jobs[i].status->job->source_count; k++)
            put_source(page, &page->report->jobs[i], &page->report->jobs[i].sources[k]);
    end_table(page);
    PRINT(page, "</section>\n");
}

/* ---- one job ---- */

typedef bool value_of(const struct report_run *run, double *value);

static bool bytes_of(const struct report_run *run, double *value)
{
    *value = (double)run->bytes;
    return run->sized;
}

static bool added_of(const struct report_run *run, double *value)
{
    *value = (double)run->added;
    return run->sized;
}

static bool elapsed_of(const struct report_run *run, double *value)
{
    *value = (double)run->elapsed / 1000;
    return run->result != REPORT_ASIDE && run->elapsed >= 0;
}

static bool deduplication_of(const struct report_run *run, double *value)
{
    *value = 100 * report_deduplication(run->bytes, run->added);
    return run->sized && *value >= 0;
}

static void put_plots(struct page *page, const struct report_job *job)
{
    static const struct {
        const char *title, *words;
        enum report_plot_unit unit;
        bool bars;
        value_of *value;
    } plots[] = {{"Size of a snapshot", "", REPORT_PLOT_BYTES, false, bytes_of},
                 {"Added by each run", "", REPORT_PLOT_BYTES, true, added_of},
                 {"Duration of a run", "", REPORT_PLOT_SECONDS, false, elapsed_of},
                 {"Deduplication", " of a snapshot was stored before", REPORT_PLOT_PERCENT, false, deduplication_of}};
    struct report_plot plot = {.title = "Success", .since = page->report->since, .until = page->report->status.now};
    PRINT(page, "<div class=\"plots\">\n");
    plot.number = ++page->plots;
    report_plot_results(page->text, &plot, job);
    for (size_t k = 0; k < sizeof plots / sizeof plots[0]; k++) {
        size_t count = 0;
        for (size_t i = 0; i < job->run_count; i++) {
            page->points[count].when = job->runs[i].ended;
            count += plots[k].value(&job->runs[i], &page->points[count].value);
        }
        plot.title = plots[k].title;
        plot.words = plots[k].words;
        plot.unit = plots[k].unit;
        plot.bars = plots[k].bars;
        plot.number = ++page->plots;
        report_plot_draw(page->text, &plot, page->points, count);
    }
    PRINT(page, "</div>\n");
}

static void put_trouble(struct page *page, const struct report_run *run)
{
    char when[CLOCK_TEXT_MAX];
    PRINT(page, "<tr>");
    put_head(page, clock_format_shown(run->started, when));
    PRINT(page, "<td>");
    put_recorded(page, run->status);
    PRINT(page, "</td><td>");
    put_recorded(page, run->label);
    PRINT(page, "</td><td>");
    put_recorded(page, run->error);
    PRINT(page, "</td></tr>\n");
}

/* The newest of them, newest first. */
static void put_troubles(struct page *page, const struct report_job *job)
{
    static const char *const titles[] = {"Begun", "Status", "Label", "Why", NULL};
    size_t all = job->results[REPORT_PARTLY] + job->results[REPORT_FAILED], shown = 0;
    char name[128];
    if (all == 0)
        return;
    snprintf(name, sizeof name, "Runs of %.63s that were not complete", job->status->job->name);
    PRINT(page, "<h3>Not complete</h3>\n");
    if (all > TROUBLES)
        PRINT(page, "<p class=\"soft\">The newest %d of %zu; cofre log %s shows the others.</p>\n", TROUBLES, all,
              job->status->job->name);
    begin_table(page, name, titles);
    for (size_t i = job->run_count; i > 0 && shown < TROUBLES; i--)
        if (job->runs[i - 1].result == REPORT_PARTLY || job->runs[i - 1].result == REPORT_FAILED) {
            put_trouble(page, &job->runs[i - 1]);
            shown++;
        }
    end_table(page);
}

static void put_job(struct page *page, const struct report_job *job)
{
    char line[REPORT_VIEW_LINE];
    page->points = calloc(job->run_count + 1, sizeof *page->points);
    page->out->no_memory |= !page->points;
    PRINT(page, "<section><h2>Job ");
    put(page, job->status->job->name);
    PRINT(page, "</h2>\n<p>");
    put(page, report_view_line(job, line));
    PRINT(page, "</p>\n");
    if (page->points)
        put_plots(page, job);
    free(page->points);
    put_troubles(page, job);
    PRINT(page, "</section>\n");
}

/* ---- the records ---- */

static void put_chains(struct page *page)
{
    static const char *const titles[] = {"Of", "#Records", "Chain", NULL};
    char text[REPORT_VIEW_LINE];
    PRINT(page,
          "<section><h2>Records</h2>\n<p class=\"soft\">All of this is read from the records that the machine "
          "keeps of every attempt. Each names the hash of the one before, so that a change, or one that was taken "
          "out between others, shows. Who can write the files can also write them anew, or cut off their "
          "end.</p>\n");
    begin_table(page, "Records", titles);
    for (size_t i = 0; i < page->report->chain_count; i++) {
        const struct report_chain *chain = &page->report->chains[i];
        PRINT(page, "<tr>");
        snprintf(text, sizeof text, "%s %s", chain->job ? "job" : "sink", chain->job ? chain->job : chain->sink);
        put_head(page, text);
        put_number(page, view_count(chain->chain.count, text));
        PRINT(page, "<td class=\"%s\">", chain->flaw[0] ? "bad" : "good");
        put(page, report_view_chain(chain, text));
        PRINT(page, "</td></tr>\n");
    }
    end_table(page);
    PRINT(page, "</section>\n");
}

void report_html_write(struct bytes *text, struct output *out, const struct config *config, const struct report *report)
{
    struct page page = {.text = text, .out = out, .report = report};
    put_top(&page, config);
    put_problems(&page);
    put_sinks(&page);
    put_places(&page);
    put_losses(&page);
    for (size_t i = 0; i < report->status.job_count; i++)
        put_job(&page, &report->jobs[i]);
    put_chains(&page);
    PRINT(&page, "</main></body></html>\n");
}
