#include "openpgp/pgp_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define SLICE 200           /* ms between looks at the cancellation */
#define PIPE_SIZE (1 << 20) /* so that gpg and we do not wait for each other at every piece */
#define NAP 1               /* ms: gpg moves 8 KiB at a time; this lets some hundred of them gather */
#define PORTION (256 << 10)
#define TURNS_BEFORE_NAPS 30 /* a short message must not take longer for it */

static gpgme_error_t add(void *context, int fd, int reading, gpgme_io_cb_t call, void *data, void **tag)
{
    struct pgp_loop *loop = context;
    /* Where it is no pipe, or the system gives no more, it works all the same. */
    (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
    for (size_t i = 0; i < PGP_LOOP_WATCHES; i++)
        if (loop->watches[i].fd < 0) {
            loop->watches[i] = (struct pgp_loop_watch){.fd = fd, .reading = reading, .call = call, .data = data};
            *tag = &loop->watches[i];
            return 0;
        }
    return gpgme_error(GPG_ERR_TOO_MANY);
}

/* The loop looks at the descriptor: another operation of the same context may use the place for another. */
static void take_away(void *tag)
{
    struct pgp_loop_watch *watch = tag;
    watch->fd = -1;
    watch->carries = false;
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
    loop->in_start = loop->in_length = 0;
    loop->calling = NULL;
    gpgme_set_io_cbs(context, &calls);
}

void pgp_loop_carries(struct pgp_loop *loop)
{
    if (loop->calling)
        loop->calling->carries = true;
}

static void call(struct pgp_loop *loop, struct pgp_loop_watch *watch)
{
    loop->calling = watch;
    watch->call(watch->data, watch->fd);
    loop->calling = NULL;
}

/* From gpg. Its end is GPGME's to see. */
static bool drain(struct pgp_loop *loop, struct pgp_loop_watch *watch)
{
    ssize_t n = read(watch->fd, loop->out, PGP_LOOP_BUFFER);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        call(loop, watch);
    return n <= 0 || loop->write(loop->context, loop->out, (size_t)n) == n;
}

/* To gpg. When there is no more, GPGME asks again, hears so, and closes it. */
static bool feed(struct pgp_loop *loop, struct pgp_loop_watch *watch)
{
    if (loop->in_length == 0) {
        ssize_t got = loop->read(loop->context, loop->in, PGP_LOOP_BUFFER);
        if (got < 0)
            return false;
        loop->in_start = 0;
        loop->in_length = (size_t)got;
    }
    if (loop->in_length == 0) {
        call(loop, watch);
        return true;
    }
    ssize_t n = write(watch->fd, loop->in + loop->in_start, loop->in_length);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        /* gpg takes no more; GPGME finds the same, closes it, and hears what gpg says of it. */
        loop->in_length = 0;
        call(loop, watch);
        return true;
    }
    loop->in_start += n > 0 ? (size_t)n : 0;
    loop->in_length -= n > 0 ? (size_t)n : 0;
    return true;
}

/* False: a function of the data has failed. */
static bool call_ready(struct pgp_loop *loop, const struct pollfd *polled, struct pgp_loop_watch *const *of,
                       nfds_t count)
{
    for (nfds_t i = 0; i < count && !loop->done; i++) {
        bool fine = true;
        /* One that was called before may have taken this one away. */
        if (polled[i].revents == 0 || of[i]->fd != polled[i].fd)
            continue;
        if (!of[i]->carries)
            call(loop, of[i]);
        else
            fine = of[i]->reading ? drain(loop, of[i]) : feed(loop, of[i]);
        if (!fine)
            return false;
    }
    return true;
}

/* Is there so much to be moved that it is worth the way? */
static bool worth_it(const struct pollfd *polled, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        int queued;
        if (polled[i].revents == 0 || ioctl(polled[i].fd, FIONREAD, &queued) < 0)
            continue;
        if ((polled[i].events == POLLIN ? queued : PIPE_SIZE - queued) >= PORTION || (polled[i].revents & POLLHUP))
            return true;
    }
    return false;
}

gpgme_error_t pgp_loop_run(struct pgp_loop *loop, gpgme_ctx_t context)
{
    for (unsigned turns = 0; !loop->done; turns++) {
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
        if (turns > TURNS_BEFORE_NAPS && ready > 0 && !worth_it(polled, count))
            clock_sleep(NAP);
        if (ready > 0 && !call_ready(loop, polled, of, count)) {
            gpgme_cancel(context);
            return gpgme_error(GPG_ERR_CANCELED);
        }
    }
    return loop->result;
}
