#include "store/ahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/task.h"
#include "store/repository.h"
#include "worker/sink.h"

/* Neighbouring chunks of a pack. */
struct window {
    uint8_t pack[SEAL_HASH_SIZE];
    uint64_t from, to;
    size_t chunks; /* expected and not taken */
    bool header;   /* the pack's header is wanted too */
    int runner;    /* -1: not begun */
};

/* A worker and its memory; at work, or holding a window until it is taken. */
struct runner {
    struct worker *worker;
    struct task *task;
    uint8_t *buffer;      /* the header, if any, and AHEAD_WINDOW bytes */
    struct window window; /* a copy, which does not move */
    bool used, done;
    struct error error; /* class ERROR_NONE: the bytes are there */
};

struct ahead {
    struct repository *repository;
    struct window windows[AHEAD_CHUNKS]; /* a ring: those not taken, oldest first */
    size_t first, count;
    struct runner runners[REPOSITORY_WORKERS_MAX];
    size_t runner_count;
};

int ahead_new(struct repository *repository, struct ahead **ahead, struct error *e)
{
    *ahead = NULL;
    if (repository->parallel < 2)
        return 0;
    *ahead = calloc(1, sizeof **ahead);
    if (!*ahead)
        return error_memory(e);
    (*ahead)->repository = repository;
    (*ahead)->runner_count = repository->parallel - 1;
    return 0;
}

void ahead_free(struct ahead *ahead)
{
    struct error ignored;
    if (!ahead)
        return;
    for (size_t i = 0; i < ahead->runner_count; i++) {
        if (ahead->runners[i].task)
            task_join(ahead->runners[i].task, &ignored);
        free(ahead->runners[i].buffer);
    }
    free(ahead);
}

static struct window *window_at(struct ahead *a, size_t i)
{
    return &a->windows[(a->first + i) % AHEAD_CHUNKS];
}

/* ---- reading ---- */

static int read_window(void *context, struct error *e)
{
    struct runner *r = context;
    const struct window *w = &r->window;
    char key[201];
    repository_pack_key(w->pack, key);
    /* At the pack's beginning the two are one. */
    if (w->header && w->from == PACK_HEADER_SIZE)
        return sink_get_range(r->worker, key, 0, r->buffer, (size_t)w->to, e);
    if (w->header && sink_get_range(r->worker, key, 0, r->buffer, PACK_HEADER_SIZE, e) < 0)
        return -1;
    return sink_get_range(r->worker, key, w->from, r->buffer + PACK_HEADER_SIZE, (size_t)(w->to - w->from), e);
}

static int free_runner(const struct ahead *a)
{
    for (size_t i = 0; i < a->runner_count; i++)
        if (!a->runners[i].used)
            return (int)i;
    return -1;
}

static void begin(struct ahead *a, struct window *w, int number)
{
    struct runner *r = &a->runners[number];
    r->used = true;
    r->done = false;
    r->error.class = ERROR_NONE;
    r->window = *w;
    w->runner = number;
    if (!r->buffer && !(r->buffer = malloc(PACK_HEADER_SIZE + AHEAD_WINDOW)))
        error_memory(&r->error);
    else if (repository_worker(a->repository, (unsigned)number + 1, &r->worker, &r->error) == 0 &&
             task_start(&r->task, read_window, r, &r->error) == 0)
        return;
    r->task = NULL;
    r->done = true;
}

/* Begin what can be begun, in order. The last window may still grow: it waits, unless it is the one that is wanted. */
static void begin_some(struct ahead *a, bool also_last)
{
    for (size_t i = 0; i < a->count; i++) {
        struct window *w = window_at(a, i);
        int number = free_runner(a);
        if (w->runner >= 0)
            continue;
        if (number < 0 || (i + 1 == a->count && !also_last && w->to - w->from < AHEAD_WINDOW / 2))
            return;
        begin(a, w, number);
    }
}

/* ---- expecting and taking ---- */

static bool grows(const struct window *w, const struct index_location *l)
{
    return w->runner < 0 && memcmp(w->pack, l->pack, SEAL_HASH_SIZE) == 0 && l->chunk.offset == w->to &&
           l->chunk.stored <= AHEAD_WINDOW - (w->to - w->from);
}

void ahead_expect(struct ahead *ahead, const struct index_location *location)
{
    const struct index_location *l = location;
    struct window *last = ahead->count > 0 ? window_at(ahead, ahead->count - 1) : NULL;
    bool same = last && memcmp(last->pack, l->pack, sizeof last->pack) == 0;
    if (last && grows(last, l)) {
        last->to += l->chunk.stored;
        last->chunks++;
        begin_some(ahead, false);
        return;
    }
    if (ahead->count == AHEAD_CHUNKS || l->chunk.stored > AHEAD_WINDOW)
        return;
    struct window *w = window_at(ahead, ahead->count++);
    *w = (struct window){.from = l->chunk.offset,
                         .to = (uint64_t)l->chunk.offset + l->chunk.stored,
                         .chunks = 1,
                         .header = !same,
                         .runner = -1};
    memcpy(w->pack, l->pack, sizeof w->pack);
    begin_some(ahead, false);
}

bool ahead_is_next(const struct ahead *ahead, const struct index_location *location)
{
    if (!ahead || ahead->count == 0)
        return false;
    const struct window *w = &ahead->windows[ahead->first];
    return memcmp(w->pack, location->pack, SEAL_HASH_SIZE) == 0 && location->chunk.offset >= w->from &&
           (uint64_t)location->chunk.offset + location->chunk.stored <= w->to;
}

static void finish(struct runner *r)
{
    if (r->done)
        return;
    if (task_join(r->task, &r->error) == 0)
        r->error.class = ERROR_NONE;
    r->task = NULL;
    r->done = true;
}

int ahead_take(struct ahead *ahead, const struct index_location *location, uint8_t *out,
               uint8_t header[PACK_HEADER_SIZE], bool *has_header, struct error *e)
{
    struct window *w = window_at(ahead, 0);
    /* Readers are given out in order, so the first window has one or can have one. */
    if (w->runner < 0)
        begin_some(ahead, true);
    ASSERT(w->runner >= 0);
    struct runner *r = &ahead->runners[w->runner];
    finish(r);
    int result = r->error.class == ERROR_NONE ? 0 : -1;
    if (result < 0) {
        *e = r->error;
    } else {
        *has_header = r->window.header;
        memcpy(header, r->buffer, PACK_HEADER_SIZE);
        memcpy(out, r->buffer + PACK_HEADER_SIZE + (location->chunk.offset - r->window.from), location->chunk.stored);
    }
    if (--w->chunks == 0) {
        r->used = false;
        ahead->first = (ahead->first + 1) % AHEAD_CHUNKS;
        ahead->count--;
        begin_some(ahead, false);
    }
    return result;
}
