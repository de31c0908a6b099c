/* cofre restore: back into a directory, or to where it came from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "attempt/hook.h"
#include "attempt/undo.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/restore_report.h"
#include "cli/view.h"
#include "format/vault.h"
#include "job/restore.h"
#include "job/services.h"
#include "worker/sink.h"
#include "worker/worker.h"

static int check_arguments(struct arguments *a, struct error *e)
{
    bool in_place = arguments_has(a, "in-place"), into = arguments_has(a, "into");
    size_t count;
    char *const *sets = arguments_values(a, "set", &count);
    if (in_place && into)
        return error_set(e, ERROR_USAGE, "--into and --in-place exclude each other");
    if (!in_place && !into && (count == 0 || a->word_count < 2)) {
        error_set(e, ERROR_USAGE, "restore to where?");
        return error_hint(e,
                          "say --into DIR, --in-place for where it came from, or name a SOURCE and lead it elsewhere "
                          "with --set");
    }
    for (size_t i = 0; i < count; i++) {
        if (!strchr(sets[i], '=') || sets[i][0] == '=')
            return error_set(e, ERROR_USAGE, "'--set %.200s' is not of the form KEY=VALUE", sets[i]);
        if (into && strncmp(sets[i], "path=", 5) == 0)
            return error_set(e, ERROR_USAGE, "'--set %.200s' and --into both say where to", sets[i]);
    }
    if (!in_place && arguments_has(a, "keep-stopped"))
        return error_set(e, ERROR_USAGE, "--keep-stopped goes with --in-place: nothing else stops services");
    if (in_place && !arguments_has(a, "yes") && !isatty(STDIN_FILENO)) {
        error_set(e, ERROR_USAGE, "--in-place writes over what is there, and there is no terminal to ask at");
        return error_hint(e, "say --yes if that is what you want");
    }
    return 0;
}

/* The worker need not have our working directory. */
static char *absolute(const char *path, struct error *e)
{
    if (!*path) {
        error_set(e, ERROR_USAGE, "--into names no directory");
        return NULL;
    }
    AUTO_FREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *whole = NULL;
    if (path[0] != '/' && !here)
        error_system(e, errno, "find out the working directory");
    else if (asprintf(&whole, "%s%s%s", here ? here : "", here ? "/" : "", path) < 0) {
        whole = NULL;
        error_memory(e);
    }
    return whole;
}

/* ---- the services ---- */

/* What a plugin says of them, to the question, or to the log when there is none. */
struct saying {
    struct output *out;
    bool asked;
    size_t errors;
};

static void say(void *context, const struct worker_finding *finding)
{
    struct saying *s = context;
    struct error why;
    bool fine = finding->level > LOG_WARNING;
    s->errors += finding->level <= LOG_ERROR;
    if (s->asked && fine) {
        fprintf(stderr, "  %s\n", output_escape(s->out, finding->text, strlen(finding->text)));
        return;
    }
    error_set(&why, ERROR_PERMANENT, "%s", finding->text);
    error_hint(&why, "%s", finding->hint ? finding->hint : "");
    log_error(fine ? LOG_NOTICE : (enum log_level)finding->level, &why);
}

static int say_services(struct cli *cli, struct services *services, bool asked, struct error *e)
{
    struct saying saying = {.out = &cli->output, .asked = asked};
    if (!services)
        return 0;
    if (asked)
        fprintf(stderr, "Services around it, by %s:\n", services_by(services));
    if (services_say(services, say, &saying, e) < 0)
        return error_consequence(e, "'restore_stop': ");
    if (saying.errors == 0)
        return 0;
    error_set(e, ERROR_PERMANENT,
              "nothing was restored: %zu of the services cannot be stopped or started, as said above", saying.errors);
    return error_hint(e, "put it right, or take restore_stop out of the job and stop them by hand");
}

/* Those of the job, when it is still configured. */
static int find_services(struct cli *cli, const struct manifest *manifest, struct restore_request *request,
                         struct error *e)
{
    struct error ignored;
    if (request->in_place && config_find_job(cli->engine.config, manifest->job, &request->job, &ignored) < 0)
        request->job = NULL;
    if (request->job && services_find(&cli->engine, request->job, &request->services, e) < 0)
        return -1;
    if (!request->keep_stopped || request->services)
        return 0;
    error_set(e, ERROR_USAGE, "--keep-stopped: job '%s' has no restore_stop, so nothing is stopped", manifest->job);
    return error_hint(e, "leave it out, or say in restore_stop what is to be stopped");
}

/* ---- the hooks ---- */

/* To the question, whole. */
static void say_hooks(struct cli *cli, const struct config_job *job)
{
    for (size_t kind = CONFIG_BEFORE_RESTORE; job && kind <= CONFIG_AFTER_RESTORE; kind++) {
        const struct config_hook *hook = &job->hooks[kind];
        if (hook->word_count > 0)
            fprintf(stderr, "Hook %s:", config_hook_names[kind]);
        for (size_t i = 0; i < hook->word_count; i++)
            fprintf(stderr, " %s", output_escape(&cli->output, hook->words[i], strlen(hook->words[i])));
        if (hook->word_count > 0)
            fputc('\n', stderr);
    }
}

/* ---- the question ---- */

static void list_parts(struct cli *cli, const struct manifest *manifest, const struct restore_request *request)
{
    fprintf(stderr, "This gives back %s of job '%s' as of %s, in place:\n",
            request->part_count ? "these parts" : "all sources", manifest->job, manifest->id);
    for (size_t i = 0; i < request->part_count; i++) {
        const char *path = request->parts[i].path;
        fprintf(stderr, "  %s%s%s\n", request->parts[i].source->name, path ? ":" : "",
                path ? output_escape(&cli->output, path, strlen(path)) : "");
    }
    for (size_t i = 0; i < manifest->source_count && request->part_count == 0; i++) {
        const struct manifest_source *s = &manifest->sources[i];
        char size[TEXT_SIZE_MAX], entries[VIEW_COUNT_MAX];
        if (s->status != MANIFEST_MISSING)
            fprintf(stderr, "  %s (%s): %s entries, %s\n", s->name, s->plugin, view_count(s->entries, entries),
                    text_size(s->bytes, size));
    }
}

static int ask(struct cli *cli, const struct manifest *manifest, const struct restore_request *request, struct error *e)
{
    char answer[16] = "";
    progress_pause();
    list_parts(cli, manifest, request);
    if (say_services(cli, request->services, true, e) < 0)
        return -1;
    progress_pause();
    say_hooks(cli, request->job);
    fprintf(stderr, "What is there now may be overwritten. Type yes to go on: ");
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return 0;
    return error_set(e, ERROR_CANCELLED, "nothing was restored: the answer was not yes");
}

/* ---- the result ---- */

static void give_result(struct cli *cli, const struct manifest *manifest, const struct restore_request *request,
                        const struct restore_result *result)
{
    struct output *out = &cli->output;
    char size[TEXT_SIZE_MAX], entries[VIEW_COUNT_MAX], problems[VIEW_COUNT_MAX];
    output_object(out, "summary",
                  json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "snapshot", manifest->id, "job",
                            output_text(out, manifest->job), "into", output_text(out, request->into), "status",
                            result->problems || result->partly ? "incomplete" : "complete", "entries",
                            output_number(result->entries), "bytes", output_number(result->bytes), "without_metadata",
                            output_number(result->partly), "problems", output_number(result->problems)));
    if (cli->quiet)
        return;
    output_print(out, "restored %s: %s entries, %s%s", manifest->id, view_count(result->entries, entries),
                 text_size(result->bytes, size), result->problems ? " read" : "");
    if (request->into)
        output_print(out, ", into %s", output_escape(out, request->into, strlen(request->into)));
    if (result->partly)
        output_print(out, "; %s of them without some of their metadata, as said above",
                     view_count(result->partly, problems));
    if (result->problems)
        output_print(out, "; NOT WHOLE: %s entries, each is named above", view_count(result->problems, problems));
    output_print(out, "\n");
}

/* The words SOURCE[:PATH], which are cut up for it. */
static int read_parts(struct cli *cli, struct vault *vault, const struct manifest *manifest, struct restore_part *parts,
                      struct error *e)
{
    struct arguments *a = &cli->arguments;
    for (size_t i = 1; i < a->word_count; i++) {
        const char *name;
        char *path;
        command_split(a->words[i], &name, &path);
        if (command_source(cli, manifest, name, &parts[i - 1].source, e) < 0)
            return -1;
        if (path && command_path(vault, manifest, parts[i - 1].source, path, e) < 0)
            return -1;
        parts[i - 1].path = path;
    }
    return 0;
}

static void tell(struct attempt *attempt, const struct restore_result *r)
{
    attempt_tell(attempt,
                 json_pack("{s:I, s:I, s:I, s:I}", "entries", (json_int_t)r->entries, "bytes", (json_int_t)r->bytes,
                           "without_metadata", (json_int_t)r->partly, "problems", (json_int_t)r->problems));
}

static bool is_whole(const struct restore_result *r)
{
    return !r->problems && !r->partly && !r->held;
}

/* Between the job's hooks, when it has some. *after_failed: after_restore, which was said. */
static int restore_hooked(struct cli *cli, struct attempt *attempt, struct vault *vault,
                          const struct manifest *manifest, const struct restore_request *request,
                          struct restore_result *result, bool *after_failed, struct error *e)
{
    struct hook_pair hooks = {
        .engine = &cli->engine, .job = request->job, .first = CONFIG_BEFORE_RESTORE, .attempt = attempt};
    struct error why;
    if (restore_check(vault, manifest, request, e) < 0)
        return -1;
    int done = hook_begin(&hooks, e) == HOOK_GO_ON ? restore_run(&cli->engine, vault, manifest, request, result, e)
                                                   : error_consequence(e, "nothing was restored: ");
    tell(attempt, result);
    progress_pause(); /* what hooks write goes to the terminal past us */
    *after_failed = hook_end(&hooks, done < 0 ? "failed" : is_whole(result) ? "complete" : "incomplete", &why) < 0;
    if (*after_failed)
        log_error(LOG_ERROR, &why);
    hook_pair_free(&hooks);
    return done;
}

/* Asks, when it is to be asked, and restores. The report is filled also after an error. */
static int restore_request(struct cli *cli, struct attempt *attempt, struct vault *vault,
                           const struct manifest *manifest, struct restore_request *request,
                           struct restore_result *result, bool *after_failed, struct error *e)
{
    if (find_services(cli, manifest, request, e) < 0)
        return -1;
    if (request->in_place && !request->yes) {
        if (ask(cli, manifest, request, e) < 0)
            return -1;
        request->yes = true;
    } else if (say_services(cli, request->services, false, e) < 0) {
        return -1;
    }
    if (request->job)
        return restore_hooked(cli, attempt, vault, manifest, request, result, after_failed, e);
    return restore_run(&cli->engine, vault, manifest, request, result, e);
}

static int restore_opened(struct cli *cli, struct attempt *attempt, struct vault *vault,
                          const struct manifest *manifest, const char *into, struct error *e)
{
    struct arguments *a = &cli->arguments;
    AUTO_FREE struct restore_part *parts = calloc(a->word_count, sizeof *parts);
    struct restore_report report = {.cli = cli, .table = arguments_has(a, "in-place")};
    struct restore_request request = {.into = into,
                                      .in_place = arguments_has(a, "in-place"),
                                      .yes = arguments_has(a, "yes"),
                                      .keep_stopped = arguments_has(a, "keep-stopped"),
                                      .parts = parts,
                                      .problem = restore_report_problem,
                                      .source = restore_report_source,
                                      .context = &report,
                                      .part_count = a->word_count - 1};
    struct restore_result result = {0};
    bool after_failed = false;
    if (!parts)
        return error_memory(e);
    if (read_parts(cli, vault, manifest, parts, e) < 0)
        return -1;
    request.overrides = arguments_values(a, "set", &request.override_count);
    restore_report_begin(&report);
    int done = restore_request(cli, attempt, vault, manifest, &request, &result, &after_failed, e);
    restore_report_end(&report, request.services, result.services);
    services_free(request.services);
    tell(attempt, &result);
    if (done < 0)
        return -1;
    give_result(cli, manifest, &request, &result);
    return is_whole(&result) && !after_failed ? EXIT_DONE : EXIT_INCOMPLETE;
}

/* What was asked for, as it was typed. */
static json_t *asked(const struct arguments *a, const char *into)
{
    json_t *parts = json_array();
    for (size_t i = 1; i < a->word_count && parts; i++)
        if (json_array_append_new(parts, attempt_json(a->words[i])) < 0) {
            json_decref(parts);
            parts = NULL;
        }
    return json_pack("{s:o, s:o, s:b}", "asked", parts, "into", attempt_json(into), "in_place",
                     arguments_has(a, "in-place"));
}

static int restore_snapshot(struct cli *cli, struct attempt *attempt, const char *into, struct error *e)
{
    struct arguments *a = &cli->arguments;
    const char *what = a->word_count > 1 ? a->words[1] : NULL; /* the newest that has it */
    struct vault *vault;
    struct manifest *manifest;
    if (command_open(cli, a->words[0], what, &vault, &manifest, e) < 0)
        return -1;
    command_tell_snapshot(attempt, manifest);
    attempt_tell(attempt, json_pack("{s:[{s:s}]}", "sinks", "name", sink_name(vault->sink)));
    bool held = undo_recover(&cli->engine) > 0;
    log_line(LOG_NOTICE, "restoring snapshot '%s' of job '%s' from sink '%s'", manifest->id, manifest->job,
             sink_name(vault->sink));
    int status = restore_opened(cli, attempt, vault, manifest, into, e);
    manifest_free(manifest);
    vault_close(vault);
    return status == EXIT_DONE && held ? EXIT_INCOMPLETE : status;
}

static int restore(struct cli *cli, struct error *e)
{
    struct arguments *a = &cli->arguments;
    const char *target = arguments_value(a, "into");
    struct attempt *attempt;
    if (check_arguments(a, e) < 0)
        return -1;
    AUTO_FREE char *into = target ? absolute(target, e) : NULL;
    if ((target && !into) || command_attempt(cli, "restore", a->words[0], asked(a, into), &attempt, e) < 0)
        return -1;
    int status = restore_snapshot(cli, attempt, into, e);
    command_attempt_result(cli, attempt, "complete", "incomplete", status, e);
    return status;
}

static const struct argument_option options[] = {
    {.name = "into", .value = "DIR", .help = "put each source under DIR/SOURCE/; a stream is a file there"},
    {.name = "in-place", .help = "give it back to where it came from; asks first"},
    {.name = "set", .value = "KEY=VALUE", .repeated = true, .help = "another value for an option of the source"},
    {.name = "sink", .value = "SINK", .help = "read from this sink; default the first that can be reached and has it"},
    {.name = "keep-stopped", .help = "leave what restore_stop has stopped as it is, for a look before"},
    {.name = "yes", .help = "do not ask, and write into a target that has content"},
    {0},
};

const struct command cmd_restore = {
    .name = "restore",
    .usage = "restore JOB[@ID] [SOURCE[:PATH]...] --into DIR [--set KEY=VALUE]... [--sink SINK] [--yes]\n"
             "restore JOB[@ID] [SOURCE[:PATH]...] --in-place [--set KEY=VALUE]... [--sink SINK] [--yes]\n"
             "restore JOB[@ID] [SOURCE[:PATH]...] --in-place --keep-stopped [--sink SINK] [--yes]\n"
             "restore JOB[@ID] SOURCE[:PATH] --set KEY=VALUE... [--sink SINK]",
    .summary = "give back a snapshot, a source, or a part of one",
    .help = "Reads the snapshot, checks every byte, and puts it back: into a directory, or in place, where the\n"
            "sources are configured to be. In place it asks first; without a terminal it needs --yes. Options\n"
            "that the plugin allows (cofre plugin describe) can be set to lead to another place, such as another\n"
            "database: without --in-place nothing that is there is replaced. With --into they are those of the plugin\n"
            "directory, such as setuid=yes.\n"
            "In place, what restore_stop of the job names is stopped before and started again after, whatever came of\n"
            "it; the question says what. The hooks before_restore and after_restore run around that. The sources in\n"
            "restore_order come first.",
    .example = "cofre restore nightly --into /srv/restored\n"
               "cofre restore nightly@20261120T02 uploads:2026/11 --into /tmp/november\n"
               "cofre restore nightly uploads --in-place --yes\n"
               "cofre restore nightly gymdb --set database=gymdb_monday",
    .statuses = "0   every entry is back, whole\n"
                "1   failed: what is in the target is not to be trusted\n"
                "3   restored, but some entries not, or not in full, or without their\n"
                "    owner, mode or attributes, or a source is still frozen, or a service is\n"
                "    not started again, or hook after_restore failed; or a newer snapshot\n"
                "    cannot be read; each is named\n"
                "12  the key at hand cannot open the snapshot\n"
                "13  something that is stored is damaged and did not come back; it is named",
    .options = options,
    .words_min = 1,
    .words_max = (size_t)-1,
    .flags = COMMAND_TELLS,
    .run = restore,
};
