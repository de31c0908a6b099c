/* Of gc: index objects that speak of packs which are gone. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repository/gc.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/key.h"
#include "repository/pack_name.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define OBJECTS_MAX ((size_t)256 << 20)

/* An index object, and how many of its packs are there, and gone. */
struct described {
    uint8_t name[SEAL_HASH_SIZE];
    uint64_t there, gone;
    bool own; /* this machine has stored it */
};

static bool is_gone(const struct gc_host *host, const uint8_t hash[SEAL_HASH_SIZE])
{
    return host->gone.length > 0 &&
           bsearch(hash, host->gone.data, host->gone.length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
}

/* Rows of one object may stand anywhere: one for each row first, then they are added up. */
static int describe(const struct gc *gc, const struct gc_host *host, struct bytes *objects, struct error *e)
{
    const struct index *index = gc->repository->index;
    for (size_t row = 0; row < index_pack_count(index); row++) {
        struct described one = {.there = 0};
        struct pack_name name;
        uint64_t size;
        const uint8_t *object = index_pack_object(index, row);
        index_pack_at(index, row, &name, &size);
        if (!object || name.host != host->number)
            continue;
        memcpy(one.name, object, sizeof one.name);
        one.gone = is_gone(host, name.hash);
        one.there = !one.gone;
        one.own = index_pack_is_own(index, row);
        bytes_put(objects, &one, sizeof one);
    }
    return bytes_check(objects, "list of index objects", e);
}

static size_t add_up(struct bytes *objects)
{
    struct described *rows = (struct described *)(void *)objects->data;
    size_t count = objects->length / sizeof *rows, kept = 0;
    if (count > 0)
        qsort(rows, count, sizeof *rows, seal_hash_compare);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && seal_hash_compare(&rows[kept - 1], &rows[i]) == 0) {
            rows[kept - 1].there += rows[i].there;
            rows[kept - 1].gone += rows[i].gone;
        } else {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}

/* ---- anew ---- */

struct rewriting {
    const struct gc_host *host;
    struct bytes body;
    uint32_t packs;
};

static int keep_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                     uint32_t count, struct error *e)
{
    struct rewriting *w = context;
    if (is_gone(w->host, name))
        return 0;
    index_body_add_pack(&w->body, name, size, chunks, count);
    w->packs++;
    return bytes_check(&w->body, "index", e);
}

/* The new one is there before the old one goes. One that cannot be read, or is gone, is left to verify. */
static int rewrite(struct gc *gc, const struct gc_host *host, const uint8_t name[SEAL_HASH_SIZE], bool *done,
                   struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = 0};
    struct rewriting w = {.host = host, .body = {.maximum = INDEX_BODY_MAX}};
    uint8_t fresh[SEAL_HASH_SIZE];
    uint64_t size;
    *done = false;
    if (repository_read_index_object(gc->repository, host->name, name, &body, e) < 0)
        return e->class == ERROR_NOT_FOUND || e->class == ERROR_INTEGRITY ? 0 : -1;
    index_body_begin(&w.body, host->name, clock_now());
    int result = index_body_each(body.data, body.length, keep_pack, &w, e);
    index_body_end(&w.body, w.packs);
    if (result == 0 && w.packs > 0)
        result = repository_store_index(gc->repository, host->name, &w.body, fresh, &size, e);
    bytes_free(&w.body);
    *done = result == 0;
    return result;
}

/* Written anew is what this machine has stored itself, and remembers. What the objects of others say of packs nobody
 * has proved, and their hosts rely on those alone that they have stored: these stay until nothing is left of them. */
static int clean_object(struct gc *gc, const struct gc_host *host, const struct described *object, struct error *e)
{
    char key[201];
    bool done = object->there == 0;
    bool anew = object->own && gc->repository->key->full && strcmp(host->name, gc->repository->host) == 0;
    if (object->gone == 0 || (!done && !anew))
        return 0;
    if (!done && rewrite(gc, host, object->name, &done, e) < 0)
        return -1;
    repository_index_key(host->name, object->name, key);
    return !done || sink_remove(gc->repository->sink, key, e) == 0 || e->class == ERROR_LOCKED ? 0 : -1;
}

static int clean_host(struct gc *gc, struct gc_host *host, struct error *e)
{
    AUTO_BYTES struct bytes objects = {.maximum = OBJECTS_MAX};
    if (host->gone.length == 0)
        return 0;
    qsort(host->gone.data, host->gone.length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
    if (describe(gc, host, &objects, e) < 0)
        return -1;
    size_t count = add_up(&objects);
    for (size_t i = 0; i < count; i++)
        if (clean_object(gc, host, (const struct described *)(void *)objects.data + i, e) < 0)
            return -1;
    return 0;
}

int gc_clean_index(struct gc *gc, struct error *e)
{
    bool any = false;
    for (size_t i = 0; i < gc->host_count; i++)
        any = any || gc->hosts[i].gone.length > 0;
    if (!any)
        return 0;
    if (repository_load_index(gc->repository, REPOSITORY_ALL, e) < 0)
        return -1;
    for (size_t i = 0; i < gc->host_count; i++)
        if (clean_host(gc, &gc->hosts[i], e) < 0)
            return -1;
    return sink_sync(gc->repository->sink, e);
}
