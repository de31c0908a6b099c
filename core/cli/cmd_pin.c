/* cofre pin, cofre unpin: a snapshot is to stay, or not to stay any more. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/command.h"
#include "job/pin.h"
#include "job/snapshot.h"

struct pinning {
    struct cli *cli;
    const struct pin_request *request;
    size_t done, failed;
};

static void print_pin(struct output *out, const struct pinning *p, const char *sink, const struct vault_name *name,
                      bool was)
{
    char until[CLOCK_TEXT_MAX];
    if (p->request->remove)
        output_print(out, "%s: sink '%s': %s\n", name->id, sink, was ? "unpinned" : "was not pinned");
    else if (p->request->until == VAULT_PIN_FOREVER)
        output_print(out, "%s: sink '%s': pinned\n", name->id, sink);
    else
        output_print(out, "%s: sink '%s': pinned until %s\n", name->id, sink,
                     clock_format_shown(p->request->until, until));
}

static void told(void *context, const char *sink, const struct vault_name *name, bool was, const struct error *why)
{
    struct pinning *p = context;
    struct output *out = &p->cli->output;
    const struct pin_request *request = p->request;
    struct error e = *why;
    if (why->class != ERROR_NONE) {
        p->failed++;
        error_subject(&e, "sink", sink);
        command_report(p->cli, &e, EXIT_INCOMPLETE);
        return;
    }
    p->done++;
    if (!p->cli->quiet)
        print_pin(out, p, sink, name, was);
    output_object(
        out, "pin",
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "sink", sink, "job", name->job, "host", name->host, "id",
                  name->id, "pinned", !request->remove, "until",
                  request->remove || request->until == VAULT_PIN_FOREVER ? json_null() : output_time(request->until),
                  "note", output_text(out, request->note)));
}

static int run(struct cli *cli, struct pin_request *request, struct error *e)
{
    struct pinning p = {.cli = cli, .request = request};
    struct snapshot_selector selector;
    const struct config_job *job;
    size_t unreachable = 0;
    request->selector = &selector;
    if (snapshot_parse(cli->arguments.words[0], &selector, e) < 0 ||
        command_sink(cli, arguments_value(&cli->arguments, "sink"), &request->sink, e) < 0 ||
        command_snapshots_of(cli, selector.job, request->sink, &job, e) < 0 ||
        pin_run(&cli->engine, request, told, &p, &unreachable, e) < 0)
        return -1;
    output_flush(&cli->output);
    if (p.failed > 0 && p.done == 0)
        return EXIT_FAILED;
    return p.failed > 0 || unreachable > 0 ? EXIT_INCOMPLETE : EXIT_DONE;
}

static int find_until(const struct cli *cli, int64_t *until, struct error *e)
{
    const char *text = arguments_value(&cli->arguments, "until");
    *until = VAULT_PIN_FOREVER;
    if (!text)
        return 0;
    if (!clock_parse_shown(text, until)) {
        error_set(e, ERROR_USAGE, "--until '%.100s' is no date", text);
        return error_hint(e, "write 2027-11-20, or 2027-11-20T02:00");
    }
    if (*until > clock_now())
        return 0;
    return error_set(e, ERROR_USAGE, "--until '%.100s' is over: the snapshot would not be kept", text);
}

static int pin(struct cli *cli, struct error *e)
{
    struct pin_request request = {.note = arguments_value(&cli->arguments, "note")};
    if (find_until(cli, &request.until, e) < 0)
        return -1;
    if (request.note && strlen(request.note) > VAULT_NOTE_MAX)
        return error_set(e, ERROR_USAGE, "--note takes at most %d bytes of text", VAULT_NOTE_MAX);
    return run(cli, &request, e);
}

static int unpin(struct cli *cli, struct error *e)
{
    struct pin_request request = {.remove = true};
    return run(cli, &request, e);
}

static const struct argument_option pin_options[] = {
    {.name = "until", .value = "DATE", .help = "keep it until then; default: for ever"},
    {.name = "note", .value = "TEXT", .help = "why, for people"},
    {.name = "sink", .value = "SINK", .help = "in this sink only; default: in all of the job that have it"},
    {0},
};

#define STATUSES                                                                                                       \
    "0   done\n"                                                                                                       \
    "1   there is no such snapshot, or it could be done in no sink\n"                                                  \
    "3   done, but not in each sink that has it, or a sink could not be looked at; each is named"

const struct command cmd_pin = {
    .name = "pin",
    .usage = "pin JOB@ID [--until DATE] [--note TEXT] [--sink SINK]",
    .summary = "keep a snapshot, whatever the rules say",
    .help =
        "A pinned snapshot is removed by no rule. The pin is kept in each sink that has the snapshot; pinned anew, it\n"
        "has the new date and note. Any key may pin that may add or remove snapshots of the host: a put key, too.",
    .example =
        "cofre pin nightly@20261120T020000Z-ab12cd --until 2027-11-20 --note 'year end'\ncofre pin nightly@latest",
    .statuses = STATUSES,
    .options = pin_options,
    .words_min = 1,
    .words_max = 1,
    .run = pin,
};

static const struct argument_option unpin_options[] = {
    {.name = "sink", .value = "SINK", .help = "in this sink only; default: in all of the job that have it"},
    {0},
};

const struct command cmd_unpin = {
    .name = "unpin",
    .usage = "unpin JOB@ID [--sink SINK]",
    .summary = "a snapshot need not be kept any more",
    .help = "Removes the pin of a snapshot: from then on the rules decide about it again.",
    .example = "cofre unpin nightly@20261120T020000Z-ab12cd",
    .statuses = STATUSES,
    .options = unpin_options,
    .words_min = 1,
    .words_max = 1,
    .run = unpin,
};
