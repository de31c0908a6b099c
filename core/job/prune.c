#include "job/prune.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "format/join.h"
#include "job/history.h"
#include "repository/seal.h"
#include "worker/engine.h"
#include "worker/sink.h"

/* The first of a host and job that cannot be read. */
struct unreadable {
    struct vault_name name; /* without a host: of any */
    struct error why;
};
#define UNREADABLE_MAX 4096 /* hosts and jobs: who may add can make up any number, and each is looked for among all */

/* What stands in a vault, sorted: the snapshots of one host and job are together, newest first. */
struct standings {
    struct vault_standing *items;
    size_t count, capacity;
    struct unreadable *unreadable;
    size_t unreadable_count, unreadable_capacity;
};

/* Those of one host and job. */
struct prune {
    struct vault *vault;
    const struct prune_request *request;
    const struct prune_audience *audience;
    const struct config_retention *rules;
    const struct history *history; /* NULL = of another host */
    const struct vault_standing *standings;
    size_t count;
    struct retention_decision *decisions;
    enum prune_action *actions;
    struct prune_result result;
};

/* ---- what is there ---- */

static void free_standings(struct standings *all)
{
    free(all->items);
    free(all->unreadable);
}

static int note_unreadable(struct standings *all, const struct vault_name *name, const struct error *why,
                           struct error *e)
{
    for (size_t i = 0; i < all->unreadable_count; i++)
        if (strcmp(all->unreadable[i].name.host, name->host) == 0 &&
            strcmp(all->unreadable[i].name.job, name->job) == 0)
            return 0;
    if (all->unreadable_count == UNREADABLE_MAX) {
        struct vault_name *any = &all->unreadable[UNREADABLE_MAX - 1].name;
        any->host[0] = any->job[0] = '\0';
        return 0;
    }
    if (all->unreadable_count == all->unreadable_capacity) {
        size_t capacity = all->unreadable_capacity ? 2 * all->unreadable_capacity : 16;
        struct unreadable *rows = reallocarray(all->unreadable, capacity, sizeof *rows);
        if (!rows)
            return error_memory(e);
        all->unreadable = rows;
        all->unreadable_capacity = capacity;
    }
    all->unreadable[all->unreadable_count++] = (struct unreadable){*name, *why};
    return 0;
}

static int add_standing(void *context, const struct vault_standing *standing, const struct error *why, struct error *e)
{
    struct standings *all = context;
    if (why->class != ERROR_NONE)
        return note_unreadable(all, &standing->name, why, e);
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? 2 * all->capacity : 64;
        struct vault_standing *items = reallocarray(all->items, capacity, sizeof *items);
        if (!items)
            return error_memory(e);
        all->items = items;
        all->capacity = capacity;
    }
    struct vault_standing *s = &all->items[all->count++];
    *s = *standing;
    if (s->manifest)
        seal_hash(s->manifest->data, s->manifest->length, s->hash);
    s->manifest = NULL;
    return 0;
}

static int compare_standings(const void *a, const void *b)
{
    const struct vault_standing *x = a, *y = b;
    int order = strcmp(x->name.host, y->name.host);
    order = order ? order : strcmp(x->name.job, y->name.job);
    return order ? order : strcmp(y->name.id, x->name.id);
}

static int collect(struct vault *vault, const char *host, const char *job, struct standings *all, struct error *e)
{
    *all = (struct standings){.count = 0};
    if (vault_standings(vault, host, job, add_standing, all, e) < 0) {
        free_standings(all);
        return -1;
    }
    if (all->count > 0)
        qsort(all->items, all->count, sizeof *all->items, compare_standings);
    return 0;
}

/* One that cannot be read and is, or may be, of that host and job. */
static const struct unreadable *find_unreadable(const struct standings *all, const char *host, const char *job)
{
    for (size_t i = 0; i < all->unreadable_count; i++) {
        const struct vault_name *name = &all->unreadable[i].name;
        if ((name->host[0] == '\0' || strcmp(name->host, host) == 0) &&
            (name->job[0] == '\0' || strcmp(name->job, job) == 0))
            return &all->unreadable[i];
    }
    return NULL;
}

/* ---- deciding ---- */

static void hold(struct prune *p, size_t i, const char *why)
{
    p->actions[i] = PRUNE_HOLD;
    retention_add_reason(&p->decisions[i], "held back: %s", why);
}

static void hold_all(struct prune *p, const char *why)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->actions[i] == PRUNE_REMOVE)
            hold(p, i, why);
}

static size_t count_of(const struct prune *p, enum prune_action action)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        count += p->actions[i] == action;
    return count;
}

static int doubt(const struct prune *p, const struct standings *all, int64_t now, struct error *e)
{
    const struct unreadable *one = find_unreadable(all, p->result.host, p->result.job);
    if (!one)
        return prune_doubt(p->vault, p->result.job, p->standings, p->count, p->history, p->request, now, e);
    *e = one->why;
    if (!e->hint[0] && e->class == ERROR_INTEGRITY)
        error_hint(e, VAULT_LOST_HINT);
    else if (!e->hint[0])
        error_hint(e, "see what is wrong with it: cofre verify %s --all", p->result.job);
    return error_consequence(e, "snapshot %s cannot be read: ", one->name.id);
}

static void too_much(const struct prune *p, struct error *e)
{
    error_set(e, ERROR_PERMANENT, "%zu of %zu snapshots would be removed at once, which is more than half",
              count_of(p, PRUNE_REMOVE), p->count);
    const char *others = p->history ? "" : " --all-hosts";
    error_hint(e, "see which, with cofre prune %s%s --dry-run --yes; if that is right: cofre prune %s%s --yes",
               p->result.job, others, p->result.job, others);
}

/* other: it is of another host, whose job stands in no section here. */
static void not_allowed(const char *job, bool other, struct error *e)
{
    error_set(e, ERROR_DENIED, "the key at hand may not remove the snapshots of job '%s' that no rule keeps", job);
    error_hint(e, "prune with the full key, or with one that 'cofre key prune' makes, where it is safe%s%s%s",
               other ? "" : "; and write prune = elsewhere in [job ", other ? "" : job, other ? "" : "]");
}

/* That a listing is silent on a pin would be the end of its snapshot: of each that is to go, the pin is asked for by
 * its name. names, are: room for all. What a record names already was looked at then. */
static int look_for_pins(const struct prune *p, struct vault_name *names, bool *are, struct error *e)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->actions[i] == PRUNE_REMOVE && !p->standings[i].pinned && !p->standings[i].removed)
            names[count++] = p->standings[i].name;
    if (count > 0 && vault_pinned(p->vault, names, count, are, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (are[i]) {
            error_set(e, ERROR_PERMANENT, "snapshot %s has a pin that was not listed", names[i].id);
            return error_hint(e, "prune again; if it stays so, the place does not list all that it has");
        }
    return 0;
}

static int doubt_pins(const struct prune *p, struct error *e)
{
    AUTO_FREE struct vault_name *names = calloc(p->count + 1, sizeof *names);
    AUTO_FREE bool *are = calloc(p->count + 1, sizeof *are);
    return names && are ? look_for_pins(p, names, are, e) : error_memory(e);
}

/* Why what no rule keeps stays all the same. */
static void restrain(struct prune *p, const struct standings *all, int64_t now)
{
    struct error *why = &p->result.why;
    if (!config_retention_rules(p->rules))
        return;
    if (doubt(p, all, now, why) < 0) {
        error_consequence(why, "nothing is removed, as there is a doubt: ");
        hold_all(p, "there is a doubt");
    } else if (count_of(p, PRUNE_REMOVE) > 0 && !vault_may_remove(p->vault, p->result.host)) {
        hold_all(p, "the key at hand may not remove it");
        if (p->rules->prune != CONFIG_ELSEWHERE)
            not_allowed(p->result.job, !p->history, why);
    } else if (!p->request->yes && retention_is_much(p->standings, p->decisions, p->count)) {
        too_much(p, why);
        hold_all(p, "it is more than half at once, which needs --yes");
    } else if (doubt_pins(p, why) < 0) {
        error_consequence(why, "nothing is removed, as there is a doubt: ");
        hold_all(p, "there is a doubt");
    }
}

/* ---- removing ---- */

static void on_gone(void *context, const struct vault_name *name, const struct error *why)
{
    struct prune *p = context;
    char text[ERROR_TEXT_MAX];
    size_t i = 0;
    if (why->class == ERROR_NONE)
        return;
    while (i < p->count && strcmp(p->standings[i].name.id, name->id) != 0)
        i++;
    ASSERT(i < p->count);
    hold(p, i, error_text(why, text));
    p->result.why = *why;
    error_consequence(&p->result.why, "snapshot %s could not be removed: ", name->id);
}

/* removals, reasons: room for all. Nothing is gone without its record. */
static void remove_with(struct prune *p, struct vault_removal *removals, const char **reasons)
{
    struct error e;
    char text[ERROR_TEXT_MAX];
    size_t count = 0, done = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (p->actions[i] != PRUNE_REMOVE)
            continue;
        reasons[count] = p->decisions[i].reasons[0];
        removals[count] = (struct vault_removal){&p->standings[i], &reasons[count], 1};
        count++;
    }
    while (done < count) {
        size_t n = count - done < VAULT_REMOVALS_MAX ? count - done : VAULT_REMOVALS_MAX;
        if (vault_remove(p->vault, removals + done, n, on_gone, p, &e) < 0)
            break;
        done += n;
    }
    if (done == count)
        return;
    p->result.why = e;
    error_text(&e, text);
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = done; k < count; k++)
            if (removals[k].standing == &p->standings[i])
                hold(p, i, text);
}

static int remove_all(struct prune *p, struct error *e)
{
    struct vault_removal *removals = calloc(p->count + 1, sizeof *removals);
    const char **reasons = calloc(p->count + 1, sizeof *reasons);
    int result = removals && reasons ? 0 : error_memory(e);
    if (result == 0)
        remove_with(p, removals, reasons);
    free(removals);
    free(reasons);
    return result;
}

/* Now and then. That it fails leaves more records than need be. */
static void join(const struct prune *p)
{
    struct error e;
    if (count_of(p, PRUNE_REMOVE) == 0 ||
        join_records(p->vault, p->result.host, p->result.job, p->standings, p->count, &e) == 0)
        return;
    error_subject(&e, "sink", sink_name(p->vault->sink));
    error_consequence(&e, "removal records of job '%s' could not be joined: ", p->result.job);
    log_error(LOG_WARNING, &e);
}

/* ---- one host and job ---- */

static void tell(struct prune *p)
{
    p->result.kept = count_of(p, PRUNE_KEEP);
    p->result.removed = count_of(p, PRUNE_REMOVE);
    p->result.held = count_of(p, PRUNE_HOLD);
    for (size_t i = 0; i < p->count; i++)
        p->audience->decided(p->audience->context, &p->result, &p->standings[i], &p->decisions[i], p->actions[i]);
    p->audience->done(p->audience->context, &p->result);
}

static int decide_and_remove(struct prune *p, const struct standings *all, struct error *e)
{
    int64_t now = clock_now();
    if (retention_decide(p->standings, p->count, p->rules, now, p->decisions, e) < 0)
        return -1;
    for (size_t i = 0; i < p->count; i++)
        p->actions[i] = p->decisions[i].keep ? PRUNE_KEEP : PRUNE_REMOVE;
    restrain(p, all, now);
    if (!p->request->dry_run && remove_all(p, e) < 0)
        return -1;
    if (!p->request->dry_run)
        join(p);
    tell(p);
    return 0;
}

static int prune(struct prune *p, const struct standings *all, struct error *e)
{
    p->decisions = calloc(p->count + 1, sizeof *p->decisions);
    p->actions = calloc(p->count + 1, sizeof *p->actions);
    int result = p->decisions && p->actions ? decide_and_remove(p, all, e) : error_memory(e);
    free(p->decisions);
    free(p->actions);
    return result;
}

int prune_job(struct vault *vault, const struct config_job *job, const struct history *history,
              const struct prune_request *request, const struct prune_audience *audience, struct error *e)
{
    const char *host = vault->engine->config->host;
    struct config_retention rules;
    struct standings all;
    config_retention_of(job, vault->config, &rules);
    if (collect(vault, host, job->name, &all, e) < 0)
        return -1;
    struct prune p = {.vault = vault,
                      .request = request,
                      .audience = audience,
                      .rules = &rules,
                      .history = history,
                      .standings = all.items,
                      .count = all.count,
                      .result = {.host = host, .job = job->name}};
    int result = prune(&p, &all, e);
    free_standings(&all);
    return result;
}

/* ---- other hosts ---- */

static size_t end_of_group(const struct standings *all, size_t first)
{
    const struct vault_name *name = &all->items[first].name;
    size_t end = first + 1;
    while (end < all->count && strcmp(all->items[end].name.host, name->host) == 0 &&
           strcmp(all->items[end].name.job, name->job) == 0)
        end++;
    return end;
}

/* Those of that host and job, unless they are this host's own; p: what is alike for all. */
static int prune_group(struct prune p, const struct standings *all, const struct vault_name *name,
                       const struct vault_standing *standings, size_t count, struct error *e)
{
    if (strcmp(name->host, p.vault->engine->config->host) == 0)
        return 0;
    p.standings = standings;
    p.count = count;
    p.result = (struct prune_result){.host = name->host, .job = name->job};
    return prune(&p, all, e);
}

/* Of that host and job, is there any that can be read? */
static bool has_group(const struct standings *all, const struct vault_name *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].name.host, name->host) == 0 && strcmp(all->items[i].name.job, name->job) == 0)
            return true;
    return false;
}

static int prune_groups(struct vault *vault, const struct standings *all, const struct prune_request *request,
                        const struct prune_audience *audience, struct error *e)
{
    struct config_retention rules;
    config_retention_of_others(vault->config, &rules);
    const struct prune p = {.vault = vault, .request = request, .audience = audience, .rules = &rules};
    for (size_t first = 0, end; first < all->count; first = end) {
        end = end_of_group(all, first);
        if (prune_group(p, all, &all->items[first].name, &all->items[first], end - first, e) < 0)
            return -1;
    }
    /* Where none can be read nothing is decided: it is said why. */
    for (size_t i = 0; i < all->unreadable_count; i++) {
        const struct vault_name *name = &all->unreadable[i].name;
        if (name->host[0] && !has_group(all, name) && prune_group(p, all, name, NULL, 0, e) < 0)
            return -1;
    }
    return 0;
}

int prune_others(struct vault *vault, const char *job, const struct prune_request *request,
                 const struct prune_audience *audience, struct error *e)
{
    struct standings all;
    if (collect(vault, NULL, job, &all, e) < 0)
        return -1;
    int result = prune_groups(vault, &all, request, audience, e);
    free_standings(&all);
    return result;
}

/* ---- after a run ---- */

struct after {
    const char *sink;
    struct prune_result *result;
    bool fine;
};

static void say_nothing(void *context, const struct prune_result *of, const struct vault_standing *standing,
                        const struct retention_decision *decision, enum prune_action action)
{
    (void)context;
    (void)of;
    (void)standing;
    (void)decision;
    (void)action;
}

static void say_done(void *context, const struct prune_result *result)
{
    struct after *after = context;
    struct error why = result->why;
    *after->result = *result;
    if (result->removed > 0)
        log_line(LOG_NOTICE, "removed %zu snapshot%s of job '%s' from %s that no rule keeps, %zu stay", result->removed,
                 result->removed == 1 ? "" : "s", result->job, after->sink, result->kept + result->held);
    if (why.class == ERROR_NONE)
        return;
    error_subject(&why, "sink", after->sink);
    log_error(LOG_WARNING, &why);
    after->fine = false;
}

static bool is_after_run(const struct vault *vault, const struct config_job *job)
{
    struct config_retention rules;
    config_retention_of(job, vault->config, &rules);
    return config_retention_rules(&rules) && rules.prune == CONFIG_AFTER_RUN;
}

bool prune_is_denied(struct vault *vault, const struct config_job *job, struct error *why)
{
    bool denied = is_after_run(vault, job) && !vault_may_remove(vault, vault->engine->config->host);
    if (denied)
        not_allowed(job->name, false, why);
    return denied;
}

bool prune_after_run(struct vault *vault, const struct config_job *job, const struct history *history,
                     struct prune_result *result)
{
    const struct prune_request request = {.dry_run = false};
    struct after after = {.sink = sink_name(vault->sink), .result = result, .fine = true};
    const struct prune_audience audience = {.decided = say_nothing, .done = say_done, .context = &after};
    struct error e;
    *result = (struct prune_result){0};
    if (prune_is_denied(vault, job, &e)) {
        error_subject(&e, "sink", after.sink);
        log_error(LOG_WARNING, &e);
        return true;
    }
    if (!is_after_run(vault, job))
        return true;
    if (prune_job(vault, job, history, &request, &audience, &e) == 0)
        return after.fine;
    error_subject(&e, "sink", after.sink);
    error_consequence(&e, "the snapshot is committed, and old ones could not be removed: ");
    log_error(LOG_WARNING, &e);
    return false;
}
