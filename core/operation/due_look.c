#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/attempt.h"
#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "operation/due.h"
#include "repository/key.h"

#define MS INT64_C(1000000) /* ns */

/* ---- what the records say of one thing ---- */

struct reading {
    struct due_thing *thing;
    int64_t now;
    const char *command; /* "run" */
    char member[32];     /* "\"command\":\"run\"": quotes inside of a text are escaped, so it is found nowhere else */
};

/* Of all sinks of the job, as far as it came so far that it says so. */
static bool is_of_all(const struct config_job *job, const json_t *record)
{
    const json_t *rows = json_object_get(record, "sinks");
    for (size_t i = 0; rows && i < job->sink_count; i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(rows); k++)
            found = found || records_is(json_array_get(rows, k), "name", job->sinks[i]->name);
        if (!found)
            return false;
    }
    return true;
}

/* An attempt at the whole of it: not at some sources, one snapshot or one sink. */
static bool is_whole(const struct due_thing *thing, const json_t *record)
{
    if (thing->what == DUE_RUN)
        return json_array_size(json_object_get(record, "asked")) == 0;
    if (!thing->job)
        return true;
    return !json_is_true(json_object_get(record, "quick")) && !records_text(record, "snapshot") &&
           is_of_all(thing->job, record);
}

/* Whatever failed without a class failed in a part of it. */
static bool is_passing(const json_t *record)
{
    static const enum error_class classes[] = {ERROR_RETRY, ERROR_TIMEOUT, ERROR_BUSY, ERROR_CANCELLED};
    const char *class = records_text(record, "class");
    if (records_is(record, "status", "killed"))
        return true;
    if (!records_is(record, "status", "failed"))
        return false;
    for (size_t i = 0; class && i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(class, error_class_name(classes[i])) == 0)
            return true;
    return !class;
}

static void take(struct reading *r, const json_t *record)
{
    struct due_known *known = &r->thing->known;
    const struct due_attempt attempt = {.began = records_time(record, "started"),
                                        .ended = records_time(record, "ended"),
                                        .passing = is_passing(record)};
    if (!records_is(record, "command", r->command) || !is_whole(r->thing, record) || attempt.began > r->now + DUE_AHEAD)
        return;
    if (known->last.began == INT64_MIN)
        known->last = attempt;
    else
        known->before = attempt;
}

static bool visit(void *context, const char *line, size_t length)
{
    struct reading *r = context;
    if (!memmem(line, length, r->member, strlen(r->member)))
        return true;
    json_t *record = records_parse(line, length);
    if (record)
        take(r, record);
    json_decref(record);
    return r->thing->known.before.began == INT64_MIN;
}

/* What was killed and has no record yet ended nobody knows when. */
static void look_at_open(void *context, const struct attempt_open *open)
{
    struct reading *r = context;
    if (open->alive) {
        r->thing->busy = true;
        return;
    }
    json_t *killed = attempt_killed(open);
    if (killed)
        take(r, killed);
    else
        r->thing->busy = true; /* out of memory: it has time */
    json_decref(killed);
}

static int read_thing(const struct config *config, struct due_thing *thing, int64_t now, struct error *e)
{
    struct reading r = {.thing = thing, .now = now, .command = due_command(thing->what)};
    char directory[PATH_MAX];
    snprintf(r.member, sizeof r.member, "\"command\":\"%s\"", r.command);
    thing->known.last.began = thing->known.before.began = INT64_MIN;
    if (records_directory(config, thing->job ? thing->job->name : NULL, thing->sink ? thing->sink->name : NULL,
                          directory, e) < 0 ||
        attempt_each_open(directory, look_at_open, &r, e) < 0)
        return -1;
    return records_back(directory, visit, &r, e);
}

/* ---- marks ---- */

/* What a schedule asked for before it was written was not missed. */
static void rule_text(const struct due_thing *thing, char *out, size_t size)
{
    if (thing->what == DUE_RUN)
        snprintf(out, size, "%s +%lld s", thing->job->schedule, (long long)(thing->rule.delay / DUE_SECOND));
    else
        snprintf(out, size, "every");
}

/* The mark of the thing into `kept`, made when there is none that holds. */
static int take_mark(struct due_marks *marks, json_t *kept, struct due_thing *thing, int64_t now, struct error *e)
{
    char name[DUE_NAME_MAX], rule[320], when[CLOCK_TEXT_MAX];
    json_t *mark = json_object_get(marks->things, due_name(thing, name));
    int64_t since = records_time(mark, "since");
    rule_text(thing, rule, sizeof rule);
    bool holds = since != INT64_MIN && since <= now + DUE_AHEAD && records_is(mark, "rule", rule);
    thing->known.since = holds ? since : now;
    marks->changed = marks->changed || !holds;
    mark = holds ? json_incref(mark)
                 : json_pack("{s:s, s:s}", "rule", rule, "since", clock_format_exact(thing->known.since, when));
    return json_object_set_new(kept, name, mark) < 0 ? error_memory(e) : 0;
}

/* ---- which things there are ---- */

/* May the key at hand remove? One that cannot be read is named by every run, and by check. */
static bool may_remove(const struct config_instance *sink)
{
    struct key *key;
    struct error ignored;
    if (!sink->key)
        return true;
    if (key_load(sink->key, &key, &ignored) < 0)
        return false;
    bool may = (key->certificate.roles & KEY_REMOVE) != 0;
    key_free(key);
    return may;
}

static bool is_collected(const struct config *config, const struct config_instance *sink)
{
    bool used = config->job_count == 0;
    for (size_t i = 0; i < config->job_count; i++)
        used = used || config_job_uses(&config->jobs[i], sink);
    return used && !config_retention_elsewhere(config, sink) && sink->gc_every > 0 && !sink->fault && may_remove(sink);
}

static bool is_pruned(const struct config_instance *sink)
{
    return sink->prune_every > 0 && !sink->fault && may_remove(sink);
}

static void list_things(const struct config *config, struct due_list *list)
{
    struct due_rule rule;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        if (due_rule_of(config, job, &rule))
            list->items[list->count++] = (struct due_thing){.what = DUE_RUN, .job = job, .rule = rule};
        if (job->verify_every > 0)
            list->items[list->count++] =
                (struct due_thing){.what = DUE_VERIFY, .job = job, .rule = {.every = job->verify_every * MS}};
    }
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_instance *sink = &config->sinks[i];
        if (is_pruned(sink))
            list->items[list->count++] =
                (struct due_thing){.what = DUE_PRUNE, .sink = sink, .rule = {.every = sink->prune_every * MS}};
        if (is_collected(config, sink))
            list->items[list->count++] =
                (struct due_thing){.what = DUE_GC, .sink = sink, .rule = {.every = sink->gc_every * MS}};
    }
}

/* ---- all ---- */

static int due_first(const void *a, const void *b)
{
    char x_name[DUE_NAME_MAX], y_name[DUE_NAME_MAX];
    const struct due_thing *x = a, *y = b;
    if (x->decision.now != y->decision.now)
        return x->decision.now ? -1 : 1;
    if (x->decision.now && x->what != y->what)
        return x->what < y->what ? -1 : 1;
    if (x->decision.when != y->decision.when)
        return x->decision.when < y->decision.when ? -1 : 1;
    return strcmp(due_name(x, x_name), due_name(y, y_name));
}

static int decide_all(const struct config *config, struct due_marks *marks, json_t *kept, int64_t now,
                      struct due_list *list, struct error *e)
{
    for (size_t i = 0; i < list->count; i++) {
        struct due_thing *thing = &list->items[i];
        if (take_mark(marks, kept, thing, now, e) < 0)
            return -1;
        /* Then the mark alone decides; status says that the records cannot be read, and so does whatever adds one. */
        if (read_thing(config, thing, now, e) < 0 && e->class == ERROR_MEMORY)
            return -1;
        thing->decision = due_decide(&thing->rule, &thing->known, now);
    }
    if (json_object_size(kept) != json_object_size(marks->things))
        marks->changed = true;
    return 0;
}

int due_look(const struct config *config, struct due_marks *marks, int64_t now, struct due_list *list, struct error *e)
{
    *list = (struct due_list){.items = calloc(2 * (config->job_count + config->sink_count) + 1, sizeof *list->items)};
    json_t *kept = json_object();
    int result = list->items && kept ? 0 : error_memory(e);
    if (result == 0) {
        list_things(config, list);
        result = decide_all(config, marks, kept, now, list, e);
    }
    if (result < 0) {
        json_decref(kept);
        due_list_free(list);
        return -1;
    }
    json_decref(marks->things);
    marks->things = kept;
    marks->looked = now;
    qsort(list->items, list->count, sizeof *list->items, due_first);
    return 0;
}

void due_list_free(struct due_list *list)
{
    free(list->items);
    *list = (struct due_list){0};
}
