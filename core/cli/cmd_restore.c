/* cofre restore: back into a directory, or to where it came from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/view.h"
#include "job/hold.h"
#include "job/restore.h"
#include "job/vault.h"

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

static int ask(const struct manifest *manifest, const struct restore_request *request, struct error *e)
{
    char answer[16] = "";
    progress_pause();
    fprintf(stderr, "This gives back %s of job '%s' as of %s, in place:\n",
            request->part_count ? "these parts" : "all sources", manifest->job, manifest->id);
    for (size_t i = 0; i < request->part_count; i++)
        fprintf(stderr, "  %s%s%s\n", request->parts[i].source->name, request->parts[i].path ? ":" : "",
                request->parts[i].path ? request->parts[i].path : "");
    for (size_t i = 0; i < manifest->source_count && request->part_count == 0; i++) {
        const struct manifest_source *s = &manifest->sources[i];
        char size[TEXT_SIZE_MAX], entries[VIEW_COUNT_MAX];
        if (s->status != MANIFEST_MISSING)
            fprintf(stderr, "  %s (%s): %s entries, %s\n", s->name, s->plugin, view_count(s->entries, entries),
                    text_size(s->bytes, size));
    }
    fprintf(stderr, "What is there now may be overwritten. Type yes to go on: ");
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return 0;
    return error_set(e, ERROR_CANCELLED, "nothing was restored: the answer was not yes");
}

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

/* Each as soon as it is known, before the summary. */
static void give_problem(void *context, const struct restore_problem *problem)
{
    struct output *out = context;
    const struct error *why = problem->why;
    output_object(out, "problem",
                  json_pack("{s:o, s:o, s:s, s:o, s:o}", "source", output_text(out, problem->source), "path",
                            output_bytes(out, problem->path, problem->path_length), "class",
                            error_class_name(why->class), "message", output_text(out, why->message), "hint",
                            output_text(out, why->hint[0] ? why->hint : NULL)));
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

static int restore_opened(struct cli *cli, struct vault *vault, const struct manifest *manifest, const char *into,
                          struct error *e)
{
    struct arguments *a = &cli->arguments;
    AUTO_FREE struct restore_part *parts = calloc(a->word_count, sizeof *parts);
    struct restore_request request = {.into = into,
                                      .in_place = arguments_has(a, "in-place"),
                                      .yes = arguments_has(a, "yes"),
                                      .parts = parts,
                                      .problem = give_problem,
                                      .context = &cli->output,
                                      .part_count = a->word_count - 1};
    struct restore_result result = {0};
    if (!parts)
        return error_memory(e);
    if (read_parts(cli, vault, manifest, parts, e) < 0)
        return -1;
    request.overrides = arguments_values(a, "set", &request.override_count);
    if (request.in_place && !request.yes) {
        if (ask(manifest, &request, e) < 0)
            return -1;
        request.yes = true;
    }
    if (restore_run(&cli->engine, vault, manifest, &request, &result, e) < 0)
        return -1;
    give_result(cli, manifest, &request, &result);
    return result.problems || result.partly || result.held ? EXIT_INCOMPLETE : EXIT_DONE;
}

static int restore(struct cli *cli, struct error *e)
{
    struct arguments *a = &cli->arguments;
    const char *target = arguments_value(a, "into");
    const char *what = a->word_count > 1 ? a->words[1] : NULL; /* the newest that has it */
    struct vault *vault;
    struct manifest *manifest;
    if (check_arguments(a, e) < 0)
        return -1;
    AUTO_FREE char *into = target ? absolute(target, e) : NULL;
    if ((target && !into) || command_open(cli, a->words[0], what, &vault, &manifest, e) < 0)
        return -1;
    bool held = hold_recover(&cli->engine) > 0;
    log_line(LOG_NOTICE, "restoring snapshot '%s' of job '%s' from sink '%s'", manifest->id, manifest->job,
             vault->sink);
    int status = restore_opened(cli, vault, manifest, into, e);
    manifest_free(manifest);
    vault_close(vault);
    return status == EXIT_DONE && held ? EXIT_INCOMPLETE : status;
}

static const struct argument_option options[] = {
    {.name = "into", .value = "DIR", .help = "put each source under DIR/SOURCE/; a stream is a file there"},
    {.name = "in-place", .help = "give it back to where it came from; asks first"},
    {.name = "set", .value = "KEY=VALUE", .repeated = true, .help = "another value for an option of the source"},
    {.name = "sink", .value = "SINK", .help = "read from this sink; default the first that can be reached and has it"},
    {.name = "yes", .help = "do not ask, and write into a target that has content"},
    {0},
};

const struct command cmd_restore = {
    .name = "restore",
    .usage = "restore JOB[@ID] [SOURCE[:PATH]...] --into DIR [--set KEY=VALUE]... [--sink SINK] [--yes]\n"
             "restore JOB[@ID] [SOURCE[:PATH]...] --in-place [--set KEY=VALUE]... [--sink SINK] [--yes]\n"
             "restore JOB[@ID] SOURCE[:PATH] --set KEY=VALUE... [--sink SINK]",
    .summary = "give back a snapshot, a source, or a part of one",
    .help = "Reads the snapshot, checks every byte, and puts it back: into a directory, or in place, where the\n"
            "sources are configured to be. In place it asks first; without a terminal it needs --yes. Options\n"
            "that the plugin allows (cofre plugin describe) can be set to lead to another place, such as another\n"
            "database: without --in-place nothing that is there is replaced. With --into they are those of the plugin\n"
            "directory, such as setuid=yes.",
    .example = "cofre restore nightly --into /srv/restored\n"
               "cofre restore nightly@20261120T02 uploads:2026/11 --into /tmp/november\n"
               "cofre restore nightly uploads --in-place --yes\n"
               "cofre restore nightly gymdb --set database=gymdb_monday",
    .statuses = "0   every entry is back, whole\n"
                "1   failed: what is in the target is not to be trusted\n"
                "3   restored, but some entries not, or not in full, or without their\n"
                "    owner, mode or attributes, or a source is still frozen; each is named\n"
                "12  the key at hand cannot open the snapshot\n"
                "13  something that is stored is damaged and did not come back; it is named",
    .options = options,
    .words_min = 1,
    .words_max = (size_t)-1,
    .run = restore,
};
