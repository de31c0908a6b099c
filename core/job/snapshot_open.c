/* Of the snapshots: the one that a selector means. */
#include "job/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "job/engine.h"
#include "job/vault.h"

#define NAMES_SUGGESTED 64

/* The source in the manifest, whatever became of it; NULL when it was not asked for. */
static const struct manifest_source *find_source(const struct manifest *manifest, const char *name)
{
    for (size_t i = 0; i < manifest->source_count; i++)
        if (strcmp(manifest->sources[i].name, name) == 0)
            return &manifest->sources[i];
    return NULL;
}

static bool has_source(const struct snapshot *s, const char *name)
{
    const struct manifest_source *source = s->manifest ? find_source(s->manifest, name) : NULL;
    return source && source->status != MANIFEST_MISSING;
}

/* Was it asked for the source, or, without one, for the whole job? What no key at hand opens may be anything. */
static bool was_asked(const struct snapshot *s, const char *source)
{
    return !s->manifest || !s->manifest->partial || (source && find_source(s->manifest, source));
}

/* May the selector mean this one, as far as that can be known? An id and an age are taken as they are. */
static bool counts(const struct snapshot *s, enum snapshot_by by, const char *source)
{
    if (!s->manifest || by == SNAPSHOT_ID || by == SNAPSHOT_LATEST)
        return true;
    if (!was_asked(s, source))
        return false;
    if (by == SNAPSHOT_COMPLETE)
        return s->manifest->status == MANIFEST_COMPLETE;
    return !source || has_source(s, source);
}

/* The one that counts after `back` newer ones do; NULL when there are not so many. *count: how many were seen. */
static const struct snapshot *back_from_newest(const struct snapshot_list *list, enum snapshot_by by,
                                               const char *source, unsigned back, size_t *count)
{
    *count = 0;
    for (size_t i = list->count; i-- > 0;)
        if (counts(&list->items[i], by, source) && (*count)++ == back)
            return &list->items[i];
    return NULL;
}

/* count: how many count. */
static int too_few(const struct snapshot_selector *selector, size_t count, struct error *e)
{
    if (selector->by == SNAPSHOT_NEWEST) {
        error_set(e, ERROR_NOT_FOUND, "every snapshot of job '%s' has only some of its sources", selector->job);
        return error_hint(e, "name a source, or the snapshot: cofre list %s", selector->job);
    }
    return error_set(e, ERROR_NOT_FOUND, "job '%s' has %zu %ssnapshot%s, so there is none %u before the newest",
                     selector->job, count, selector->by == SNAPSHOT_COMPLETE ? "complete " : "", count == 1 ? "" : "s",
                     selector->back);
}

/* What is newer than the one that JOB means, and why it is not meant. */
static void say_newer(const struct snapshot_list *list, const char *source, const struct snapshot *chosen)
{
    const struct snapshot *last = &list->items[list->count - 1], *newest = last;
    while (newest > chosen && !was_asked(newest, source))
        newest--;
    if (newest != chosen)
        log_line(LOG_WARNING,
                 "nothing of source '%s' is in the newest snapshot, %s: this is %s, the newest that has it", source,
                 newest->id, chosen->id);
    else if (!source && last != chosen)
        log_line(LOG_NOTICE, "this is snapshot %s; %s is newer, and has only some of the job's sources", chosen->id,
                 last->id);
}

static int choose_by_age(const struct snapshot_list *list, const struct snapshot_selector *selector, const char *source,
                         const struct snapshot **chosen, struct error *e)
{
    size_t count;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].damaged == ERROR_NONE)
            continue;
        error_set(e, ERROR_INTEGRITY, "snapshot %s of job '%s' is damaged, so it cannot be told which one is meant",
                  list->items[i].id, selector->job);
        return error_hint(e, "name the one you want by its id: cofre list %s", selector->job);
    }
    *chosen = back_from_newest(list, selector->by, source, selector->back, &count);
    /* Where none has the source, the newest says why. */
    if (!*chosen && selector->by == SNAPSHOT_NEWEST && source)
        *chosen = &list->items[list->count - 1];
    if (!*chosen)
        return too_few(selector, count, e);
    if (selector->by == SNAPSHOT_NEWEST)
        say_newer(list, source, *chosen);
    return 0;
}

static int choose_by_id(const struct snapshot_list *list, const struct snapshot_selector *selector,
                        const struct snapshot **chosen, struct error *e)
{
    *chosen = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i].id, selector->id, strlen(selector->id)) != 0)
            continue;
        if (*chosen)
            return error_set(e, ERROR_USAGE, "'%s' begins the ids of more than one snapshot of job '%s'", selector->id,
                             selector->job);
        *chosen = &list->items[i];
    }
    if (*chosen)
        return 0;
    error_set(e, ERROR_NOT_FOUND, "job '%s' has no snapshot '%s'", selector->job, selector->id);
    return error_hint(e, "see them: cofre list %s", selector->job);
}

static int no_snapshots(const struct engine *engine, const struct snapshot_selector *selector, struct error *e)
{
    error_set(e, ERROR_NOT_FOUND, "job '%s' of host '%s' has no snapshots", selector->job, engine->config->host);
    return error_hint(e, "make one: cofre run %s; see those of other hosts: cofre list --all-hosts", selector->job);
}

static int open_chosen(const struct engine *engine, const struct snapshot *chosen, struct vault **vault,
                       struct manifest **manifest, struct error *e)
{
    struct vault_name name;
    if (chosen->damaged != ERROR_NONE)
        return error_set(e, chosen->damaged,
                         "open snapshot %s of job '%s': its manifest is damaged or cannot be opened", chosen->id,
                         chosen->job);
    snprintf(name.host, sizeof name.host, "%s", chosen->host);
    snprintf(name.job, sizeof name.job, "%s", chosen->job);
    memcpy(name.id, chosen->id, sizeof name.id);
    for (size_t i = 0; i < chosen->sink_count; i++) {
        bool last = i + 1 == chosen->sink_count;
        if (vault_open(engine, chosen->sinks[i], vault, e) == 0) {
            if (vault_prepare(*vault, e) == 0 && vault_read(*vault, &name, manifest, e) == 0)
                return 0;
            vault_close(*vault);
        }
        if (last || cancel_requested())
            return -1;
        log_error(LOG_WARNING, e);
    }
    return -1;
}

static const struct snapshot *choose_by_name(const struct snapshot_list *list, const struct snapshot_selector *selector)
{
    const struct snapshot *chosen = NULL;
    struct error ignored;
    if (selector->by == SNAPSHOT_ID)
        return choose_by_id(list, selector, &chosen, &ignored) == 0 ? chosen : NULL;
    return selector->back < list->count ? &list->items[list->count - 1 - selector->back] : NULL;
}

/* Nearly always the name tells which is meant, and one manifest is read: in a far store that is a matter of minutes.
 * False: it does not, or something is wrong; then all are looked at, and what there is to say is said. */
static bool open_by_name(const struct engine *engine, const struct snapshot_selector *selector, const char *source,
                         const struct config_instance *sink, struct vault **vault, struct manifest **manifest)
{
    struct snapshot_list list;
    struct error e;
    size_t unreachable;
    if (selector->by == SNAPSHOT_COMPLETE && selector->back > 0)
        return false;
    if (snapshot_names(engine, selector->job, engine->config->host, sink, &list, &unreachable, &e) < 0)
        return false;
    const struct snapshot *chosen = choose_by_name(&list, selector);
    bool opened = chosen && open_chosen(engine, chosen, vault, manifest, &e) == 0;
    snapshot_list_free(&list);
    const struct snapshot found = {.manifest = opened ? *manifest : NULL};
    if (!opened || counts(&found, selector->by, source))
        return opened;
    manifest_free(*manifest);
    vault_close(*vault);
    return false;
}

int snapshot_open(const struct engine *engine, const struct snapshot_selector *selector, const char *source,
                  const struct config_instance *sink, struct vault **vault, struct manifest **manifest, struct error *e)
{
    const struct config_job *job;
    struct snapshot_list list;
    size_t unreachable, damaged;
    /* On a new machine no job is configured: the sinks tell what there is. */
    if (!sink && engine->config->job_count > 0 && config_find_job(engine->config, selector->job, &job, e) < 0)
        return -1;
    if (open_by_name(engine, selector, source, sink, vault, manifest))
        return 0;
    if (cancel_requested())
        return error_set(e, ERROR_CANCELLED, "cancelled");
    if (snapshot_list(engine, selector->job, engine->config->host, sink, &list, &unreachable, &damaged, e) < 0)
        return -1;
    const struct snapshot *chosen = NULL;
    int result = list.count == 0               ? no_snapshots(engine, selector, e)
                 : selector->by == SNAPSHOT_ID ? choose_by_id(&list, selector, &chosen, e)
                                               : choose_by_age(&list, selector, source, &chosen, e);
    if (result == 0)
        result = open_chosen(engine, chosen, vault, manifest, e);
    snapshot_list_free(&list);
    return result;
}

static int unknown_source(const struct manifest *manifest, const char *name, struct error *e)
{
    const char *names[NAMES_SUGGESTED + 1];
    size_t n = 0;
    for (size_t i = 0; i < manifest->source_count && n < NAMES_SUGGESTED; i++)
        names[n++] = manifest->sources[i].name;
    names[n] = NULL;
    error_set(e, ERROR_USAGE, "snapshot %s@%s has no source '%s'", manifest->job, manifest->id, name);
    const char *nearest = text_nearest(name, names);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest) : -1;
}

int snapshot_source(const struct manifest *manifest, const char *name, const struct manifest_source **source,
                    struct error *e)
{
    *source = find_source(manifest, name);
    if (!*source)
        return unknown_source(manifest, name, e);
    if ((*source)->status != MANIFEST_MISSING)
        return 0;
    return error_set(e, ERROR_NOT_FOUND, "nothing of source '%s' is in snapshot %s: %s", name, manifest->id,
                     (*source)->error ? (*source)->error : "it is not known why");
}

bool snapshot_newest_with(const struct engine *engine, const char *job, const char *host, const char *source,
                          const struct config_instance *sink, char id[MANIFEST_ID_SIZE])
{
    struct snapshot_list list;
    struct error ignored;
    size_t unreachable, damaged;
    bool found = false;
    if (snapshot_list(engine, job, host, sink, &list, &unreachable, &damaged, &ignored) < 0)
        return false;
    for (size_t i = list.count; i-- > 0 && !found;) {
        found = has_source(&list.items[i], source);
        if (found)
            memcpy(id, list.items[i].id, MANIFEST_ID_SIZE);
    }
    snapshot_list_free(&list);
    return found;
}
