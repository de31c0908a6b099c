/* cofre status: how the jobs of this machine fare, by what it remembers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/records.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/status_view.h"
#include "cli/stored_view.h"
#include "config/config.h"
#include "operation/due.h"
#include "operation/status.h"
#include "operation/stored.h"

#define EXIT_NAGIOS_UNKNOWN 3
#define METRICS_MAX ((size_t)64 << 20)

/* ---- metrics ---- */

/* Whole or not at all, and for everybody to read: who collects them is another user. */
static int write_public(const char *path, const struct bytes *text, struct error *e)
{
    struct file_temporary t;
    if (file_temporary_make(&t, path, e) < 0)
        return -1;
    int result = file_write_all(t.fd, text->data, text->length, path, e);
    if (result == 0 && fchmod(t.fd, 0644) < 0)
        result = error_system(e, errno, "set the mode of '%s'", t.path);
    if (result == 0 && fsync(t.fd) < 0)
        result = error_system(e, errno, "sync '%s'", t.path);
    if (result == 0)
        result = file_temporary_name(&t, path, FILE_REPLACE, e);
    if (result < 0)
        unlink(t.path);
    close(t.fd);
    return result;
}

static int print_metrics(struct cli *cli, const struct bytes *text, struct error *e)
{
    const char *path = arguments_value(&cli->arguments, "output");
    if (bytes_check(text, "metrics", e) < 0)
        return -1;
    if (path)
        return write_public(path, text, e);
    output_print(&cli->output, "%.*s", (int)text->length, (const char *)text->data);
    return 0;
}

/* status NULL: the configuration cannot be used. */
static int give_metrics(struct cli *cli, const struct status *status, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = METRICS_MAX};
    status_view_prometheus(&text, status);
    return print_metrics(cli, &text, e);
}

/* ---- health ---- */

static bool failed(const struct status_job *job)
{
    const char *word = records_text(job->tried, "status");
    return word && (strcmp(word, "failed") == 0 || strcmp(word, "killed") == 0);
}

/* Does somebody have to look? */
static bool is_looked_after(const struct status_job *job)
{
    return job->job->schedule || job->job->verify_every > 0;
}

/* What makes it unhealthy, into *why, and the exit status for it. */
static int judge_health(const struct status *status, const char **why)
{
    bool looks = status->looked != INT64_MIN && status->now - status->looked < DUE_UNSEEN;
    *why = NULL;
    if (status->problems.level >= PROBLEM_DAMAGED)
        return status->problems.level == PROBLEM_STALE ? EXIT_STALE : EXIT_DAMAGED;
    *why = "neither 'cofre daemon' nor 'cofre due' has looked for what is due lately";
    for (size_t i = 0; i < status->job_count; i++)
        if (!looks && is_looked_after(&status->jobs[i]))
            return EXIT_STALE;
    *why = "the last run failed";
    for (size_t i = 0; i < status->job_count; i++)
        if (failed(&status->jobs[i]))
            return EXIT_INCOMPLETE;
    return EXIT_DONE;
}

/* One line. */
static int give_health(struct cli *cli, const struct status *status)
{
    struct output *out = &cli->output;
    char subject[STATUS_VIEW_SUBJECT];
    const char *why;
    int exit = judge_health(status, &why);
    const struct problem *worst = status->problems.items;
    if (exit == EXIT_DONE)
        output_print(out, "healthy: %zu job%s\n", status->job_count, status->job_count == 1 ? "" : "s");
    else if (why)
        output_print(out, "unhealthy: %s\n", why);
    else
        output_print(out, "unhealthy: %s: %s\n", status_view_subject(worst, subject),
                     output_escape(out, worst->text, strlen(worst->text)));
    return exit;
}

/* ---- the forms ---- */

static bool has_color(void)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

static int exit_of(enum problem_level level)
{
    if (level >= PROBLEM_DAMAGED)
        return level == PROBLEM_STALE ? EXIT_STALE : EXIT_DAMAGED;
    return level == PROBLEM_NONE ? EXIT_DONE : EXIT_INCOMPLETE;
}

static int give(struct cli *cli, const struct status *status, struct error *e)
{
    if (arguments_has(&cli->arguments, "prometheus"))
        return give_metrics(cli, status, e) < 0 ? -1 : EXIT_DONE;
    if (arguments_has(&cli->arguments, "nagios"))
        return status_view_nagios(&cli->output, status);
    if (arguments_has(&cli->arguments, "health"))
        return give_health(cli, status);
    if (cli->output.json)
        status_view_json(&cli->output, status);
    else if (status_view_text(&cli->output, status, has_color(), e) < 0)
        return -1;
    return exit_of(status->problems.level);
}

static int look(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    const struct config *config = cli->engine.config;
    const struct config_job *job;
    struct status status;
    if (command_job(cli, a->word_count > 0 ? a->words[0] : NULL, &job, e) < 0)
        return -1;
    if (config->job_count == 0)
        return error_set(e, ERROR_CONFIG, "no job is configured in '%s'", config->directory);
    int result = status_read(config, job, &status, e) < 0 ? -1 : give(cli, &status, e);
    status_free(&status);
    return result;
}

/* ---- from the sinks ---- */

static bool is_from_sinks(const struct arguments *a)
{
    return arguments_has(a, "from-sinks") || arguments_has(a, "all-hosts") || arguments_has(a, "sink");
}

static int give_stored(struct cli *cli, const struct stored *stored, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = METRICS_MAX};
    if (arguments_has(&cli->arguments, "prometheus")) {
        stored_view_prometheus(&text, stored);
        return print_metrics(cli, &text, e) < 0 ? -1 : EXIT_DONE;
    }
    if (arguments_has(&cli->arguments, "nagios"))
        return stored_view_nagios(&cli->output, stored);
    if (cli->output.json)
        stored_view_json(&cli->output, stored);
    else if (stored_view_text(&cli->output, stored, has_color(), e) < 0)
        return -1;
    return exit_of(stored->problems.level);
}

static int look_at_sinks(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    const char *age = arguments_value(a, "max-age");
    struct stored_request request = {.job = a->word_count > 0 ? a->words[0] : NULL,
                                     .all_hosts = arguments_has(a, "all-hosts")};
    const struct config_job *job;
    struct stored stored;
    if (command_sink(cli, arguments_value(a, "sink"), &request.sink, e) < 0 ||
        command_snapshots_of(cli, request.job, request.sink, &job, e) < 0)
        return -1;
    if (age && (text_parse_duration(age, &request.max_age, e) < 0 || request.max_age == 0)) {
        error_set(e, ERROR_USAGE, "--max-age: '%.80s' is no duration", age);
        return error_hint(e, "write one such as 26h or 2d");
    }
    if (cli->engine.config->sink_count == 0)
        return error_set(e, ERROR_CONFIG, "no sink is configured in '%s'", cli->engine.config->directory);
    int result = stored_read(&cli->engine, &request, &stored, e) < 0 ? -1 : give_stored(cli, &stored, e);
    stored_free(&stored);
    return result;
}

/* ---- the command ---- */

/* Nothing can run then: every form says so. */
static int broken(struct cli *cli, struct error *e)
{
    struct error why;
    if (arguments_has(&cli->arguments, "nagios"))
        return status_view_nagios_broken(&cli->output, e);
    /* The metrics of sinks stay as they were: their time tells. */
    if (arguments_has(&cli->arguments, "prometheus") && !is_from_sinks(&cli->arguments) &&
        give_metrics(cli, NULL, &why) < 0)
        *e = why;
    return -1;
}

static int check_forms(const struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    if (arguments_has(a, "nagios") + arguments_has(a, "prometheus") + arguments_has(a, "health") + cli->output.json > 1)
        return error_set(e, ERROR_USAGE, "--health, --nagios, --prometheus and --json exclude each other");
    if (arguments_has(a, "health") && is_from_sinks(a))
        return error_set(e, ERROR_USAGE, "--health is about this machine's records, and looks at no sink");
    if (arguments_has(a, "max-age") && !is_from_sinks(a)) {
        error_set(e, ERROR_USAGE, "--max-age goes with --from-sinks, --sink or --all-hosts");
        return error_hint(e, "for the jobs of this machine, write max_age in their [job ...] sections");
    }
    if (arguments_has(a, "output") && !arguments_has(a, "prometheus"))
        return error_set(e, ERROR_USAGE, "--output goes with --prometheus");
    return 0;
}

static int status(struct cli *cli, struct error *e)
{
    struct config *config;
    char text[ERROR_TEXT_MAX];
    if (check_forms(cli, e) < 0)
        return -1;
    if (config_load(cli->config_dir, &config, e) < 0)
        return broken(cli, e);
    cli->engine.config = config;
    int result = is_from_sinks(&cli->arguments) ? look_at_sinks(cli, e) : look(cli, e);
    cli->engine.config = NULL;
    config_free(config);
    if (result >= 0 || !arguments_has(&cli->arguments, "nagios"))
        return result;
    output_print(&cli->output, "COFRE UNKNOWN - %s\n",
                 output_escape(&cli->output, error_text(e, text), strlen(error_text(e, text))));
    return EXIT_NAGIOS_UNKNOWN;
}

static const struct argument_option options[] = {
    {.name = "health", .help = "one line: are backups made, and is the newest of each young enough? for HEALTHCHECK"},
    {.name = "nagios", .help = "one line with performance data; ends with 0, 1, 2 or 3, as plugins of Nagios do"},
    {.name = "prometheus", .help = "metrics in the text format of Prometheus"},
    {.name = "output", .value = "FILE", .help = "write the metrics to this file, whole or not at all"},
    {.name = "from-sinks", .help = "what the sinks hold of this host, whatever records this machine has"},
    {.name = "sink", .value = "SINK", .help = "the same of this sink alone"},
    {.name = "all-hosts", .help = "the same of every host that stores in the sinks: one line per host, job and sink"},
    {.name = "max-age", .value = "AGE", .help = "of sinks: how old a newest complete snapshot may be"},
    {0},
};

const struct command cmd_status = {
    .name = "status",
    .usage = "status [JOB] [--health | --nagios | --prometheus [--output FILE]]\n"
             "status [JOB] {--from-sinks | [--sink SINK] [--all-hosts]} [--max-age AGE] [--nagios | --prometheus]",
    .summary = "how the jobs of this machine fare",
    .help = "Shows, for each job (or JOB) and each of its sinks: when the newest complete snapshot was made, how old\n"
            "it is, what came of the last run and how long it took, the size and how it changed, the last seven\n"
            "days (+ all runs complete, ~ some, x none, . no run; today is the last), when the schedule has the next\n"
            "run, and when all of it was last verified. Then, for each sink: how full it is, when it will be full, if\n"
            "it goes on as in the last weeks, and when it was last reached. Problems come first, in words. It reads\n"
            "the records that this machine keeps, and no sink; what was done by other machines, and to the sinks by\n"
            "hand, it does not know.\n"
            "With --from-sinks, --sink or --all-hosts it reads the sinks instead: on a machine that keeps the sink of\n"
            "a whole fleet, or when the records are lost. A prune key is enough. What is old is told by --max-age,\n"
            "max_age of a job that is configured here, or max_age of the sink.",
    .example = "cofre status\ncofre status nightly --nagios\n"
               "cofre status --prometheus --output /var/lib/prometheus/node-exporter/cofre.prom\n"
               "cofre status --all-hosts --sink vault --max-age 26h",
    .statuses = "0   all is well\n"
                "3   there are problems, and each is named\n"
                "13  the last verification found damage, or a manifest in a sink is not what was stored\n"
                "14  something is older than max_age\n"
                "78  the configuration cannot be used: no job can run\n"
                "With --health: 0 healthy; 3 the last run of a job failed; 13, 14 and 78 as above, and 14 also when\n"
                "neither daemon nor due has looked for two hours.\n"
                "With --nagios: 0 OK, 1 WARNING, 2 CRITICAL (stale, damaged, or nothing can run), 3 UNKNOWN.\n"
                "With --prometheus 0 once the metrics are written.",
    .options = options,
    .words_min = 0,
    .words_max = 1,
    .flags = COMMAND_NO_CONFIG | COMMAND_RESULT,
    .run = status,
};
