#include "archive/pgp_loop.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#define SLICE 200 /* ms between looks at the cancellation */

static gpgme_error_t add(void *context, int fd, int reading, gpgme_io_cb_t call, void *data, void **tag)
{
    struct pgp_loop *loop = context;
    for (size_t i = 0; i < PGP_LOOP_WATCHES; i++)
        if (loop->watches[i].fd < 0) {
            loop->watches[i] = (struct pgp_loop_watch){.fd = fd, .reading = reading, .call = call, .data = data};
            *tag = &loop->watches[i];
            return 0;
        }
    return gpgme_error(GPG_ERR_TOO_MANY);
}

static void take_away(void *tag)
{
    struct pgp_loop_watch *watch = tag;
    watch->fd = -1;
}

static void on_event(void *context, gpgme_event_io_t type, void *data)
{
    struct pgp_loop *loop = context;
    if (type != GPGME_EVENT_DONE)
        return;
    const struct gpgme_io_event_done_data *done = data;
    loop->done = true;
    loop->result = done->err ? done->err : done->op_err;
}

void pgp_loop_attach(struct pgp_loop *loop, gpgme_ctx_t context)
{
    struct gpgme_io_cbs calls = {
        .add = add, .add_priv = loop, .remove = take_away, .event = on_event, .event_priv = loop};
    for (size_t i = 0; i < PGP_LOOP_WATCHES; i++)
        loop->watches[i].fd = -1;
    loop->done = false;
    loop->result = 0;
    gpgme_set_io_cbs(context, &calls);
}

static void call_ready(struct pgp_loop *loop, const struct pollfd *polled, struct pgp_loop_watch *const *of,
                       nfds_t count)
{
    for (nfds_t i = 0; i < count && !loop->done; i++)
        /* One that was called before may have taken this one away. */
        if (polled[i].revents != 0 && of[i]->fd == polled[i].fd)
            of[i]->call(of[i]->data, of[i]->fd);
}

gpgme_error_t pgp_loop_run(struct pgp_loop *loop, gpgme_ctx_t context)
{
    while (!loop->done) {
        struct pollfd polled[PGP_LOOP_WATCHES];
        struct pgp_loop_watch *of[PGP_LOOP_WATCHES];
        nfds_t count = 0;
        if (atomic_load(&loop->cancelled)) {
            gpgme_cancel(context);
            return gpgme_error(GPG_ERR_CANCELED);
        }
        for (size_t i = 0; i < PGP_LOOP_WATCHES; i++) {
            struct pgp_loop_watch *watch = &loop->watches[i];
            if (watch->fd < 0)
                continue;
            of[count] = watch;
            polled[count++] = (struct pollfd){.fd = watch->fd, .events = watch->reading ? POLLIN : POLLOUT};
        }
        int ready = poll(polled, count, SLICE);
        if (ready < 0 && errno != EINTR)
            return gpgme_error_from_errno(errno);
        if (ready > 0)
            call_ready(loop, polled, of, count);
    }
    return loop->result;
}
