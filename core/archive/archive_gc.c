#include "archive/archive_gc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "worker/sink.h"

#define DAY (INT64_C(86400) * 1000000000)
#define ROWS_MAX ((size_t)1 << 30)
#define CLOCK "clock"

/* An object of JOB/ID, the manifest or another. */
struct object {
    char key[ARCHIVE_KEY_SIZE];
    size_t place; /* bytes of the key that are "JOB/ID/" */
    uint64_t size;
    int64_t mtime;
};
struct collecting {
    struct vault *vault;
    const struct vault_gc *request;
    int64_t now, grace;
    struct bytes objects; /* struct object, sorted by key */
    struct vault_garbage found;
};

/* ---- what is there ---- */

static int list_object(void *context, const struct sink_object *object, struct error *e)
{
    struct collecting *c = context;
    struct object row = {.size = object->size, .mtime = object->mtime};
    char job[64], id[MANIFEST_ID_SIZE];
    int end = 0;
    if (strcmp(object->key, CLOCK) == 0)
        c->now = object->mtime;
    if (sscanf(object->key, "%63[^/]/%23[^/]/%n", job, id, &end) != 2 || end == 0 || !text_is_name(job) ||
        !manifest_is_id(id) || strlen(object->key) >= sizeof row.key)
        return 0;
    snprintf(row.key, sizeof row.key, "%s", object->key);
    row.place = (size_t)end;
    bytes_put(&c->objects, &row, sizeof row);
    return bytes_check(&c->objects, "listing of objects", e);
}

static int compare_objects(const void *a, const void *b)
{
    return strcmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

/* What was just stored tells what time it is there. */
static int list_all(struct collecting *c, struct error *e)
{
    struct sink *sink = c->vault->sink;
    struct error ignored;
    bool dry = c->request->dry_run;
    c->now = dry ? clock_now() : INT64_MIN;
    if (!dry && (sink_put(sink, CLOCK, CLOCK, strlen(CLOCK), false, e) < 0 || sink_sync(sink, e) < 0))
        return -1;
    int result = sink_list(sink, "", list_object, c, e);
    if (!dry && (sink_remove(sink, CLOCK, &ignored) < 0 || sink_sync(sink, &ignored) < 0) && result == 0) {
        *e = ignored;
        return -1;
    }
    if (c->objects.length > 0)
        qsort(c->objects.data, c->objects.length / sizeof(struct object), sizeof(struct object), compare_objects);
    return result;
}

/* One manifest that cannot be read, and nobody knows how long runs take, and what is of whom. */
static int take_standing(void *context, const struct vault_standing *standing, const struct error *why, struct error *e)
{
    struct collecting *c = context;
    int64_t run;
    if (why->class != ERROR_NONE) {
        *e = *why;
        if (e->class == ERROR_INTEGRITY && !e->hint[0])
            error_hint(e, VAULT_LOST_HINT);
        return -1;
    }
    if (!__builtin_sub_overflow(standing->ended, standing->started, &run) && run > c->grace / 2 && run <= VAULT_RUN_MAX)
        c->grace = 2 * run;
    return 0;
}

/* ---- what goes ---- */

static void count(struct vault_amount *amount, const struct object *object)
{
    amount->objects++;
    amount->bytes += object->size;
}

static bool is_old(const struct collecting *c, const struct object *object)
{
    int64_t age;
    if (c->request->now)
        return true;
    return object->mtime != INT64_MIN && c->now != INT64_MIN && !__builtin_sub_overflow(c->now, object->mtime, &age) &&
           age >= c->grace;
}

static int remove_object(struct collecting *c, const struct object *object, struct error *e)
{
    if (c->request->dry_run || sink_remove(c->vault->sink, object->key, e) == 0) {
        count(&c->found.removed, object);
        return 0;
    }
    if (e->class != ERROR_LOCKED)
        return -1;
    if (c->found.locked.objects == 0)
        snprintf(c->found.lock, sizeof c->found.lock, "%.255s", e->message);
    count(&c->found.locked, object);
    return 0;
}

/* Of all objects of one JOB/ID. */
static bool has_manifest(const struct object *objects, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(objects[i].key + objects[i].place, ARCHIVE_MANIFEST) == 0)
            return true;
    return false;
}

static bool is_left_over(const struct collecting *c, const struct object *objects, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_old(c, &objects[i]))
            return false;
    return !has_manifest(objects, n);
}

/* That a listing is silent on a manifest would be the end of its snapshot: it is asked for by its name. */
static int check(struct collecting *c, const struct object *objects, size_t n, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    uint64_t size;
    if (!is_left_over(c, objects, n))
        return 0;
    snprintf(key, sizeof key, "%.*s%s", (int)objects->place, objects->key, ARCHIVE_MANIFEST);
    if (sink_stat(c->vault->sink, key, &size, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    error_set(e, ERROR_PERMANENT, "'%s' is there and was not listed", key);
    return error_hint(e, "run gc again; if it stays so, the place does not list all that it has");
}

static int take_away(struct collecting *c, const struct object *objects, size_t n, struct error *e)
{
    bool left_over = is_left_over(c, objects, n), manifest = has_manifest(objects, n);
    for (size_t i = 0; i < n; i++)
        if (!left_over)
            count(manifest ? &c->found.needed : &c->found.young, &objects[i]);
        else if (remove_object(c, &objects[i], e) < 0)
            return -1;
    return 0;
}

static int each_place(struct collecting *c,
                      int (*visit)(struct collecting *c, const struct object *objects, size_t n, struct error *e),
                      struct error *e)
{
    const struct object *objects = (const void *)c->objects.data;
    size_t all = c->objects.length / sizeof *objects;
    for (size_t i = 0, n; i < all; i += n) {
        for (n = 1; i + n < all && strncmp(objects[i].key, objects[i + n].key, objects[i].place) == 0; n++)
            ;
        if (visit(c, &objects[i], n, e) < 0)
            return -1;
    }
    return 0;
}

static int remove_all(struct collecting *c, struct error *e)
{
    return each_place(c, take_away, e) < 0 ? -1 : sink_sync(c->vault->sink, e);
}

int archive_gc(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
               struct vault_gc_result *result, struct error *e)
{
    struct collecting c = {.vault = vault, .request = request, .grace = DAY, .objects = {.maximum = ROWS_MAX}};
    c.found.since = c.found.due = INT64_MIN;
    bool read = list_all(&c, e) == 0 && vault_standings(vault, NULL, NULL, take_standing, &c, e) == 0 &&
                each_place(&c, check, e) == 0;
    int done = 0;
    if (read)
        done = remove_all(&c, e);
    else if (e->class == ERROR_CANCELLED || e->class == ERROR_MEMORY || e->class == ERROR_DENIED)
        done = -1;
    else
        result->doubt = *e;
    if (read && done == 0)
        told(context, &c.found);
    bytes_free(&c.objects);
    return done;
}
