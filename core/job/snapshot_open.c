/* Of the snapshots: the one that a selector means. */
#include "job/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/history.h"
#include "job/vaults.h"
#include "repository/seal.h"
#include "worker/engine.h"
#include "worker/sink.h"

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

/* Was it asked for the source, or, without one, for the whole job? What is sealed may be anything. */
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

/* Is what is asked for of it suspect, and nobody has accepted it? */
static bool is_suspect(const struct snapshot *s, const char *source)
{
    if (!s->manifest || (s->said && s->said->accepted))
        return false;
    const struct manifest_source *row = source ? find_source(s->manifest, source) : NULL;
    return row ? row->suspect != NULL : manifest_is_suspect(s->manifest);
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

/* The newest that can be read; the first one when none can. */
static struct snapshot *newest_readable(const struct snapshot_list *list)
{
    size_t i = list->count - 1;
    while (i > 0 && list->items[i].damaged != ERROR_NONE)
        i--;
    return &list->items[i];
}

/* What is newer than the one that JOB means, and why it is not meant. */
static void say_newer(const struct snapshot_list *list, const char *source, const struct snapshot *chosen)
{
    const struct snapshot *last = newest_readable(list), *newest = last;
    while (newest > chosen && (newest->damaged != ERROR_NONE || !was_asked(newest, source)))
        newest--;
    if (newest != chosen)
        log_line(LOG_WARNING,
                 "nothing of source '%s' is in the newest snapshot, %s: this is %s, the newest that has it", source,
                 newest->id, chosen->id);
    else if (!source && last != chosen)
        log_line(LOG_NOTICE, "this is snapshot %s; %s is newer, and has only some of the job's sources", chosen->id,
                 last->id);
}

static int no_snapshots(const struct engine *engine, const struct snapshot_selector *selector, struct error *e)
{
    error_set(e, ERROR_NOT_FOUND, "job '%s' of host '%s' has no snapshots", selector->job, engine->config->host);
    return error_hint(e, "make one: cofre run %s; see those of other hosts: cofre list --all-hosts", selector->job);
}

/* ---- reading, one after another ---- */

/* The sinks, each opened once, what they hold, and of that as much as was read. */
struct search {
    struct vaults vaults;
    struct snapshot_list list;
    const char *job, *host;
    bool annotated; /* it is known what is said of those in the list */
};

static int begin(struct search *s, const struct engine *engine, const char *job, const char *host,
                 const struct config_instance *sink, struct error *e)
{
    *s = (struct search){.job = job, .host = host};
    return vaults_choose(engine, job, sink, &s->vaults, e) < 0 ? -1 : seal_init(e);
}

/* but: the vault that is kept; NULL = none. */
static void end(struct search *s, const struct vault *but)
{
    snapshot_list_free(&s->list);
    vaults_close(&s->vaults, but);
}

static void name_of(const struct search *s, const char *id, struct vault_name *name)
{
    snprintf(name->host, sizeof name->host, "%s", s->host);
    snprintf(name->job, sizeof name->job, "%s", s->job);
    snprintf(name->id, sizeof name->id, "%s", id);
}

/* The manifest that the k-th of its sinks has. *vault: NULL when that cannot be opened. */
static int read_from(struct search *s, struct snapshot *it, size_t k, struct vault **vault, struct error *e)
{
    struct vault_name name;
    struct manifest *manifest;
    if (vaults_open(&s->vaults, vaults_find(&s->vaults, it->sinks[k]), vault, e) < 0)
        return -1;
    if (it->manifest && it->from == it->sinks[k])
        return 0;
    name_of(s, it->id, &name);
    if (vault_read(*vault, &name, &manifest, e) < 0)
        return error_subject(e, "sink", it->sinks[k]->name);
    manifest_free(it->manifest);
    it->manifest = manifest;
    it->from = it->sinks[k];
    return 0;
}

/* The manifest, from the first sink that has it whole. What is wrong with it is said, and noted. With put keys alone
 * there is nothing to read, which is no failure. One whose signer somebody must accept is not passed over. */
static int read_any(struct search *s, struct snapshot *it, struct error *e)
{
    struct vault *vault;
    bool failed = false;
    for (size_t k = 0; k < it->sink_count && !it->manifest; k++) {
        if (vaults_open(&s->vaults, vaults_find(&s->vaults, it->sinks[k]), &vault, e) == 0 && !vault->opens)
            continue;
        if (failed)
            log_error(LOG_WARNING, e);
        failed = read_from(s, it, k, &vault, e) < 0;
        if (cancel_requested())
            break;
    }
    if (!failed)
        return 0;
    if (e->class == ERROR_SIGNER)
        return error_context(e, "snapshot %s of job '%s': ", it->id, it->job);
    if (sink_is_of_object(e))
        snapshot_cannot_be_read(it, it->sinks[it->sink_count - 1]->name, e);
    return -1;
}

/* Does the i-th count? It is read where that does not show otherwise; one of another host goes from the list. -1: it
 * cannot be told, since it cannot be read, or, when no damage is noted, since the sink cannot be. */
static int look_into(struct search *s, size_t i, enum snapshot_by by, const char *source, struct error *e)
{
    struct snapshot *it = &s->list.items[i];
    if (it->host && by == SNAPSHOT_ID)
        return 1;
    if (read_any(s, it, e) < 0)
        return -1;
    if (!it->manifest || strcmp(it->manifest->host, s->host) == 0)
        return counts(it, by, source);
    snapshot_list_drop(&s->list, i);
    return 0;
}

/* ---- choosing ---- */

/* class: of what is wrong with the newest. */
static int none_readable(const struct snapshot_selector *selector, enum error_class class, size_t passed,
                         struct error *e)
{
    error_set(e, class, "job '%s' has no snapshot that can be read and is meant: %zu cannot be read", selector->job,
              passed);
    return error_hint(e, "another sink may have them whole: --sink; what is wrong with them: cofre verify %s",
                      selector->job);
}

/* An age means the newest of those that can be read: else one bad object would stand in the way of all others, and for
 * ever. That there is something newer must not go unseen, though. */
static void say_passed(const struct snapshot *chosen, size_t passed)
{
    if (passed > 0)
        log_line(LOG_WARNING, "this is snapshot %s of job '%s': %zu newer cannot be read and %s passed over",
                 chosen->id, chosen->job, passed, passed == 1 ? "was" : "were");
}

/* Nobody can have made it yet. It counts as one that cannot be read. */
static bool is_future(struct snapshot *it)
{
    struct error e;
    if (!manifest_is_future(it->id, clock_now()))
        return false;
    error_set(&e, ERROR_INTEGRITY, "its time lies in the future");
    error_hint(&e, "is this machine's clock right? Otherwise somebody lies, or had a wrong clock: name it by its id");
    snapshot_cannot_be_read(it, it->sinks[0]->name, &e);
    return true;
}

/* What is suspect counts for no age until somebody has accepted it. -1: out of memory. */
static int look_for_suspicion(struct search *s, const struct snapshot *it, const char *source, struct error *e)
{
    if (!is_suspect(it, source))
        return 0;
    if (!s->annotated && snapshot_annotate(&s->vaults, s->job, s->host, &s->list, e) < 0)
        return -1;
    s->annotated = true;
    return is_suspect(it, source);
}

/* newest: of those that are suspect. */
static void say_suspect(const struct snapshot *chosen, const struct snapshot *newest, size_t suspect)
{
    if (chosen == newest)
        log_line(LOG_WARNING,
                 "this is snapshot %s of job '%s', which is suspect, as every other one is: see cofre show", chosen->id,
                 chosen->job);
    else
        log_line(LOG_WARNING,
                 "this is snapshot %s of job '%s': %s is newer and suspect, and was passed over%s: see cofre "
                 "show %s@%s",
                 chosen->id, chosen->job, newest->id, suspect > 1 ? ", as others were" : "", chosen->job, newest->id);
}

static int choose_by_age(struct search *s, const struct snapshot_selector *selector, const char *source,
                         struct snapshot **chosen, size_t *passed, struct error *e)
{
    const struct snapshot_list *list = &s->list;
    size_t count = 0, suspect = 0, newest = 0; /* newest: of those that are suspect */
    *chosen = NULL;
    for (size_t i = list->count; i-- > 0 && !*chosen;) {
        size_t had = list->count;
        int counted = is_future(&list->items[i]) ? -1 : look_into(s, i, selector->by, source, e);
        newest -= suspect > 0 ? had - list->count : 0; /* those behind one that went moved up */
        if (counted < 0 && list->items[i].damaged == ERROR_NONE)
            return -1;
        *passed += counted < 0;
        int doubtful = counted > 0 ? look_for_suspicion(s, &list->items[i], source, e) : 0;
        if (doubtful < 0)
            return -1;
        if (doubtful && suspect++ == 0)
            newest = i;
        if (counted > 0 && !doubtful && count++ == selector->back)
            *chosen = &list->items[i];
    }
    /* Better than nothing, but where it must be complete. */
    if (!*chosen && count == 0 && suspect > 0 && selector->by != SNAPSHOT_COMPLETE && selector->back == 0)
        *chosen = &list->items[newest];
    if (list->count == 0)
        return no_snapshots(s->vaults.engine, selector, e);
    /* Where none has the source, the newest says why. */
    if (!*chosen && selector->by == SNAPSHOT_NEWEST && source && *passed < list->count)
        *chosen = newest_readable(list);
    if (!*chosen && *passed > 0 && count == 0)
        return none_readable(selector, list->items[list->count - 1].damaged, *passed, e);
    if (!*chosen)
        return too_few(selector, count, e);
    say_passed(*chosen, *passed);
    if (suspect > 0)
        say_suspect(*chosen, &list->items[newest], suspect);
    if (suspect == 0 && selector->by == SNAPSHOT_NEWEST)
        say_newer(list, source, *chosen);
    return 0;
}

/* A damaged one is found by its name, too. */
static int choose_by_id(struct search *s, const struct snapshot_selector *selector, struct snapshot **chosen,
                        struct error *e)
{
    size_t found = 0, last = 0;
    for (size_t i = s->list.count; i-- > 0;) {
        struct snapshot *it = &s->list.items[i];
        if (strncmp(it->id, selector->id, strlen(selector->id)) != 0)
            continue;
        int counted = look_into(s, i, SNAPSHOT_ID, NULL, e);
        if (counted < 0 && it->damaged == ERROR_NONE)
            return -1;
        if (counted == 0)
            continue;
        last = i;
        if (++found > 1)
            return error_set(e, ERROR_USAGE, "'%s' begins the ids of more than one snapshot of job '%s'", selector->id,
                             selector->job);
    }
    if (s->list.count == 0)
        return no_snapshots(s->vaults.engine, selector, e);
    *chosen = &s->list.items[last];
    if (found == 1)
        return 0;
    error_set(e, ERROR_NOT_FOUND, "job '%s' has no snapshot '%s'", selector->job, selector->id);
    return error_hint(e, "see them: cofre list %s", selector->job);
}

/* ---- opening ---- */

static int cannot_be_read(const struct snapshot *it, struct error *e)
{
    return error_context(e, "snapshot %s of job '%s' cannot be read: ", it->id, it->job);
}

static int open_chosen(struct search *s, struct snapshot *it, struct vault **vault, struct manifest **manifest,
                       struct error *e)
{
    size_t k = 0;
    if (it->damaged != ERROR_NONE) {
        error_set(e, it->damaged, "%s", it->why ? it->why : "out of memory");
        return cannot_be_read(it, e);
    }
    while (it->manifest && it->from != it->sinks[k])
        k++;
    for (;; k++) {
        bool has = read_from(s, it, k, vault, e) == 0;
        if (has && vault_prepare(*vault, VAULT_READ, e) == 0) {
            *manifest = it->manifest;
            it->manifest = NULL;
            return 0;
        }
        bool last = k + 1 == it->sink_count || cancel_requested();
        if (last)
            return !has && *vault && (*vault)->opens && sink_is_of_object(e) ? cannot_be_read(it, e) : -1;
        log_error(LOG_WARNING, e);
    }
}

static int open_here(struct search *s, size_t item, const char *id, struct vault **vault, struct manifest **manifest,
                     struct error *e)
{
    struct vault_name name;
    name_of(s, id, &name);
    if (vaults_open(&s->vaults, item, vault, e) < 0 || vault_read(*vault, &name, manifest, e) < 0)
        return -1;
    if (strcmp((*manifest)->host, s->host) != 0)
        error_set(e, ERROR_NOT_FOUND, "it is of another host");
    else if (vault_prepare(*vault, VAULT_READ, e) == 0)
        return 0;
    manifest_free(*manifest);
    return -1;
}

/* A whole id is a name: one object is asked for. False: it is nowhere, or something is wrong; then names are listed,
 * and what there is to say is said. */
static bool open_whole(struct search *s, const struct snapshot_selector *selector, struct vault **vault,
                       struct manifest **manifest)
{
    struct vaults *vaults = &s->vaults;
    if (selector->by != SNAPSHOT_ID || !manifest_is_id(selector->id))
        return false;
    for (size_t i = 0; i < vaults->count && !cancel_requested(); i++) {
        struct error e;
        if (open_here(s, i, selector->id, vault, manifest, &e) < 0) {
            if (e.class == ERROR_CONFIG)
                return false;
            if (e.class != ERROR_NOT_FOUND)
                vaults->items[i].why = e;
            continue;
        }
        for (size_t k = 0; k < i; k++)
            if (vaults->items[k].why.class != ERROR_NONE)
                log_error(LOG_WARNING, &vaults->items[k].why);
        return true;
    }
    return false;
}

static int open_listed(struct search *s, const struct snapshot_selector *selector, const char *source,
                       struct vault **vault, struct manifest **manifest, size_t *passed, struct error *e)
{
    struct snapshot *chosen = NULL;
    size_t unreachable, damaged;
    if (cancel_requested())
        return error_set(e, ERROR_CANCELLED, "cancelled");
    if (snapshot_look(&s->vaults, s->job, s->host, true, &s->list, &unreachable, &damaged, e) < 0)
        return -1;
    history_warn_gone(&s->vaults, &s->list, s->job, s->host);
    if ((selector->by == SNAPSHOT_ID ? choose_by_id(s, selector, &chosen, e)
                                     : choose_by_age(s, selector, source, &chosen, passed, e)) < 0)
        return -1;
    return open_chosen(s, chosen, vault, manifest, e);
}

int snapshot_open(const struct engine *engine, const struct snapshot_selector *selector, const char *source,
                  const struct config_instance *sink, struct vault **vault, struct manifest **manifest, size_t *passed,
                  struct error *e)
{
    const struct config_job *job;
    struct search s;
    *passed = 0;
    *vault = NULL;
    *manifest = NULL;
    /* On a new machine no job is configured: the sinks tell what there is. */
    if (!sink && engine->config->job_count > 0 && config_find_job(engine->config, selector->job, &job, e) < 0)
        return -1;
    int result = begin(&s, engine, selector->job, engine->config->host, sink, e);
    if (result == 0 && !open_whole(&s, selector, vault, manifest))
        result = open_listed(&s, selector, source, vault, manifest, passed, e);
    end(&s, result == 0 ? *vault : NULL);
    if (result == 0)
        return 0;
    *vault = NULL; /* what was opened on the way is closed again */
    *manifest = NULL;
    return -1;
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
    struct search s;
    struct error ignored;
    size_t unreachable, damaged;
    bool found = false;
    if (begin(&s, engine, job, host, sink, &ignored) == 0 &&
        snapshot_look(&s.vaults, job, host, true, &s.list, &unreachable, &damaged, &ignored) == 0)
        for (size_t i = s.list.count; i-- > 0 && !found;) {
            found = look_into(&s, i, SNAPSHOT_NEWEST, source, &ignored) > 0 && has_source(&s.list.items[i], source);
            if (found)
                memcpy(id, s.list.items[i].id, MANIFEST_ID_SIZE);
        }
    end(&s, NULL);
    return found;
}
