#include "repository/readahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "flow/task.h"
#include "repository/repository.h"
#include "worker/sink.h"

/* All buffers together, in bytes: two for each runner, so that what has arrived and is not wanted yet keeps nobody from
 * reading on. Few runners ask for much at a time, so that latency does not set their speed either. */
#define MEMORY ((size_t)48 << 20)
#define WINDOW_MIN ((size_t)4 << 20)
#define WINDOW_MAX ((size_t)8 << 20)
#define BUFFERS_MAX (MEMORY / WINDOW_MIN)

/* Neighbouring chunks of a pack. */
struct window {
    struct pack_name pack;
    uint64_t from, to;
    size_t chunks; /* expected and not taken */
    bool header;   /* the pack's header is wanted too */
    enum { EXPECTED, READING, READ } state;
    uint8_t *buffer;    /* the header, if any, and the bytes; NULL while EXPECTED */
    struct error error; /* once READ; class ERROR_NONE: the bytes are there */
};

/* A thread that reads. */
struct runner {
    struct readahead *readahead;
    struct task *task;
};

struct readahead {
    struct repository *repository;
    struct runner runners[BUFFERS_MAX];
    size_t runner_count, runner_limit;
    size_t window;        /* bytes of a window at most */
    pthread_mutex_t lock; /* guards what follows, but not what a runner has of the window that it reads */
    pthread_cond_t to_read, read;
    struct window windows[READAHEAD_CHUNKS]; /* a ring: those not taken, oldest first */
    size_t first, count, begun;              /* of count; the oldest ones are begun */
    uint8_t *spare[BUFFERS_MAX];
    size_t spare_count, buffer_count;
    bool wanted; /* somebody waits for the oldest window */
    bool over;
};

int readahead_new(struct repository *repository, struct readahead **readahead, struct error *e)
{
    *readahead = NULL;
    unsigned parallel = sink_parallel(repository->sink);
    if (parallel < 2)
        return 0;
    struct readahead *a = calloc(1, sizeof *a);
    if (!a)
        return error_memory(e);
    a->repository = repository;
    a->runner_limit = parallel - 1 < BUFFERS_MAX ? parallel - 1 : BUFFERS_MAX;
    a->window = MEMORY / (2 * a->runner_limit);
    a->window = a->window < WINDOW_MIN ? WINDOW_MIN : a->window > WINDOW_MAX ? WINDOW_MAX : a->window;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->to_read, NULL);
    pthread_cond_init(&a->read, NULL);
    *readahead = a;
    return 0;
}

void readahead_free(struct readahead *readahead)
{
    struct error ignored;
    if (!readahead)
        return;
    pthread_mutex_lock(&readahead->lock);
    readahead->over = true;
    pthread_cond_broadcast(&readahead->to_read);
    pthread_mutex_unlock(&readahead->lock);
    for (size_t i = 0; i < readahead->runner_count; i++)
        task_join(readahead->runners[i].task, &ignored);
    for (size_t i = 0; i < readahead->begun; i++)
        free(readahead->windows[(readahead->first + i) % READAHEAD_CHUNKS].buffer);
    for (size_t i = 0; i < readahead->spare_count; i++)
        free(readahead->spare[i]);
    pthread_mutex_destroy(&readahead->lock);
    pthread_cond_destroy(&readahead->to_read);
    pthread_cond_destroy(&readahead->read);
    free(readahead);
}

static struct window *window_at(struct readahead *a, size_t i)
{
    return &a->windows[(a->first + i) % READAHEAD_CHUNKS];
}

/* ---- reading ---- */

static int read_window(struct sink *sink, const struct window *w, struct error *e)
{
    char key[201];
    pack_name_key(&w->pack, key);
    /* At the pack's beginning the two are one. */
    if (w->header && w->from == PACK_HEADER_SIZE)
        return sink_get_range(sink, key, 0, w->buffer, (size_t)w->to, e);
    if (w->header && sink_get_range(sink, key, 0, w->buffer, PACK_HEADER_SIZE, e) < 0)
        return -1;
    return sink_get_range(sink, key, w->from, w->buffer + PACK_HEADER_SIZE, (size_t)(w->to - w->from), e);
}

/* The next window to read, with a buffer; NULL when there is none yet. The last one may still grow: it waits, unless it
 * is large already or is the one that is wanted. */
static struct window *begin_locked(struct readahead *a)
{
    if (a->begun == a->count || a->spare_count == 0)
        return NULL;
    struct window *w = window_at(a, a->begun);
    bool grows = a->begun + 1 == a->count && w->to - w->from < a->window / 2;
    if (grows && !(a->wanted && a->begun == 0))
        return NULL;
    w->state = READING;
    w->buffer = a->spare[--a->spare_count];
    a->begun++;
    return w;
}

static int run(void *context, struct error *e)
{
    struct runner *r = context;
    struct readahead *a = r->readahead;
    pthread_mutex_lock(&a->lock);
    while (!a->over) {
        struct window *w = begin_locked(a);
        if (!w) {
            pthread_cond_wait(&a->to_read, &a->lock);
            continue;
        }
        pthread_mutex_unlock(&a->lock);
        int result = read_window(a->repository->sink, w, e);
        pthread_mutex_lock(&a->lock);
        w->error.class = ERROR_NONE;
        if (result < 0)
            w->error = *e;
        w->state = READ;
        pthread_cond_signal(&a->read);
    }
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static int add_buffer(struct readahead *a, struct error *e)
{
    if (a->buffer_count == MEMORY / a->window)
        return 0;
    uint8_t *buffer = malloc(PACK_HEADER_SIZE + a->window);
    if (!buffer)
        return error_memory(e);
    a->buffer_count++;
    pthread_mutex_lock(&a->lock);
    a->spare[a->spare_count++] = buffer;
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static int try_runner(struct readahead *a, struct error *e)
{
    struct runner *r = &a->runners[a->runner_count];
    r->readahead = a;
    for (size_t i = 0; i < 2; i++)
        if (add_buffer(a, e) < 0)
            return -1;
    return task_start(&r->task, run, r, e);
}

/* One more, unless there are as many as there can be. */
static void add_runner(struct readahead *a)
{
    struct error why;
    if (a->runner_count == a->runner_limit)
        return;
    if (try_runner(a, &why) == 0) {
        a->runner_count++;
        return;
    }
    log_line(LOG_WARNING, "sink '%s': it is read with fewer threads: %s", sink_name(a->repository->sink), why.message);
    a->runner_limit = a->runner_count;
}

/* ---- expecting and taking ---- */

static bool joins(const struct readahead *a, const struct window *w, const struct index_location *l)
{
    return w->state == EXPECTED && pack_name_is(&w->pack, &l->pack) && l->chunk.offset == w->to &&
           l->chunk.stored <= a->window - (w->to - w->from);
}

static void expect_locked(struct readahead *a, const struct index_location *l)
{
    struct window *last = a->count > 0 ? window_at(a, a->count - 1) : NULL;
    bool same = last && pack_name_is(&last->pack, &l->pack);
    if (last && joins(a, last, l)) {
        last->to += l->chunk.stored;
        last->chunks++;
    } else if (a->count < READAHEAD_CHUNKS && l->chunk.stored <= a->window) {
        struct window *w = window_at(a, a->count++);
        *w = (struct window){.from = l->chunk.offset,
                             .to = (uint64_t)l->chunk.offset + l->chunk.stored,
                             .chunks = 1,
                             .header = !same,
                             .state = EXPECTED};
        w->pack = l->pack;
    }
}

void readahead_expect(struct readahead *readahead, const struct index_location *location)
{
    if (readahead->runner_count < readahead->count + 1)
        add_runner(readahead);
    if (readahead->runner_count == 0)
        return;
    pthread_mutex_lock(&readahead->lock);
    expect_locked(readahead, location);
    pthread_cond_broadcast(&readahead->to_read);
    pthread_mutex_unlock(&readahead->lock);
}

bool readahead_is_next(const struct readahead *readahead, const struct index_location *location)
{
    if (!readahead || readahead->count == 0)
        return false;
    const struct window *w = &readahead->windows[readahead->first];
    return pack_name_is(&w->pack, &location->pack) && location->chunk.offset >= w->from &&
           (uint64_t)location->chunk.offset + location->chunk.stored <= w->to;
}

static struct window *wait_for_oldest(struct readahead *a)
{
    pthread_mutex_lock(&a->lock);
    struct window *w = window_at(a, 0);
    a->wanted = true;
    pthread_cond_signal(&a->to_read);
    while (w->state != READ)
        pthread_cond_wait(&a->read, &a->lock);
    a->wanted = false;
    pthread_mutex_unlock(&a->lock);
    return w;
}

static void drop_oldest(struct readahead *a)
{
    pthread_mutex_lock(&a->lock);
    a->spare[a->spare_count++] = window_at(a, 0)->buffer;
    a->first = (a->first + 1) % READAHEAD_CHUNKS;
    a->count--;
    a->begun--;
    pthread_cond_signal(&a->to_read);
    pthread_mutex_unlock(&a->lock);
}

int readahead_take(struct readahead *readahead, const struct index_location *location, uint8_t *out,
                   uint8_t header[PACK_HEADER_SIZE], bool *has_header, struct error *e)
{
    struct window *w = wait_for_oldest(readahead);
    int result = w->error.class == ERROR_NONE ? 0 : -1;
    if (result < 0) {
        *e = w->error;
    } else {
        *has_header = w->header;
        memcpy(header, w->buffer, PACK_HEADER_SIZE);
        memcpy(out, w->buffer + PACK_HEADER_SIZE + (location->chunk.offset - w->from), location->chunk.stored);
    }
    if (--w->chunks == 0)
        drop_oldest(readahead);
    return result;
}
