#include "cli/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/view.h"
#include "job/restore.h"

#define COMMANDS_MAX 32

const struct command *const command_table[] = {
    &cmd_init,   &cmd_check, &cmd_discover, &cmd_run,    &cmd_due,    &cmd_daemon,  &cmd_status,
    &cmd_report, &cmd_log,   &cmd_notify,   &cmd_list,   &cmd_show,   &cmd_ls,      &cmd_cat,
    &cmd_find,   &cmd_diff,  &cmd_restore,  &cmd_verify, &cmd_prune,  &cmd_gc,      &cmd_copy,
    &cmd_accept, &cmd_pin,   &cmd_unpin,    &cmd_key,    &cmd_plugin, &cmd_version, NULL,
};

const struct argument_option command_global_options[] = {
    {.name = "config-dir",
     .value = "DIR",
     .help = "read DIR/*.conf; default $COFRE_CONFIG_DIR, else /etc/cofre/conf.d"},
    {.name = "json", .help = "results as JSON, one object per line"},
    {.name = "quiet", .letter = 'q', .help = "say only warnings and errors"},
    {.name = "verbose", .letter = 'v', .help = "say more"},
    {.name = "utc", .help = "show times in UTC; default: local time, with its offset"},
    {.name = "in-process", .help = "run plugins in this process: for debuggers, without protection from their faults"},
    {.name = "help", .letter = 'h', .help = "explain the program or the command"},
    {.name = "version", .help = "say the version"},
    {0},
};

int command_find(const char *name, const struct command **command, struct error *e)
{
    const char *names[COMMANDS_MAX];
    size_t count = 0;
    for (const struct command *const *c = command_table; *c; c++) {
        if (strcmp((*c)->name, name) == 0) {
            *command = *c;
            return 0;
        }
        ASSERT(count < COMMANDS_MAX - 1);
        names[count++] = (*c)->name;
    }
    names[count] = NULL;
    const char *nearest = text_nearest(name, names);
    error_set(e, ERROR_USAGE, "unknown command '%.200s'", name);
    if (nearest)
        return error_hint(e, "did you mean cofre %s?", nearest);
    return error_hint(e, "cofre --help lists the commands");
}

/* The configuration is right; what was typed is not. */
static int as_usage(struct error *e)
{
    if (e->class == ERROR_CONFIG)
        e->class = ERROR_USAGE;
    return -1;
}

int command_sink(const struct cli *cli, const char *name, const struct config_instance **sink, struct error *e)
{
    *sink = NULL;
    if (name && config_find_sink(cli->engine.config, name, sink, e) < 0)
        return as_usage(e);
    return 0;
}

int command_job(const struct cli *cli, const char *name, const struct config_job **job, struct error *e)
{
    *job = NULL;
    if (name && config_find_job(cli->engine.config, name, job, e) < 0)
        return as_usage(e);
    return 0;
}

int command_snapshots_of(const struct cli *cli, const char *name, const struct config_instance *sink,
                         const struct config_job **job, struct error *e)
{
    *job = NULL;
    if (sink || cli->engine.config->job_count == 0 || command_job(cli, name, job, e) == 0)
        return 0;
    char hint[sizeof e->hint];
    snprintf(hint, sizeof hint, "%s", e->hint);
    return error_hint(e, "%s%sfor one that is not configured any more, say --sink SINK", hint, hint[0] ? "; " : "");
}

int command_since(const struct cli *cli, int64_t *since, struct error *e)
{
    const char *text = arguments_value(&cli->arguments, "since");
    int64_t ms;
    struct error ignored;
    *since = INT64_MIN;
    if (!text || clock_parse_shown(text, since))
        return 0;
    if (text_parse_duration(text, &ms, &ignored) == 0) {
        *since = ms < clock_now() / 1000000 ? clock_now() - ms * 1000000 : 0;
        return 0;
    }
    error_set(e, ERROR_USAGE, "'--since %.100s' is neither a date nor a duration", text);
    return error_hint(e, "write 2026-11-20, 2026-11-20T02:00, or 7d");
}

int command_open(struct cli *cli, const char *text, const char *what, struct vault **vault, struct manifest **manifest,
                 struct error *e)
{
    char source[64] = "";
    struct snapshot_selector selector;
    const struct config_instance *sink;
    const struct config_job *job;
    if (snapshot_parse(text, &selector, e) < 0 ||
        command_sink(cli, arguments_value(&cli->arguments, "sink"), &sink, e) < 0)
        return -1;
    if (command_snapshots_of(cli, selector.job, sink, &job, e) < 0)
        return -1;
    if (what)
        snprintf(source, sizeof source, "%.*s", (int)strcspn(what, ":"), what);
    return snapshot_open(&cli->engine, &selector, what ? source : NULL, sink, vault, manifest, &cli->passed, e);
}

int command_source(const struct cli *cli, const struct manifest *manifest, const char *name,
                   const struct manifest_source **source, struct error *e)
{
    const struct config_instance *sink;
    struct error ignored;
    char id[MANIFEST_ID_SIZE];
    if (snapshot_source(manifest, name, source, e) == 0)
        return 0;
    if (command_sink(cli, arguments_value(&cli->arguments, "sink"), &sink, &ignored) == 0 &&
        snapshot_newest_with(&cli->engine, manifest->job, manifest->host, name, sink, id))
        error_hint(e, "the newest that has it is %s@%s", manifest->job, id);
    return -1;
}

void command_split(char *text, const char **source, char **path)
{
    *source = text;
    *path = strchr(text, ':');
    if (!*path)
        return;
    *(*path)++ = '\0';
    while (**path == '/' || strncmp(*path, "./", 2) == 0)
        ++*path;
    size_t length = strlen(*path);
    while (length > 0 && (*path)[length - 1] == '/')
        (*path)[--length] = '\0';
    if (length == 0)
        *path = NULL;
}

static int stop_at_first(void *found, const struct record *record, struct error *e)
{
    (void)record;
    *(bool *)found = true;
    return error_set(e, ERROR_CANCELLED, "the first entry is enough");
}

static int look_for(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                    const char *path, bool *found, struct error *e)
{
    *found = false;
    int result = restore_list(vault, manifest, source, path, stop_at_first, found, e);
    return *found ? 0 : result;
}

int command_path(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source, char *path,
                 struct error *e)
{
    bool as_typed, as_shown;
    if (!strchr(path, '\\'))
        return 0;
    AUTO_FREE char *meant = text_copy(path);
    if (!meant)
        return error_memory(e);
    if (!log_unescape(path, meant))
        return 0;
    if (look_for(vault, manifest, source, path, &as_typed, e) < 0 ||
        look_for(vault, manifest, source, meant, &as_shown, e) < 0)
        return -1;
    if (as_typed && as_shown)
        log_line(LOG_WARNING,
                 "source '%s': two entries go by this name, as it stands and as ls shows it: this is the one whose "
                 "name is '%s'; for the other write its bytes themselves",
                 source->name, path);
    else if (as_shown)
        snprintf(path, strlen(path) + 1, "%s", meant);
    return 0;
}

int command_attempt(struct cli *cli, const char *command, const char *text, json_t *members, struct attempt **attempt,
                    struct error *e)
{
    struct snapshot_selector selector;
    const struct config_instance *sink;
    const struct config_job *job;
    *attempt = NULL;
    if (snapshot_parse(text, &selector, e) < 0 ||
        command_sink(cli, arguments_value(&cli->arguments, "sink"), &sink, e) < 0 ||
        command_snapshots_of(cli, selector.job, sink, &job, e) < 0) {
        json_decref(members);
        return -1;
    }
    *attempt = attempt_begin(&cli->engine, command, selector.job, NULL, members);
    return 0;
}

void command_attempt_end(struct attempt *attempt, const char *word, int exit, const struct error *why)
{
    attempt_end(attempt, word, exit != EXIT_DONE && stop_signal() ? 128 + stop_signal() : exit, why);
}

void command_attempt_result(const struct cli *cli, struct attempt *attempt, const char *done, const char *parts,
                            int status, const struct error *e)
{
    const char *word = status == EXIT_DONE ? done : status == EXIT_INCOMPLETE ? parts : "failed";
    if (status == EXIT_DONE && cli->passed > 0)
        status = EXIT_INCOMPLETE;
    command_attempt_end(attempt, word, status < 0 ? error_exit_status(e->class) : status, status < 0 ? e : NULL);
}

void command_tell_snapshot(struct attempt *attempt, const struct manifest *manifest)
{
    char started[CLOCK_TEXT_MAX];
    attempt_tell(attempt, json_pack("{s:s, s:s, s:s}", "snapshot", manifest->id, "snapshot_started",
                                    clock_format_exact(manifest->started, started), "snapshot_status",
                                    view_state(manifest, NULL)));
}

/* Not through the log: a person waits for this line, with neither time stamp nor level. */
void command_print_error(struct output *out, const struct error *e)
{
    char text[8192], whole[ERROR_TEXT_MAX], message[4800], hint[2200];
    error_text(e, whole);
    log_escape(whole, strlen(whole), message, sizeof message);
    log_escape(e->hint, strlen(e->hint), hint, sizeof hint);
    int n = snprintf(text, sizeof text, "cofre: error: %s\n%s%s%s", message, hint[0] ? "  hint: " : "", hint,
                     hint[0] ? "\n" : "");
    progress_pause();
    output_flush(out);
    struct error ignored;
    if (n > 0)
        (void)file_write_all(STDERR_FILENO, text, (size_t)n, "standard error", &ignored);
}

static void tell_service(const struct error *e)
{
    char text[ERROR_TEXT_MAX], line[2 * ERROR_TEXT_MAX], safe[2 * ERROR_TEXT_MAX];
    snprintf(line, sizeof line, "error: %s%s%s", error_text(e, text), e->hint[0] ? "; " : "", e->hint);
    log_escape(line, strlen(line), safe, sizeof safe);
    log_to_service(&(struct log_entry){.level = LOG_ERROR, .text = safe});
}

void command_report(struct cli *cli, const struct error *e, int status)
{
    struct output *out = &cli->output;
    char text[ERROR_TEXT_MAX];
    command_print_error(out, e);
    tell_service(e);
    if (!out->json)
        return;
    json_t *object = json_pack("{s:s, s:o, s:o, s:i}", "class", error_class_name(e->class), "message",
                               output_text(out, error_text(e, text)), "hint",
                               output_text(out, e->hint[0] ? e->hint : NULL), "exit", status);
    output_object(out, "error", object);
    output_flush(out);
}
