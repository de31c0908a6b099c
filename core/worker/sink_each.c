/* Many objects, side by side. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "flow/task.h"
#include "worker/sink.h"

struct each {
    size_t count;
    _Atomic size_t next;
    _Atomic bool over;
    int (*one)(void *context, size_t i, struct error *e);
    void *context;
};

static int run_each(void *context, struct error *e)
{
    struct each *each = context;
    for (size_t i; !each->over && (i = each->next++) < each->count;)
        if (each->one(each->context, i, e) < 0) {
            each->over = true;
            return -1;
        }
    return 0;
}

int sink_each(struct sink *sink, size_t count, int (*one)(void *context, size_t i, struct error *e), void *context,
              struct error *e)
{
    struct each each = {.count = count, .one = one, .context = context};
    struct task *tasks[SINK_PARALLEL_MAX];
    size_t most = sink_parallel(sink), started = 0;
    if (most > count)
        most = count;
    /* One of them is this thread itself; and without any other it does everything. */
    while (started + 1 < most && task_start(&tasks[started], run_each, &each, e) == 0)
        started++;
    int result = run_each(&each, e);
    for (size_t i = 0; i < started; i++) {
        struct error why;
        if (task_join(tasks[i], &why) == 0)
            continue;
        if (result == 0)
            *e = why;
        result = -1;
    }
    return result;
}

/* ---- in order ---- */

/* Read ahead, while others are: a larger object is read again when it is its turn, so that what the place can make us
 * hold is one of the largest, whatever the number of connections is. */
#define AHEAD_MAX ((size_t)1 << 20)

/* Reads every so many-th object, while those before it are given. */
struct lane {
    struct sink *sink;
    const char *key; /* NULL = no more */
    size_t maximum;
    struct bytes object;
    struct task *task; /* NULL = not reading yet */
};

static int read_object(void *context, struct error *e)
{
    struct lane *lane = context;
    bytes_reset(&lane->object);
    return sink_get(lane->sink, lane->key, lane->maximum, &lane->object, e);
}

static int read_ahead(void *context, struct error *e)
{
    struct lane *lane = context;
    bytes_reset(&lane->object);
    return sink_get(lane->sink, lane->key, lane->maximum < AHEAD_MAX ? lane->maximum : AHEAD_MAX, &lane->object, e);
}

/* The next key, if there is one, for this lane. Without a thread it is read when it is wanted. */
static void begin(struct lane *lane, const char **keys, const char *end, bool alone)
{
    struct error ignored;
    lane->key = *keys < end ? *keys : NULL;
    if (!lane->key)
        return;
    *keys += strlen(*keys) + 1;
    if (alone || task_start(&lane->task, read_ahead, lane, &ignored) < 0)
        lane->task = NULL;
}

static int give(struct lane *lane, sink_got *got, void *context, struct error *e)
{
    struct error why;
    int result = lane->task ? task_join(lane->task, &why) : -1;
    if (!lane->task || (result < 0 && why.class == ERROR_INTEGRITY && lane->maximum > AHEAD_MAX))
        result = read_object(lane, &why);
    lane->task = NULL;
    result = got(context, lane->key, result == 0 ? &lane->object : NULL, &why, e);
    if (lane->object.length > AHEAD_MAX)
        bytes_free(&lane->object);
    return result;
}

int sink_get_each(struct sink *sink, const char *keys, size_t n, size_t maximum, sink_got *got, void *context,
                  struct error *e)
{
    struct lane lanes[SINK_PARALLEL_MAX] = {{.key = NULL}};
    const char *end = keys + n;
    size_t count = sink_parallel(sink);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        lanes[i] = (struct lane){.sink = sink, .maximum = maximum, .object = {.maximum = maximum}};
        begin(&lanes[i], &keys, end, count == 1);
    }
    for (size_t i = 0; result == 0 && lanes[i].key; i = (i + 1) % count) {
        result = give(&lanes[i], got, context, e);
        begin(&lanes[i], &keys, end, count == 1);
    }
    for (size_t i = 0; i < count; i++) {
        struct error ignored;
        if (lanes[i].task)
            (void)task_join(lanes[i].task, &ignored);
        bytes_free(&lanes[i].object);
    }
    return result;
}
