#include "job/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cancel.h"
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

#define NAMES_MAX ((size_t)256 << 20) /* bytes of the names of all snapshots in a sink */
/* Of one sink that are shown and said: who may add can add a million that nobody can read. */
#define UNREADABLE_MAX 1000u

static int bad_selector(const char *text, struct error *e)
{
    error_set(e, ERROR_USAGE, "'%s' names no snapshot", text);
    return error_hint(e,
                      "write JOB, JOB@latest, JOB@latest~N, JOB@complete, JOB@ID, or JOB@ and the beginning of an id");
}

static bool parse_back(const char *text, unsigned *back)
{
    if (*text == '\0')
        return true;
    char *end;
    errno = 0;
    unsigned long n = text[0] == '~' && isdigit((unsigned char)text[1]) ? strtoul(text + 1, &end, 10) : 0;
    if (text[0] != '~' || !isdigit((unsigned char)text[1]) || *end != '\0' || errno != 0 || n > 1000000)
        return false;
    *back = (unsigned)n;
    return true;
}

static const struct {
    const char *word;
    enum snapshot_by by;
} ages[] = {{"latest", SNAPSHOT_LATEST}, {"complete", SNAPSHOT_COMPLETE}};

int snapshot_parse(const char *text, struct snapshot_selector *selector, struct error *e)
{
    *selector = (struct snapshot_selector){0};
    const char *at = strchr(text, '@');
    size_t n = at ? (size_t)(at - text) : strlen(text);
    if (n == 0 || n >= sizeof selector->job)
        return bad_selector(text, e);
    memcpy(selector->job, text, n);
    if (!text_is_name(selector->job))
        return bad_selector(text, e);
    if (!at)
        return 0;
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        size_t length = strlen(ages[i].word);
        if (strncmp(at + 1, ages[i].word, length) != 0)
            continue;
        selector->by = ages[i].by;
        return parse_back(at + 1 + length, &selector->back) ? 0 : bad_selector(text, e);
    }
    selector->by = SNAPSHOT_ID;
    if (at[1] == '\0' || strlen(at + 1) >= sizeof selector->id ||
        strspn(at + 1, "0123456789abcdefTZ-") != strlen(at + 1))
        return bad_selector(text, e);
    snprintf(selector->id, sizeof selector->id, "%s", at + 1);
    return 0;
}

static void free_item(struct snapshot *s)
{
    free(s->job);
    free(s->host);
    free(s->sinks);
    free(s->why);
    free(s->said);
    manifest_free(s->manifest);
}

void snapshot_list_drop(struct snapshot_list *list, size_t item)
{
    free_item(&list->items[item]);
    list->count--;
    memmove(&list->items[item], &list->items[item + 1], (list->count - item) * sizeof *list->items);
}

void snapshot_list_free(struct snapshot_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free_item(&list->items[i]);
    free(list->items);
    *list = (struct snapshot_list){0};
}

/* ---- listing one sink ---- */

static int compare_snapshots(const void *a, const void *b)
{
    return strcmp(((const struct snapshot *)a)->id, ((const struct snapshot *)b)->id);
}

/* Among those of other sinks, which are the first `sorted`; a sink names each of its own once. What an archive holds is
 * found by its name alone, without its host, until it is read. */
static struct snapshot *find(struct snapshot_list *list, size_t sorted, const struct vault_name *name)
{
    size_t low = 0, high = sorted;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(list->items[middle].id, name->id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < sorted && strcmp(list->items[low].id, name->id) == 0; low++) {
        struct snapshot *s = &list->items[low];
        if (strcmp(s->job, name->job) == 0 && (!s->host || name->host[0] == '\0' || strcmp(s->host, name->host) == 0))
            return s;
    }
    return NULL;
}

static struct snapshot *add(struct snapshot_list *list, const struct vault_name *name, struct error *e)
{
    struct snapshot *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) {
        error_memory(e);
        return NULL;
    }
    list->items = items;
    struct snapshot *s = &items[list->count];
    *s = (struct snapshot){.job = text_copy(name->job)};
    if (!s->job) {
        error_memory(e);
        return NULL;
    }
    memcpy(s->id, name->id, sizeof s->id);
    list->count++;
    return s;
}

static int add_sink(struct snapshot *s, const struct config_instance *sink, struct error *e)
{
    const struct config_instance **sinks = realloc(s->sinks, (s->sink_count + 1) * sizeof *sinks);
    if (!sinks)
        return error_memory(e);
    s->sinks = sinks;
    sinks[s->sink_count++] = sink;
    return 0;
}

/* The snapshots of one sink: each is taken into the list when its manifest has been read, where the key allows. */
struct taking {
    struct snapshot_list *list;
    size_t sorted; /* of them, by other sinks */
    struct vault *vault;
    const char *host; /* NULL = any */
    bool names_only;
    unsigned late; /* manifests that the sink did not give in time */
    size_t unreadable;
    struct bytes names;  /* struct vault_name each: to be read */
    struct bytes absent; /* struct vault_name each: were listed, and not there when they were to be read */
    bool again;          /* those are listed once more */
};

static int take(struct taking *t, const struct vault_name *name, struct snapshot **taken, struct error *e)
{
    *taken = find(t->list, t->sorted, name);
    if (!*taken)
        *taken = add(t->list, name, e);
    if (!*taken)
        return -1;
    struct snapshot *s = *taken;
    if (!s->host && name->host[0] != '\0' && !(s->host = text_copy(name->host)))
        return error_memory(e);
    return 0;
}

static bool was_absent(const struct taking *t, const struct vault_name *name)
{
    const struct vault_name *absent = (const struct vault_name *)t->absent.data;
    for (size_t i = 0; i < t->absent.length / sizeof *absent; i++)
        if (strcmp(absent[i].id, name->id) == 0 && strcmp(absent[i].job, name->job) == 0 &&
            strcmp(absent[i].host, name->host) == 0)
            return true;
    return false;
}

static int take_name(void *context, const struct vault_name *name, struct error *e)
{
    struct taking *t = context;
    struct snapshot *s = find(t->list, t->sorted, name);
    if (t->again && !was_absent(t, name))
        return 0;
    if (!t->names_only && !(s && s->manifest)) {
        bytes_put(&t->names, name, sizeof *name);
        return bytes_check(&t->names, "listing of snapshots", e);
    }
    return take(t, name, &s, e) < 0 ? -1 : add_sink(s, t->vault->config, e);
}

void snapshot_cannot_be_read(struct snapshot *snapshot, const char *sink, const struct error *why)
{
    struct error said = *why;
    char text[ERROR_TEXT_MAX];
    error_context(&said, "snapshot %s of job '%s' cannot be read: ", snapshot->id, snapshot->job);
    error_subject(&said, "sink", sink);
    log_error(LOG_WARNING, &said);
    snapshot->damaged = why->class;
    free(snapshot->why);
    snapshot->why = text_copy(error_text(why, text));
}

/* What a sink does not give in time is that one's failure, once: with the second it is the sink that does not answer.
 */
static bool is_passed_over(struct taking *t, const struct error *why)
{
    bool late = why->class == ERROR_RETRY || why->class == ERROR_TIMEOUT;
    return sink_is_of_object(why) || (late && !cancel_requested() && t->late++ == 0);
}

static int add_read(const struct taking *t, struct snapshot *s, struct manifest *manifest, struct error *e)
{
    s->manifest = manifest;
    s->from = manifest ? t->vault->config : NULL;
    s->sealed = !manifest;
    s->damaged = ERROR_NONE;
    free(s->why);
    s->why = NULL;
    return add_sink(s, t->vault->config, e);
}

/* One that cannot be read is said, and stays in the list without its manifest: it must not seem that there is no such
 * snapshot. Where nobody can say whose it is, it counts as ours. */
static int take_manifest(void *context, const struct vault_name *name, struct manifest *manifest,
                         const struct error *why, struct error *e)
{
    struct taking *t = context;
    struct snapshot *s;
    struct vault_name whose = *name;
    bool sealed = !manifest && why->class == ERROR_NONE;
    if (!manifest && !sealed && !is_passed_over(t, why)) {
        *e = *why;
        return -1;
    }
    if (why->class == ERROR_NOT_FOUND && !manifest && !t->again && t->absent.length < UNREADABLE_MAX * sizeof *name) {
        bytes_put(&t->absent, name, sizeof *name);
        return bytes_check(&t->absent, "listing of snapshots", e);
    }
    if (!manifest && !sealed && ++t->unreadable > UNREADABLE_MAX)
        return 0;
    if (whose.host[0] == '\0')
        snprintf(whose.host, sizeof whose.host, "%s", manifest ? manifest->host : t->vault->engine->config->host);
    if (t->host && strcmp(t->host, whose.host) != 0) {
        manifest_free(manifest);
        return 0;
    }
    if (take(t, &whose, &s, e) < 0) {
        manifest_free(manifest);
        return -1;
    }
    if (manifest || sealed)
        return add_read(t, s, manifest, e);
    bool nowhere = s->sink_count == 0;
    snapshot_cannot_be_read(s, sink_name(t->vault->sink), why);
    s->damaged = nowhere ? why->class : ERROR_NONE;
    return 0;
}

/* ---- all sinks ---- */

static int list_and_read(struct taking *t, const char *job, struct error *e)
{
    t->names.length = 0;
    if (vault_names(t->vault, t->host, job, take_name, t, e) < 0)
        return -1;
    return vault_read_all(t->vault, (const struct vault_name *)t->names.data,
                          t->names.length / sizeof(struct vault_name), take_manifest, t, e);
}

/* What was listed, and is not there when it is to be read, was removed between the two, and is no longer listed: there
 * is no such snapshot. What is listed all the same cannot be read. */
static int list_absent(struct taking *t, const char *job, struct error *e)
{
    t->again = t->absent.length > 0;
    return t->again ? list_and_read(t, job, e) : 0;
}

static int look_at(struct vaults *vaults, size_t item, const char *job, const char *host, bool names_only,
                   struct snapshot_list *list, struct error *e)
{
    struct taking t = {.list = list,
                       .sorted = list->count,
                       .host = host,
                       .names_only = names_only,
                       .names = {.maximum = NAMES_MAX},
                       .absent = {.maximum = NAMES_MAX}};
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_snapshots);
    if (vaults_open(vaults, item, &t.vault, e) < 0)
        return -1;
    int result = list_and_read(&t, job, e);
    if (result == 0)
        result = list_absent(&t, job, e);
    bytes_free(&t.names);
    bytes_free(&t.absent);
    if (t.unreadable > UNREADABLE_MAX)
        log_line(LOG_WARNING, "sink '%s': %zu more snapshots cannot be read, and are not shown",
                 vaults->items[item].sink->name, t.unreadable - UNREADABLE_MAX);
    return result < 0 ? error_subject(e, "sink", vaults->items[item].sink->name) : 0;
}

int snapshot_look(struct vaults *vaults, const char *job, const char *host, bool names_only, struct snapshot_list *list,
                  size_t *unreachable, size_t *damaged, struct error *e)
{
    size_t reached = 0;
    struct error last; /* the failure that was not said yet: when nothing can be reached, it is the result */
    *list = (struct snapshot_list){0};
    *unreachable = *damaged = 0;
    for (size_t i = 0; i < vaults->count; i++) {
        if (look_at(vaults, i, job, host, names_only, list, e) == 0) {
            reached++;
        } else if (vaults->only || e->class == ERROR_CONFIG || cancel_requested()) {
            snapshot_list_free(list);
            return -1;
        } else {
            if (++*unreachable > 1)
                log_error(LOG_WARNING, &last);
            last = *e;
        }
    }
    if (reached == 0 && *unreachable > 0) {
        snapshot_list_free(list);
        *e = last;
        return -1;
    }
    if (*unreachable > 0)
        log_error(LOG_WARNING, &last);
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_snapshots);
    for (size_t i = 0; i < list->count; i++)
        *damaged += list->items[i].damaged != ERROR_NONE;
    return 0;
}

/* opened: one of them that is open already, and stays so; NULL = none. */
static int list_all(const struct engine *engine, const char *job, const char *host, const struct config_instance *sink,
                    struct vault *opened, bool names_only, struct snapshot_list *list, size_t *unreachable,
                    size_t *damaged, struct error *e)
{
    struct vaults vaults;
    if (seal_init(e) < 0)
        return -1;
    int result = vaults_choose(engine, job, sink, &vaults, e);
    if (result == 0 && opened)
        vaults.items[vaults_find(&vaults, opened->config)].vault = opened;
    if (result == 0)
        result = snapshot_look(&vaults, job, host, names_only, list, unreachable, damaged, e);
    if (result == 0 && snapshot_annotate(&vaults, job, host, list, e) < 0) {
        snapshot_list_free(list);
        result = -1;
    }
    if (result == 0 && !names_only)
        history_warn_gone(&vaults, list, job, host);
    vaults_close(&vaults, opened);
    return result;
}

int snapshot_list(const struct engine *engine, const char *job, const char *host, const struct config_instance *sink,
                  struct snapshot_list *list, size_t *unreachable, size_t *damaged, struct error *e)
{
    return list_all(engine, job, host, sink, NULL, false, list, unreachable, damaged, e);
}

int snapshot_names(const struct engine *engine, const char *job, const char *host, const struct config_instance *sink,
                   struct vault *opened, struct snapshot_list *list, size_t *unreachable, struct error *e)
{
    size_t damaged;
    return list_all(engine, job, host, sink, opened, true, list, unreachable, &damaged, e);
}
