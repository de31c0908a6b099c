/* Of gc: what goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "repository/gc.h"
#include "repository/needs.h"
#include "repository/pack_name.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define BATCH 1000
#define NAMES_MAX ((size_t)PLAN_PACKS_MAX * SEAL_HASH_SIZE)
#define LATE_MS INT64_C(3600000) /* so long after it was read, what is needed is read again */

/* ---- packs ---- */

/* marks: what is known of it from now on. */
static void count_pack(struct vault_amount *amount, const struct gc_host *host, const uint8_t *hash, uint8_t marks)
{
    size_t row = garbage_find(&host->garbage, hash);
    host->garbage.marks[row] |= marks;
    amount->objects++;
    amount->bytes += garbage_packs(&host->garbage)[row].size;
}

static int count_removed(struct gc_host *host, const uint8_t *hash, struct error *e)
{
    count_pack(&host->found.removed, host, hash, GARBAGE_GONE);
    bytes_put(&host->gone, hash, SEAL_HASH_SIZE);
    return bytes_check(&host->gone, "list of removed packs", e);
}

/* What is locked stays, and is said. */
static int remove_one(struct gc *gc, struct gc_host *host, const uint8_t *hash, struct error *e)
{
    const struct pack_name name = pack_name_of(host->name, hash);
    char key[201];
    pack_name_key(&name, key);
    if (sink_remove(gc->repository->sink, key, e) == 0)
        return count_removed(host, hash, e);
    if (e->class != ERROR_LOCKED)
        return -1;
    if (host->found.locked.objects == 0)
        snprintf(host->found.lock, sizeof host->found.lock, "%.255s", e->message);
    count_pack(&host->found.locked, host, hash, 0);
    return 0;
}

static int remove_batch(struct gc *gc, struct gc_host *host, const uint8_t *hashes, size_t count, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = BATCH * 201};
    for (size_t i = 0; i < count; i++) {
        const struct pack_name name = pack_name_of(host->name, hashes + i * SEAL_HASH_SIZE);
        char key[201];
        pack_name_key(&name, key);
        bytes_put(&keys, key, strlen(key) + 1);
    }
    if (bytes_check(&keys, "list of packs", e) < 0)
        return -1;
    int result = sink_remove_many(gc->repository->sink, (const char *)keys.data, keys.length, e);
    if (result < 0 && e->class != ERROR_LOCKED)
        return -1;
    bool all = result == 0;
    result = 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = all ? count_removed(host, hashes + i * SEAL_HASH_SIZE, e)
                     : remove_one(gc, host, hashes + i * SEAL_HASH_SIZE, e);
    return result;
}

static int count_all(struct gc_host *host, const struct bytes *names)
{
    for (size_t at = 0; at < names->length; at += SEAL_HASH_SIZE)
        count_pack(&host->found.removed, host, names->data + at, GARBAGE_GONE);
    return 0;
}

static int remove_names(struct gc *gc, struct gc_host *host, const struct bytes *names, bool *late, struct error *e)
{
    size_t count = names->length / SEAL_HASH_SIZE;
    for (size_t i = 0; i < count; i += BATCH) {
        *late = clock_monotonic() - gc->read_at > LATE_MS;
        if (*late)
            return 0;
        if (cancel_requested())
            return error_set(e, ERROR_CANCELLED, "gc was not finished");
        if (remove_batch(gc, host, names->data + i * SEAL_HASH_SIZE, count - i < BATCH ? count - i : BATCH, e) < 0)
            return -1;
    }
    return 0;
}

/* Planned packs that are not there any more: removed before, by whomever. Not so where the listing lacks packs that are
 * needed: then it may lack others, which are there. */
static int note_gone(struct gc_host *host, const struct plan *plan, struct error *e)
{
    const struct garbage_pack *rows = garbage_packs(&host->garbage);
    for (size_t i = 0; host->unlisted == 0 && i < plan->count; i++)
        if (host->garbage.count == 0 ||
            !bsearch(plan->packs[i], rows, host->garbage.count, sizeof *rows, seal_hash_compare))
            bytes_put(&host->gone, plan->packs[i], SEAL_HASH_SIZE);
    return bytes_check(&host->gone, "list of removed packs", e);
}

int gc_remove_packs(struct gc *gc, bool *late, struct error *e)
{
    size_t count;
    struct gc_plan *rows = gc_plans(gc, &count);
    *late = false;
    for (size_t i = 0; i < count && !*late; i++) {
        struct gc_host *host = &gc->hosts[rows[i].host];
        AUTO_BYTES struct bytes names = {.maximum = NAMES_MAX};
        if (rows[i].plan.count == 0)
            continue;
        if (note_gone(host, &rows[i].plan, e) < 0)
            return -1;
        if (!rows[i].due)
            continue;
        if (garbage_sweep(&host->garbage, &rows[i].plan, &names, e) < 0)
            return -1;
        if ((gc->request->dry_run ? count_all(host, &names) : remove_names(gc, host, &names, late, e)) < 0)
            return -1;
    }
    return gc->request->dry_run ? 0 : sink_sync(gc->repository->sink, e);
}

/* ---- plans ---- */

static int put_plan(struct gc *gc, const struct gc_host *host, const struct plan *plan, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = PLAN_OBJECT_MAX};
    char id[MANIFEST_ID_SIZE], key[201];
    manifest_make_id(gc->machine, "", id);
    plan_key(host->name, id, key);
    if (plan_seal(gc->repository, key, plan, &object, e) < 0 ||
        sink_put(gc->repository->sink, key, object.data, object.length, true, e) < 0)
        return -1;
    return sink_sync(gc->repository->sink, e);
}

/* As many as are needed for all that is garbage. */
static int plan_host(struct gc *gc, struct gc_host *host, struct error *e)
{
    for (;;) {
        struct plan plan;
        int result = 0;
        if (garbage_plan(&host->garbage, gc->machine, gc->grace, &plan, e) < 0)
            return -1;
        size_t count = plan.count;
        for (size_t i = 0; i < count; i++)
            count_pack(&host->found.fresh, host, plan.packs[i], 0);
        if (count > 0) {
            garbage_mark(&host->garbage, &plan, GARBAGE_PLANNED);
            result = gc->request->dry_run ? 0 : put_plan(gc, host, &plan, e);
        }
        plan_free(&plan);
        if (result < 0 || count == 0)
            return result;
    }
}

int gc_make_plans(struct gc *gc, struct error *e)
{
    for (size_t i = 0; i < gc->host_count; i++)
        if (plan_host(gc, &gc->hosts[i], e) < 0)
            return -1;
    return 0;
}

/* Of what is locked for a while there may be many. */
static int remove_object(struct gc *gc, const char *key, struct error *e)
{
    return sink_remove(gc->repository->sink, key, e) == 0 || e->class == ERROR_LOCKED ? 0 : -1;
}

/* Where the listing lacks packs that are needed it may lack those of the plan, too: they are asked for by their names.
 */
static int is_over(const struct gc *gc, const struct gc_plan *row, bool *over, struct error *e)
{
    const struct gc_host *host = &gc->hosts[row->host];
    *over = row->ended && row->stood;
    for (size_t i = 0; *over && host->unlisted > 0 && i < row->plan.count; i++) {
        const struct pack_name name = pack_name_of(host->name, row->plan.packs[i]);
        char key[201];
        uint64_t size;
        pack_name_key(&name, key);
        *over = sink_stat(gc->repository->sink, key, &size, e) < 0;
        if (*over && e->class != ERROR_NOT_FOUND)
            return -1;
    }
    return 0;
}

int gc_end_plans(struct gc *gc, struct error *e)
{
    size_t count;
    const struct gc_plan *rows = gc_plans(gc, &count);
    for (size_t i = 0; i < count; i++) {
        bool over;
        if (is_over(gc, &rows[i], &over, e) < 0 || (over && remove_object(gc, rows[i].key, e) < 0))
            return -1;
    }
    for (size_t at = 0; at < gc->stale_clocks.length; at += strlen((const char *)gc->stale_clocks.data + at) + 1)
        if (remove_object(gc, (const char *)gc->stale_clocks.data + at, e) < 0)
            return -1;
    return sink_sync(gc->repository->sink, e);
}

/* ---- needs ---- */

/* Of a run that was killed, or of a snapshot that an interrupted prune has removed: without a manifest. Runs that are
 * at work are younger, or do not count their snapshot as committed. */
static bool is_orphan(const struct gc *gc, const struct gc_needs *row)
{
    int64_t age;
    return !row->has_manifest && (row->read || row->bad) && row->placed != INT64_MIN && gc->now != INT64_MIN &&
           !__builtin_sub_overflow(gc->now, row->placed, &age) && age >= gc->grace;
}

/* An orphan, or what is wrong beside others that are right. */
static bool is_left_over(const struct gc *gc, const struct gc_needs *row)
{
    char host[64] = "";
    sscanf(row->name, "%63[^/]", host);
    return key_may(&gc->repository->key->certificate, KEY_REMOVE, host) &&
           (row->has_manifest ? row->bad : is_orphan(gc, row));
}

/* By its own name, and no listing. */
static int look_for_manifest(const struct gc *gc, const struct gc_needs *row, bool *there, struct error *e)
{
    char key[201];
    uint64_t size;
    snprintf(key, sizeof key, "snapshots/%s", row->name);
    *there = sink_stat(gc->repository->sink, key, &size, e) == 0;
    return *there || e->class == ERROR_NOT_FOUND ? 0 : -1;
}

int gc_check_orphans(const struct gc *gc, struct error *e)
{
    size_t count;
    const struct gc_needs *rows = gc_needs_of(gc, &count);
    for (size_t i = 0; i < count; i++) {
        bool there = true;
        char key[201];
        if (!rows[i].bad || rows[i].has_manifest)
            continue;
        if (is_orphan(gc, &rows[i]) && look_for_manifest(gc, &rows[i], &there, e) < 0)
            return -1;
        if (!there)
            continue;
        gc_needs_key(&rows[i], key);
        error_set(e, ERROR_INTEGRITY, "'%s' cannot be read, and its snapshot is not listed", key);
        return error_hint(e, "a run that is at work may have stored it, or one that was killed: when it is as old as a "
                             "plan has to be, and its snapshot is not there, gc removes it");
    }
    return 0;
}

int gc_remove_needs(struct gc *gc, struct error *e)
{
    size_t count;
    const struct gc_needs *rows = gc_needs_of(gc, &count);
    for (size_t i = 0; i < count; i++) {
        char needs[201];
        bool there;
        if (!is_left_over(gc, &rows[i]))
            continue;
        if (look_for_manifest(gc, &rows[i], &there, e) < 0)
            return -1;
        gc_needs_key(&rows[i], needs);
        if (there == rows[i].has_manifest && remove_object(gc, needs, e) < 0)
            return -1;
    }
    return sink_sync(gc->repository->sink, e);
}
