#include "worker/child.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define FRAME_MAX (4u << 20)

static void drain_socket(struct child *child)
{
    struct channel_message message;
    /* Cancellations of earlier calls, and the descriptor for this one. */
    while (channel_receive(&child->channel, &message) > 0) {
        if (message.type == WIRE_PREVIOUS && message.fd >= 0) {
            if (child->previous_fd >= 0)
                close(child->previous_fd);
            child->previous_fd = message.fd;
        } else if (message.fd >= 0) {
            close(message.fd);
        }
    }
}

static void send_result(struct cofre_call *call, const struct error *result)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct bytes *frame = child_host_frame(call);
    bytes_put_u32(frame, call->number);
    wire_put_error(frame, result);
    child_host_send(call, WIRE_RESULT, &ignored);
}

static void serve(struct child *child, const struct channel_frame *frame)
{
    /* Copied, since the ring's memory is given back when the plugin takes content; and wiped, since options can be
     * secret. */
    struct bytes *copy = &child->arguments;
    bytes_reset(copy);
    bytes_put(copy, frame->payload, frame->length);
    explicit_bzero(frame->payload, frame->length);
    struct cursor arguments = cursor_of(copy->data, copy->length);
    struct cofre_call call = {.child = child};
    call.kind = cursor_u32(&arguments);
    call.number = cursor_u32(&arguments);
    uint64_t left = cursor_u64(&arguments);
    call.deadline = left ? clock_monotonic() + (int64_t)left : 0;
    drain_socket(child);
    struct error result;
    child_calls_run(&call, &arguments, &result);
    explicit_bzero(copy->data, copy->length);
    send_result(&call, &result);
}

static void release(struct child *child)
{
    values_free(&child->values);
    describe_free(&child->plugin);
    bytes_free(&child->arguments);
    bytes_free(&child->frame);
    bytes_free(&child->deferred);
    bytes_free(&child->entry);
    free(child->attributes);
    free(child->directory);
    free(child->common);
    free(child->lent_attributes);
    grammar_free(&child->grammar);
    if (child->previous_fd >= 0)
        close(child->previous_fd);
    channel_close(&child->channel);
}

int child_run(int socket, int memory, struct error *e)
{
    struct child child = {.previous_fd = -1,
                          .arguments = {.maximum = CHANNEL_RING},
                          .frame = {.maximum = FRAME_MAX},
                          .deferred = {.maximum = CHILD_DEFERRED},
                          .entry = {.maximum = CHANNEL_RING}};
    if (channel_attach(&child.channel, socket, memory, e) < 0) {
        close(socket);
        return -1;
    }
    /* A result can then be sent also when there is no memory left: without one the engine would wait in vain. */
    if (!bytes_reserve(&child.frame, 4 * sizeof(struct error))) {
        release(&child);
        return error_memory(e);
    }
    int got = 0;
    while (!child.ended && got >= 0) {
        struct channel_frame frame;
        got = channel_next(&child.channel, &frame);
        /* Content of a call that ended early is still in the ring: passed over. */
        if (got > 0 && frame.type == WIRE_CALL)
            serve(&child, &frame);
        else if (got == 0 && channel_gone(&child.channel))
            break;
        else if (got == 0)
            channel_sleep(&child.channel);
    }
    release(&child);
    return got < 0 ? error_set(e, ERROR_BUG, "the ring from the engine is broken") : !child.ended;
}
