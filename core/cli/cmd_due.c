/* cofre due: do what is due. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/stop.h"
#include "cli/table.h"
#include "cli/turn.h"
#include "config/config.h"
#include "operation/due.h"

#define LOOK_EVERY 60000 /* ms, while something is at work */

/* ---- what would be done ---- */

static const char *why(const struct due_thing *thing)
{
    static const char *const texts[] = {[DUE_NEVER] = "its time does not come any more",
                                        [DUE_MISSED] = "it was missed",
                                        [DUE_AGAIN] = "the last time it failed in passing"};
    if (thing->decision.now && thing->busy)
        return "waits: something else is at work there";
    if (thing->decision.why != DUE_IN_TIME)
        return texts[thing->decision.why];
    static const char *const rules[] = {
        [DUE_RUN] = "schedule", [DUE_VERIFY] = "verify_every", [DUE_PRUNE] = "prune_every", [DUE_GC] = "gc_every"};
    return rules[thing->what];
}

static void give_json(struct output *out, const struct due_thing *thing)
{
    int64_t when = thing->decision.when == INT64_MAX ? INT64_MIN : thing->decision.when;
    output_object(out, "due",
                  json_pack("{s:s, s:o, s:o, s:b, s:b, s:o, s:s}", "what", due_command(thing->what), "job",
                            output_text(out, thing->job ? thing->job->name : NULL), "sink",
                            output_text(out, thing->sink ? thing->sink->name : NULL), "now", thing->decision.now,
                            "busy", thing->busy, "when", output_time(when), "why", why(thing)));
}

static int add_row(struct table *table, const struct due_thing *thing, struct error *e)
{
    char name[DUE_NAME_MAX], when[CLOCK_TEXT_MAX] = "-";
    if (thing->decision.when != INT64_MAX)
        clock_format_shown(thing->decision.when, when);
    return table_add(table, due_name(thing, name), e) < 0 ||
                   table_add(table, thing->decision.now ? "now" : "", e) < 0 || table_add(table, when, e) < 0 ||
                   table_add(table, why(thing), e) < 0
               ? -1
               : 0;
}

static int give(struct cli *cli, const struct due_list *list, struct error *e)
{
    static const struct table_column columns[] = {{"WHAT", 0}, {"DUE", 0}, {"WHEN", 0}, {"WHY", 0}};
    struct table table;
    size_t now = 0, count = 0;
    int result = 0;
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < list->count && result == 0; i++) {
        if (!turn_is_wanted(cli->arguments.words, cli->arguments.word_count, &list->items[i]))
            continue;
        count++;
        now += list->items[i].decision.now;
        give_json(&cli->output, &list->items[i]);
        result = add_row(&table, &list->items[i], e);
    }
    if (result == 0)
        table_print(&table, &cli->output);
    if (count == 0)
        output_print(&cli->output, "nothing is ever due: no job has schedule or verify_every, and no sink is "
                                   "collected here\n");
    output_object(&cli->output, "summary", json_pack("{s:b, s:o}", "dry_run", 1, "now", output_number(now)));
    table_free(&table);
    return result;
}

/* Nothing is noted: not even that somebody has looked. */
static int dry_run(struct cli *cli, struct error *e)
{
    struct due_marks marks;
    struct due_list list = {0};
    int result = due_marks_load(cli->engine.config, &marks, e);
    if (result == 0)
        result = due_look(cli->engine.config, &marks, clock_now(), &list, e);
    if (result == 0)
        result = give(cli, &list, e);
    due_list_free(&list);
    due_marks_free(&marks);
    return result < 0 ? -1 : EXIT_DONE;
}

/* ---- doing it ---- */

static int take_turns(struct turn *t, struct error *e)
{
    int result;
    struct error ignored;
    while ((result = turn_take(t, e)) == 0 && t->child_count > 0 && (result = turn_wait(t, LOOK_EVERY, e)) == 0)
        ;
    /* What was begun is waited for all the same. */
    while (t->child_count > 0) {
        if (stop_signal())
            (void)turn_take(t, &ignored); /* which begins nothing then */
        if (turn_wait(t, LOOK_EVERY, &ignored) < 0)
            clock_sleep(1000);
    }
    return result;
}

static int finish(struct cli *cli, const struct turn *t, size_t held, struct error *e)
{
    int status = t->status == EXIT_DONE && held > 0 ? EXIT_INCOMPLETE : t->status;
    if (t->left > 0)
        log_line(LOG_NOTICE, "%zu due, and left for the next turn: something else is at work there", t->left);
    output_object(&cli->output, "summary",
                  json_pack("{s:b, s:i, s:o}", "dry_run", 0, "status", status, "left", output_number(t->left)));
    if (stop_signal())
        return error_set(e, ERROR_CANCELLED, "ended by signal %d (%s), and so was what was at work", stop_signal(),
                         strsignal(stop_signal()));
    return status;
}

static int due(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    const struct config_job *job;
    struct turn turn = {.cli = cli, .jobs = a->words, .job_count = a->word_count, .quiet = cli->quiet};
    size_t held = 0;
    for (size_t i = 0; i < a->word_count; i++)
        if (command_job(cli, a->words[i], &job, e) < 0)
            return -1;
    if (arguments_has(a, "dry-run"))
        return dry_run(cli, e);
    int result = turn_open(&turn, &held, e);
    bool elsewhere = result < 0 && e->class == ERROR_BUSY;
    if (result == 0)
        result = take_turns(&turn, e);
    turn_close(&turn);
    if (elsewhere)
        log_line(LOG_NOTICE, "%s: there is nothing to do here", e->message);
    return elsewhere ? EXIT_DONE : result < 0 ? -1 : finish(cli, &turn, held, e);
}

static const struct argument_option options[] = {
    {.name = "dry-run", .help = "show what is due now, and when the next of each thing is; do nothing"},
    {0},
};

const struct command cmd_due = {
    .name = "due",
    .usage = "due [JOB...] [--dry-run]",
    .summary = "do what is due now: runs, verifications, gc",
    .help =
        "Does whatever is due, by the records that this machine keeps: runs by schedule, verifications by\n"
        "verify_every, gc by gc_every; with JOB, the runs and verifications of these jobs. Called every five minutes,\n"
        "by one line of cron or a timer, it is all that has to be scheduled. What was missed while the machine was "
        "off\n"
        "is done once; what failed in passing is tried once more, 15 minutes later. Of one job never two things are\n"
        "at work, and never more at once than parallel_jobs. When another due, or daemon, is at work, there is\n"
        "nothing to do, and the status is 0.",
    .example = "cofre due --dry-run\ncofre due -q",
    .statuses = "0   nothing was due, or all of it was done\n"
                "3   done, but parts or sinks are missing\n"
                "N   of what ended otherwise the first: the status of run, verify or gc\n"
                "143 ended by SIGTERM, and what was at work, too",
    .options = options,
    .words_min = 0,
    .words_max = (size_t)-1,
    .flags = COMMAND_TELLS,
    .run = due,
};
