/* Of a repository: which packs the sink lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "flow/task.h"
#include "repository/index.h"
#include "repository/pack_name.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define LISTING_MAX ((size_t)1 << 30)
#define PARTS 256 /* packs/HOST/00/ to packs/HOST/ff/ */

/* Of one prefix. */
struct listing {
    struct repository *repository;
    char prefix[96];
    size_t most;       /* packs; 0 = any number */
    bool more;         /* there are more than that */
    struct bytes rows; /* struct index_pack each */
    struct task *task; /* NULL = none is at it */
};

/* One that is larger than any pack has no place for a chunk. What is not ours is said, and left alone. */
static int list_pack(void *context, const struct sink_object *object, struct error *e)
{
    struct listing *l = context;
    struct index_pack pack = {.size = object->size <= PACK_SIZE_MAX ? (uint32_t)object->size : UINT32_MAX};
    if (pack_name_parse_key(object->key, &pack.name))
        bytes_put(&l->rows, &pack, sizeof pack);
    else {
        error_set(e, ERROR_INTEGRITY, "object '%s' does not belong to a repository", object->key);
        repository_warn(l->repository, e);
    }
    l->more = l->most > 0 && l->rows.length > l->most * sizeof pack;
    if (l->more)
        return error_set(e, ERROR_RANGE, "there are more than %zu packs", l->most);
    return bytes_check(&l->rows, "listing of packs", e);
}

/* Sorted. */
static int list(void *context, struct error *e)
{
    struct listing *l = context;
    bytes_reset(&l->rows);
    /* Also of no packs there is an array, to be searched. */
    if (!bytes_reserve(&l->rows, sizeof(struct index_pack)))
        return error_memory(e);
    if (sink_list(l->repository->sink, l->prefix, list_pack, l, e) < 0)
        return -1;
    if (l->rows.length > 0)
        qsort(l->rows.data, l->rows.length / sizeof(struct index_pack), sizeof(struct index_pack), pack_name_compare);
    return 0;
}

static struct listing listing_of(struct repository *r)
{
    struct listing l = {.repository = r, .rows = {.maximum = LISTING_MAX}};
    snprintf(l.prefix, sizeof l.prefix, r->own_alone ? "packs/%s/" : "packs/", r->host);
    return l;
}

int repository_list_packs(struct repository *r, struct index_pack **packs, size_t *count, struct error *e)
{
    struct listing l = listing_of(r);
    if (list(&l, e) < 0) {
        bytes_free(&l.rows);
        return -1;
    }
    *packs = (struct index_pack *)(void *)l.rows.data;
    *count = l.rows.length / sizeof **packs;
    return 0;
}

/* ---- of a large repository, side by side ---- */

static int give(const struct listing *l, repository_packs *take, void *context, struct error *e)
{
    return take(context, (struct index_pack *)(void *)l->rows.data, l->rows.length / sizeof(struct index_pack), e);
}

/* Without a thread it is listed when it is its turn. */
static void begin(struct listing *l, size_t part, bool alone)
{
    struct error ignored;
    snprintf(l->prefix, sizeof l->prefix, "packs/%s/%02zx/", l->repository->host, part);
    if (alone || task_start(&l->task, list, l, &ignored) < 0)
        l->task = NULL;
}

static int finish(struct listing *l, struct error *e)
{
    int result = l->task ? task_join(l->task, e) : list(l, e);
    l->task = NULL;
    return result;
}

/* One behind the other, while those that come next are listed. */
static int each_part(struct repository *r, repository_packs *take, void *context, struct error *e)
{
    struct listing lanes[SINK_PARALLEL_MAX];
    size_t count = sink_parallel(r->sink);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        lanes[i] = listing_of(r);
        begin(&lanes[i], i, count == 1);
    }
    for (size_t part = 0; result == 0 && part < PARTS; part++) {
        struct listing *l = &lanes[part % count];
        if (finish(l, e) < 0 || give(l, take, context, e) < 0)
            result = -1;
        else if (part + count < PARTS)
            begin(l, part + count, count == 1);
    }
    for (size_t i = 0; i < count; i++) {
        struct error ignored;
        if (lanes[i].task)
            (void)task_join(lanes[i].task, &ignored);
        bytes_free(&lanes[i].rows);
    }
    return result;
}

int repository_each_packs(struct repository *r, repository_packs *take, void *context, struct error *e)
{
    struct listing l = listing_of(r);
    if (r->own_alone && index_pack_count(r->index) >= r->many_packs)
        return each_part(r, take, context, e);
    /* That there are many may be news. */
    l.most = r->own_alone ? 2 * r->many_packs : 0;
    int result = list(&l, e);
    if (result == 0)
        result = give(&l, take, context, e);
    bytes_free(&l.rows);
    return result < 0 && l.more ? each_part(r, take, context, e) : result;
}
