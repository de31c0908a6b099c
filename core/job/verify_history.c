#include "job/verify_history.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "format/join.h"
#include "job/history.h"
#include "job/state.h"
#include "worker/engine.h"

static void report(struct verify_history *history, const struct verify_link *link, const char *text)
{
    char snapshot[201];
    snprintf(snapshot, sizeof snapshot, "%s/%s/%s", link->host, link->job, link->id);
    struct verify_damage damage = {.object = link->object[0] ? link->object : NULL, .text = text, .snapshot = snapshot};
    history->damage(history->context, &damage);
}

int verify_history_add(struct verify_history *history, const struct verify_link *link, struct error *e)
{
    struct verify_link *links = realloc(history->links, (history->count + 1) * sizeof *links);
    if (!links)
        return error_memory(e);
    history->links = links;
    links[history->count++] = *link;
    return 0;
}

void verify_history_free(struct verify_history *history)
{
    free(history->links);
    free(history->ranges);
    history->links = NULL;
    history->ranges = NULL;
    history->range_count = 0;
    history->count = 0;
}

static int compare_jobs(const struct verify_link *x, const struct verify_link *y)
{
    int order = strcmp(x->host, y->host);
    return order ? order : strcmp(x->job, y->job);
}

/* What is there before what was removed. */
static int compare_links(const void *a, const void *b)
{
    const struct verify_link *x = a, *y = b;
    int order = compare_jobs(x, y);
    order = order ? order : (x->sequence > y->sequence) - (x->sequence < y->sequence);
    return order ? order : (int)x->removed - (int)y->removed;
}

/* By their names; likewise. */
static int compare_named(const void *a, const void *b)
{
    const struct verify_link *x = a, *y = b;
    int order = compare_jobs(x, y);
    order = order ? order : strcmp(x->id, y->id);
    return order ? order : (int)x->removed - (int)y->removed;
}

/* ---- what was removed ---- */

/* Of each name, but of ranges, one stays: what is there, whatever a record says of it; which is said, since somebody
 * lies, or a removal was interrupted. */
static void settle_names(struct verify_history *history)
{
    size_t kept = 0;
    qsort(history->links, history->count, sizeof *history->links, compare_named);
    for (size_t i = 0; i < history->count; i++) {
        const struct verify_link *link = &history->links[i], *last = kept > 0 ? &history->links[kept - 1] : NULL;
        bool same = last && !link->first_sequence && compare_jobs(last, link) == 0 && strcmp(last->id, link->id) == 0;
        if (same && !last->removed && history->went && history->went(history->context, last))
            history->links[kept - 1] = *link;
        else if (same && !last->removed)
            report(history, link, "a removal record says that it was removed, and it is here");
        if (!same)
            history->links[kept++] = *link;
    }
    history->count = kept;
}

static int compare_removed_first(const void *a, const void *b)
{
    const struct verify_link *x = a, *y = b;
    return (int)y->removed - (int)x->removed;
}

/* Of what records say twice one stays. */
static void settle_records(struct verify_history *history)
{
    size_t removed = 0, kept;
    qsort(history->links, history->count, sizeof *history->links, compare_removed_first);
    while (removed < history->count && history->links[removed].removed)
        removed++;
    kept = join_cover(history->links, removed);
    memmove(history->links + kept, history->links + removed, (history->count - removed) * sizeof *history->links);
    history->count -= removed - kept;
}

static int compare_place(const void *key, const void *element)
{
    const struct verify_link *wanted = key, *range = *(const struct verify_link *const *)element;
    int order = compare_jobs(wanted, range);
    return order ? order : wanted->sequence < range->first_sequence ? -1 : wanted->sequence > range->sequence;
}

/* The range in which that place of its history is; NULL = none. */
static const struct verify_link *range_at(const struct verify_history *history, const struct verify_link *link,
                                          uint64_t sequence)
{
    struct verify_link wanted = {.sequence = sequence};
    memcpy(wanted.host, link->host, sizeof wanted.host);
    memcpy(wanted.job, link->job, sizeof wanted.job);
    const struct verify_link **found =
        history->range_count > 0
            ? bsearch(&wanted, history->ranges, history->range_count, sizeof *history->ranges, compare_place)
            : NULL;
    return found ? *found : NULL;
}

/* The links are in their order, and stay where they are. */
static int collect_ranges(struct verify_history *history, struct error *e)
{
    history->ranges = calloc(history->count + 1, sizeof *history->ranges);
    if (!history->ranges)
        return error_memory(e);
    for (size_t i = 0; i < history->count; i++)
        if (history->links[i].first_sequence)
            history->ranges[history->range_count++] = &history->links[i];
    return 0;
}

/* What is there and stands within a range that was removed. */
static void check_ranges(struct verify_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct verify_link *link = &history->links[i];
        const struct verify_link *range =
            link->removed || !link->readable ? NULL : range_at(history, link, link->sequence);
        if (range && join_is_within(range, link->sequence, link->id))
            report(history, link, "a removal record says that it was removed, and it is here");
    }
}

/* ---- gaps ---- */

/* Ids of snapshots between two that follow each other here: those of which it is known that the sink never had them,
 * and those that are there and cannot be read. */
struct gap {
    struct verify_history *history;
    const struct verify_link *before, *link;
    struct bytes ids; /* MANIFEST_ID_SIZE each */
};

static uint64_t gap_size(const struct gap *g)
{
    return join_first_sequence(g->link) - g->before->sequence - 1;
}

static bool is_explained(const struct gap *g)
{
    return g->ids.length / MANIFEST_ID_SIZE >= gap_size(g);
}

static bool is_known(const struct gap *g, const char *id)
{
    for (size_t at = 0; at < g->ids.length; at += MANIFEST_ID_SIZE)
        if (strcmp((const char *)g->ids.data + at, id) == 0)
            return true;
    return false;
}

static void explain(struct gap *g, const char *id)
{
    char row[MANIFEST_ID_SIZE] = "";
    if (strcmp(id, g->before->id) <= 0 || strcmp(id, join_first_id(g->link)) >= 0 || is_known(g, id))
        return;
    snprintf(row, sizeof row, "%s", id);
    bytes_put(&g->ids, row, sizeof row);
}

/* What a manifest says, which may be any later one: the one at hand may have been made while the sink was away, and
 * been copied here. One that is damaged explains nothing, and is reported by itself. */
static void ask_manifest(struct gap *g, const struct verify_link *link)
{
    struct verify_history *history = g->history;
    struct manifest *manifest;
    struct error ignored;
    if (!history->read || !link->readable || link->removed ||
        history->read(history->place, link, &manifest, &ignored) < 0)
        return;
    for (size_t i = 0; i < manifest->missed_count; i++)
        if (strcmp(manifest->missed[i].repository, history->id) == 0)
            explain(g, manifest->missed[i].id);
    manifest_free(manifest);
}

static bool was_committed(const struct verify_history *history, const struct history_link *known)
{
    for (size_t i = 0; i < known->repository_count; i++)
        if (strcmp(known->repositories[i], history->id) == 0)
            return true;
    return false;
}

/* What this machine remembers, if they are its own. False: one of them was here, and is not. */
static bool ask_state(struct gap *g)
{
    const struct config *config = g->history->engine->config;
    char directory[PATH_MAX];
    struct history state;
    struct error ignored; /* check_newest comes upon it too */
    bool never = true;
    if (strcmp(g->link->host, config->host) != 0 || state_directory(config, g->link->job, directory, &ignored) < 0 ||
        history_load(directory, config->host, &state, &ignored) < 0)
        return true;
    for (size_t i = 0; i < state.count; i++) {
        const struct history_link *known = &state.links[i];
        if (strcmp(known->id, g->before->id) <= 0 || strcmp(known->id, join_first_id(g->link)) >= 0 ||
            is_known(g, known->id))
            continue;
        never = never && !was_committed(g->history, known);
        explain(g, known->id);
    }
    history_free(&state);
    return never;
}

/* Those that cannot be read: which is said of them, and not of what follows. */
static void ask_names(struct gap *g)
{
    const struct verify_history *history = g->history;
    for (const struct verify_link *l = history->links; l < history->links + history->count; l++)
        if (!l->readable && strcmp(l->host, g->link->host) == 0 && strcmp(l->job, g->link->job) == 0)
            explain(g, l->id);
}

/* Is it known of all of them that the sink never had them, or are they there? */
static bool explain_gap(struct verify_history *history, const struct verify_link *before,
                        const struct verify_link *link)
{
    struct gap g = {.history = history, .before = before, .link = link, .ids = {.maximum = (size_t)1 << 20}};
    const struct verify_link *end = history->links + history->count;
    ask_names(&g);
    bool explained = ask_state(&g);
    if (link->removed) { /* what its manifest said of those before is gone with it */
        bytes_free(&g.ids);
        return explained;
    }
    for (const struct verify_link *later = link; explained && !is_explained(&g) && later < end; later++)
        if (strcmp(later->host, link->host) == 0 && strcmp(later->job, link->job) == 0)
            ask_manifest(&g, later);
    explained = explained && is_explained(&g);
    bytes_free(&g.ids);
    return explained;
}

/* ---- links ---- */

static bool is_of(const struct verify_link *a, const struct verify_link *b)
{
    return compare_jobs(a, b) == 0 && a->readable && b->readable;
}

/* Of what was removed, and of which others claim the place, one was in the chain, and nobody asks which: of two
 * machines that were one, say. */
static bool is_contested(const struct verify_history *history, const struct verify_link *link)
{
    const struct verify_link *first = history->links, *last = first + history->count - 1;
    return link->removed && !link->first_sequence &&
           ((link > first && is_of(link - 1, link) && link[-1].sequence == link->sequence) ||
            (link < last && is_of(link + 1, link) && link[1].sequence == link->sequence));
}

/* Those at the place before it, of which it must follow one. */
static bool follows_any(const struct verify_history *history, const struct verify_link *before,
                        const struct verify_link *link)
{
    for (const struct verify_link *l = before;; l--) {
        if (!is_of(l, link) || l->sequence != before->sequence)
            return false;
        if (join_follows(link, l))
            return true;
        if (l == history->links)
            return false;
    }
}

static void check_before(struct verify_history *history, const struct verify_link *before,
                         const struct verify_link *link)
{
    char text[256];
    uint64_t first = join_first_sequence(link);
    const struct verify_link *range = range_at(history, link, first - 1);
    if (range && range->sequence > first - 1) /* what was there is not known */
        return;
    if (first == before->sequence + 1) {
        if (follows_any(history, before, link))
            return;
        snprintf(text, sizeof text, "snapshot %s before it is not the one that it followed", before->id);
        report(history, link, text);
    } else if (!explain_gap(history, before, link)) {
        snprintf(text, sizeof text, "%llu snapshots between %s and this one are missing here",
                 (unsigned long long)(first - before->sequence - 1), before->id);
        report(history, link, text);
    }
}

/* It, and what is there before it. */
static void check_link(struct verify_history *history, const struct verify_link *link)
{
    char text[256];
    const struct verify_link *before = link;
    if (!link->readable || is_contested(history, link))
        return;
    if (link > history->links && is_of(link - 1, link) && !link->removed && !link[-1].removed &&
        link[-1].sequence == link->sequence) {
        snprintf(text, sizeof text, "it has the same place in the chain as snapshot %s", link[-1].id);
        report(history, link, text);
        return;
    }
    do
        if (before-- == history->links || !is_of(before, link))
            return;
    while (before->sequence >= join_first_sequence(link));
    check_before(history, before, link);
}

/* The snapshot of ours; or else the range that was removed and in which it stands. */
static const struct verify_link *find(const struct verify_history *history, const char *job,
                                      const struct history_link *known)
{
    const char *host = history->engine->config->host;
    const struct verify_link *range = NULL;
    for (size_t i = 0; i < history->count; i++) {
        const struct verify_link *link = &history->links[i];
        if (strcmp(link->job, job) != 0 || strcmp(link->host, host) != 0)
            continue;
        if (strcmp(link->id, known->id) == 0 && !link->first_sequence)
            return link;
        if (join_is_within(link, known->sequence, known->id))
            range = link;
    }
    return range;
}

static void report_gone(struct verify_history *history, const char *job, const char *id, const char *text)
{
    struct verify_link gone = {.readable = false};
    snprintf(gone.host, sizeof gone.host, "%s", history->engine->config->host);
    snprintf(gone.job, sizeof gone.job, "%s", job);
    snprintf(gone.id, sizeof gone.id, "%s", id);
    report(history, &gone, text);
}

/* A removal record names it, and one after it is there, so that this machine merely remembers less: prune never takes
 * the newest. */
static bool was_removed(const struct verify_history *history, const struct verify_link *gone)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct verify_link *link = &history->links[i];
        if (compare_jobs(link, gone) == 0 && !link->removed && link->readable && link->sequence > gone->sequence)
            return true;
    }
    return false;
}

static void compare_newest(struct verify_history *history, const struct history_link *known, const char *job)
{
    const struct verify_link *link = find(history, job, known);
    if (!link || (link->removed && !was_removed(history, link)))
        report_gone(history, job, known->id,
                    "it was committed here and is gone: somebody removed it, or put an older state in place");
    else if (link->readable && !link->removed && !history_has_form(&known->forms, link->hash))
        report(history, link, "its manifest is not the one that was committed here");
}

/* Those before all that is there or was removed leave no gap. */
static void check_oldest(struct verify_history *history, const struct history *state, size_t newest, const char *job)
{
    const char *host = history->engine->config->host, *first = NULL;
    for (size_t i = 0; i < history->count; i++) {
        const struct verify_link *link = &history->links[i];
        if (strcmp(link->host, host) == 0 && strcmp(link->job, job) == 0 &&
            (!first || strcmp(join_first_id(link), first) < 0))
            first = join_first_id(link);
    }
    for (size_t i = 0; first && i < newest && strcmp(state->links[i].id, first) < 0; i++)
        if (was_committed(history, &state->links[i]))
            report_gone(history, job, state->links[i].id,
                        "it was committed here and is gone, and no removal record names it");
}

/* This machine remembers what it committed: is the newest of it still there, and were the oldest removed rightly? */
static int check_newest(struct verify_history *history, const char *job, struct error *e)
{
    const struct config *config = history->engine->config;
    char directory[PATH_MAX];
    struct history state;
    if (state_directory(config, job, directory, e) < 0 || history_load(directory, config->host, &state, e) < 0)
        return -1;
    size_t i = state.count;
    while (i > 0 && !was_committed(history, &state.links[i - 1]))
        i--;
    if (i > 0) {
        compare_newest(history, &state.links[i - 1], job);
        check_oldest(history, &state, i - 1, job);
    }
    history_free(&state);
    return 0;
}

int verify_history_run(struct verify_history *history, const struct verify_request *request, struct error *e)
{
    if (history->count > 0) {
        settle_records(history);
        settle_names(history);
        qsort(history->links, history->count, sizeof *history->links, compare_links);
    }
    if (collect_ranges(history, e) < 0)
        return -1;
    check_ranges(history);
    for (size_t i = 1; i < history->count; i++)
        check_link(history, &history->links[i]);
    const struct config *config = history->engine->config;
    for (size_t i = 0; i < config->job_count; i++) {
        const char *job = config->jobs[i].name;
        if ((request->job && strcmp(request->job, job) != 0) ||
            (request->host && strcmp(request->host, config->host) != 0))
            continue;
        if (check_newest(history, job, e) < 0)
            return -1;
    }
    return 0;
}
