#include "flow/line.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/error.h"
#include "flow/task.h"

enum state { FREE, READY, WORKING, DONE };

#define WORKERS_MAX 64
#define YIELDING 10 /* added to a worker's nice value */

/* Items travel round the ring: [consumed, submitted) are in flight, and started is the next that a worker takes. */
struct line {
    struct line_spec spec;
    enum state *states;
    uint64_t submitted, started, consumed;
    bool stop;
    bool failed;
    struct error failure;
    pthread_mutex_t lock; /* guards all above */
    pthread_cond_t free_slot, ready, done;
    size_t next_worker; /* number for the next worker that starts */
    struct task *tasks[WORKERS_MAX + 1];
    size_t task_count;
};

static void fail_locked(struct line *line, const struct error *e)
{
    if (!line->failed) {
        line->failed = true;
        line->failure = *e;
    }
    pthread_cond_broadcast(&line->free_slot);
    pthread_cond_broadcast(&line->ready);
    pthread_cond_broadcast(&line->done);
}

static bool stopped(const struct line *line)
{
    return line->stop || line->failed;
}

/* Workers compute for long without a wait. On a busy machine they give way to those who feed the line and carry off
 * what it makes, such as the program that dumps a database, or rsync: these need little, but at once. On Linux a nice
 * value is that of a thread. */
static void give_way(void)
{
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + YIELDING);
}

static int worker(void *context, struct error *e)
{
    struct line *line = context;
    give_way();
    pthread_mutex_lock(&line->lock);
    size_t number = line->next_worker++;
    for (;;) {
        while (!stopped(line) && line->started == line->submitted)
            pthread_cond_wait(&line->ready, &line->lock);
        if (stopped(line))
            break;
        size_t slot = line->started++ % line->spec.slots;
        line->states[slot] = WORKING;
        pthread_mutex_unlock(&line->lock);
        int result = line->spec.work(line->spec.context, number, line->spec.items[slot], e);
        pthread_mutex_lock(&line->lock);
        line->states[slot] = DONE;
        if (result < 0)
            fail_locked(line, e);
        pthread_cond_signal(&line->done);
    }
    pthread_mutex_unlock(&line->lock);
    return 0;
}

static int consumer(void *context, struct error *e)
{
    struct line *line = context;
    pthread_mutex_lock(&line->lock);
    for (;;) {
        size_t slot = line->consumed % line->spec.slots;
        while (!stopped(line) && line->states[slot] != DONE)
            pthread_cond_wait(&line->done, &line->lock);
        if (stopped(line))
            break;
        pthread_mutex_unlock(&line->lock);
        int result = line->spec.consume(line->spec.context, line->spec.items[slot], e);
        pthread_mutex_lock(&line->lock);
        line->states[slot] = FREE;
        line->consumed++;
        if (result < 0)
            fail_locked(line, e);
        pthread_cond_signal(&line->free_slot);
    }
    pthread_mutex_unlock(&line->lock);
    return 0;
}

static int start_tasks(struct line *line, struct error *e)
{
    for (size_t i = 0; i < line->spec.workers; i++) {
        if (task_start(&line->tasks[line->task_count], worker, line, e) < 0)
            return -1;
        line->task_count++;
    }
    if (line->spec.workers > 0) {
        if (task_start(&line->tasks[line->task_count], consumer, line, e) < 0)
            return -1;
        line->task_count++;
    }
    return 0;
}

int line_new(const struct line_spec *spec, struct line **line, struct error *e)
{
    ASSERT(spec->slots > 0 && spec->workers <= WORKERS_MAX);
    struct line *l = calloc(1, sizeof *l);
    if (!l)
        return error_memory(e);
    l->spec = *spec;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->free_slot, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->done, NULL);
    l->states = calloc(spec->slots, sizeof *l->states);
    if (!l->states)
        error_memory(e);
    if (!l->states || start_tasks(l, e) < 0) {
        line_free(l);
        return -1;
    }
    *line = l;
    return 0;
}

static int failure(const struct line *line, struct error *e)
{
    *e = line->failure;
    return -1;
}

int line_slot(struct line *line, void **item, struct error *e)
{
    pthread_mutex_lock(&line->lock);
    while (!line->failed && line->submitted - line->consumed == line->spec.slots)
        pthread_cond_wait(&line->free_slot, &line->lock);
    int result = line->failed ? failure(line, e) : 0;
    *item = line->spec.items[line->submitted % line->spec.slots];
    pthread_mutex_unlock(&line->lock);
    return result;
}

static int run_inline(struct line *line, struct error *e)
{
    void *item = line->spec.items[line->submitted % line->spec.slots];
    if (line->failed)
        return failure(line, e);
    if (line->spec.work(line->spec.context, 0, item, e) < 0 || line->spec.consume(line->spec.context, item, e) < 0) {
        fail_locked(line, e);
        return -1;
    }
    line->submitted++;
    line->consumed++;
    return 0;
}

int line_submit(struct line *line, struct error *e)
{
    if (line->spec.workers == 0)
        return run_inline(line, e);
    pthread_mutex_lock(&line->lock);
    line->states[line->submitted % line->spec.slots] = READY;
    line->submitted++;
    int result = line->failed ? failure(line, e) : 0;
    pthread_cond_signal(&line->ready);
    pthread_mutex_unlock(&line->lock);
    return result;
}

uint64_t line_consumed(struct line *line)
{
    pthread_mutex_lock(&line->lock);
    uint64_t consumed = line->consumed;
    pthread_mutex_unlock(&line->lock);
    return consumed;
}

int line_drain(struct line *line, struct error *e)
{
    pthread_mutex_lock(&line->lock);
    while (!line->failed && line->consumed != line->submitted)
        pthread_cond_wait(&line->free_slot, &line->lock);
    int result = line->failed ? failure(line, e) : 0;
    pthread_mutex_unlock(&line->lock);
    return result;
}

void line_free(struct line *line)
{
    if (!line)
        return;
    pthread_mutex_lock(&line->lock);
    line->stop = true;
    pthread_cond_broadcast(&line->ready);
    pthread_cond_broadcast(&line->done);
    pthread_mutex_unlock(&line->lock);
    struct error ignored;
    for (size_t i = 0; i < line->task_count; i++)
        task_join(line->tasks[i], &ignored); /* their errors are kept in line->failure */
    pthread_mutex_destroy(&line->lock);
    pthread_cond_destroy(&line->free_slot);
    pthread_cond_destroy(&line->ready);
    pthread_cond_destroy(&line->done);
    free(line->states);
    free(line);
}
