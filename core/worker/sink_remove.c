/* Removing many. */
#include <string.h>

#include "base/error.h"
#include "worker/retry.h"
#include "worker/sink.h"
#include "worker/sink_connection.h"

/* Keys of one call. */
struct batch {
    struct worker *w;
    const char *keys;
    size_t n; /* bytes */
    uint32_t count;
};

static int try_batch(void *context, struct error *e)
{
    struct batch *batch = context;
    struct bytes *b = call_arguments(batch->w);
    bytes_put_u32(b, batch->count);
    for (size_t at = 0; at < batch->n; at += strlen(batch->keys + at) + 1)
        wire_put_string(b, batch->keys + at);
    return call_simple(batch->w, WIRE_REMOVE_MANY, e);
}

static int remove_batch(struct sink *sink, struct batch *batch, struct error *e)
{
    if (sink_connection_take(sink, &batch->w, e) < 0)
        return -1;
    int result = 0;
    for (size_t at = 0; result == 0 && at < batch->n; at += strlen(batch->keys + at) + 1)
        result = sink_connection_check_key(batch->w, batch->keys + at, e);
    if (result == 0)
        result = retry_run(batch->w->patience, try_batch, batch, e);
    sink_connection_give(sink, batch->w);
    return result;
}

int sink_remove_many(struct sink *sink, const char *keys, size_t n, struct error *e)
{
    const uint32_t offers = sink_plugin(sink)->offers;
    /* With a sync each connection may hold what it took: sink_remove asks them all. */
    bool many = (offers & PLUGIN_OFFERS_REMOVE_MANY) && !(offers & PLUGIN_OFFERS_SYNC);
    int result = 0;
    for (size_t at = 0; result == 0 && at < n;) {
        struct batch batch = {.keys = keys + at};
        size_t most = many ? WIRE_MAX_KEYS : 1;
        for (; at < n && batch.count < most; batch.count++)
            at += strlen(keys + at) + 1;
        batch.n = (size_t)(keys + at - batch.keys);
        result = many ? remove_batch(sink, &batch, e) : sink_remove(sink, batch.keys, e);
    }
    return result;
}
