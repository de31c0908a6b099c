#include "config/secret_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#define LOOK_EVERY 100 /* ms: whether everything is cancelled */

struct child {
    pid_t pid;
    int output, handle; /* our end of the pipe, non-blocking; a pidfd, readable when the child has ended */
    int64_t deadline;
    uint8_t *out;
    size_t size, length;
};

/* Signals as a program expects them at its start, whatever the engine has blocked or ignored. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int errnum = posix_spawnattr_setsigmask(attributes, &none);
    if (!errnum)
        errnum = posix_spawnattr_setsigdefault(attributes, &all);
    if (!errnum)
        errnum = posix_spawnattr_setpgroup(attributes, 0);
    if (!errnum)
        errnum = posix_spawnattr_setflags(attributes,
                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return errnum;
}

static int spawn_shell(const char *command, int output, pid_t *pid)
{
    char shell[] = "sh", flag[] = "-c";
    char *const arguments[] = {shell, flag, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int errnum = posix_spawn_file_actions_init(&actions);
    if (errnum)
        return errnum;
    errnum = posix_spawnattr_init(&attributes);
    if (errnum) {
        posix_spawn_file_actions_destroy(&actions);
        return errnum;
    }
    errnum = set_attributes(&attributes);
    if (!errnum)
        errnum = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!errnum)
        errnum = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (!errnum)
        errnum = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return errnum;
}

static int failed(const char *what, int errnum, struct error *e)
{
    error_system(e, errnum, "%s", what);
    e->class = ERROR_CONFIG;
    return -1;
}

/* 1 at the end of the output, 0 when there is none now. */
static int drain(struct child *c, struct error *e)
{
    for (;;) {
        /* When full, one byte more tells whether the output ends here. */
        uint8_t beyond;
        size_t room = c->size - c->length;
        ssize_t n = read(c->output, room ? c->out + c->length : &beyond, room ? room : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : failed("read what the secret's command prints", errno, e);
        if (n == 0)
            return 1;
        if (room == 0)
            return error_set(e, ERROR_CONFIG, "the secret's command prints more than %zu bytes", c->size);
        c->length += (size_t)n;
    }
}

/* Wait until the child has ended and its output was read. What it left running may hold the pipe open: only what is
 * there when the child ends counts. A cancellation ends it; what is asked for after one is needed to put things back.
 */
static int follow(struct child *c, int64_t timeout, struct error *e)
{
    bool ended = false, undoing = cancel_requested();
    while (!ended) {
        struct pollfd fds[] = {{.fd = c->handle, .events = POLLIN}, {.fd = c->output, .events = POLLIN}};
        int64_t left = c->deadline - clock_monotonic();
        if (left <= 0)
            return error_set(e, ERROR_CONFIG, "the secret's command was not done after %lld ms", (long long)timeout);
        if (cancel_requested() && !undoing)
            return error_set(e, ERROR_CANCELLED, "cancelled while the secret's command was at work");
        if (poll(fds, 2, left > LOOK_EVERY ? LOOK_EVERY : (int)left) < 0 && errno != EINTR)
            return failed("wait for the secret's command", errno, e);
        ended = fds[0].revents != 0;
        int end = c->output < 0 ? 0 : drain(c, e);
        if (end < 0)
            return -1;
        if (end == 1) {
            close(c->output);
            c->output = -1; /* poll passes over it */
        }
    }
    return 0;
}

static int look_at_status(int status, struct error *e)
{
    if (WIFSIGNALED(status))
        return error_set(e, ERROR_CONFIG, "the secret's command was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return error_set(e, ERROR_CONFIG, "the secret's command ended with status %d", WEXITSTATUS(status));
    return 0;
}

static int finish(struct child *c, int followed, struct error *e)
{
    if (followed < 0)
        kill(-c->pid, SIGKILL);
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0)
        if (errno != EINTR)
            return followed < 0 ? -1 : failed("wait for the secret's command", errno, e);
    return followed < 0 ? -1 : look_at_status(status, e);
}

static int start(struct child *c, const char *command, struct error *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return failed("make a pipe for the secret's command", errno, e);
    AUTO_CLOSE int theirs = ends[1];
    c->output = ends[0];
    if (fcntl(c->output, F_SETFL, O_NONBLOCK) < 0)
        return failed("make a pipe for the secret's command", errno, e);
    int errnum = spawn_shell(command, theirs, &c->pid);
    return errnum ? failed("run /bin/sh for the secret's command", errnum, e) : 0;
}

int secret_command_run(const char *command, int64_t timeout, uint8_t *out, size_t size, size_t *length, struct error *e)
{
    struct child c = {.output = -1, .handle = -1, .out = out, .size = size, .deadline = clock_monotonic() + timeout};
    int result = start(&c, command, e);
    if (result == 0) {
        c.handle = (int)syscall(SYS_pidfd_open, c.pid, 0);
        result = c.handle < 0 ? failed("watch the secret's command", errno, e) : follow(&c, timeout, e);
        result = finish(&c, result, e);
    }
    file_close_pointer(&c.handle);
    file_close_pointer(&c.output);
    *length = c.length;
    return result;
}
