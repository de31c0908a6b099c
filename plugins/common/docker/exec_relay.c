#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/docker/exec_inside.h"
#include "common/failure.h"

#define TURNS 64           /* pieces between two looks at everything else */
#define END_PATIENCE 30000 /* ms that a program may take to end when its streams have */
#define FIRST_PAUSE 2      /* ms between looks at that */
#define LONGEST_PAUSE 200

/* What one turn waits for. */
struct want {
    short socket;
    int pipe; /* to be written to; -1 = none */
    bool input;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void end_with(struct exec *e, int32_t class)
{
    e->broken = class;
    e->over = true;
}

/* ---- from the program ---- */

/* The daemon itself complains: what was said before is all that comes. */
static void hear_daemon(struct exec *e)
{
    char shown[FAILURE_QUOTE_MAX];
    end_with(e, daemon_refusal_say(e->daemon, e->what, &e->cause, COFRE_E_RETRY, "%s",
                                   failure_quote((const char *)e->piece.bytes, e->piece.length, shown)));
    e->piece.length = 0;
}

/* Into its pipe. false: that is full. A pipe that nobody reads any more, or none, takes all. */
static bool deliver(struct exec *e, struct want *want)
{
    if (e->piece.length > 0 && e->piece.stream == EXEC_FRAME_DAEMON)
        hear_daemon(e);
    int *fd = e->piece.stream == EXEC_FRAME_ERRORS ? &e->errors : &e->output;
    while (e->piece.length > 0 && *fd >= 0) {
        ssize_t n = write(*fd, e->piece.bytes, e->piece.length);
        if (n >= 0) {
            e->piece.bytes += n;
            e->piece.length -= (size_t)n;
        } else if (errno == EAGAIN) {
            want->pipe = *fd;
            return false;
        } else if (errno != EINTR) {
            close_end(fd);
        }
    }
    e->piece.length = 0;
    return true;
}

/* More from the connection. false: there is nothing yet, or nothing more. */
static bool refill(struct exec *e, struct want *want)
{
    int32_t class = exec_receive(e, &e->cause);
    if (class == COFRE_E_BUSY) {
        want->socket |= POLLIN;
        return false;
    }
    if (class == COFRE_OK && e->in_length == 0 && !exec_frame_is_whole(&e->frame))
        class = daemon_refusal_say(e->daemon, e->what, &e->cause, COFRE_E_RETRY,
                                   "its output is cut: the connection ended in the middle of it");
    if (class != COFRE_OK || e->in_length == 0)
        end_with(e, class);
    return !e->over;
}

static void from_program(struct exec *e, struct want *want)
{
    for (int turn = 0; turn < TURNS && !e->over; turn++) {
        size_t used;
        if (!deliver(e, want))
            return;
        if (e->over || (e->in_at == e->in_length && !refill(e, want)))
            return;
        if (exec_frame_next(&e->frame, e->in + e->in_at, e->in_length - e->in_at, &used, &e->piece) < 0) {
            end_with(e, daemon_refusal_say(e->daemon, e->what, &e->cause, COFRE_E_PERMANENT,
                                           "what comes is no stream of a program"));
            return;
        }
        e->in_at += used;
    }
    /* Not done: no waiting. */
    want->socket |= POLLIN | POLLOUT;
}

/* ---- to the program ---- */

/* The daemon ends the program's input when it sees the end of ours. */
static void end_input(struct exec *e)
{
    close_end(&e->input);
    e->out_length = e->out_at = 0;
    shutdown(e->socket, SHUT_WR);
}

/* false: the pipe is empty, or has ended. */
static bool fetch(struct exec *e, struct want *want)
{
    ssize_t n = read(e->input, e->out, EXEC_OUT);
    if (n > 0) {
        e->out_at = 0;
        e->out_length = (size_t)n;
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        want->input = true;
    } else {
        end_input(e);
    }
    return n > 0;
}

static void to_program(struct exec *e, struct want *want)
{
    for (int turn = 0; turn < TURNS && e->input >= 0; turn++) {
        size_t sent = 0;
        if (e->out_at == e->out_length && !fetch(e, want))
            return;
        CURLcode code = curl_easy_send(e->connection.easy, e->out + e->out_at, e->out_length - e->out_at, &sent);
        if (code == CURLE_AGAIN) {
            want->socket |= POLLOUT;
            return;
        }
        /* A program that has ended takes nothing more, and that is for its status to tell. */
        if (code != CURLE_OK)
            close_end(&e->input);
        e->out_at += sent;
    }
    if (e->input >= 0 && e->out_at < e->out_length)
        want->socket |= POLLOUT;
    else
        want->input = e->input >= 0;
}

/* ---- the thread ---- */

static bool wait_for(struct exec *e, const struct want *want)
{
    struct pollfd fds[] = {
        {.fd = e->stop, .events = POLLIN},
        {.fd = want->socket ? e->socket : -1, .events = want->socket},
        {.fd = want->pipe, .events = POLLOUT},
        {.fd = want->input ? e->input : -1, .events = POLLIN},
    };
    poll(fds, sizeof fds / sizeof fds[0], DAEMON_STEP);
    return fds[0].revents == 0;
}

static bool pause_for(const struct exec *e, int ms)
{
    struct pollfd stop = {.fd = e->stop, .events = POLLIN};
    return poll(&stop, 1, ms) <= 0;
}

/* Nobody may look at its end for as long as this takes, and then it is a failure: when the connection is cut between
 * two pieces, the program that goes on writes to nobody. */
static int32_t learn_code(struct exec *e, struct cofre_error *error)
{
    struct exec_state state = {.running = true};
    int64_t patience = e->daemon->patience < END_PATIENCE ? e->daemon->patience : END_PATIENCE;
    int64_t until = daemon_clock() + (e->broken ? 0 : patience);
    for (int pause = FIRST_PAUSE;; pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE) {
        int32_t class = exec_inspect(e, e->daemon, NULL, &state, error);
        if (class == COFRE_E_NOT_FOUND)
            return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_RETRY,
                                      "it does not know any more how the program ended");
        if (class != COFRE_OK)
            return class;
        if (!state.running && state.has_code)
            break;
        if (daemon_clock() > until)
            return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_RETRY,
                                      "its output has ended, and the program has not");
        if (!pause_for(e, pause))
            return cofre_fail(error, COFRE_E_CANCELLED, "%s: given up", e->what);
    }
    if (state.code < 0 || state.code > 255)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_PERMANENT,
                                  "'ExitCode' of its answer is not what the API says");
    e->code = (int)state.code;
    return COFRE_OK;
}

/* What was broken counts, but where the program failed: that is why. */
static void conclude(struct exec *e)
{
    int32_t class = learn_code(e, &e->error);
    if (e->broken != COFRE_OK && (class != COFRE_OK || e->code == 0)) {
        e->error = e->cause;
        class = e->broken;
    }
    e->class = class;
    atomic_store(&e->ended, true);
    if (eventfd_write(e->end, 1) < 0)
        abort();
}

void *exec_relay(void *context)
{
    struct exec *e = context;
    bool going_on = true;
    while (going_on && !e->over) {
        struct want want = {.pipe = -1};
        from_program(e, &want);
        if (!e->over)
            to_program(e, &want);
        if (!e->over)
            going_on = wait_for(e, &want);
    }
    close_end(&e->input);
    close_end(&e->output);
    close_end(&e->errors);
    if (going_on)
        conclude(e);
    return NULL;
}
