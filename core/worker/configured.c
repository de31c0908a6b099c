#include "worker/configured.h"

#include <string.h>

#include "worker/call.h"

static void put(struct bytes *b, const struct configured_source *source, size_t setting_count)
{
    bytes_reset(b);
    bytes_put_u32(b, source->in_job);
    wire_put_string(b, source->name);
    wire_put_string(b, source->plugin);
    bytes_put_u32(b, (uint32_t)setting_count);
    for (size_t i = 0; i < setting_count; i++) {
        wire_put_string(b, source->settings[i].name);
        wire_put_string(b, source->settings[i].value);
    }
}

static int give(struct worker *w, const struct configured_source *source, struct error *e)
{
    struct bytes *b = &w->arguments;
    struct channel_frame frame;
    uint8_t *to;
    size_t room;
    put(b, source, source->setting_count);
    /* A section of half a MiB: that there is one is all that can be said. */
    if (b->failed || b->length > CHANNEL_LARGEST)
        put(b, source, 0);
    if (bytes_check(b, "a section", e) < 0)
        return call_abort(w, e);
    int got = call_room(w, b->length, b->length, &to, &room, &frame, e);
    if (got != 1)
        return got < 0 ? -1 : call_offence(w, e, "spoke before it was told of the configuration");
    memcpy(to, b->data, b->length);
    channel_commit(&w->channel, WIRE_SECTION, b->length);
    return 0;
}

int configured_begin(struct worker *w, enum wire_call kind, struct error *e)
{
    size_t count = w->configured && w->plugin.role == PLUGIN_SOURCE ? w->configured->count : 0;
    bytes_put_u64(&w->arguments, count);
    int result = call_begin(w, kind, e);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = give(w, &w->configured->sources[i], e);
    if (result == 0)
        channel_wake(&w->channel);
    return result;
}
