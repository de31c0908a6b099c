#include "host/host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "host/apart.h"

#define FRAME_MAX (4u << 20)

static void drain_socket(struct host *host)
{
    struct channel_message message;
    /* Cancellations of earlier calls, and the descriptor for this one. */
    while (channel_receive(&host->channel, &message) > 0) {
        if (message.type == WIRE_PREVIOUS && message.fd >= 0) {
            if (host->previous_fd >= 0)
                close(host->previous_fd);
            host->previous_fd = message.fd;
        } else if (message.fd >= 0) {
            close(message.fd);
        }
    }
}

static void send_result(struct cofre_call *call, const struct error *result)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct bytes *frame = host_frame(call);
    bytes_put_u32(frame, call->number);
    wire_put_error(frame, result);
    host_send(call, WIRE_RESULT, &ignored);
}

static void serve(struct host *host, const struct channel_frame *frame)
{
    struct bytes *copy = &host->arguments;
    struct cursor head = cursor_of(frame->payload, frame->length);
    struct cofre_call call = {.host = host};
    call.kind = cursor_u32(&head);
    call.number = cursor_u32(&head);
    uint64_t left = cursor_u64(&head);
    call.deadline = left ? clock_monotonic() + (int64_t)left : 0;
    /* Copied, since the ring's memory is given back when the plugin takes content; and wiped, since options can be
     * secret. */
    bytes_reset(copy);
    bytes_put(copy, head.p, head.left);
    explicit_bzero(frame->payload, frame->length);
    drain_socket(host);
    struct error result;
    struct cursor arguments = cursor_of(copy->data, copy->length);
    if (copy->failed)
        error_memory(&result);
    else
        host_calls_run(&call, &arguments, &result);
    if (copy->data)
        explicit_bzero(copy->data, copy->capacity);
    send_result(&call, &result);
}

static void release(struct host *host)
{
    values_free(&host->values);
    describe_free(&host->plugin);
    apart_free(host->apart);
    bytes_free(&host->arguments);
    bytes_free(&host->frame);
    bytes_free(&host->deferred);
    bytes_free(&host->entry);
    free(host->attributes);
    free(host->directory);
    free(host->common);
    free(host->lent_attributes);
    grammar_free(&host->grammar);
    if (host->previous_fd >= 0)
        close(host->previous_fd);
    channel_close(&host->channel);
}

static int run(int socket, int memory, bool own_process, struct error *e)
{
    struct host host = {.own_process = own_process,
                        .previous_fd = -1,
                        .arguments = {.maximum = CHANNEL_RING},
                        .frame = {.maximum = FRAME_MAX},
                        .deferred = {.maximum = HOST_DEFERRED},
                        .entry = {.maximum = CHANNEL_RING}};
    if (channel_attach(&host.channel, socket, memory, e) < 0) {
        close(socket);
        return -1;
    }
    /* A result can then be sent also when there is no memory left: without one the engine would wait in vain. */
    if (!bytes_reserve(&host.frame, 4 * sizeof(struct error))) {
        release(&host);
        return error_memory(e);
    }
    int got = 0;
    while (!host.ended && got >= 0) {
        struct channel_frame frame;
        got = channel_next(&host.channel, &frame);
        /* Content of a call that ended early is still in the ring: passed over. */
        if (got > 0 && frame.type == WIRE_CALL)
            serve(&host, &frame);
        else if (got == 0 && channel_gone(&host.channel))
            break;
        else if (got == 0)
            channel_sleep(&host.channel);
    }
    release(&host);
    return got < 0 ? error_set(e, ERROR_BUG, "the ring from the engine is broken") : !host.ended;
}

int host_run(int socket, int memory, struct error *e)
{
    return run(socket, memory, false, e);
}

int host_run_confined(int socket, int memory, struct error *e)
{
    return run(socket, memory, true, e);
}
