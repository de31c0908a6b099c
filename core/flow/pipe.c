#include "flow/pipe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"

#define SLICE 100 /* ms between looks at the cancellation */

struct pipe {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    bool (*cancelled)(void);
    bool ended, failed;
    struct error error;
    size_t size, start, length; /* of what lies in data */
    uint8_t data[];
};

int pipe_new(const struct pipe_spec *spec, struct pipe **pipe, struct error *e)
{
    struct pipe *p = malloc(sizeof *p + spec->size);
    if (!p)
        return error_memory(e);
    memset(p, 0, sizeof *p);
    p->size = spec->size;
    p->cancelled = spec->cancelled;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->moved, &attributes);
    pthread_condattr_destroy(&attributes);
    *pipe = p;
    return 0;
}

void pipe_free(struct pipe *pipe)
{
    if (!pipe)
        return;
    pthread_cond_destroy(&pipe->moved);
    pthread_mutex_destroy(&pipe->mutex);
    free(pipe);
}

static void fail(struct pipe *p, const struct error *why)
{
    if (!p->failed)
        p->error = *why;
    p->failed = true;
    pthread_cond_broadcast(&p->moved);
}

/* A while, with the mutex held. since: of the wait. */
static void wait_for(struct pipe *p, int64_t since, int64_t patience)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SLICE * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&p->moved, &p->mutex, &until);
    struct error why;
    if (p->cancelled && p->cancelled()) {
        error_set(&why, ERROR_CANCELLED, "cancelled");
        fail(p, &why);
    } else if (patience > 0 && clock_monotonic() - since > patience) {
        error_set(&why, ERROR_TIMEOUT, "moved no byte for %lld s", (long long)(patience / 1000));
        fail(p, &why);
    }
}

/* Copy as much as there is room for. */
static size_t put(struct pipe *p, const uint8_t *from, size_t n)
{
    size_t room = p->size - p->length, end = (p->start + p->length) % p->size;
    n = n < room ? n : room;
    size_t first = n < p->size - end ? n : p->size - end;
    memcpy(p->data + end, from, first);
    memcpy(p->data, from + first, n - first);
    p->length += n;
    return n;
}

static size_t take(struct pipe *p, uint8_t *to, size_t n)
{
    n = n < p->length ? n : p->length;
    size_t first = n < p->size - p->start ? n : p->size - p->start;
    memcpy(to, p->data + p->start, first);
    memcpy(to + first, p->data, n - first);
    p->start = (p->start + n) % p->size;
    p->length -= n;
    return n;
}

int pipe_write(struct pipe *pipe, const void *p, size_t n, int64_t patience, struct error *e)
{
    const uint8_t *from = p;
    pthread_mutex_lock(&pipe->mutex);
    ASSERT(!pipe->ended);
    while (n > 0 && !pipe->failed) {
        for (int64_t since = clock_monotonic(); pipe->length == pipe->size && !pipe->failed;)
            wait_for(pipe, since, patience);
        if (pipe->failed)
            break;
        size_t moved = put(pipe, from, n);
        from += moved;
        n -= moved;
        pthread_cond_signal(&pipe->moved);
    }
    bool failed = pipe->failed;
    if (failed)
        *e = pipe->error;
    pthread_mutex_unlock(&pipe->mutex);
    return failed ? -1 : 0;
}

void pipe_end(struct pipe *pipe)
{
    pthread_mutex_lock(&pipe->mutex);
    pipe->ended = true;
    pthread_cond_broadcast(&pipe->moved);
    pthread_mutex_unlock(&pipe->mutex);
}

int pipe_read(struct pipe *pipe, void *p, size_t n, size_t *got, int64_t patience, struct error *e)
{
    pthread_mutex_lock(&pipe->mutex);
    for (int64_t since = clock_monotonic(); pipe->length == 0 && !pipe->ended && !pipe->failed;)
        wait_for(pipe, since, patience);
    bool failed = pipe->failed;
    *got = failed ? 0 : take(pipe, p, n);
    if (failed)
        *e = pipe->error;
    pthread_cond_signal(&pipe->moved);
    pthread_mutex_unlock(&pipe->mutex);
    return failed ? -1 : 0;
}

void pipe_fail(struct pipe *pipe, const struct error *why)
{
    pthread_mutex_lock(&pipe->mutex);
    if (!pipe->ended || pipe->length > 0)
        fail(pipe, why);
    pthread_mutex_unlock(&pipe->mutex);
}
