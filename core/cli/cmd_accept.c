/* cofre accept: what a run found to be otherwise than before is as it should be. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/command.h"
#include "config/config.h"
#include "job/accept.h"
#include "job/expect.h"
#include "job/snapshot.h"
#include "job/state.h"

struct acceptance {
    struct cli *cli;
    const char *job;
    size_t count;        /* differences, and sinks where a snapshot counts from now on */
    size_t done, failed; /* sinks */
    json_t *sinks;       /* for the record */
    struct vault_standing standing;
};

/* ---- a suspect snapshot ---- */

static void add_sink(struct acceptance *a, const char *sink, bool done)
{
    if (json_array_append_new(a->sinks, json_pack("{s:s, s:b}", "name", sink, "committed", done)) < 0)
        a->cli->output.no_memory = true;
}

static void told(void *context, const char *sink, const struct vault_standing *standing, bool was,
                 const struct error *why)
{
    struct acceptance *a = context;
    struct output *out = &a->cli->output;
    struct error e = *why;
    a->standing = *standing;
    add_sink(a, sink, why->class == ERROR_NONE);
    if (why->class != ERROR_NONE) {
        a->failed++;
        error_subject(&e, "sink", sink);
        command_report(a->cli, &e, EXIT_INCOMPLETE);
        return;
    }
    a->done++;
    a->count += was;
    if (!a->cli->quiet)
        output_print(out, "%s: sink '%s': %s\n", standing->name.id, sink,
                     was ? "accepted" : "is not suspect, or was accepted before");
    output_object(out, "acceptance",
                  json_pack("{s:s, s:s, s:s, s:b}", "job", standing->name.job, "id", standing->name.id, "sink", sink,
                            "was_suspect", was));
}

/* As of a run, so that status takes it for one that stored the snapshot. */
static void tell_record(struct attempt *attempt, const struct acceptance *a)
{
    char started[CLOCK_TEXT_MAX];
    const struct vault_standing *s = &a->standing;
    attempt_tell(attempt, json_pack("{s:s, s:s, s:s, s:O}", "snapshot", s->name.id, "snapshot_started",
                                    clock_format_exact(s->started, started), "snapshot_status",
                                    !s->complete ? "incomplete"
                                    : s->partial ? "partial"
                                                 : "complete",
                                    "sinks", a->sinks));
}

static int accept_snapshot(struct acceptance *a, const struct snapshot_selector *selector, struct error *e)
{
    struct cli *cli = a->cli;
    const struct config_instance *sink;
    const struct config_job *job;
    size_t unreachable = 0;
    if (command_sink(cli, arguments_value(&cli->arguments, "sink"), &sink, e) < 0 ||
        command_snapshots_of(cli, selector->job, sink, &job, e) < 0)
        return -1;
    struct attempt *attempt = attempt_begin(&cli->engine, "accept", selector->job, NULL, json_object());
    a->sinks = json_array();
    int status = accept_run(&cli->engine, selector, sink, told, a, &unreachable, e);
    if (status == 0) {
        tell_record(attempt, a);
        status = a->failed > 0 && a->done == 0  ? EXIT_FAILED
                 : a->failed > 0 || unreachable ? EXIT_INCOMPLETE
                                                : EXIT_DONE;
    }
    json_decref(a->sinks);
    command_attempt_result(cli, attempt, "complete", "incomplete", status, e);
    return status;
}

/* ---- what differed ---- */

static void accepted(void *context, const char *source, const char *text)
{
    struct acceptance *a = context;
    struct output *out = &a->cli->output;
    a->count++;
    output_print(out, "accepted: source '%s': %s\n", source, output_escape(out, text, strlen(text)));
    output_object(
        out, "accepted",
        out->json ? json_pack("{s:s, s:s, s:o}", "job", a->job, "source", source, "difference", output_text(out, text))
                  : NULL);
}

static int accept_differences(struct acceptance *a, const char *directory, struct error *e)
{
    struct expect *expect;
    AUTO_CLOSE int lock = -1;
    if (state_lock(directory, a->job, &lock, e) < 0 || expect_load(directory, &expect, e) < 0)
        return -1;
    int result = expect_accept(expect, accepted, a, e);
    if (result == 0 && a->count > 0)
        result = expect_save(expect, e);
    expect_free(expect);
    return result;
}

static int accept_run_of(struct acceptance *a, struct error *e)
{
    char directory[PATH_MAX];
    const struct config_job *job;
    struct snapshot_selector last = {.by = SNAPSHOT_ID};
    if (command_job(a->cli, a->job, &job, e) < 0 ||
        state_directory(a->cli->engine.config, job->name, directory, e) < 0 ||
        accept_differences(a, directory, e) < 0 || accept_last(directory, last.id, e) < 0)
        return -1;
    snprintf(last.job, sizeof last.job, "%s", job->name);
    int status = last.id[0] ? accept_snapshot(a, &last, e) : EXIT_DONE;
    if (status == EXIT_DONE && a->count == 0)
        output_print(&a->cli->output,
                     "nothing to accept: the last run of job '%s' found its sources as they were before\n", job->name);
    return status;
}

static int run(struct cli *cli, struct error *e)
{
    struct acceptance a = {.cli = cli, .job = cli->arguments.words[0]};
    struct snapshot_selector selector;
    if (snapshot_parse(a.job, &selector, e) < 0)
        return -1;
    int status = strchr(a.job, '@') ? accept_snapshot(&a, &selector, e) : accept_run_of(&a, e);
    output_flush(&cli->output);
    return status;
}

static const struct argument_option options[] = {
    {.name = "sink", .value = "SINK", .help = "in this sink only; default: in all of the job that have it"},
    {0},
};

const struct command cmd_accept = {
    .name = "accept",
    .usage = "accept JOB[@ID] [--sink SINK]",
    .summary = "say that what a run found changed is as it should be",
    .help =
        "A run compares its sources with what they were before. One that shrank by more than 'shrink', is empty, or\n"
        "has less than min_size or min_entries makes the snapshot suspect: it is stored, and counts for nothing\n"
        "until it is accepted, in each sink that has it. The next run is compared with it alone. What is another\n"
        "server than before, or leaves out more, is incomplete, in each run, until it is as before or accepted;\n"
        "the snapshots that are there already stay as they are. JOB accepts both, as the last run found them;\n"
        "JOB@ID one suspect snapshot. Any key may accept that may add or remove snapshots of the host.",
    .example = "cofre accept nightly\ncofre accept nightly@20261120T020000Z-ab12cd",
    .statuses = "0   accepted, or there was nothing to accept\n"
                "1   there is no such snapshot, or it could be done in no sink\n"
                "3   accepted, but not in each sink that has it, or a sink could not be looked at; each is named\n"
                "11  JOB alone: a run of the job is active",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
