#include "worker/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/slots.h"
#include "snapshot/path.h"
#include "worker/retry.h"
#include "worker/sink_connection.h"

_Static_assert(SINK_PARALLEL_MAX <= SLOTS_MAX, "a slot for each connection");

struct sink {
    char *name;
    /* NULL = not started. Each is used, and set, by who has its slot, and looked at by who looks for his own. */
    struct worker *_Atomic connections[SINK_PARALLEL_MAX];
    struct slots *slots;
    struct slots *starting; /* one at a time */
    unsigned least;
    _Atomic unsigned parallel;
    int64_t lock;
    int (*connect)(void *context, struct worker **worker, struct error *e);
    int (*renew)(void *context, struct worker **worker, struct error *e);
    void *context;
    void (*forget)(void *context);
};

int sink_new(struct worker *first, const struct sink_spec *spec, struct sink **sink, struct error *e)
{
    struct sink *s = calloc(1, sizeof *s);
    if (!s) {
        worker_stop(first);
        if (spec->forget)
            spec->forget(spec->context);
        return error_memory(e);
    }
    unsigned parallel = spec->parallel > spec->least ? spec->parallel : spec->least;
    parallel = !spec->connect || parallel < 1 ? 1 : parallel;
    s->parallel = parallel < SINK_PARALLEL_MAX ? parallel : SINK_PARALLEL_MAX;
    s->connections[0] = first;
    s->least = spec->least;
    s->lock = spec->lock;
    s->connect = spec->connect;
    s->renew = spec->renew;
    s->context = spec->context;
    s->forget = spec->forget;
    s->name = text_copy(spec->name);
    if (!s->name)
        error_memory(e);
    if (!s->name || slots_new(s->parallel, &s->slots, e) < 0 || slots_new(1, &s->starting, e) < 0) {
        sink_free(s);
        return -1;
    }
    *sink = s;
    return 0;
}

void sink_free(struct sink *sink)
{
    if (!sink)
        return;
    for (size_t i = 0; i < SINK_PARALLEL_MAX; i++)
        worker_stop(sink->connections[i]);
    if (sink->forget)
        sink->forget(sink->context);
    slots_free(sink->slots);
    slots_free(sink->starting);
    free(sink->name);
    free(sink);
}

const char *sink_name(const struct sink *sink)
{
    return sink->name;
}

/* Processes, descriptors, memory, room. */
static bool is_lack(int os_errno)
{
    return os_errno == EAGAIN || os_errno == ENOMEM || os_errno == EMFILE || os_errno == ENFILE || os_errno == ENOSPC ||
           os_errno == EDQUOT;
}

bool sink_is_of_object(const struct error *why)
{
    if (is_lack(why->os_errno))
        return false;
    switch (why->class) {
    case ERROR_NONE:
    case ERROR_RETRY:
    case ERROR_BUSY:
    case ERROR_TIMEOUT:
    case ERROR_CANCELLED:
    case ERROR_MEMORY:
    case ERROR_BUG:
    case ERROR_USAGE:
    case ERROR_NOT_INITIALISED:
    case ERROR_PLUGIN:
        return false;
    default:
        return true;
    }
}

const struct plugin_info *sink_plugin(const struct sink *sink)
{
    return worker_plugin(sink->connections[0]);
}

unsigned sink_parallel(const struct sink *sink)
{
    return sink->parallel;
}

int64_t sink_lock(const struct sink *sink)
{
    return sink->lock;
}

/* ---- connections ---- */

/* Could the connection not be started, can it be done without? Then there are fewer from now on. */
static bool make_do(struct sink *s, size_t slot, const struct error *why)
{
    if (slot < s->least || why->class == ERROR_CANCELLED)
        return false;
    log_line(LOG_WARNING, "sink '%s': it is used with fewer connections: %s", s->name, why->message);
    slots_limit(s->slots, slot);
    s->parallel = (unsigned)slot;
    return true;
}

/* One at a time, so that those who wait for their turn know of a failure, and neither repeat it nor take back what came
 * of it. *worker stays NULL: it is done without this one. */
static int start(struct sink *s, size_t slot, struct worker **worker, struct error *e)
{
    size_t turn = slots_take(s->starting);
    int result = 0;
    if (slot < s->parallel && s->connect(s->context, worker, e) < 0) {
        *worker = NULL;
        result = make_do(s, slot, e) ? 0 : -1;
    }
    slots_give(s->starting, turn);
    s->connections[slot] = *worker;
    return result;
}

int sink_connection_take(struct sink *sink, struct worker **worker, struct error *e)
{
    for (;;) {
        size_t slot = slots_take(sink->slots);
        *worker = sink->connections[slot];
        int result = *worker ? 0 : start(sink, slot, worker, e);
        if (*worker)
            return 0;
        slots_give(sink->slots, slot);
        if (result < 0)
            return -1;
    }
}

void sink_connection_give(struct sink *sink, struct worker *worker)
{
    size_t slot = 0;
    while (sink->connections[slot] != worker)
        slot++;
    slots_give(sink->slots, slot);
}

int sink_connection_check_key(const struct worker *w, const char *key, struct error *e)
{
    if (path_is_key(key, strlen(key)))
        return 0;
    return call_error(w, e, ERROR_BUG, "'%s' is no key of an object", key);
}

/* ---- calls without content ---- */

/* With whatever arguments there are, on one connection, until it works or is not worth another try. */
struct simple {
    struct worker *w;
    enum wire_call kind;
    const char *key;      /* NULL = none */
    int64_t number;       /* sweep, retain */
    struct cursor *reply; /* NULL = none wanted */
};

static int try_simple(void *context, struct error *e)
{
    struct simple *s = context;
    struct bytes *b = call_arguments(s->w);
    if (s->key)
        wire_put_string(b, s->key);
    bytes_put_u64(b, (uint64_t)s->number);
    return s->reply ? call_reply(s->w, s->kind, s->reply, e) : call_simple(s->w, s->kind, e);
}

static int run_simple(struct simple *s, struct error *e)
{
    if (s->key && sink_connection_check_key(s->w, s->key, e) < 0)
        return -1;
    return retry_run(s->w->patience, try_simple, s, e);
}

/* The same, on any connection. */
static int run_any(struct sink *sink, struct simple *s, struct error *e)
{
    if (sink_connection_take(sink, &s->w, e) < 0)
        return -1;
    int result = run_simple(s, e);
    sink_connection_give(sink, s->w);
    return result;
}

/* On each that there is. */
static int run_every(struct sink *sink, struct simple *s, struct error *e)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < SINK_PARALLEL_MAX; i++) {
        slots_take_one(sink->slots, i);
        s->w = sink->connections[i];
        if (s->w)
            result = run_simple(s, e);
        slots_give(sink->slots, i);
    }
    return result;
}

static bool offers(const struct sink *sink, uint32_t what)
{
    return sink_plugin(sink)->offers & what;
}

static int renew_first(struct sink *sink, struct error *e)
{
    size_t slot = slots_take(sink->slots);
    ASSERT(slot == 0); /* nothing else was begun yet */
    struct worker *worker = sink->connections[slot];
    int result = sink->renew(sink->context, &worker, e);
    sink->connections[slot] = worker;
    slots_give(sink->slots, slot);
    return result;
}

int sink_create(struct sink *sink, struct error *e)
{
    if (!offers(sink, PLUGIN_OFFERS_CREATE))
        return 0;
    if (run_any(sink, &(struct simple){.kind = WIRE_CREATE}, e) < 0)
        return -1;
    return sink->renew ? renew_first(sink, e) : 0;
}

/* Where a put is durable only after a sync, one connection may still hold what it took, and others cannot see it. */
int sink_remove(struct sink *sink, const char *key, struct error *e)
{
    struct simple simple = {.kind = WIRE_REMOVE, .key = key};
    return offers(sink, PLUGIN_OFFERS_SYNC) ? run_every(sink, &simple, e) : run_any(sink, &simple, e);
}

int sink_sync(struct sink *sink, struct error *e)
{
    return offers(sink, PLUGIN_OFFERS_SYNC) ? run_every(sink, &(struct simple){.kind = WIRE_SYNC}, e) : 0;
}

int sink_sweep(struct sink *sink, int64_t older_than, struct error *e)
{
    return offers(sink, PLUGIN_OFFERS_SWEEP)
               ? run_any(sink, &(struct simple){.kind = WIRE_SWEEP, .number = older_than}, e)
               : 0;
}

int sink_retain(struct sink *sink, const char *key, int64_t until, struct error *e)
{
    if (!offers(sink, PLUGIN_OFFERS_RETAIN))
        return call_error(sink->connections[0], e, ERROR_UNSUPPORTED, "plugin '%s' cannot protect objects",
                          sink_plugin(sink)->name);
    return run_any(sink, &(struct simple){.kind = WIRE_RETAIN, .key = key, .number = until}, e);
}

static int stat_object(struct worker *w, const char *key, uint64_t *size, struct error *e)
{
    struct cursor reply;
    if (run_simple(&(struct simple){.w = w, .kind = WIRE_STAT, .key = key, .reply = &reply}, e) < 0)
        return -1;
    *size = cursor_u64(&reply);
    cursor_u64(&reply);
    if (!cursor_done(&reply) || *size > INT64_MAX)
        return call_offence(w, e, "gave '%s' an impossible size", key);
    return 0;
}

int sink_stat(struct sink *sink, const char *key, uint64_t *size, struct error *e)
{
    struct worker *w;
    if (sink_connection_take(sink, &w, e) < 0)
        return -1;
    int result = stat_object(w, key, size, e);
    sink_connection_give(sink, w);
    return result;
}

static int ask_space(struct worker *w, int64_t *total, int64_t *available, struct error *e)
{
    struct cursor reply;
    if (run_simple(&(struct simple){.w = w, .kind = WIRE_SPACE, .reply = &reply}, e) < 0)
        return -1;
    *total = (int64_t)cursor_u64(&reply);
    *available = (int64_t)cursor_u64(&reply);
    if (!cursor_done(&reply) || *total < -1 || *available < -1)
        return call_offence(w, e, "said impossible things of its space");
    return 0;
}

int sink_space(struct sink *sink, int64_t *total, int64_t *available, struct error *e)
{
    struct worker *w;
    *total = *available = -1;
    if (!offers(sink, PLUGIN_OFFERS_SPACE))
        return 0;
    if (sink_connection_take(sink, &w, e) < 0)
        return -1;
    int result = ask_space(w, total, available, e);
    sink_connection_give(sink, w);
    return result;
}
