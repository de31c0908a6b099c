/* cofre gc: remove what no snapshot needs any more. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "config/config.h"
#include "job/collect.h"
#include "job/formats.h"

struct collecting {
    struct cli *cli;
    struct vault_gc request;
    const struct config_instance *sink; /* that is being looked at */
    int status;
    struct attempt *attempt; /* at it; NULL in a dry run */
    uint64_t objects, bytes; /* that are gone from it */
    uint64_t stored;         /* bytes that are there */
    json_t *results;         /* one object for each sink */
};

/* ---- what is shown ---- */

static void print_amount(struct output *out, const char *what, const struct vault_amount *amount, const char *more)
{
    char size[TEXT_SIZE_MAX], count[VIEW_COUNT_MAX];
    if (amount->objects > 0)
        output_print(out, "  %-11s %8s in %s objects%s\n", what, text_size(amount->bytes, size),
                     view_count(amount->objects, count), more);
}

static void print_garbage(struct collecting *c, const struct vault_garbage *g)
{
    struct output *out = &c->cli->output;
    char since[CLOCK_TEXT_MAX] = "", due[CLOCK_TEXT_MAX] = "", more[2 * CLOCK_TEXT_MAX + 64] = "", lock[280];
    char size[TEXT_SIZE_MAX], count[VIEW_COUNT_MAX], made[TEXT_SIZE_MAX + VIEW_COUNT_MAX + 32] = "";
    bool dry = c->request.dry_run;
    if (g->since != INT64_MIN)
        clock_format_shown(g->since, since);
    if (g->due != INT64_MIN)
        clock_format_shown(g->due, due);
    snprintf(more, sizeof more, "%s%s%s%s", since[0] ? ", since " : "", since, due[0] ? "; not before " : "", due);
    snprintf(lock, sizeof lock, ": %s", g->lock);
    if (g->made.objects > 0)
        snprintf(made, sizeof made, ", into %s in %s", text_size(g->made.bytes, size),
                 view_count(g->made.objects, count));
    output_print(out, "sink '%s'%s%s:\n", c->sink->name, g->host ? ", host " : "", g->host ? g->host : "");
    print_amount(out, "needed", &g->needed, "");
    print_amount(out, "too new", &g->young, "");
    print_amount(out, "planned", &g->planned, more);
    print_amount(out, dry ? "would go" : "removed", &g->removed, "");
    print_amount(out, dry ? "would move" : "packed anew", &g->moved, made);
    print_amount(out, "locked", &g->locked, lock);
}

static json_t *amount(const struct vault_amount *a)
{
    return json_pack("{s:o, s:o}", "objects", output_number(a->objects), "bytes", output_number(a->bytes));
}

static void collected(void *context, const struct vault_garbage *g)
{
    struct collecting *c = context;
    struct output *out = &c->cli->output;
    c->objects += g->removed.objects;
    c->bytes += g->removed.bytes;
    c->stored += g->needed.bytes + g->young.bytes + g->planned.bytes;
    if (out->json)
        output_object(out, "garbage",
                      json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "sink", c->sink->name,
                                "host", output_text(out, g->host), "needed", amount(&g->needed), "young",
                                amount(&g->young), "planned", amount(&g->planned), "fresh", amount(&g->fresh),
                                "removed", amount(&g->removed), "moved", amount(&g->moved), "made", amount(&g->made),
                                "locked", amount(&g->locked), "since", output_time(g->since), "due",
                                output_time(g->due)));
    else if (!c->cli->quiet)
        print_garbage(c, g);
    output_flush(out);
}

/* exit: of this sink alone. */
static void add_result(struct collecting *c, const char *status, int exit, const struct error *why)
{
    struct output *out = &c->cli->output;
    char text[ERROR_TEXT_MAX];
    attempt_tell(c->attempt, json_pack("{s:I, s:I}", "objects_removed", (json_int_t)c->objects, "bytes_removed",
                                       (json_int_t)c->bytes));
    command_attempt_end(c->attempt, status, exit, why);
    json_t *object = json_pack("{s:s, s:s, s:o}", "name", c->sink->name, "status", status, "error",
                               output_text(out, why ? error_text(why, text) : NULL));
    if (json_array_append_new(c->results, object) < 0)
        out->no_memory = true;
}

/* ---- one sink ---- */

static void doubt(struct collecting *c, struct error *why)
{
    if (!why->hint[0] && (why->class == ERROR_INTEGRITY || why->class == ERROR_AUTH))
        error_hint(why, "see what is wrong with it: cofre verify --all");
    else if (!why->hint[0])
        error_hint(why, "look at the sink: cofre check %s; the next gc tries again", c->sink->name);
    error_subject(why, "sink", c->sink->name);
    error_consequence(why, "nothing was removed, as ");
    log_error(LOG_WARNING, why);
    add_result(c, "doubt", EXIT_INCOMPLETE, why);
    if (c->status == EXIT_DONE)
        c->status = EXIT_INCOMPLETE;
}

static void collect_sink(struct collecting *c, const struct config_instance *sink)
{
    struct vault_gc_result result;
    struct vault *vault;
    struct error e;
    c->sink = sink;
    c->request.repack = (uint64_t)sink->gc_repack;
    c->objects = c->bytes = c->stored = 0;
    c->attempt = c->request.dry_run ? NULL
                                    : attempt_begin(&c->cli->engine, "gc", NULL, sink->name,
                                                    json_pack("{s:b}", "now", c->request.now));
    int done = formats_open(&c->cli->engine, sink, &vault, &e);
    if (done == 0) {
        done = collect_run(vault, &c->request, collected, c, &result, &e);
        vault_close(vault);
    }
    if (done == 0 && result.doubt.class != ERROR_NONE) {
        doubt(c, &result.doubt);
    } else if (done == 0) {
        attempt_tell(c->attempt, json_pack("{s:I}", "stored", (json_int_t)c->stored));
        add_result(c, "collected", EXIT_DONE, NULL);
    } else if ((e.class == ERROR_AUTH || e.class == ERROR_DENIED) &&
               config_retention_elsewhere(c->cli->engine.config, sink)) {
        log_line(LOG_NOTICE, "sink '%s': %s; another machine removes (prune = elsewhere)", sink->name, e.message);
        add_result(c, "elsewhere", EXIT_DONE, NULL);
    } else {
        error_subject(&e, "sink", sink->name);
        c->status = error_exit_status(e.class);
        add_result(c, "failed", c->status, &e);
        command_report(c->cli, &e, c->status);
    }
}

/* ---- which, and how ---- */

/* Without a grace a run that is at work loses what it stores. */
static int ask(struct collecting *c, struct error *e)
{
    char answer[8];
    if (!c->request.now || c->request.dry_run || arguments_has(&c->cli->arguments, "yes"))
        return 0;
    if (!isatty(STDIN_FILENO)) {
        error_set(e, ERROR_USAGE, "--now removes what a run that is at work may need, and there is no terminal to ask");
        return error_hint(e, "when nobody else writes there: --now --yes");
    }
    fprintf(stderr, "Nobody may write there meanwhile: no run and no copy, of any machine. Go on? [y/N] ");
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    return error_set(e, ERROR_CANCELLED, "nothing was removed");
}

static int collect_all(struct collecting *c, struct error *e)
{
    const struct config *config = c->cli->engine.config;
    const struct arguments *a = &c->cli->arguments;
    const struct config_instance *only;
    if (command_sink(c->cli, a->word_count > 0 ? a->words[0] : NULL, &only, e) < 0 || ask(c, e) < 0)
        return -1;
    if (config->sink_count == 0)
        return error_set(e, ERROR_CONFIG, "no sink is configured in '%s'", config->directory);
    for (size_t i = 0; i < config->sink_count && !cancel_requested(); i++)
        if (!only || only == &config->sinks[i])
            collect_sink(c, &config->sinks[i]);
    output_object(&c->cli->output, "summary",
                  json_pack("{s:b, s:O}", "dry_run", c->request.dry_run, "sinks", c->results));
    return cancel_requested() ? error_set(e, ERROR_CANCELLED, "gc was not finished") : c->status;
}

static int gc(struct cli *cli, struct error *e)
{
    struct collecting c = {.cli = cli, .results = json_array()};
    c.request.dry_run = arguments_has(&cli->arguments, "dry-run");
    c.request.now = arguments_has(&cli->arguments, "now");
    int status = collect_all(&c, e);
    json_decref(c.results);
    return status;
}

static const struct argument_option options[] = {
    {.name = "dry-run", .help = "say what would be planned and removed; by this machine's clock"},
    {.name = "now", .help = "remove at once what nothing needs: nobody else may write there"},
    {.name = "yes", .help = "with --now: do not ask"},
    {0},
};

const struct command cmd_gc = {
    .name = "gc",
    .usage = "gc [SINK] [--dry-run]\ngc [SINK] --now [--yes]",
    .summary = "remove what no snapshot needs any more",
    .help =
        "Looks, in each sink or in SINK, which stored data no snapshot needs. What nothing needs is planned first,\n"
        "and removed by a later gc, when the plan has stood for a day, or for twice as long as the longest run\n"
        "took. So runs may be at work meanwhile, of any machine. Needs a key that may remove: the full key, or a\n"
        "prune key. When anything is in doubt, nothing is removed, and it is said why.",
    .example = "cofre gc\ncofre gc nas --dry-run",
    .statuses = "3   something was in doubt in a sink, and nothing was removed there\n"
                "N   a sink could not be looked at: 1, 10 (no repository), 12 (wrong key or credentials)",
    .options = options,
    .words_min = 0,
    .words_max = 1,
    .flags = COMMAND_TELLS,
    .run = gc,
};
