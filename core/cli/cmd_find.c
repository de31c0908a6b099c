/* cofre find: in which snapshots a file is. */
#include <string.h>

#include <cofre/plugin.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "job/entries.h"
#include "job/find.h"

struct finding {
    struct output *out;
    uint64_t count;
};

static void print_found(struct output *out, const struct manifest *m, const char *source,
                        const struct entries_item *item)
{
    char size[TEXT_SIZE_MAX], started[CLOCK_TEXT_MAX], time[CLOCK_TEXT_MAX] = "-";
    if (item->mtime != COFRE_NO_TIME)
        clock_format_shown(item->mtime, time);
    output_print(out, "%s@%s  %s  %10s  %25s  %s:", m->job, m->id, clock_format_shown(m->started, started),
                 item->size >= 0 ? text_size((uint64_t)item->size, size) : "?", time, source);
    output_print(out, "%s\n", item->path_length ? output_escape(out, item->path, item->path_length) : ".");
}

static int told(void *context, const struct manifest *m, const char *source, const struct entries_item *item,
                struct error *e)
{
    struct finding *f = context;
    struct output *out = f->out;
    f->count++;
    print_found(out, m, source, item);
    if (out->json)
        output_object(out, "found",
                      json_pack("{s:s, s:s, s:o, s:s, s:o, s:s, s:o, s:o}", "job", m->job, "id", m->id, "time",
                                output_time(m->started), "source", source, "path",
                                output_bytes(out, item->path, item->path_length), "kind", view_kind(item->kind), "size",
                                item->size >= 0 ? json_integer(item->size) : json_null(), "mtime",
                                output_time(item->mtime)));
    /* Nobody listens any more: reading on would be for nothing. */
    return out->failed_errno ? error_system(e, out->failed_errno, "write to 'standard output'") : 0;
}

static int run(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    struct find_request request = {.pattern = a->words[0], .job = a->word_count > 1 ? a->words[1] : NULL};
    struct finding finding = {.out = &cli->output};
    const struct config_job *job;
    size_t unreachable, unread;
    if (command_sink(cli, arguments_value(a, "sink"), &request.sink, e) < 0 ||
        command_snapshots_of(cli, request.job, request.sink, &job, e) < 0 ||
        find_run(&cli->engine, &request, told, &finding, &unreachable, &unread, e) < 0)
        return -1;
    if (finding.count == 0)
        log_line(LOG_NOTICE, "no snapshot has what '%s' names", request.pattern);
    if (unread > 0)
        log_line(LOG_WARNING, "%zu snapshot%s, or sources of them, could not be looked through", unread,
                 unread == 1 ? "" : "s");
    return unreachable || unread ? EXIT_INCOMPLETE : EXIT_DONE;
}

static const struct argument_option options[] = {
    {.name = "sink", .value = "SINK", .help = "look at this sink only"},
    {0},
};

const struct command cmd_find = {
    .name = "find",
    .usage = "find PATTERN [JOB] [--sink SINK]",
    .summary = "in which snapshots a file is",
    .help = "Looks through the snapshots of a job, or of all jobs, the newest first, for names that fit a shell\n"
            "pattern (* ? [a-z]): that of a name in any directory, or, with a slash in it, that of a path or of the\n"
            "end of one; a slash in front begins at the source's root. One line for each version: the newest\n"
            "snapshot that has it, when that was made, size and time of the file. An older snapshot that has the\n"
            "same is not named again.",
    .example =
        "cofre find letter.odt\ncofre find '2026/11/*.png' nightly\ncofre --json find '*.dump' nightly --sink nas",
    .statuses = "0   all was looked through, whether something was found or not\n"
                "3   a sink could not be looked at, or a snapshot could not be looked through; each is named",
    .options = options,
    .words_min = 1,
    .words_max = 2,
    .flags = COMMAND_RESULT,
    .run = run,
};
