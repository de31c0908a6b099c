/* cofre check: what stands in the way of the next run? */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "operation/check.h"

struct tally {
    struct output *out;
    bool quiet;
    unsigned errors, warnings;
    int status; /* of the first error */
};

static const char *level_name(int level)
{
    return level <= LOG_ERROR ? "error" : level == LOG_WARNING ? "warning" : "ok";
}

/* What is wrong goes where errors go, also when what is fine is thrown away. */
static void say(const struct tally *tally, const struct check_finding *finding)
{
    struct output *out = tally->out;
    char text[ERROR_TEXT_MAX];
    struct error e;
    error_set(&e, (enum error_class)finding->error_class, "%s", finding->text);
    error_subject(&e, NULL, finding->subject);
    error_text(&e, text);
    if (finding->hint && *finding->hint)
        error_hint(&e, "%s", finding->hint);
    if (finding->level <= LOG_ERROR) {
        command_print_error(out, &e);
    } else if (finding->level == LOG_WARNING) {
        log_error(LOG_WARNING, &e);
    } else if (!tally->quiet) {
        output_print(out, "ok: %s\n", output_escape(out, text, strlen(text)));
    }
}

static json_t *describe(struct output *out, const struct check_finding *finding)
{
    bool failed = finding->level <= LOG_ERROR;
    const char *class = error_class_name((enum error_class)finding->error_class);
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "level", level_name(finding->level), "subject",
                     output_text(out, finding->subject), "text", output_text(out, finding->text), "hint",
                     output_text(out, finding->hint && *finding->hint ? finding->hint : NULL), "class",
                     failed ? json_string(class) : json_null());
}

static void found(void *context, const struct check_finding *finding)
{
    struct tally *tally = context;
    if (finding->level <= LOG_ERROR && tally->errors++ == 0)
        tally->status = error_exit_status((enum error_class)finding->error_class);
    if (finding->level == LOG_WARNING)
        tally->warnings++;
    say(tally, finding);
    output_object(tally->out, "finding", tally->out->json ? describe(tally->out, finding) : NULL);
    output_flush(tally->out);
}

static int check(struct cli *cli, struct error *e)
{
    struct tally tally = {.out = &cli->output, .quiet = cli->quiet};
    const struct arguments *a = &cli->arguments;
    if (check_run(&cli->engine, a->words, a->word_count, arguments_has(a, "offline"), found, &tally, e) < 0)
        return -1;
    const char *status = tally.errors ? "failed" : tally.warnings ? "warning" : "ok";
    output_object(
        &cli->output, "summary",
        json_pack("{s:s, s:i, s:i}", "status", status, "errors", (int)tally.errors, "warnings", (int)tally.warnings));
    if (!cli->quiet)
        output_print(&cli->output, "%u error%s, %u warning%s\n", tally.errors, tally.errors == 1 ? "" : "s",
                     tally.warnings, tally.warnings == 1 ? "" : "s");
    return tally.status;
}

static const struct argument_option options[] = {
    {.name = "offline", .help = "look at configuration and plugins only; reach nothing"},
    {0},
};

const struct command cmd_check = {
    .name = "check",
    .usage = "check [NAME]... [--offline]",
    .summary = "is everything there that a run needs?",
    .help =
        "Looks at the sources, sinks, notifiers and jobs of these names, or at everything: configuration, plugins,\n"
        "whether the place can be reached, credentials, keys, free space. What is fine is said on standard\n"
        "output; warnings, and errors, which mean that a run will fail, on standard error. Nothing is changed, except\n"
        "that what a killed run left frozen is put back.",
    .example = "cofre check\ncofre check nas uploads\ncofre check --offline",
    .statuses = "0   no error, maybe warnings\n"
                "N   that of the first error found: 1, 10 (no repository yet), 12 (credentials), 78 (configuration)",
    .options = options,
    .words_min = 0,
    .words_max = (size_t)-1,
    .flags = COMMAND_RESULT,
    .run = check,
};
