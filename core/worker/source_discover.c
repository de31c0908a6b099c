#include <string.h>

#include "cofre/plugin.h"
#include "worker/call.h"
#include "worker/source.h"

#define MAX_OPTIONS_TEXT 16384
#define OFFERS_MAX 10000u

/* A text of the frame, which is our own copy, without secrets. */
static const char *take_text(struct worker *w, struct cursor *c, size_t maximum, bool required)
{
    const char *text = required ? wire_text_required(c, maximum, NULL) : wire_text(c, maximum, NULL);
    if (text)
        redact_text(&w->redact, (char *)w->frame.data + ((const uint8_t *)text - w->frame.data));
    return text;
}

int source_discover(struct worker *source, void (*offer)(void *context, const struct source_offer *), void *context,
                    struct error *e)
{
    struct channel_frame frame;
    unsigned count = 0;
    int got;
    if (call_offered(source, PLUGIN_OFFERS_DISCOVER, WIRE_DISCOVER, e) < 0)
        return -1;
    call_arguments(source);
    if (configured_begin(source, WIRE_DISCOVER, e) < 0)
        return -1;
    while ((got = call_next(source, &frame, e)) == 1) {
        struct cursor c = cursor_of(frame.payload, frame.length);
        struct source_offer o;
        o.name = take_text(source, &c, WIRE_MAX_NAME, true);
        o.options = take_text(source, &c, MAX_OPTIONS_TEXT, true);
        o.about = take_text(source, &c, WIRE_MAX_LOG, true);
        o.covered_by = take_text(source, &c, WIRE_MAX_NAME, false);
        if (frame.type != WIRE_OFFER || !cursor_done(&c))
            return call_offence(source, e, "sent a malformed offer");
        if (++count > OFFERS_MAX)
            return call_offence(source, e, "made more than %u offers", OFFERS_MAX);
        offer(context, &o);
    }
    return got;
}

int source_services(struct worker *source, int what, const char *id, const char *which,
                    void (*found)(void *context, const struct worker_finding *), void *context, struct error *e)
{
    if (call_offered(source, PLUGIN_OFFERS_SERVICES, WIRE_SERVICES, e) < 0)
        return -1;
    struct bytes *b = call_arguments(source);
    bytes_put_u32(b, (uint32_t)what);
    wire_put_string(b, id);
    wire_put_string(b, which);
    if (!found)
        return call_simple(source, WIRE_SERVICES, e);
    return call_begin(source, WIRE_SERVICES, e) < 0 ? -1 : call_findings(source, found, context, e);
}
