#include <string.h>

#include "host/host.h"

#define SENDING (HOST_IN(WIRE_BACKUP) | HOST_IN(WIRE_GET))
#define TAKING (HOST_IN(WIRE_RESTORE) | HOST_IN(WIRE_PUT))
#define LEAST (CHANNEL_RING / 4) /* rather wait than lend less than this, when more was asked for */

int32_t host_content_reserve(struct cofre_call *call, void **buffer, size_t *length, struct cofre_error *error)
{
    int32_t class = host_enter(call, SENDING, "reserve", error);
    if (class != COFRE_OK)
        return class;
    if (!buffer || !length)
        return host_broke(call, error, "reserved without a place for the buffer or its length");
    struct channel *channel = &call->host->channel;
    size_t most = *length < 1 ? 1 : *length < CHANNEL_LARGEST ? *length : CHANNEL_LARGEST, n;
    size_t least = most < LEAST ? most : LEAST;
    uint8_t *p;
    int lent;
    while ((lent = channel_lend(channel, least, most, &p, &n)) == 0) {
        class = host_table.cancelled(call, error);
        if (class != COFRE_OK)
            return class;
        if (channel_gone(channel))
            return cofre_fail(error, COFRE_E_CANCELLED, "the engine is gone");
        channel_sleep(channel);
    }
    if (lent < 0)
        return cofre_fail(error, COFRE_E_BUG, "reserve: the ring to the engine is broken");
    call->lent = n;
    *buffer = p;
    *length = n;
    return COFRE_OK;
}

int32_t host_content_commit(struct cofre_call *call, size_t length, struct cofre_error *error)
{
    int32_t class = host_enter(call, SENDING, "commit", error);
    if (class != COFRE_OK)
        return class;
    if (length > call->lent)
        return host_broke(call, error, "committed %zu bytes after %zu were reserved", length, call->lent);
    call->lent = 0;
    if (length == 0)
        return COFRE_OK;
    struct error why;
    if (call->kind == WIRE_BACKUP && grammar_content(&call->host->grammar, length, &why) < 0)
        return host_fault(call, &why, error);
    channel_commit(&call->host->channel, WIRE_DATA, length);
    return COFRE_OK;
}

int32_t host_content_hole(struct cofre_call *call, uint64_t length, struct cofre_error *error)
{
    int32_t class = host_enter(call, HOST_IN(WIRE_BACKUP), "hole", error);
    if (class != COFRE_OK || length == 0)
        return class;
    struct error why;
    if (grammar_content(&call->host->grammar, length, &why) < 0)
        return host_fault(call, &why, error);
    bytes_put_u64(host_frame(call), length);
    return host_send(call, WIRE_HOLE, error);
}

int32_t host_content_take(struct cofre_call *call, const void **bytes, uint64_t *length, struct cofre_error *error)
{
    int32_t class = host_enter(call, TAKING, "take", error);
    if (class != COFRE_OK)
        return class;
    if (!bytes || !length)
        return host_broke(call, error, "took content without a place for the bytes or their length");
    if (call->input == HOST_NO_INPUT)
        return host_broke(call, error, "took content before the first entry");
    *bytes = NULL;
    *length = 0;
    if (call->input != HOST_CONTENT)
        return COFRE_END;
    struct channel_frame frame;
    class = host_receive(call, &frame, error);
    if (class != COFRE_OK)
        return class;
    if (frame.type == WIRE_DATA) {
        *bytes = frame.payload;
        *length = frame.length;
        return COFRE_OK;
    }
    if (frame.type == WIRE_HOLE && frame.length == 8) {
        *length = bytes_get_u64(frame.payload);
        return COFRE_OK;
    }
    call->input = frame.type == WIRE_END ? HOST_CONTENT_ENDED : HOST_ALL_ENDED;
    if (frame.length == 0)
        return COFRE_END;
    struct error why;
    struct cursor c = cursor_of(frame.payload, frame.length);
    return wire_error(&c, &why) ? host_fail(error, &why) : COFRE_E_BUG;
}
