#include "job/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "job/engine.h"
#include "store/objects.h"
#include "store/repository.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define NAMES_SUGGESTED 64
#define KEYS_MAX ((size_t)256 << 20) /* bytes of all keys of snapshots in a sink */

static int bad_selector(const char *text, struct error *e)
{
    error_set(e, ERROR_USAGE, "'%s' names no snapshot", text);
    return error_hint(e, "write JOB, JOB@latest, JOB@latest~N, JOB@ID, or JOB@ and the beginning of an id");
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
    if (strncmp(at + 1, "latest", 6) == 0)
        return parse_back(at + 7, &selector->back) ? 0 : bad_selector(text, e);
    if (at[1] == '\0' || strlen(at + 1) >= sizeof selector->id ||
        strspn(at + 1, "0123456789abcdefTZ-") != strlen(at + 1))
        return bad_selector(text, e);
    snprintf(selector->id, sizeof selector->id, "%s", at + 1);
    return 0;
}

void snapshot_list_free(struct snapshot_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct snapshot *s = &list->items[i];
        free(s->job);
        free(s->host);
        free(s->sinks);
        manifest_free(s->manifest);
    }
    free(list->items);
    *list = (struct snapshot_list){0};
}

/* ---- listing one sink ---- */

/* Collects keys of manifests, each NUL terminated; reading them happens after the listing, since a sink does one thing
 * at a time. */
static int collect_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of snapshots", e);
}

bool snapshot_parse_key(const char *key, char host[64], char job[64], char id[MANIFEST_ID_SIZE])
{
    int end = 0;
    if (sscanf(key, "snapshots/%63[^/]/%63[^/]/%23[^/]%n", host, job, id, &end) != 3 || key[end] != '\0')
        return false;
    return text_is_name(host) && text_is_name(job) && manifest_is_id(id);
}

static struct snapshot *find(const struct snapshot_list *list, const char *host, const char *job, const char *id)
{
    for (size_t i = list->count; i-- > 0;) {
        struct snapshot *s = &list->items[i];
        if (strcmp(s->id, id) == 0 && strcmp(s->job, job) == 0 && strcmp(s->host, host) == 0)
            return s;
    }
    return NULL;
}

static struct snapshot *add(struct snapshot_list *list, const char *host, const char *job, const char *id,
                            struct error *e)
{
    struct snapshot *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) {
        error_memory(e);
        return NULL;
    }
    list->items = items;
    struct snapshot *s = &items[list->count];
    *s = (struct snapshot){.job = text_copy(job), .host = text_copy(host)};
    memcpy(s->id, id, sizeof s->id);
    list->count++;
    if (s->job && s->host)
        return s;
    error_memory(e);
    return NULL;
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

int snapshot_read(struct repository *repository, const char *key, struct manifest **manifest, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    if (sink_get(repository->worker, key, MANIFEST_MAX - 1, &object, e) < 0)
        return -1;
    return manifest_open(object.data, object.length, repository->key, key, manifest, e);
}

/* Read the manifest where the key allows. One that is damaged is said, and stays in the list without it: it must not
 * seem that there is no such snapshot. */
static int take(struct snapshot_list *list, struct repository *r, const struct config_instance *sink, const char *key,
                struct objects *objects, struct error *e)
{
    const struct bytes *object;
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    ASSERT(snapshot_parse_key(key, host, job, id));
    struct snapshot *s = find(list, host, job, id);
    if (!s && !(s = add(list, host, job, id, e)))
        return -1;
    if (!objects || s->manifest)
        return add_sink(s, sink, e);
    if (objects_next(objects, &object, e) == 0 &&
        manifest_open(object->data, object->length, r->key, key, &s->manifest, e) == 0) {
        s->damaged = false;
        return add_sink(s, sink, e);
    }
    if (e->class != ERROR_INTEGRITY && e->class != ERROR_AUTH && e->class != ERROR_NOT_FOUND)
        return -1;
    log_line(LOG_WARNING, "sink '%s': %s", r->sink, e->message);
    s->damaged = s->sink_count == 0;
    return 0;
}

/* The keys of those that were asked for; to_read: of those whose manifest is not read yet. */
static int choose_keys(const struct snapshot_list *list, const struct repository *r, const struct bytes *keys,
                       const char *wanted_job, const char *wanted_host, struct bytes *chosen, struct bytes *to_read,
                       struct error *e)
{
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1) {
        const char *key = (const char *)keys->data + at;
        char host[64], job[64], id[MANIFEST_ID_SIZE];
        if (!snapshot_parse_key(key, host, job, id)) {
            log_line(LOG_WARNING, "sink '%s': object '%s' is no snapshot's name", r->sink, key);
            continue;
        }
        if ((wanted_host && strcmp(wanted_host, host) != 0) || (wanted_job && strcmp(wanted_job, job) != 0))
            continue;
        const struct snapshot *s = find(list, host, job, id);
        bytes_put(chosen, key, strlen(key) + 1);
        if (!s || !s->manifest)
            bytes_put(to_read, key, strlen(key) + 1);
    }
    return bytes_check(chosen, "listing of snapshots", e) < 0 ? -1 : bytes_check(to_read, "listing of snapshots", e);
}

static int list_repository(struct snapshot_list *list, struct repository *r, const struct config_instance *sink,
                           const char *job, const char *host, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX}, chosen = {.maximum = KEYS_MAX},
                            to_read = {.maximum = KEYS_MAX};
    struct objects *objects = NULL;
    int result = sink_list(r->worker, "snapshots/", collect_key, &keys, e);
    if (result == 0)
        result = choose_keys(list, r, &keys, job, host, &chosen, &to_read, e);
    if (result == 0 && r->key->full && to_read.length > 0)
        result = objects_new(r, (const char *)to_read.data, to_read.length, MANIFEST_MAX - 1, &objects, e);
    for (size_t at = 0; result == 0 && at < chosen.length; at += strlen((const char *)chosen.data + at) + 1)
        result = take(list, r, sink, (const char *)chosen.data + at, objects, e);
    objects_free(objects);
    return result < 0 ? error_context(e, "sink '%s': ", r->sink) : 0;
}

/* ---- all sinks ---- */

/* Is the sink one of those that the jobs asked for write to? On a new machine no job is configured: all sinks then. */
static bool is_wanted(const struct config *config, const struct config_instance *sink, const char *job)
{
    if (config->job_count == 0)
        return true;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *j = &config->jobs[i];
        if (job && strcmp(j->name, job) != 0)
            continue;
        for (size_t k = 0; k < j->sink_count; k++)
            if (j->sinks[k] == sink)
                return true;
    }
    return false;
}

static int compare_snapshots(const void *a, const void *b)
{
    return strcmp(((const struct snapshot *)a)->id, ((const struct snapshot *)b)->id);
}

static int list_sink(const struct engine *engine, const struct config_instance *sink, const char *job, const char *host,
                     struct snapshot_list *list, struct error *e)
{
    struct repository *repository;
    if (engine_open_repository(engine, sink, &repository, e) < 0)
        return -1;
    int result = list_repository(list, repository, sink, job, host, e);
    repository_close(repository);
    return result;
}

int snapshot_list(const struct engine *engine, const char *job, const char *host, const struct config_instance *sink,
                  struct snapshot_list *list, size_t *unreachable, size_t *damaged, struct error *e)
{
    const struct config *config = engine->config;
    size_t reached = 0;
    struct error last; /* the failure that was not said yet: when nothing can be reached, it is the result */
    *list = (struct snapshot_list){0};
    *unreachable = *damaged = 0;
    if (seal_init(e) < 0)
        return -1;
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_instance *candidate = &config->sinks[i];
        if (sink ? sink != candidate : !is_wanted(config, candidate, job))
            continue;
        if (list_sink(engine, candidate, job, host, list, e) == 0) {
            reached++;
        } else if (sink || e->class == ERROR_CONFIG || worker_cancelled()) {
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
        *damaged += list->items[i].damaged;
    return 0;
}

/* ---- one snapshot ---- */

static int choose(const struct snapshot_list *list, const struct snapshot_selector *selector,
                  const struct snapshot **chosen, struct error *e)
{
    *chosen = NULL;
    for (size_t i = 0; i < list->count && selector->id[0] == '\0'; i++) {
        if (!list->items[i].damaged)
            continue;
        error_set(e, ERROR_INTEGRITY, "snapshot %s of job '%s' is damaged, so it cannot be told which one is meant",
                  list->items[i].id, selector->job);
        return error_hint(e, "name the one you want by its id: cofre list %s", selector->job);
    }
    if (selector->id[0] == '\0') {
        if (selector->back < list->count)
            *chosen = &list->items[list->count - 1 - selector->back];
        if (*chosen)
            return 0;
        return error_set(e, ERROR_NOT_FOUND, "job '%s' has %zu snapshot%s, so there is none %u before the latest",
                         selector->job, list->count, list->count == 1 ? "" : "s", selector->back);
    }
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

static int open_chosen(const struct engine *engine, const struct snapshot *chosen, struct repository **repository,
                       struct manifest **manifest, struct error *e)
{
    char key[201];
    manifest_object_key(chosen->host, chosen->job, chosen->id, key);
    for (size_t i = 0; i < chosen->sink_count; i++) {
        bool last = i + 1 == chosen->sink_count;
        if (engine_open_repository(engine, chosen->sinks[i], repository, e) == 0) {
            if (repository_load_index(*repository, e) == 0 && snapshot_read(*repository, key, manifest, e) == 0)
                return 0;
            repository_close(*repository);
        }
        if (last || worker_cancelled())
            return -1;
        log_error(LOG_WARNING, e);
    }
    return -1;
}

int snapshot_open(const struct engine *engine, const struct snapshot_selector *selector,
                  const struct config_instance *sink, struct repository **repository, struct manifest **manifest,
                  struct error *e)
{
    const struct config_job *job;
    struct snapshot_list list;
    size_t unreachable, damaged;
    /* On a new machine no job is configured: the sinks tell what there is. */
    if (!sink && engine->config->job_count > 0 && config_find_job(engine->config, selector->job, &job, e) < 0)
        return -1;
    if (snapshot_list(engine, selector->job, engine->config->host, sink, &list, &unreachable, &damaged, e) < 0)
        return -1;
    const struct snapshot *chosen = NULL;
    int result = list.count == 0 ? no_snapshots(engine, selector, e) : choose(&list, selector, &chosen, e);
    if (result == 0)
        result = open_chosen(engine, chosen, repository, manifest, e);
    snapshot_list_free(&list);
    return result;
}

int snapshot_source(const struct manifest *manifest, const char *name, const struct manifest_source **source,
                    struct error *e)
{
    const char *names[NAMES_SUGGESTED + 1];
    size_t n = 0;
    for (size_t i = 0; i < manifest->source_count; i++) {
        *source = &manifest->sources[i];
        if (strcmp((*source)->name, name) == 0)
            return 0;
        if (n < NAMES_SUGGESTED)
            names[n++] = (*source)->name;
    }
    names[n] = NULL;
    error_set(e, ERROR_USAGE, "snapshot %s@%s has no source '%s'", manifest->job, manifest->id, name);
    const char *nearest = text_nearest(name, names);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest) : -1;
}
