/* Of gc: what is there, and what of it is needed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "repository/gc.h"
#include "repository/key.h"
#include "repository/needs.h"
#include "repository/pack_name.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define ROWS_MAX ((size_t)256 << 20)

struct gc_host *gc_find_host(const struct gc *gc, uint32_t number)
{
    for (size_t i = 0; i < gc->host_count; i++)
        if (gc->hosts[i].number == number)
            return &gc->hosts[i];
    return NULL;
}

/* Added when it is none of those yet. NULL: *e. */
static struct gc_host *host_of(struct gc *gc, const char *host, struct error *e)
{
    uint32_t number = pack_name_number(host);
    struct gc_host *found = gc_find_host(gc, number);
    if (found)
        return found;
    struct gc_host *hosts = realloc(gc->hosts, (gc->host_count + 1) * sizeof *hosts);
    if (!hosts) {
        error_memory(e);
        return NULL;
    }
    gc->hosts = hosts;
    struct gc_host *added = &hosts[gc->host_count++];
    *added = (struct gc_host){.number = number, .stored = INT64_MIN, .gone = {.maximum = ROWS_MAX}};
    snprintf(added->name, sizeof added->name, "%s", host);
    garbage_begin(&added->garbage, gc->now);
    return added;
}

struct gc_plan *gc_plans(const struct gc *gc, size_t *count)
{
    *count = gc->plans.length / sizeof(struct gc_plan);
    return (struct gc_plan *)(void *)gc->plans.data;
}

struct gc_needs *gc_needs_of(const struct gc *gc, size_t *count)
{
    *count = gc->needs.length / sizeof(struct gc_needs);
    return (struct gc_needs *)(void *)gc->needs.data;
}

void gc_needs_key(const struct gc_needs *row, char key[201])
{
    snprintf(key, 201, NEEDS_PREFIX "/%s%s", row->name, row->end);
}

size_t gc_needs_group(const struct gc *gc, const struct gc_needs *row)
{
    size_t count, of = 1;
    const struct gc_needs *end = gc_needs_of(gc, &count);
    for (end += count; row + of < end && strcmp(row->name, row[of].name) == 0;)
        of++;
    return of;
}

int gc_needs_read(struct gc *gc, const struct gc_needs *row, struct needs *needs, struct error *e)
{
    char key[201], host[64] = "";
    gc_needs_key(row, key);
    sscanf(row->name, "%63[^/]", host);
    return needs_read_key(gc->repository, host, key, needs, e);
}

/* May the key at hand remove what is of that host? */
static bool may(const struct gc *gc, const char *host)
{
    return key_may(&gc->repository->key->certificate, KEY_REMOVE, host);
}

/* "packs/", or "packs/HOST/" where the key may do nothing of others. */
static const char *prefix_of(const struct gc *gc, const char *of, char out[80])
{
    char host[KEY_HOST_SIZE + 1];
    key_host(&gc->repository->key->certificate, host);
    snprintf(out, 80, host[0] ? "%s/%s/" : "%s/", of, host);
    return out;
}

/* ---- the clock of the store, and plans ---- */

/* An object that was just stored tells what time it is there. */
static int put_clock(struct gc *gc, char key[201], struct error *e)
{
    struct repository *r = gc->repository;
    char hex[17], host[KEY_HOST_SIZE + 1];
    uint8_t random[8];
    seal_random(random, sizeof random);
    key_host(&r->key->certificate, host);
    snprintf(key, 201, "plans/%s/clock-%s", host[0] ? host : r->host, text_hex(random, sizeof random, hex));
    if (gc->request->dry_run)
        return 0;
    return sink_put(r->sink, key, hex, sizeof hex - 1, true, e) < 0 ? -1 : sink_sync(r->sink, e);
}

struct plan_listing {
    struct gc *gc;
    const char *clock;
    bool seen;
};

static int list_plan(void *context, const struct sink_object *object, struct error *e)
{
    struct plan_listing *l = context;
    struct gc *gc = l->gc;
    struct gc_plan row = {.placed = object->mtime};
    char host[64], id[MANIFEST_ID_SIZE], clock[64];
    if (strcmp(object->key, l->clock) == 0) {
        l->seen = true;
        gc->now = object->mtime;
    } else if (plan_parse_key(object->key, host, id) && may(gc, host)) {
        snprintf(row.key, sizeof row.key, "%s", object->key);
        bytes_put(&gc->plans, &row, sizeof row);
    } else if (sscanf(object->key, "plans/%63[^/]/clock-%16[0-9a-f]", host, clock) == 2 && may(gc, host)) {
        bytes_put(&gc->stale_clocks, object->key, strlen(object->key) + 1);
    }
    return bytes_check(&gc->plans, "listing of plans", e) < 0 ? -1
                                                              : bytes_check(&gc->stale_clocks, "listing of plans", e);
}

static int read_clock(struct gc *gc, struct error *e)
{
    char clock[201], prefix[80];
    struct plan_listing l = {.gc = gc, .clock = clock};
    struct error ignored;
    if (put_clock(gc, clock, e) < 0)
        return -1;
    gc->machine = clock_now();
    gc->now = INT64_MIN;
    int result = sink_list(gc->repository->sink, prefix_of(gc, "plans", prefix), list_plan, &l, e);
    if (gc->request->dry_run)
        gc->now = gc->machine;
    else
        sink_remove(gc->repository->sink, clock, &ignored); /* locked, maybe: the next gc tries again */
    if (result == 0 && !gc->request->dry_run && !l.seen)
        return error_set(e, ERROR_PERMANENT, "'%s' was stored and is not listed", clock);
    return result;
}

static int take_plan(void *context, const char *key, const char *host, const struct plan *plan, struct error *e)
{
    struct gc *gc = context;
    size_t count;
    struct gc_plan *rows = gc_plans(gc, &count);
    struct gc_host *of = host_of(gc, host, e);
    if (!of)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].key, key) != 0 || rows[i].plan.packs) /* it may be listed twice */
            continue;
        rows[i].host = (size_t)(of - gc->hosts);
        rows[i].plan = *plan;
        rows[i].plan.packs = malloc(plan->count * SEAL_HASH_SIZE);
        if (!rows[i].plan.packs)
            return error_memory(e);
        memcpy(rows[i].plan.packs, plan->packs, plan->count * SEAL_HASH_SIZE);
    }
    return 0;
}

static int read_plans(struct gc *gc, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = ROWS_MAX};
    size_t count;
    const struct gc_plan *rows = gc_plans(gc, &count);
    for (size_t i = 0; i < count; i++)
        bytes_put(&keys, rows[i].key, strlen(rows[i].key) + 1);
    if (bytes_check(&keys, "listing of plans", e) < 0)
        return -1;
    return repository_each_plan(gc->repository, &keys, take_plan, gc, e);
}

/* ---- packs ---- */

static int list_pack(void *context, const struct sink_object *object, struct error *e)
{
    struct gc *gc = context;
    struct pack_name name;
    if (!pack_name_parse_key(object->key, &name) || !may(gc, pack_name_host(&name)))
        return 0;
    struct gc_host *host = host_of(gc, pack_name_host(&name), e);
    return host ? garbage_list(&host->garbage, name.hash, object->size, object->mtime, e) : -1;
}

static int read_packs(struct gc *gc, struct error *e)
{
    char prefix[80];
    for (size_t i = 0; i < gc->host_count; i++)
        garbage_begin(&gc->hosts[i].garbage, gc->now);
    if (sink_list(gc->repository->sink, prefix_of(gc, "packs", prefix), list_pack, gc, e) < 0)
        return -1;
    for (size_t i = 0; i < gc->host_count; i++)
        if (garbage_sort(&gc->hosts[i].garbage, e) < 0)
            return -1;
    return 0;
}

/* ---- needs ---- */

static int list_needs(void *context, const struct sink_object *object, struct error *e)
{
    struct gc *gc = context;
    struct gc_needs row = {.placed = object->mtime};
    struct vault_name name;
    if (!placed_parse_key(NEEDS_PREFIX, object->key, &name))
        return 0;
    int n = snprintf(row.name, sizeof row.name, "%s/%s/%s", name.host, name.job, name.id);
    snprintf(row.end, sizeof row.end, "%s", object->key + strlen(NEEDS_PREFIX "/") + n);
    bytes_put(&gc->needs, &row, sizeof row);
    return bytes_check(&gc->needs, "listing of needs", e);
}

void gc_mark_needs(struct gc *gc, const struct needs *needs, uint8_t marks)
{
    for (size_t i = 0; i < needs->host_count; i++) {
        struct gc_host *host = gc_find_host(gc, needs->hosts[i].number);
        size_t missing = !host ? 0
                               : garbage_need(&host->garbage, needs->hosts[i].packs.data,
                                              needs->hosts[i].packs.length / NEEDS_NAME_SIZE, marks);
        if (marks & GARBAGE_NEEDED && host)
            host->unlisted += missing;
    }
}

/* With the full key needs can be made anew. */
static bool may_heal(const struct gc *gc)
{
    return gc->repository->key->full && !gc->request->dry_run;
}

struct needs_reading {
    struct gc *gc;
    struct gc_needs *next;
};

/* One that is gone by now was removed with its snapshot. */
static int take_needs(void *context, const char *key, const struct bytes *object, const struct error *why,
                      struct error *e)
{
    struct needs_reading *reading = context;
    struct gc_needs *row = reading->next++;
    AUTO_NEEDS struct needs needs = {0};
    char host[64] = "";
    if (!object && why->class == ERROR_NOT_FOUND)
        return 0;
    if (!object) {
        *e = *why;
        return -1;
    }
    sscanf(row->name, "%63[^/]", host);
    if (needs_open(reading->gc->repository, host, key, object, &needs, e) < 0) {
        row->bad = e->class == ERROR_INTEGRITY || e->class == ERROR_AUTH;
        return row->bad ? 0 : -1;
    }
    memcpy(row->manifest, needs.manifest, sizeof row->manifest);
    row->read = true;
    gc_mark_needs(reading->gc, &needs, GARBAGE_NEEDED);
    return 0;
}

static int compare_needs(const void *a, const void *b)
{
    const struct gc_needs *one = a, *other = b;
    int order = strcmp(one->name, other->name);
    return order != 0 ? order : strcmp(one->end, other->end);
}

static int read_needs(struct gc *gc, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = ROWS_MAX};
    size_t count;
    if (sink_list(gc->repository->sink, NEEDS_PREFIX "/", list_needs, gc, e) < 0)
        return -1;
    struct gc_needs *rows = gc_needs_of(gc, &count);
    if (count > 0)
        qsort(rows, count, sizeof *rows, compare_needs);
    for (size_t i = 0; i < count; i++) {
        char key[201];
        gc_needs_key(&rows[i], key);
        bytes_put(&keys, key, strlen(key) + 1);
    }
    if (bytes_check(&keys, "listing of needs", e) < 0)
        return -1;
    struct needs_reading reading = {.gc = gc, .next = rows};
    return sink_get_each(gc->repository->sink, (const char *)keys.data, keys.length, NEEDS_OBJECT_MAX, take_needs,
                         &reading, e);
}

/* ---- manifests ---- */

struct manifest_listing {
    struct gc *gc;
    struct bytes keys; /* NUL terminated */
};

static int list_manifest(void *context, const struct sink_object *object, struct error *e)
{
    struct manifest_listing *l = context;
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    if (!manifest_object_parse_key(object->key, host, job, id))
        return 0;
    struct gc_host *of = gc_find_host(l->gc, pack_name_number(host));
    if (of && object->mtime > of->stored)
        of->stored = object->mtime;
    bytes_put(&l->keys, object->key, strlen(object->key) + 1);
    return bytes_check(&l->keys, "listing of snapshots", e);
}

/* They were not listed yet, or it is gone by now; else it is a doubt. */
static int look_for_needs(struct gc *gc, const char *key, uint8_t manifest[SEAL_HASH_SIZE], bool *gone, struct error *e)
{
    AUTO_NEEDS struct needs needs = {0};
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    uint64_t size;
    struct error why;
    *gone = false;
    manifest_object_parse_key(key, host, job, id);
    if (needs_read(gc->repository, host, job, id, NULL, &needs, e) == 0) {
        memcpy(manifest, needs.manifest, SEAL_HASH_SIZE);
        gc_mark_needs(gc, &needs, GARBAGE_NEEDED);
        return 0;
    }
    if (e->class != ERROR_NOT_FOUND)
        return -1;
    *gone = sink_stat(gc->repository->sink, key, &size, &why) < 0 && why.class == ERROR_NOT_FOUND;
    if (*gone)
        return 0;
    error_set(e, ERROR_INTEGRITY, "'%s' has no needs object beside it, which says what it needs", key);
    return error_hint(e, "see what is wrong with it: cofre verify --all");
}

/* Those of the snapshot that was listed under this key: how many, from which on. */
static struct gc_needs *needs_of(const struct gc *gc, const char *key, size_t *of)
{
    const char *name = key + strlen("snapshots/");
    size_t count, low = 0;
    struct gc_needs *rows = gc_needs_of(gc, &count);
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rows[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *of = 0;
    while (low + *of < count && strcmp(rows[low + *of].name, name) == 0)
        ++*of;
    return rows + low;
}

/* One of them that can be read, and is of this manifest, is enough. */
static bool has_needs(const struct gc *gc, const char *key, const uint8_t manifest[SEAL_HASH_SIZE])
{
    bool has = false;
    size_t of;
    struct gc_needs *rows = needs_of(gc, key, &of);
    for (size_t i = 0; i < of; i++) {
        rows[i].has_manifest = true;
        rows[i].bad = rows[i].bad || (rows[i].read && memcmp(rows[i].manifest, manifest, SEAL_HASH_SIZE) != 0);
        has = has || (rows[i].read && !rows[i].bad);
    }
    return has;
}

static int match(struct gc *gc, const char *key, const struct bytes *manifest, struct error *e)
{
    uint8_t says[SEAL_HASH_SIZE], hash[SEAL_HASH_SIZE];
    bool gone;
    seal_hash(manifest->data, manifest->length, hash);
    if (has_needs(gc, key, hash))
        return 0;
    int result = look_for_needs(gc, key, says, &gone, e);
    if (result == 0 && (gone || memcmp(says, hash, sizeof says) == 0))
        return 0;
    if (result == 0)
        error_set(e, ERROR_INTEGRITY, "'" NEEDS_PREFIX "/%s' is of another manifest than that of its snapshot",
                  key + strlen("snapshots/"));
    bool harmed = e->class == ERROR_INTEGRITY || e->class == ERROR_AUTH;
    if (harmed && !may_heal(gc) && !e->hint[0])
        error_hint(e, "with the full key, and without --dry-run, gc finds out anew what the snapshot needs");
    if (!harmed || !may_heal(gc) || gc_heal(gc, key, manifest, e) < 0)
        return -1;
    gc->healed++;
    return 0;
}

static int take_manifest(void *context, const char *key, const struct bytes *object, const struct error *why,
                         struct error *e)
{
    struct gc *gc = context;
    struct manifest_clear clear;
    if (!object && why->class == ERROR_NOT_FOUND)
        return 0;
    if (!object) {
        *e = *why;
        return -1;
    }
    if (manifest_object_peek(object->data, object->length, gc->repository->key, key, &clear, e) < 0) {
        if (e->class == ERROR_INTEGRITY && !e->hint[0])
            error_hint(e, VAULT_LOST_HINT);
        return -1;
    }
    if (gc_note_time(gc, key, &clear, e) < 0)
        return -1;
    return match(gc, key, object, e);
}

static int read_manifests(struct gc *gc, struct error *e)
{
    struct manifest_listing l = {.gc = gc, .keys = {.maximum = ROWS_MAX}};
    struct sink *sink = gc->repository->sink;
    int result = sink_list(sink, "snapshots/", list_manifest, &l, e);
    if (result == 0)
        result =
            sink_get_each(sink, (const char *)l.keys.data, l.keys.length, MANIFEST_OBJECT_MAX, take_manifest, gc, e);
    bytes_free(&l.keys);
    if (result < 0)
        return -1;
    if (gc_check_last(gc, e) < 0)
        return -1;
    if (gc->healed == 0)
        return gc_check_orphans(gc, e);
    error_set(e, ERROR_CHANGED, "what %zu snapshots need was not known, and has been written down anew", gc->healed);
    return error_hint(e, "nothing is lost by it: the next gc goes on");
}

/* ---- all of it ---- */

void gc_mark_plans(struct gc *gc)
{
    size_t count;
    struct gc_plan *rows = gc_plans(gc, &count);
    for (size_t i = 0; i < count; i++) {
        struct gc_plan *row = &rows[i];
        if (row->plan.count == 0)
            continue; /* it was gone, or is none */
        int64_t placed = row->placed != INT64_MIN && row->placed < gc->memory.since ? gc->memory.since : row->placed;
        int64_t now = row->placed == INT64_MIN ? gc->machine : gc->now;
        row->ahead = garbage_is_ahead(row->placed, gc->now);
        size_t there = garbage_mark(&gc->hosts[row->host].garbage, &row->plan, row->ahead ? 0 : GARBAGE_PLANNED);
        row->ended = there == 0;
        row->due = gc->request->now ? !gc->plan_only : garbage_is_due(&row->plan, placed, now);
        row->stood = row->ahead ||
                     garbage_is_due(&(struct plan){.created = row->plan.created, .grace = PLAN_GRACE}, placed, now);
    }
}

int gc_read(struct gc *gc, struct error *e)
{
    gc->plans.maximum = gc->needs.maximum = gc->stale_clocks.maximum = ROWS_MAX;
    gc->grace = PLAN_GRACE;
    if (read_clock(gc, e) < 0 || read_plans(gc, e) < 0 || read_packs(gc, e) < 0 || read_needs(gc, e) < 0 ||
        read_manifests(gc, e) < 0)
        return -1;
    gc->read_at = clock_monotonic();
    if (gc->request->now)
        gc->grace = 0;
    return 0;
}
