/* Of gc_repack.h: the needs of snapshots whose packs were packed anew. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repository/confirm.h"
#include "repository/gc.h"
#include "repository/gc_repack.h"
#include "repository/needs.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)

struct moving {
    struct gc *gc;
    const struct gc_move *moves;
    size_t count;
    struct needs targets; /* all packs that have got something */
    struct bytes groups;  /* of the needs of each snapshot: the first row, const struct gc_needs * */
    pthread_mutex_t lock; /* of what follows */
    struct bytes fresh;   /* needs that were stored: struct confirm_stored; and */
    struct bytes old;     /* keys of those that they replace, NUL terminated */
};

static int compare_prefix(const struct gc_move *move, uint32_t host, const uint8_t *prefix)
{
    int order = memcmp(move->from.hash, prefix, NEEDS_NAME_SIZE);
    return order != 0 ? order : (move->from.host > host) - (move->from.host < host);
}

/* The first of the moves of that pack; *of: how many there are. */
static const struct gc_move *moves_of(const struct moving *m, uint32_t host, const uint8_t *prefix, size_t *of)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_prefix(&m->moves[middle], host, prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*of = 0; low + *of < m->count && compare_prefix(&m->moves[low + *of], host, prefix) == 0;)
        ++*of;
    return m->moves + low;
}

/* Into *new, which holds what other objects of the same snapshot name. */
static int replace(const struct moving *m, const struct needs *old, struct needs *new, bool *changed, struct error *e)
{
    for (size_t h = 0; h < old->host_count; h++)
        for (size_t at = 0; at < old->hosts[h].packs.length; at += NEEDS_NAME_SIZE) {
            const uint8_t *prefix = old->hosts[h].packs.data + at;
            struct pack_name same = {.host = old->hosts[h].number};
            size_t of;
            const struct gc_move *moves = moves_of(m, same.host, prefix, &of);
            memcpy(same.hash, prefix, NEEDS_NAME_SIZE);
            if (of == 0 && needs_add(new, &same, e) < 0)
                return -1;
            for (size_t i = 0; i < of; i++)
                if (needs_add(new, &moves[i].to, e) < 0)
                    return -1;
            *changed = *changed || of > 0;
        }
    return 0;
}

static int note_key(struct bytes *keys, const char *key, struct error *e)
{
    bytes_put(keys, key, strlen(key) + 1);
    return bytes_check(keys, "list of needs", e);
}

/* One that is gone was replaced by another gc, or went with its snapshot: *gone, and nothing is to be done. */
static int read_old(struct moving *m, const struct gc_needs *row, struct needs *new, bool *changed, bool *gone,
                    struct bytes *keys, struct error *e)
{
    AUTO_NEEDS struct needs old = {0};
    char key[201];
    if (gc_needs_read(m->gc, row, &old, e) < 0) {
        *gone = e->class == ERROR_NOT_FOUND;
        return *gone ? 0 : -1;
    }
    if (replace(m, &old, new, changed, e) < 0)
        return -1;
    memcpy(new->manifest, old.manifest, sizeof new->manifest);
    gc_needs_key(row, key);
    return note_key(keys, key, e);
}

static int note_moved(struct moving *m, const struct confirm_stored *fresh, const struct bytes *old, struct error *e)
{
    pthread_mutex_lock(&m->lock);
    bytes_put(&m->fresh, fresh, sizeof *fresh);
    bytes_put(&m->old, old->data, old->length);
    int result = bytes_check(&m->fresh, "list of needs", e) < 0 ? -1 : bytes_check(&m->old, "list of needs", e);
    pthread_mutex_unlock(&m->lock);
    return result;
}

/* Those of one snapshot; by any thread. */
static int move_snapshot(void *context, size_t group, struct error *e)
{
    struct moving *m = context;
    const struct gc_needs *rows = ((const struct gc_needs *const *)(const void *)m->groups.data)[group];
    size_t count = gc_needs_group(m->gc, rows);
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    AUTO_NEEDS struct needs new = {0};
    struct confirm_stored fresh;
    bool changed = false, gone = false;
    for (size_t i = 0; i < count && !gone; i++)
        if (!rows[i].bad && read_old(m, &rows[i], &new, &changed, &gone, &keys, e) < 0)
            return -1;
    if (!changed || gone)
        return 0;
    needs_sort(&new);
    return needs_put_anew(m->gc->repository, rows->name, &new, &fresh, e) < 0 ? -1 : note_moved(m, &fresh, &keys, e);
}

static const struct confirm_stored *fresh_of(const struct moving *m, size_t *count)
{
    *count = m->fresh.length / sizeof(struct confirm_stored);
    return (const struct confirm_stored *)(const void *)m->fresh.data;
}

/* By any thread. */
static int look_at(void *context, size_t i, struct error *e)
{
    const struct moving *m = context;
    size_t count;
    return confirm_stored(m->gc->repository, fresh_of(m, &count) + i, e);
}

static int put_all(struct moving *m, struct error *e)
{
    struct sink *sink = m->gc->repository->sink;
    size_t count, of;
    const struct gc_needs *rows = gc_needs_of(m->gc, &count);
    for (size_t i = 0; i < count; i += of) {
        const struct gc_needs *first = &rows[i];
        of = gc_needs_group(m->gc, first);
        if (first->has_manifest)
            bytes_put(&m->groups, &first, sizeof(const struct gc_needs *));
    }
    if (bytes_check(&m->groups, "list of needs", e) < 0 ||
        sink_each(sink, m->groups.length / sizeof(const struct gc_needs *), move_snapshot, m, e) < 0 ||
        sink_sync(sink, e) < 0)
        return -1;
    fresh_of(m, &count);
    return sink_each(sink, count, look_at, m, e);
}

/* One that is locked stays: it names more than is needed, no less. */
static int remove_keys(struct gc *gc, const struct bytes *keys, struct error *e)
{
    if (keys->length == 0 || sink_remove_many(gc->repository->sink, (const char *)keys->data, keys->length, e) == 0)
        return sink_sync(gc->repository->sink, e);
    if (e->class != ERROR_LOCKED)
        return -1;
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1)
        if (sink_remove(gc->repository->sink, (const char *)keys->data + at, e) < 0 && e->class != ERROR_LOCKED)
            return -1;
    return sink_sync(gc->repository->sink, e);
}

/* As whoever stores a snapshot does: needs were first, so who sweeps a plan from now on reads them. */
static int check(struct moving *m, struct error *e)
{
    AUTO_BYTES struct bytes planned = {0};
    if (repository_heed_plans(m->gc->repository, &m->targets, &planned, e) < 0)
        return -1;
    return planned.length == 0 ? 0 : error_set(e, ERROR_CHANGED, "another gc is going to remove what was packed anew");
}

static void remove_fresh(const struct moving *m)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct error ignored;
    size_t count;
    const struct confirm_stored *fresh = fresh_of(m, &count);
    for (size_t i = 0; i < count; i++)
        bytes_put(&keys, fresh[i].key, strlen(fresh[i].key) + 1);
    remove_keys(m->gc, &keys, &ignored);
}

static int move_all(struct moving *m, struct error *e)
{
    for (size_t i = 0; i < m->count; i++)
        if (needs_add(&m->targets, &m->moves[i].to, e) < 0)
            return -1;
    needs_sort(&m->targets);
    if (put_all(m, e) < 0)
        return -1;
    if (check(m, e) == 0)
        return remove_keys(m->gc, &m->old, e);
    remove_fresh(m); /* they name more than is there; the next gc removes nothing by them */
    return -1;
}

int gc_move_needs(struct gc *gc, const struct bytes *moves, struct error *e)
{
    struct moving m = {.gc = gc,
                       .moves = (const struct gc_move *)(const void *)moves->data,
                       .count = moves->length / sizeof(struct gc_move),
                       .groups = {.maximum = KEYS_MAX},
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .fresh = {.maximum = KEYS_MAX},
                       .old = {.maximum = KEYS_MAX}};
    int result = m.count == 0 ? 0 : move_all(&m, e);
    needs_free(&m.targets);
    bytes_free(&m.groups);
    bytes_free(&m.fresh);
    bytes_free(&m.old);
    return result;
}
