#include "worker/sink.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "snapshot/path.h"
#include "worker/call.h"
#include "worker/retry.h"

#define PIECE (CHANNEL_RING / 4)

static int check_key(const struct worker *w, const char *key, struct error *e)
{
    if (path_is_key(key, strlen(key)))
        return 0;
    return error_set(e, ERROR_BUG, "%s: '%s' is no key of an object", w->instance, key);
}

/* ---- calls without content ---- */

/* Begin, with whatever arguments there are, until it works or is not worth another try. */
struct simple {
    struct worker *w;
    enum wire_call kind;
    const char *key;      /* NULL = none */
    int64_t number;       /* sweep */
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
    if (s->key && check_key(s->w, s->key, e) < 0)
        return -1;
    return retry_run(s->w->patience, try_simple, s, e);
}

int sink_create(struct worker *sink, struct error *e)
{
    if (!(sink->plugin.offers & PLUGIN_OFFERS_CREATE))
        return 0;
    return run_simple(&(struct simple){.w = sink, .kind = WIRE_CREATE}, e);
}

int sink_remove(struct worker *sink, const char *key, struct error *e)
{
    return run_simple(&(struct simple){.w = sink, .kind = WIRE_REMOVE, .key = key}, e);
}

int sink_sync(struct worker *sink, struct error *e)
{
    if (!(sink->plugin.offers & PLUGIN_OFFERS_SYNC))
        return 0;
    return run_simple(&(struct simple){.w = sink, .kind = WIRE_SYNC}, e);
}

int sink_sweep(struct worker *sink, int64_t older_than, struct error *e)
{
    if (!(sink->plugin.offers & PLUGIN_OFFERS_SWEEP))
        return 0;
    return run_simple(&(struct simple){.w = sink, .kind = WIRE_SWEEP, .number = older_than}, e);
}

int sink_retain(struct worker *sink, const char *key, int64_t until, struct error *e)
{
    if (!(sink->plugin.offers & PLUGIN_OFFERS_RETAIN))
        return error_set(e, ERROR_UNSUPPORTED, "%s: plugin '%s' cannot protect objects", sink->instance, sink->name);
    return run_simple(&(struct simple){.w = sink, .kind = WIRE_RETAIN, .key = key, .number = until}, e);
}

int sink_stat(struct worker *sink, const char *key, uint64_t *size, struct error *e)
{
    struct cursor reply;
    if (run_simple(&(struct simple){.w = sink, .kind = WIRE_STAT, .key = key, .reply = &reply}, e) < 0)
        return -1;
    *size = cursor_u64(&reply);
    cursor_u64(&reply);
    if (!cursor_done(&reply) || *size > INT64_MAX)
        return call_offence(sink, e, "gave '%s' an impossible size", key);
    return 0;
}

int sink_space(struct worker *sink, int64_t *total, int64_t *available, struct error *e)
{
    struct cursor reply;
    *total = *available = -1;
    if (!(sink->plugin.offers & PLUGIN_OFFERS_SPACE))
        return 0;
    if (run_simple(&(struct simple){.w = sink, .kind = WIRE_SPACE, .reply = &reply}, e) < 0)
        return -1;
    *total = (int64_t)cursor_u64(&reply);
    *available = (int64_t)cursor_u64(&reply);
    if (!cursor_done(&reply) || *total < -1 || *available < -1)
        return call_offence(sink, e, "said impossible things of its space");
    return 0;
}

/* ---- put ---- */

static int begin_put(struct worker *w, const char *key, bool if_absent, int64_t size, struct error *e)
{
    if (check_key(w, key, e) < 0)
        return -1;
    struct bytes *b = call_arguments(w);
    wire_put_string(b, key);
    bytes_put_u32(b, if_absent ? COFRE_PUT_IF_ABSENT : 0);
    bytes_put_u64(b, (uint64_t)size);
    return call_begin(w, WIRE_PUT, e);
}

/* The call is over before all was sent: with an error, or with a success that cannot be one. */
static int ended_early(struct worker *w, int got, struct error *e)
{
    if (got == 2)
        return call_offence(w, e, "sent a frame during put");
    return got == 0 ? call_offence(w, e, "stored an object before it was complete") : -1;
}

int sink_put_write(struct worker *sink, const void *p, size_t n, struct error *e)
{
    const uint8_t *from = p;
    while (n > 0) {
        struct channel_frame frame;
        uint8_t *to;
        size_t room, most = n < PIECE ? n : PIECE;
        int got = call_room(sink, most, most, &to, &room, &frame, e);
        if (got != 1)
            return ended_early(sink, got, e);
        memcpy(to, from, most);
        channel_commit(&sink->channel, WIRE_DATA, most);
        from += most;
        n -= most;
    }
    return 0;
}

int sink_put_end(struct worker *sink, struct error *e)
{
    struct channel_frame frame;
    uint8_t *to;
    size_t room;
    int got = call_room(sink, 0, 0, &to, &room, &frame, e);
    if (got != 1)
        return ended_early(sink, got, e);
    channel_commit(&sink->channel, WIRE_LAST, 0);
    channel_wake(&sink->channel);
    return call_finish(sink, e);
}

int sink_put_begin(struct worker *sink, const char *key, bool if_absent, struct error *e)
{
    return begin_put(sink, key, if_absent, -1, e);
}

void sink_put_abort(struct worker *sink)
{
    struct error e;
    error_set(&e, ERROR_CANCELLED, "%s: put was given up", sink->instance);
    if (call_abort(sink, &e) < 0 && sink->failure.class != ERROR_NONE)
        log_error(LOG_WARNING, &e);
}

struct put {
    struct worker *w;
    const char *key;
    const void *p;
    size_t n;
    bool if_absent;
    int tries;
};

static int compare_pieces(void *context, const void *p, size_t n, struct error *e)
{
    struct put *put = context;
    if (n > put->n || memcmp(put->p, p, n) != 0)
        return error_set(e, ERROR_EXISTS, "%s: put '%s': there is another object", put->w->instance, put->key);
    put->p = (const uint8_t *)put->p + n;
    put->n -= n;
    return 0;
}

/* An earlier try may have succeeded without our hearing of it. */
static int is_our_own(const struct put *put, struct error *e)
{
    struct put rest = *put;
    if (sink_get_pieces(put->w, put->key, compare_pieces, &rest, e) < 0)
        return -1;
    return rest.n == 0
               ? 0
               : error_set(e, ERROR_EXISTS, "%s: put '%s': there is another object", put->w->instance, put->key);
}

static int try_put(void *context, struct error *e)
{
    struct put *put = context;
    if (begin_put(put->w, put->key, put->if_absent, (int64_t)put->n, e) == 0 &&
        sink_put_write(put->w, put->p, put->n, e) == 0 && sink_put_end(put->w, e) == 0)
        return 0;
    return e->class == ERROR_EXISTS && put->tries++ > 0 ? is_our_own(put, e) : (put->tries++, -1);
}

int sink_put(struct worker *sink, const char *key, const void *p, size_t n, bool if_absent, struct error *e)
{
    struct put put = {.w = sink, .key = key, .p = p, .n = n, .if_absent = if_absent};
    return retry_run(sink->patience, try_put, &put, e);
}

/* ---- get ---- */

struct get {
    struct worker *w;
    const char *key;
    uint64_t offset;
    int64_t length;              /* -1 = to the end */
    int (*start)(void *context); /* before each try; NULL = nothing to do */
    int (*piece)(void *context, const void *p, size_t n, struct error *e);
    void *context;
    uint64_t given; /* bytes that cannot be taken back: another try goes on behind them */
};

static int try_get(void *context, struct error *e)
{
    struct get *get = context;
    struct channel_frame frame;
    int got;
    struct bytes *b = call_arguments(get->w);
    wire_put_string(b, get->key);
    bytes_put_u64(b, get->offset + get->given);
    bytes_put_u64(b, (uint64_t)get->length);
    if (get->start)
        get->start(get->context);
    if (call_begin(get->w, WIRE_GET, e) < 0)
        return -1;
    while ((got = call_next(get->w, &frame, e)) == 1) {
        if (frame.type != WIRE_DATA)
            return call_offence(get->w, e, "sent what is no content during get");
        get->given += get->start ? 0 : frame.length;
        if (get->piece(get->context, frame.payload, frame.length, e) < 0)
            return call_abort(get->w, e);
    }
    return got;
}

static int run_get(struct get *get, struct error *e)
{
    return check_key(get->w, get->key, e) < 0 ? -1 : retry_run(get->w->patience, try_get, get, e);
}

int sink_get_pieces(struct worker *sink, const char *key, int (*piece)(void *, const void *, size_t, struct error *),
                    void *context, struct error *e)
{
    return run_get(&(struct get){.w = sink, .key = key, .length = -1, .piece = piece, .context = context}, e);
}

struct whole {
    struct worker *w;
    const char *key;
    struct bytes *out;
    size_t before, maximum;
};

static int whole_start(void *context)
{
    struct whole *whole = context;
    whole->out->length = whole->before;
    return 0;
}

static int whole_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct whole *whole = context;
    if (n > whole->maximum - (whole->out->length - whole->before))
        return error_set(e, ERROR_INTEGRITY, "%s: get '%s': it is larger than %zu bytes", whole->w->instance,
                         whole->key, whole->maximum);
    bytes_put(whole->out, p, n);
    return bytes_check(whole->out, whole->key, e);
}

int sink_get(struct worker *sink, const char *key, size_t maximum, struct bytes *out, struct error *e)
{
    struct whole whole = {.w = sink, .key = key, .out = out, .before = out->length, .maximum = maximum};
    return run_get(
        &(struct get){
            .w = sink, .key = key, .length = -1, .start = whole_start, .piece = whole_piece, .context = &whole},
        e);
}

struct range {
    struct worker *w;
    const char *key;
    uint8_t *p;
    size_t n, done;
};

static int range_start(void *context)
{
    ((struct range *)context)->done = 0;
    return 0;
}

static int range_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct range *range = context;
    if (n > range->n - range->done)
        return call_offence(range->w, e, "sent more of '%s' than it was asked for", range->key);
    memcpy(range->p + range->done, p, n);
    range->done += n;
    return 0;
}

int sink_get_range(struct worker *sink, const char *key, uint64_t offset, void *p, size_t n, struct error *e)
{
    struct range range = {.w = sink, .key = key, .p = p, .n = n};
    if (n == 0)
        return 0;
    if (run_get(&(struct get){.w = sink,
                              .key = key,
                              .offset = offset,
                              .length = (int64_t)n,
                              .start = range_start,
                              .piece = range_piece,
                              .context = &range},
                e) < 0)
        return -1;
    if (range.done < n)
        return error_set(e, ERROR_RANGE, "%s: get '%s': it ends %zu bytes early", sink->instance, key, n - range.done);
    return 0;
}
