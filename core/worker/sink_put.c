/* Putting. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cofre/plugin.h"
#include "worker/retry.h"
#include "worker/sink.h"
#include "worker/sink_connection.h"

#define PIECE (CHANNEL_RING / 4)

static int begin_put(struct worker *w, const char *key, bool if_absent, int64_t size, struct error *e)
{
    if (sink_connection_check_key(w, key, e) < 0)
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

static int write_piece(struct worker *w, const uint8_t *from, size_t n, struct error *e)
{
    struct channel_frame frame;
    uint8_t *to;
    size_t room;
    int got = call_room(w, n, n, &to, &room, &frame, e);
    if (got != 1)
        return ended_early(w, got, e);
    memcpy(to, from, n);
    channel_commit(&w->channel, WIRE_DATA, n);
    return 0;
}

static int write_all(struct worker *w, const void *p, size_t n, struct error *e)
{
    const uint8_t *from = p;
    for (size_t most; n > 0; from += most, n -= most) {
        most = n < PIECE ? n : PIECE;
        if (write_piece(w, from, most, e) < 0)
            return -1;
    }
    return 0;
}

static int end_put(struct worker *w, struct error *e)
{
    struct channel_frame frame;
    uint8_t *to;
    size_t room;
    int got = call_room(w, 0, 0, &to, &room, &frame, e);
    if (got != 1)
        return ended_early(w, got, e);
    channel_commit(&w->channel, WIRE_LAST, 0);
    channel_wake(&w->channel);
    return call_finish(w, e);
}

/* ---- of unknown length ---- */

struct sink_put {
    struct sink *sink;
    struct worker *w;
};

int sink_put_begin(struct sink *sink, const char *key, bool if_absent, struct sink_put **put, struct error *e)
{
    struct sink_put *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(e);
    p->sink = sink;
    if (sink_connection_take(sink, &p->w, e) < 0) {
        free(p);
        return -1;
    }
    if (begin_put(p->w, key, if_absent, -1, e) < 0) {
        sink_connection_give(sink, p->w);
        free(p);
        return -1;
    }
    *put = p;
    return 0;
}

int sink_put_write(struct sink_put *put, const void *p, size_t n, struct error *e)
{
    return write_all(put->w, p, n, e);
}

static void release(struct sink_put *put)
{
    sink_connection_give(put->sink, put->w);
    free(put);
}

int sink_put_end(struct sink_put *put, struct error *e)
{
    int result = end_put(put->w, e);
    release(put);
    return result;
}

void sink_put_abort(struct sink_put *put)
{
    struct error e;
    struct worker *w = put->w;
    call_error(w, &e, ERROR_CANCELLED, "put was given up");
    if (call_abort(w, &e) < 0 && w->failure.class != ERROR_NONE)
        log_error(LOG_WARNING, &e);
    release(put);
}

/* ---- whole objects ---- */

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
        return call_error(put->w, e, ERROR_EXISTS, "put '%s': there is another object", put->key);
    put->p = (const uint8_t *)put->p + n;
    put->n -= n;
    return 0;
}

/* An earlier try may have succeeded without our hearing of it. */
static int is_our_own(const struct put *put, struct error *e)
{
    struct put rest = *put;
    if (sink_connection_get(put->w, put->key, compare_pieces, &rest, e) < 0)
        return -1;
    return rest.n == 0 ? 0 : call_error(put->w, e, ERROR_EXISTS, "put '%s': there is another object", put->key);
}

static int try_put(void *context, struct error *e)
{
    struct put *put = context;
    if (begin_put(put->w, put->key, put->if_absent, (int64_t)put->n, e) == 0 &&
        write_all(put->w, put->p, put->n, e) == 0 && end_put(put->w, e) == 0)
        return 0;
    return e->class == ERROR_EXISTS && put->tries++ > 0 ? is_our_own(put, e) : (put->tries++, -1);
}

int sink_put(struct sink *sink, const char *key, const void *p, size_t n, bool if_absent, struct error *e)
{
    struct put put = {.key = key, .p = p, .n = n, .if_absent = if_absent};
    if (sink_connection_take(sink, &put.w, e) < 0)
        return -1;
    int result = retry_run(put.w->patience, try_put, &put, e);
    sink_connection_give(sink, put.w);
    return result;
}
