/* Getting. */
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "worker/retry.h"
#include "worker/sink.h"
#include "worker/sink_connection.h"

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

static int get_with(struct get *get, struct error *e)
{
    return sink_connection_check_key(get->w, get->key, e) < 0 ? -1 : retry_run(get->w->patience, try_get, get, e);
}

/* Take a connection for it. */
static int run_get(struct sink *sink, struct get *get, struct error *e)
{
    if (sink_connection_take(sink, &get->w, e) < 0)
        return -1;
    int result = get_with(get, e);
    sink_connection_give(sink, get->w);
    return result;
}

int sink_connection_get(struct worker *w, const char *key, int (*piece)(void *, const void *, size_t, struct error *),
                        void *context, struct error *e)
{
    return get_with(&(struct get){.w = w, .key = key, .length = -1, .piece = piece, .context = context}, e);
}

int sink_get_pieces(struct sink *sink, const char *key, int (*piece)(void *, const void *, size_t, struct error *),
                    void *context, struct error *e)
{
    return run_get(sink, &(struct get){.key = key, .length = -1, .piece = piece, .context = context}, e);
}

struct whole {
    struct get get;
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
        return call_error(whole->get.w, e, ERROR_INTEGRITY, "get '%s': it is larger than %zu bytes", whole->get.key,
                          whole->maximum);
    bytes_put(whole->out, p, n);
    return bytes_check(whole->out, whole->get.key, e);
}

int sink_get(struct sink *sink, const char *key, size_t maximum, struct bytes *out, struct error *e)
{
    struct whole whole = {.out = out, .before = out->length, .maximum = maximum};
    whole.get = (struct get){.key = key, .length = -1, .start = whole_start, .piece = whole_piece, .context = &whole};
    return run_get(sink, &whole.get, e);
}

struct range {
    struct get get;
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
        return call_offence(range->get.w, e, "sent more of '%s' than it was asked for", range->get.key);
    memcpy(range->p + range->done, p, n);
    range->done += n;
    return 0;
}

int sink_get_range(struct sink *sink, const char *key, uint64_t offset, void *p, size_t n, struct error *e)
{
    struct range range = {.p = p, .n = n};
    if (n == 0)
        return 0;
    range.get = (struct get){.key = key,
                             .offset = offset,
                             .length = (int64_t)n,
                             .start = range_start,
                             .piece = range_piece,
                             .context = &range};
    if (run_get(sink, &range.get, e) < 0)
        return -1;
    if (range.done < n)
        return call_error(range.get.w, e, ERROR_RANGE, "get '%s': it ends %zu bytes early", key, n - range.done);
    return 0;
}
