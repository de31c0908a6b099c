#include "repository/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/task.h"
#include "repository/repository.h"
#include "worker/sink.h"

/* One worker's: reads every so many-th object. */
struct lane {
    struct worker *worker;
    const char *key;
    size_t maximum;
    struct bytes object;
    struct task *task;
    struct error error; /* when it could not be started */
};

struct objects {
    struct repository *repository;
    const char *keys, *end; /* not begun */
    struct lane lanes[REPOSITORY_WORKERS_MAX];
    unsigned lane_count, next; /* next: lane of the next object */
    int lent;                  /* lane of the last one; -1: none yet */
};

static int read_object(void *context, struct error *e)
{
    struct lane *lane = context;
    bytes_reset(&lane->object);
    return sink_get(lane->worker, lane->key, lane->maximum, &lane->object, e);
}

/* Begin the next object, if there is one, in the lane. */
static void begin(struct objects *o, unsigned number)
{
    struct lane *lane = &o->lanes[number];
    lane->key = NULL;
    if (o->keys == o->end)
        return;
    lane->key = o->keys;
    o->keys += strlen(o->keys) + 1;
    /* With one lane there is nobody to go side by side with. */
    lane->error.class = ERROR_NONE;
    if (repository_worker(o->repository, number, &lane->worker, &lane->error) < 0 || o->lane_count == 1)
        return;
    if (task_start(&lane->task, read_object, lane, &lane->error) < 0)
        lane->task = NULL;
}

int objects_new(struct repository *repository, const char *keys, size_t n, size_t maximum, struct objects **objects,
                struct error *e)
{
    struct objects *o = calloc(1, sizeof *o);
    if (!o)
        return error_memory(e);
    size_t count = 0;
    for (size_t at = 0; at < n; at += strlen(keys + at) + 1)
        count++;
    o->repository = repository;
    o->keys = keys;
    o->end = keys + n;
    o->lent = -1;
    o->lane_count = count < repository->parallel ? (unsigned)count : repository->parallel;
    for (unsigned i = 0; i < o->lane_count; i++) {
        o->lanes[i].maximum = o->lanes[i].object.maximum = maximum;
        begin(o, i);
    }
    *objects = o;
    return 0;
}

void objects_free(struct objects *objects)
{
    if (!objects)
        return;
    for (unsigned i = 0; i < objects->lane_count; i++) {
        struct error ignored;
        if (objects->lanes[i].task)
            task_join(objects->lanes[i].task, &ignored);
        bytes_free(&objects->lanes[i].object);
    }
    free(objects);
}

int objects_next(struct objects *objects, const struct bytes **object, struct error *e)
{
    if (objects->lent >= 0)
        begin(objects, (unsigned)objects->lent);
    struct lane *lane = &objects->lanes[objects->next];
    ASSERT(objects->lane_count > 0 && lane->key);
    objects->lent = (int)objects->next;
    objects->next = (objects->next + 1) % objects->lane_count;
    *object = &lane->object;
    if (lane->error.class != ERROR_NONE) {
        *e = lane->error;
        return -1;
    }
    int result = lane->task ? task_join(lane->task, e) : read_object(lane, e);
    lane->task = NULL;
    return result;
}
