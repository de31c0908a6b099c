/* cofre prune: remove the snapshots that no rule keeps. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/table.h"
#include "cli/view.h"
#include "format/vault.h"
#include "job/formats.h"
#include "job/history.h"
#include "job/prune.h"
#include "job/state.h"

/* What is to be done, and what came of it so far. */
struct pruning {
    struct cli *cli;
    struct prune_request request;
    const struct config_instance *sink; /* that is being pruned */
    int status;
    struct attempt *attempt; /* at one job, or at one sink of other hosts'; NULL in a dry run */
    size_t attempt_from;     /* of its results */
    int status_before;       /* it */
    size_t kept, removed, held;
    struct table table; /* of one host and job */
    json_t *results;    /* one object for each host, job and sink */
    bool no_memory;     /* a row is missing */
};

static const struct table_column columns[] = {{"SNAPSHOT", 0}, {"STARTED", 0}, {"", 0}, {"WHY", 0}};

/* ---- what is shown ---- */

static const char *word(const struct pruning *p, enum prune_action action)
{
    return action == PRUNE_KEEP ? "stays" : action == PRUNE_HOLD ? "is held" : p->request.dry_run ? "would go" : "gone";
}

static void add_row(struct pruning *p, const struct vault_standing *s, const struct retention_decision *d,
                    enum prune_action action)
{
    char why[RETENTION_REASONS_MAX * (RETENTION_REASON_SIZE + 2)] = "", started[CLOCK_TEXT_MAX] = "";
    struct error e;
    for (size_t i = 0, used = 0; i < d->reason_count; i++)
        used += (size_t)snprintf(why + used, sizeof why - used, "%s%s", i ? "; " : "", d->reasons[i]);
    if (s->sequence > 0)
        clock_format_shown(s->started, started);
    if (table_add(&p->table, s->name.id, &e) < 0 || table_add(&p->table, started, &e) < 0 ||
        table_add(&p->table, word(p, action), &e) < 0 || table_add(&p->table, why, &e) < 0)
        p->no_memory = true;
}

static void give_decision(struct pruning *p, const struct vault_standing *s, const struct retention_decision *d,
                          enum prune_action action)
{
    struct output *out = &p->cli->output;
    json_t *reasons = json_array();
    for (size_t i = 0; i < d->reason_count; i++)
        if (json_array_append_new(reasons, output_text(out, d->reasons[i])) < 0)
            out->no_memory = true;
    output_object(out, "decision",
                  json_pack("{s:o, s:o, s:s, s:s, s:s, s:o}", "host", output_text(out, s->name.host), "job",
                            output_text(out, s->name.job), "sink", p->sink->name, "id", s->name.id, "action",
                            action == PRUNE_REMOVE ? "remove" : "keep", "reasons", reasons));
}

static void decided(void *context, const struct prune_result *of, const struct vault_standing *standing,
                    const struct retention_decision *decision, enum prune_action action)
{
    struct pruning *p = context;
    (void)of;
    if (p->cli->output.json)
        give_decision(p, standing, decision, action);
    else if (!p->cli->quiet)
        add_row(p, standing, decision, action);
}

static void print_group(struct pruning *p, const struct prune_result *r)
{
    struct output *out = &p->cli->output;
    char all[VIEW_COUNT_MAX], removed[VIEW_COUNT_MAX], held[VIEW_COUNT_MAX];
    const char *host = strcmp(r->host, p->cli->engine.config->host) == 0 ? NULL : r->host;
    table_print(&p->table, out);
    output_print(out, "job '%s'%s%s in sink '%s': %s snapshots, %s %s", r->job, host ? " of " : "", host ? host : "",
                 p->sink->name, view_count(r->kept + r->removed + r->held, all), view_count(r->removed, removed),
                 p->request.dry_run ? "would be removed" : "removed");
    output_print(out, r->held ? ", %s held back\n" : "\n", view_count(r->held, held));
}

static void add_result(struct pruning *p, const char *host, const char *job, const struct prune_result *r,
                       const struct error *why)
{
    struct output *out = &p->cli->output;
    char text[ERROR_TEXT_MAX];
    json_t *object = json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "host", output_text(out, host), "job",
                               output_text(out, job), "sink", p->sink->name, "kept", output_number(r ? r->kept : 0),
                               "removed", output_number(r ? r->removed : 0), "held", output_number(r ? r->held : 0),
                               "error", output_text(out, why ? error_text(why, text) : NULL));
    if (json_array_append_new(p->results, object) < 0)
        out->no_memory = true;
}

static void done(void *context, const struct prune_result *r)
{
    struct pruning *p = context;
    struct error why = r->why;
    bool clean = why.class == ERROR_NONE;
    if (!p->cli->output.json && !p->cli->quiet)
        print_group(p, r);
    table_free(&p->table);
    table_init(&p->table, columns, sizeof columns / sizeof columns[0]);
    output_flush(&p->cli->output);
    p->kept += r->kept;
    p->removed += r->removed;
    p->held += r->held;
    add_result(p, r->host, r->job, r, clean ? NULL : &why);
    if (clean)
        return;
    error_subject(&why, "sink", p->sink->name);
    log_error(LOG_WARNING, &why);
    if (p->status == EXIT_DONE)
        p->status = EXIT_INCOMPLETE;
}

/* One that could not be looked at, and is in the way of no other. */
static void fail(struct pruning *p, const char *host, const char *job, struct error *e)
{
    int status = error_exit_status(e->class);
    if (p->sink) {
        error_subject(e, "sink", p->sink->name);
        if (!e->hint[0])
            error_hint(e, "look at the sink: cofre check %s", p->sink->name);
        add_result(p, host, job, NULL, e);
    }
    command_report(p->cli, e, status);
    if (p->status == EXIT_DONE || p->status == EXIT_INCOMPLETE)
        p->status = status;
}

/* ---- what is remembered of it ---- */

static void begin(struct pruning *p, const char *job, const char *sink)
{
    p->attempt_from = json_array_size(p->results);
    p->status_before = p->status;
    p->status = EXIT_DONE;
    if (!p->request.dry_run)
        p->attempt = attempt_begin(&p->cli->engine, "prune", job, sink, json_pack("{s:b}", "yes", p->request.yes));
}

static void end(struct pruning *p, const struct error *why)
{
    json_t *sinks = json_array();
    for (size_t i = p->attempt_from; sinks && i < json_array_size(p->results); i++)
        if (json_array_append(sinks, json_array_get(p->results, i)) < 0) {
            json_decref(sinks);
            sinks = NULL;
        }
    attempt_tell(p->attempt, json_pack("{s:o}", "sinks", sinks));
    command_attempt_end(p->attempt,
                        p->status == EXIT_DONE         ? "done"
                        : p->status == EXIT_INCOMPLETE ? "incomplete"
                                                       : "failed",
                        p->status, why);
    p->attempt = NULL;
    bool worse = p->status_before == EXIT_DONE || (p->status_before == EXIT_INCOMPLETE && p->status != EXIT_DONE);
    p->status = worse ? p->status : p->status_before;
}

/* ---- one sink ---- */

/* job: its own, whose lock is held; NULL: those of other hosts, of the job of that name, or of any. */
static void prune_sink(struct pruning *p, const struct config_instance *sink, const struct config_job *job,
                       const struct history *history, const char *name)
{
    const struct prune_audience audience = {.decided = decided, .done = done, .context = p};
    struct vault *vault;
    struct error e;
    p->sink = sink;
    int result = formats_open(&p->cli->engine, sink, &vault, &e);
    if (result == 0) {
        result = job ? prune_job(vault, job, history, &p->request, &audience, &e)
                     : prune_others(vault, name, &p->request, &audience, &e);
        vault_close(vault);
    }
    if (result < 0)
        fail(p, job ? p->cli->engine.config->host : NULL, job ? job->name : name, &e);
}

static int prune_locked(struct pruning *p, const struct config_job *job, const struct config_instance *only,
                        struct error *e)
{
    const struct config *config = p->cli->engine.config;
    char directory[PATH_MAX];
    struct history history;
    int lock;
    if (state_directory(config, job->name, directory, e) < 0 || state_lock(directory, job->name, &lock, e) < 0)
        return -1;
    int result = history_load(directory, config->host, &history, e);
    for (size_t i = 0; result == 0 && i < job->sink_count && !cancel_requested(); i++)
        if (!only || job->sinks[i] == only)
            prune_sink(p, job->sinks[i], job, &history, NULL);
    if (result == 0)
        history_free(&history);
    close(lock);
    return result;
}

static void prune_one(struct pruning *p, const struct config_job *job, const struct config_instance *only)
{
    struct error e;
    p->sink = NULL;
    begin(p, job->name, NULL);
    bool failed = prune_locked(p, job, only, &e) < 0;
    if (failed) {
        p->sink = NULL;
        error_subject(&e, "job", job->name);
        fail(p, NULL, job->name, &e);
    }
    end(p, failed ? &e : NULL);
}

/* ---- which ---- */

static void prune_all_hosts(struct pruning *p, const char *name, const struct config_instance *only)
{
    const struct config *config = p->cli->engine.config;
    size_t ruled = 0;
    for (size_t i = 0; i < config->sink_count && !cancel_requested(); i++) {
        const struct config_instance *sink = &config->sinks[i];
        if ((only && only != sink) || !config_retention_rules(&sink->retention))
            continue;
        ruled++;
        begin(p, NULL, sink->name);
        prune_sink(p, sink, NULL, NULL, name);
        end(p, NULL);
    }
    if (ruled == 0)
        log_line(LOG_WARNING, "snapshots of other hosts all stay: no keep_ rule is in %s%s%s",
                 only ? "[sink " : "the section of a sink", only ? only->name : "", only ? "]" : "");
}

static int check_chosen(const struct pruning *p, const struct config_job *job, const struct config_instance *only,
                        bool all_hosts, struct error *e)
{
    const struct config *config = p->cli->engine.config;
    if (job && only && !all_hosts && !config_job_uses(job, only))
        return error_set(e, ERROR_USAGE, "job '%s' does not write to sink '%s'", job->name, only->name);
    if (config->job_count == 0 && !all_hosts)
        return error_set(e, ERROR_CONFIG, "no job is configured in '%s'", config->directory);
    return 0;
}

static int prune_chosen(struct pruning *p, struct error *e)
{
    const struct config *config = p->cli->engine.config;
    const struct arguments *a = &p->cli->arguments;
    const char *name = a->word_count > 0 ? a->words[0] : NULL;
    bool others = arguments_has(a, "other-hosts"), all_hosts = others || arguments_has(a, "all-hosts");
    const struct config_instance *only;
    const struct config_job *job = NULL;
    if (command_sink(p->cli, arguments_value(a, "sink"), &only, e) < 0 ||
        (command_job(p->cli, name, &job, e) < 0 && !all_hosts) || check_chosen(p, job, only, all_hosts, e) < 0)
        return -1;
    for (size_t i = 0; i < config->job_count && !others && !cancel_requested(); i++)
        if ((!name || &config->jobs[i] == job) && (!only || config_job_uses(&config->jobs[i], only)))
            prune_one(p, &config->jobs[i], only);
    if (all_hosts)
        prune_all_hosts(p, name, only);
    return 0;
}

static int prune(struct cli *cli, struct error *e)
{
    struct pruning p = {.cli = cli, .results = json_array()};
    struct output *out = &cli->output;
    p.request.dry_run = arguments_has(&cli->arguments, "dry-run");
    p.request.yes = arguments_has(&cli->arguments, "yes");
    table_init(&p.table, columns, sizeof columns / sizeof columns[0]);
    int result = prune_chosen(&p, e);
    bool cut = cancel_requested();
    if (result == 0)
        output_object(out, "summary",
                      json_pack("{s:s, s:b, s:o, s:o, s:o, s:O}", "status", p.status || cut ? "incomplete" : "done",
                                "dry_run", p.request.dry_run, "kept", output_number(p.kept), "removed",
                                output_number(p.removed), "held", output_number(p.held), "sinks", p.results));
    out->no_memory = out->no_memory || p.no_memory;
    table_free(&p.table);
    json_decref(p.results);
    if (result == 0 && cut)
        return error_set(e, ERROR_CANCELLED, "prune was not finished");
    return result < 0 ? -1 : p.status;
}

static const struct argument_option options[] = {
    {.name = "all-hosts", .help = "also what other hosts store, by the keep_ rules of the sinks' sections"},
    {.name = "other-hosts", .help = "only what other hosts store, likewise"},
    {.name = "dry-run", .help = "show what would be removed, and why; remove nothing"},
    {.name = "sink", .value = "SINK", .help = "in this sink only"},
    {.name = "yes", .help = "also when it is more than half of a job's snapshots, or years lie between them"},
    {0},
};

const struct command cmd_prune = {
    .name = "prune",
    .usage = "prune [JOB] [--sink SINK] [--all-hosts | --other-hosts] [--dry-run] [--yes]",
    .summary = "remove the snapshots that no rule keeps",
    .help =
        "Decides by the keep_ rules of the job which of its snapshots stay in each of its sinks, and removes the\n"
        "others; without a rule nothing is ever removed. A run does the same when it is done, unless the job says\n"
        "prune = manual or elsewhere. Never removed: the newest complete ones (keep_min, 3), the newest that was\n"
        "verified, the newest that was proven, what is pinned, and the newest of all. More than half at once needs\n"
        "--yes. On a doubt (a snapshot that cannot be read, a clock that jumped, another disk in the place)\n"
        "nothing is removed. Data that no snapshot needs any more stays until gc.",
    .example = "cofre prune --dry-run\ncofre prune nightly\ncofre prune nightly --sink nas --yes\n"
               "cofre prune --all-hosts --sink nas",
    .statuses = "0   done: what no rule keeps is gone\n"
                "3   something is held back, or could not be removed; why is said\n"
                "11  a run of the job is active\n"
                "N   a sink could not be looked at: 1, 10 (no repository), 12 (wrong key or credentials)",
    .options = options,
    .words_min = 0,
    .words_max = 1,
    .flags = COMMAND_TELLS,
    .run = prune,
};
