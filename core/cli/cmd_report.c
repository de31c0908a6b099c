/* cofre report: how the jobs of this machine fared over a time, for people, as a page, and as evidence. */
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/report_html.h"
#include "cli/report_view.h"
#include "config/config.h"
#include "operation/report.h"

#define PAGE_MAX ((size_t)256 << 20)
#define PERIOD (90 * INT64_C(86400000000000)) /* ns */

static int write_page(struct cli *cli, const struct report *report, const char *path, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = PAGE_MAX};
    struct stat st;
    /* A device or a link would make way for the file. */
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        error_set(e, ERROR_EXISTS, "write the page '%s': something is there that is no regular file", path);
        return error_hint(e, "name a file in a directory that only you can write");
    }
    report_html_write(&text, &cli->output, cli->engine.config, report);
    if (bytes_check(&text, "page", e) < 0)
        return -1;
    if (cli->output.no_memory)
        return error_memory(e);
    return file_write(path, text.data, text.length, FILE_REPLACE, e);
}

static int give(struct cli *cli, const struct report *report, struct error *e)
{
    const char *page = arguments_value(&cli->arguments, "html");
    if (page && write_page(cli, report, page, e) < 0)
        return -1;
    if (cli->output.json)
        report_view_json(&cli->output, cli->engine.config, report);
    else if (!page && report_view_text(&cli->output, cli->engine.config, report, e) < 0)
        return -1;
    if (report->flawed == 0)
        return EXIT_DONE;
    error_set(e, ERROR_INTEGRITY,
              "the records were changed, or are damaged, in %zu of %zu files: the report says which", report->flawed,
              report->chain_count);
    return error_hint(e, "cofre log --check names each place");
}

static int report(struct cli *cli, struct error *e)
{
    const struct config *config = cli->engine.config;
    struct report report;
    int64_t since;
    if (command_since(cli, &since, e) < 0)
        return -1;
    if (since == INT64_MIN)
        since = clock_now() - PERIOD;
    since = since > 0 ? since : 0;
    if (since > clock_now())
        return error_set(e, ERROR_USAGE, "--since is in the future");
    if (config->job_count == 0)
        return error_set(e, ERROR_CONFIG, "no job is configured in '%s'", config->directory);
    int result = report_read(config, since, &report, e) < 0 ? -1 : give(cli, &report, e);
    report_free(&report);
    return result;
}

static const struct argument_option options[] = {
    {.name = "html",
     .value = "FILE",
     .help = "write it as one page of HTML, whole or not at all, for you alone to read"},
    {.name = "since", .value = "TIME", .help = "from this date on, or of this time, such as 1y; default: 90d"},
    {0},
};

const struct command cmd_report = {
    .name = "report",
    .usage = "report [--html FILE] [--since TIME]",
    .summary = "what is protected, how old, how proven: text, a page, or evidence",
    .help =
        "Tells, of all jobs: the problems in words; of each sink how old the newest complete snapshot is, when all\n"
        "was last read back, when something was last restored; the runs and how many were complete, their\n"
        "duration, size, and what they added; what would be lost if this machine were lost now; and whether the\n"
        "records that all this is read from are whole. --html makes a page with plots that needs nothing from\n"
        "elsewhere; --json is for programs and auditors. It reads the records of this machine, and no sink.",
    .example = "cofre report\ncofre report --html /root/backups.html\ncofre --json report --since 1y > evidence.json",
    .statuses = "0   the report is given, whatever it says: cofre status ends with what it says\n"
                "13  it is given, and the records were changed, or are damaged",
    .options = options,
    .words_min = 0,
    .words_max = 0,
    .flags = COMMAND_RESULT,
    .run = report,
};
