/* cofre run: one snapshot for each job, in every sink of it. */
#include <stdlib.h>
#include <string.h>

#include "attempt/attempt.h"
#include "attempt/hook.h"
#include "attempt/undo.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/run_log.h"
#include "cli/stop.h"
#include "cli/view.h"
#include "job/backup.h"
#include "job/gate.h"
#include "operation/notify.h"

/* What came of one job. */
struct outcome {
    const struct config_job *job;
    bool partial;           /* only some of its sources are asked for */
    bool dry_run, complete; /* complete: everything that was asked for */
    struct backup_result result;
    struct attempt *attempt;
    struct hook_pair hooks;
    bool after_failed; /* hook 'after'; it was said */
};

/* m: what was committed. */
static const char *run_word(const struct outcome *outcome, const struct manifest *m)
{
    if (outcome->result.skipped)
        return "skipped";
    if (!outcome->complete)
        return "incomplete";
    return m && manifest_is_suspect(m) ? "suspect" : m && m->partial ? "partial" : "complete";
}

static json_t *sink_names(struct output *out, const struct backup_result *result)
{
    json_t *names = json_array();
    for (size_t i = 0; i < result->sink_count && names; i++)
        if (result->sinks[i].committed && json_array_append_new(names, output_text(out, result->sinks[i].name)) < 0)
            out->no_memory = true;
    return names;
}

static json_t *sink_results(struct output *out, const struct backup_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->sink_count && list; i++) {
        const struct backup_sink *s = &result->sinks[i];
        if (json_array_append_new(list, json_pack("{s:o, s:b, s:o, s:o}", "name", output_text(out, s->name),
                                                  "committed", s->committed, "error", output_text(out, s->error),
                                                  "added", output_number(s->added))) < 0)
            out->no_memory = true;
    }
    return list;
}

static void give_json(struct output *out, const struct outcome *outcome, bool failed)
{
    const struct backup_result *r = &outcome->result;
    const struct manifest *m = failed ? NULL : r->manifest;
    if (m && !outcome->dry_run)
        output_object(out, "snapshot", view_manifest(out, m, sink_names(out, r), NULL));
    json_t *object =
        json_pack("{s:s, s:o, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "job", outcome->job->name, "snapshot",
                  output_text(out, m && !outcome->dry_run ? m->id : NULL), "status",
                  failed ? "failed" : run_word(outcome, m), "dry_run", outcome->dry_run, "unpruned", r->unpruned,
                  "sinks", sink_results(out, r), "entries", output_number(m ? view_entries(m) : 0), "unchanged",
                  output_number(r->unchanged), "bytes", output_number(m ? view_bytes(m) : 0), "added",
                  output_number(m ? m->added : 0), "elapsed", json_real((double)r->elapsed / 1000));
    output_object(out, "summary", object);
    output_flush(out);
}

static void print_sources(struct output *out, const struct manifest *m, bool stored)
{
    for (size_t i = 0; i < m->source_count; i++) {
        const struct manifest_source *s = &m->sources[i];
        char size[TEXT_SIZE_MAX], entries[VIEW_COUNT_MAX], problems[VIEW_COUNT_MAX];
        output_print(out, "  source %-16s %-11s", s->name, view_status((int)s->status));
        if (s->status == MANIFEST_MISSING) {
            output_print(out, " %s\n", s->error ? output_escape(out, s->error, strlen(s->error)) : "");
            continue;
        }
        output_print(out, " %s entries, %s", view_count(s->entries, entries), text_size(s->bytes, size));
        if (s->suspect)
            output_print(out, ", SUSPECT: %s", output_escape(out, s->suspect, strlen(s->suspect)));
        if (s->problem_count)
            output_print(out, ", %s of them not whole", view_count(s->problem_count, problems));
        if (s->problem_count && stored)
            output_print(out, ": see cofre show %s@%s", m->job, m->id);
        output_print(out, "\n");
    }
}

static void print_sinks(struct output *out, const struct backup_result *result)
{
    for (size_t i = 0; i < result->sink_count; i++) {
        const struct backup_sink *s = &result->sinks[i];
        char size[TEXT_SIZE_MAX];
        if (s->committed)
            output_print(out, "  sink   %-16s committed   %s added\n", s->name, text_size(s->added, size));
        else
            output_print(out, "  sink   %-16s failed      %s\n", s->name,
                         s->error ? output_escape(out, s->error, strlen(s->error)) : "");
    }
}

static void give_text(struct output *out, const struct outcome *outcome)
{
    const struct backup_result *r = &outcome->result;
    const struct manifest *m = r->manifest;
    const bool suspect = m && manifest_is_suspect(m);
    char elapsed[TEXT_ELAPSED_MAX];
    text_elapsed(r->elapsed, elapsed);
    if (r->skipped)
        output_print(out, "job '%s' was skipped: hook 'before' ended with status %d\n", outcome->job->name, HOOK_SKIP);
    else if (outcome->dry_run)
        output_print(out, "job '%s' would be saved%s%s; looked at in %s, nothing was stored\n", outcome->job->name,
                     outcome->complete ? "" : ", but incomplete", suspect ? ", and be suspect" : "", elapsed);
    else
        output_print(out, "%sjob '%s' saved as %s, %s%s, in %s\n", m->partial ? "some sources of " : "",
                     outcome->job->name, m->id, outcome->complete ? "complete" : "INCOMPLETE",
                     suspect ? " and SUSPECT" : "", elapsed);
    if (m)
        print_sources(out, m, !outcome->dry_run);
    if (!outcome->dry_run && !r->skipped)
        print_sinks(out, r);
    output_flush(out);
}

static json_t *source_records(const struct manifest *m)
{
    char section[GATE_SECTION_MAX];
    json_t *list = json_array();
    for (size_t i = 0; m && i < m->source_count && list; i++) {
        const struct manifest_source *s = &m->sources[i];
        json_t *row = json_pack(
            "{s:s, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "name", s->name, "plugin", s->plugin,
            "plugin_version", attempt_json(s->plugin_version), "status", view_status((int)s->status), "entries",
            (json_int_t)s->entries, "bytes", (json_int_t)s->bytes, "vanished", (json_int_t)s->vanished, "problems",
            (json_int_t)s->problem_count, "error", attempt_json(s->error), "suspect", attempt_json(s->suspect));
        bool failed = row && s->part_count > 0 &&
                      (json_object_set_new(row, "section", json_string(gate_section(s, section))) < 0 ||
                       json_object_set_new(row, "parts", gate_parts(s)) < 0);
        if (json_array_append_new(list, row) < 0 || failed) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *sink_records(const struct backup_result *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->sink_count && list; i++) {
        const struct backup_sink *s = &r->sinks[i];
        json_t *row = json_pack(
            "{s:s, s:o, s:o, s:b, s:I, s:o, s:o, s:I, s:I, s:o, s:o}", "name", s->name, "plugin",
            attempt_json(s->plugin), "plugin_version", attempt_json(s->plugin_version), "committed", s->committed,
            "added", (json_int_t)s->added, "space", s->space > 0 ? json_integer(s->space) : json_null(), "available",
            s->space > 0 ? json_integer(s->available) : json_null(), "removed", (json_int_t)s->removed, "kept",
            (json_int_t)s->kept, "warning", attempt_json(s->warning), "error", attempt_json(s->error));
        if (json_array_append_new(list, row) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* What is known when all is committed and closed. why: of a failed run, else NULL. */
static void tell_record(struct outcome *outcome, const struct error *why)
{
    const struct backup_result *r = &outcome->result;
    const struct manifest *m = why ? NULL : r->manifest;
    if (m)
        command_tell_snapshot(outcome->attempt, m);
    attempt_tell(outcome->attempt,
                 json_pack("{s:I, s:I, s:I, s:I, s:b, s:o, s:o}", "entries", (json_int_t)(m ? view_entries(m) : 0),
                           "bytes", (json_int_t)(m ? view_bytes(m) : 0), "unchanged", (json_int_t)r->unchanged, "added",
                           (json_int_t)(m ? m->added : 0), "unpruned", r->unpruned, "sources", source_records(m),
                           "sinks", sink_records(r)));
}

static void close_record(struct outcome *outcome, int status, const struct error *why)
{
    json_t *record =
        attempt_close(outcome->attempt, why ? "failed" : run_word(outcome, outcome->result.manifest), status, why);
    if (!outcome->dry_run && !outcome->result.skipped)
        hook_tell(outcome->job, status == EXIT_DONE, record);
    json_decref(record);
}

static int run_before(void *context, struct error *e)
{
    struct outcome *outcome = context;
    progress_pause(); /* what hooks write goes to the terminal past us */
    enum hook_begun begun = hook_begin(&outcome->hooks, e);
    /* Who is not told of the end of such a run does not wait for it. */
    if (begun == HOOK_GO_ON && !outcome->partial)
        notify_start(outcome->hooks.engine, outcome->job, attempt_record(outcome->attempt, NULL));
    return begun;
}

static void run_after(void *context, const struct backup_result *result, const struct error *why)
{
    struct outcome *outcome = context;
    struct error e;
    outcome->complete = !why && backup_complete(result);
    tell_record(outcome, why);
    attempt_keep(outcome->attempt); /* the hook may take long */
    progress_pause();
    if (hook_end(&outcome->hooks, why ? "failed" : run_word(outcome, result->manifest), &e) == 0)
        return;
    log_error(LOG_ERROR, &e);
    outcome->after_failed = true;
}

/* What cannot be written there is said, and does not make a backup worse. why: of a failed run, else NULL. */
static void keep_line(const struct cli *cli, const struct outcome *outcome, int status, const struct error *why)
{
    const struct backup_result *r = &outcome->result;
    const struct manifest *m = why ? NULL : r->manifest;
    const char *path = cli->engine.config->log;
    char text[ERROR_TEXT_MAX];
    struct error e;
    if ((!path && log_get_service() == LOG_NO_SERVICE) || outcome->dry_run)
        return;
    const struct run_log_line line = {.job = outcome->job->name,
                                      .status = why ? "failed" : run_word(outcome, m),
                                      .exit = status,
                                      .snapshot = m ? m->id : NULL,
                                      .entries = m ? view_entries(m) : 0,
                                      .bytes = m ? view_bytes(m) : 0,
                                      .added = m ? m->added : 0,
                                      .elapsed = r->elapsed,
                                      .error = why ? error_text(why, text) : NULL};
    run_log_tell(&line);
    if (path && run_log_write(path, &line, &e) < 0)
        log_error(LOG_WARNING, &e);
}

static struct attempt *begin_attempt(const struct cli *cli, const struct backup_request *request)
{
    json_t *asked = json_array();
    for (size_t i = 0; request->sources && asked && i < request->source_count; i++)
        if (json_array_append_new(asked, json_string(request->sources[i]->name)) < 0) {
            json_decref(asked);
            asked = NULL;
        }
    return attempt_begin(&cli->engine, "run", request->job->name, NULL,
                         json_pack("{s:o, s:o}", "label", attempt_json(request->label), "asked", asked));
}

static int status_of(const struct outcome *outcome)
{
    const struct backup_result *r = &outcome->result;
    bool suspect = r->manifest && manifest_is_suspect(r->manifest);
    bool done = r->skipped || (outcome->complete && !r->unpruned && !suspect);
    return done && !outcome->after_failed ? EXIT_DONE : EXIT_INCOMPLETE;
}

/* The exit status of this job; a failure is said here, so that the next job can have its turn. */
static int run_job(struct cli *cli, const struct backup_request *asked)
{
    struct error e;
    const struct config_job *job = asked->job;
    const bool dry_run = asked->dry_run;
    struct outcome outcome = {
        .job = job, .partial = asked->sources && asked->source_count < job->source_count, .dry_run = dry_run};
    struct backup_request request = *asked;
    int status;
    if (!dry_run) {
        outcome.attempt = begin_attempt(cli, asked);
        outcome.hooks =
            (struct hook_pair){.engine = &cli->engine, .job = job, .first = CONFIG_BEFORE, .attempt = outcome.attempt};
        request.begin = run_before;
        request.end = run_after;
        request.context = &outcome;
    }
    bool failed = backup_run(&cli->engine, &request, &outcome.result, &e) < 0;
    if (failed) {
        status = stop_signal() ? 128 + stop_signal() : error_exit_status(e.class);
        error_subject(&e, "job", job->name);
        command_report(cli, &e, status);
    } else {
        const struct manifest *m = outcome.result.manifest;
        if (dry_run)
            outcome.complete = (!m || m->status == MANIFEST_COMPLETE) && outcome.result.held == 0;
        status = status_of(&outcome);
        if (!cli->quiet)
            give_text(&cli->output, &outcome);
    }
    if (cli->output.json)
        give_json(&cli->output, &outcome, failed);
    keep_line(cli, &outcome, status, failed ? &e : NULL);
    close_record(&outcome, status, failed ? &e : NULL);
    hook_pair_free(&outcome.hooks);
    backup_result_free(&outcome.result);
    return status;
}

/* 0 < 3 < the first of the others. */
static int worse(int a, int b)
{
    if (a == EXIT_DONE || a == EXIT_INCOMPLETE)
        return b == EXIT_DONE ? a : b;
    return a;
}

static const struct config_job *find_job(const struct cli *cli, const char *name)
{
    const struct config *config = cli->engine.config;
    for (size_t i = 0; i < config->job_count; i++)
        if (strcmp(config->jobs[i].name, name) == 0)
            return &config->jobs[i];
    return NULL;
}

static bool has_source(const struct config_job *job, const char *name)
{
    for (size_t i = 0; i < job->source_count; i++)
        if (strcmp(job->sources[i]->name, name) == 0)
            return true;
    return false;
}

/* Does the word after the first job name a source of it? One that is a job, too, could mean either. */
static int is_source(const struct cli *cli, const struct config_job *first, const char *word, bool *source,
                     struct error *e)
{
    *source = has_source(first, word);
    if (!*source || !find_job(cli, word))
        return 0;
    error_set(e, ERROR_USAGE, "'%s' is a job, and a source of job '%s'", word, first->name);
    return error_hint(e, "run the job by itself: cofre run %s; to save the source alone, give it another name", word);
}

/* The error says that it is no job, and may suggest one; it is no source of the first job either. */
static int neither(const char *word, const struct config_job *first, struct error *e)
{
    const char **names = calloc(first->source_count + 1, sizeof *names);
    if (!names)
        return error_memory(e);
    for (size_t i = 0; i < first->source_count; i++)
        names[i] = first->sources[i]->name;
    const char *nearest = text_nearest(word, names);
    free(names);
    error_set(e, ERROR_USAGE, "'%.200s' is neither a job nor a source of job '%s'", word, first->name);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest) : -1;
}

static const char *label_of(const struct cli *cli)
{
    return arguments_value(&cli->arguments, "label");
}

/* A signal came before its turn: what ends with 0 has saved all. */
static int not_run(const char *job, struct error *e)
{
    return error_set(e, ERROR_CANCELLED, "job '%.200s' was not run", job);
}

static int run_jobs(struct cli *cli, bool dry_run, struct error *e)
{
    int status = EXIT_DONE;
    const struct arguments *a = &cli->arguments;
    const struct config_job *job;
    /* All names first: a slip in the last one is not to be found after hours. */
    for (size_t i = 0; i < a->word_count; i++)
        if (command_job(cli, a->words[i], &job, e) < 0)
            return i == 0 ? -1 : neither(a->words[i], find_job(cli, a->words[0]), e);
    for (size_t i = 0; i < a->word_count; i++) {
        if (cancel_requested())
            return not_run(a->words[i], e);
        const struct backup_request request = {
            .job = find_job(cli, a->words[i]), .dry_run = dry_run, .label = label_of(cli)};
        status = worse(status, run_job(cli, &request));
    }
    return status;
}

/* The words after the first are sources of the job. */
static int run_sources(struct cli *cli, const struct config_job *job, bool dry_run, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    struct backup_request request = {.job = job, .dry_run = dry_run, .label = label_of(cli)};
    for (size_t i = 1; i < a->word_count; i++)
        if (!has_source(job, a->words[i])) {
            error_set(e, ERROR_USAGE, "'%.200s' is no source of job '%s'", a->words[i], job->name);
            return error_hint(e, "name several jobs, or one and sources of it, not both");
        }
    request.sources = calloc(job->source_count, sizeof *request.sources);
    if (!request.sources)
        return error_memory(e);
    for (size_t i = 0; i < job->source_count; i++)
        for (size_t k = 1; k < a->word_count; k++)
            if (strcmp(job->sources[i]->name, a->words[k]) == 0) {
                request.sources[request.source_count++] = job->sources[i];
                break;
            }
    int status = run_job(cli, &request);
    free(request.sources);
    return status;
}

static int run_named(struct cli *cli, bool dry_run, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    const struct config_job *first;
    bool source = false;
    if (command_job(cli, a->words[0], &first, e) < 0)
        return -1;
    for (size_t i = 1; i < a->word_count && !source; i++)
        if (is_source(cli, first, a->words[i], &source, e) < 0)
            return -1;
    return source ? run_sources(cli, first, dry_run, e) : run_jobs(cli, dry_run, e);
}

static int run_all(struct cli *cli, bool dry_run, struct error *e)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < cli->engine.config->job_count; i++) {
        if (cancel_requested())
            return not_run(cli->engine.config->jobs[i].name, e);
        const struct backup_request request = {
            .job = &cli->engine.config->jobs[i], .dry_run = dry_run, .label = label_of(cli)};
        status = worse(status, run_job(cli, &request));
    }
    return status;
}

static int run(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    bool all = arguments_has(a, "all"), dry_run = arguments_has(a, "dry-run");
    if (all && a->word_count > 0)
        return error_set(e, ERROR_USAGE, "--all means every job: name none, or leave --all out");
    if (!all && a->word_count == 0) {
        error_set(e, ERROR_USAGE, "no job is named");
        return error_hint(e, "name jobs, or say --all for every configured job");
    }
    if (label_of(cli) && (!*label_of(cli) || strlen(label_of(cli)) > MANIFEST_LABEL_MAX))
        return error_set(e, ERROR_USAGE, "--label takes 1 to %u bytes of text", MANIFEST_LABEL_MAX);
    if (all && cli->engine.config->job_count == 0)
        return error_set(e, ERROR_CONFIG, "no job is configured in '%s'", cli->engine.config->directory);
    bool held = undo_recover(&cli->engine) > 0;
    int status = all ? run_all(cli, dry_run, e) : run_named(cli, dry_run, e);
    return status < 0 ? status : worse(status, held ? EXIT_INCOMPLETE : EXIT_DONE);
}

static const struct argument_option options[] = {
    {.name = "all", .help = "every configured job"},
    {.name = "dry-run", .help = "read and count everything; store nothing"},
    {.name = "label", .value = "TEXT", .help = "what the snapshot is called in lists"},
    {0},
};

const struct command cmd_run = {
    .name = "run",
    .usage = "run JOB... [--label TEXT] [--dry-run]\nrun JOB SOURCE... [--label TEXT] [--dry-run]\n"
             "run --all [--label TEXT] [--dry-run]",
    .summary = "save jobs: one snapshot each, in every sink",
    .help =
        "Reads the sources of the job once and writes them as one snapshot to each of its sinks. A sink that\n"
        "fails does not keep the others from being written; what cannot be read is named, and the rest is\n"
        "saved. Several jobs run one after another, and each has its turn whatever became of those before. With\n"
        "sources of one job, these alone are saved, as a partial snapshot: it is not what JOB or JOB@complete means,\n"
        "but what JOB SOURCE does. Afterwards snapshots that no keep_ rule keeps are removed from the sinks that have\n"
        "the new one: see prune. The hooks before and after run around all of it.",
    .example = "cofre run nightly --label 'before the move'\ncofre run nightly gymdb\ncofre run --all -q\ncofre run "
               "nightly --dry-run",
    .statuses = "0   everything that was asked for is stored, durable and looked at again, in every sink; or hook\n"
                "    before has said that the run is to be skipped\n"
                "1   failed: nothing was committed\n"
                "3   committed, but parts or sinks are missing, or a source is suspect or still frozen, or what no\n"
                "    rule keeps could not be removed, or hook after failed; each is named\n"
                "11  another run of the job is active\n"
                "Of several jobs the worst counts: 0, then 3, then the first of any other status.",
    .options = options,
    .words_min = 0,
    .words_max = (size_t)-1,
    .flags = COMMAND_TELLS,
    .run = run,
};
