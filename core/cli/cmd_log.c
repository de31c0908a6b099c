/* cofre log: what was attempted on this machine, and what came of it. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/record_view.h"
#include "cli/view.h"

/* One file of records, and the next of them. */
struct place {
    char directory[PATH_MAX];
    char name[96]; /* "job 'nightly'" */
    struct records_reader reader;
    json_t *next;
    int64_t ended;
};

struct logging {
    struct cli *cli;
    struct place *places;
    size_t count;
    int64_t since; /* ns */
    size_t damaged;
};

/* ---- which ---- */

static int add_place(struct logging *l, const char *job, const char *sink, struct error *e)
{
    struct place *places = reallocarray(l->places, l->count + 1, sizeof *places);
    if (!places)
        return error_memory(e);
    l->places = places;
    struct place *p = &places[l->count];
    *p = (struct place){.ended = INT64_MIN};
    snprintf(p->name, sizeof p->name, "%s '%.63s'", job ? "job" : "sink", job ? job : sink);
    if (records_directory(l->cli->engine.config, job, sink, p->directory, e) < 0)
        return -1;
    l->count++;
    return 0;
}

static int is_name(const struct dirent *row)
{
    return text_is_name(row->d_name);
}

/* All that are there, also of what is not configured any more. */
static int add_all(struct logging *l, bool jobs, struct error *e)
{
    char above[PATH_MAX];
    struct dirent **rows = NULL;
    snprintf(above, sizeof above, "%s/%s", l->cli->engine.config->state_dir, jobs ? "jobs" : "sinks");
    int result = 0, count = scandir(above, &rows, is_name, alphasort);
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = add_place(l, jobs ? rows[i]->d_name : NULL, rows[i]->d_name, e);
        free(rows[i]);
    }
    free(rows);
    return result;
}

/* One that is neither configured nor remembered is a slip. */
static int check_job(const struct logging *l, const char *name, struct error *e)
{
    const struct config_job *job;
    return access(l->places[l->count - 1].directory, F_OK) == 0 ? 0 : command_job(l->cli, name, &job, e);
}

static int check_sink(const struct logging *l, const char *name, struct error *e)
{
    const struct config_instance *sink;
    return access(l->places[l->count - 1].directory, F_OK) == 0 ? 0 : command_sink(l->cli, name, &sink, e);
}

static int choose(struct logging *l, struct error *e)
{
    const struct arguments *a = &l->cli->arguments;
    const char *sink = arguments_value(a, "sink"), *job = a->word_count > 0 ? a->words[0] : NULL;
    if ((job && !text_is_name(job)) || (sink && !text_is_name(sink)))
        return error_set(e, ERROR_USAGE, "'%.200s' is no name of a job or sink",
                         job && !text_is_name(job) ? job : sink);
    if (job && (add_place(l, job, NULL, e) < 0 || check_job(l, job, e) < 0))
        return -1;
    if (sink && (add_place(l, NULL, sink, e) < 0 || check_sink(l, sink, e) < 0))
        return -1;
    if (job || sink)
        return 0;
    return add_all(l, true, e) < 0 || add_all(l, false, e) < 0 ? -1 : 0;
}

/* ---- rows, by when they ended ---- */

static int advance(struct logging *l, struct place *p, struct error *e)
{
    int got;
    json_decref(p->next);
    p->next = NULL;
    while ((got = records_next(&p->reader, e)) > 0) {
        p->next = records_parse(p->reader.line, p->reader.length - 1);
        p->ended = p->next ? records_time(p->next, "ended") : INT64_MIN;
        if (p->ended >= l->since && p->next)
            return 0;
        l->damaged += !p->next;
        json_decref(p->next);
        p->next = NULL;
    }
    return got;
}

static struct place *earliest(struct logging *l)
{
    struct place *found = NULL;
    for (size_t i = 0; i < l->count; i++)
        if (l->places[i].next && (!found || l->places[i].ended < found->ended))
            found = &l->places[i];
    return found;
}

static void give(struct logging *l, const json_t *record, const char *status)
{
    struct output *out = &l->cli->output;
    if (!out->json) {
        record_view_row(out, record, status);
        return;
    }
    json_t *object = json_copy((json_t *)(uintptr_t)record);
    if (status && object && json_object_set_new(object, "status", json_string(status)) < 0) {
        json_decref(object);
        object = NULL;
    }
    output_object(out, "record", object);
}

static void give_open(void *context, const struct attempt_open *open)
{
    give(context, open->record, open->alive ? "running" : "killed");
}

static int give_all(struct logging *l, struct error *e)
{
    for (size_t i = 0; i < l->count; i++)
        if (records_open(l->places[i].directory, &l->places[i].reader, e) < 0 || advance(l, &l->places[i], e) < 0)
            return -1;
    record_view_title(&l->cli->output);
    for (struct place *p = earliest(l); p; p = earliest(l)) {
        give(l, p->next, NULL);
        if (advance(l, p, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < l->count; i++)
        if (attempt_each_open(l->places[i].directory, give_open, l, e) < 0)
            return -1;
    if (l->damaged == 0)
        return EXIT_DONE;
    error_set(e, ERROR_INTEGRITY, "%zu lines are no records", l->damaged);
    return error_hint(e, "cofre log --check says which");
}

/* ---- the chains ---- */

struct checking {
    struct output *out;
    const struct place *place;
};

static void say_flaw(void *context, size_t line, const char *what)
{
    const struct checking *c = context;
    output_print(c->out, "%s: line %zu: %s\n", c->place->name, line, what);
    output_object(c->out, "flaw",
                  json_pack("{s:s, s:s, s:o, s:s}", "of", c->place->name, "file", c->place->directory, "line",
                            output_number(line), "text", what));
}

static int check_all(struct logging *l, struct error *e)
{
    struct output *out = &l->cli->output;
    size_t flaws = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct checking checking = {.out = out, .place = &l->places[i]};
        struct records_chain chain;
        char count[VIEW_COUNT_MAX];
        if (records_check(l->places[i].directory, say_flaw, &checking, &chain, e) < 0)
            return -1;
        if (chain.flaws == 0)
            output_print(out, "%s: %s records, the chain is whole%s\n", l->places[i].name,
                         view_count(chain.count, count), chain.cut ? "; older ones were cut off" : "");
        output_object(out, "chain",
                      json_pack("{s:s, s:o, s:o, s:b}", "of", l->places[i].name, "records", output_number(chain.count),
                                "flaws", output_number(chain.flaws), "cut", chain.cut));
        flaws += chain.flaws;
    }
    if (flaws == 0)
        return EXIT_DONE;
    error_set(e, ERROR_INTEGRITY, "the records were changed, or are damaged: %zu places", flaws);
    return error_hint(e, "each is named above; what stands between two of them follows from itself");
}

static int log_records(struct cli *cli, struct error *e)
{
    struct logging l = {.cli = cli};
    bool check = arguments_has(&cli->arguments, "check");
    int status = command_since(cli, &l.since, e) < 0 || choose(&l, e) < 0 ? -1
                 : check                                                  ? check_all(&l, e)
                                                                          : give_all(&l, e);
    for (size_t i = 0; i < l.count; i++) {
        records_close(&l.places[i].reader);
        json_decref(l.places[i].next);
    }
    free(l.places);
    return status;
}

static const struct argument_option options[] = {
    {.name = "since", .value = "TIME", .help = "only what ended after this date, or within this time, such as 7d"},
    {.name = "sink", .value = "SINK", .help = "what was done to this sink as a whole: gc, verify"},
    {.name = "check", .help = "check the chain of the records instead, and say where it is broken"},
    {0},
};

const struct command cmd_log = {
    .name = "log",
    .usage = "log [JOB] [--sink SINK] [--since TIME]\nlog [JOB] [--sink SINK] --check",
    .summary = "what was attempted on this machine, and what came of it",
    .help =
        "Shows the records of every run, restore, verification, prune, gc and copy, the newest last: of JOB, of\n"
        "SINK, or of all. cofre show JOB --record ID shows all of one. With --check it says of each file of records\n"
        "whether its lines still follow from each other: a line that was changed or taken out shows.",
    .example = "cofre log\ncofre log nightly --since 30d\ncofre log --check\ncofre --json log nightly",
    .statuses = "13  lines are no records, or, with --check, the chain is broken",
    .options = options,
    .words_min = 0,
    .words_max = 1,
    .flags = COMMAND_RESULT,
    .run = log_records,
};
