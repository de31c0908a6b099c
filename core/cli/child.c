#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

extern char **environ;

/* ---- starting ---- */

static int set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, const int *ends,
                  const sigset_t *mask)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGPIPE); /* ignored, as here, from its first moment on */
    int result =
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (result == 0)
        result = posix_spawnattr_setsigdefault(attributes, &all);
    if (result == 0)
        result = posix_spawnattr_setsigmask(attributes, mask);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, ends[0], STDOUT_FILENO);
    return result == 0 ? posix_spawn_file_actions_adddup2(actions, ends[1], STDERR_FILENO) : result;
}

static int spawn(pid_t *pid, const char *program, char *const *arguments, const int *ends, const sigset_t *mask)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0)
        return result;
    if ((result = posix_spawnattr_init(&attributes)) == 0) {
        if ((result = set_up(&actions, &attributes, ends, mask)) == 0)
            result = posix_spawn(pid, program, &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

static void close_streams(struct child *child)
{
    for (size_t i = 0; i < 2; i++) {
        if (child->streams[i].fd >= 0)
            close(child->streams[i].fd);
        child->streams[i].fd = -1;
    }
}

/* Our ends into the streams, the child's into ends. */
static int open_streams(struct child *child, int *ends, struct error *e)
{
    for (size_t i = 0; i < 2; i++) {
        int both[2];
        if (pipe2(both, O_CLOEXEC) < 0)
            return error_system(e, errno, "make a pipe");
        child->streams[i].fd = both[0];
        ends[i] = both[1];
        if (fcntl(both[0], F_SETFL, O_NONBLOCK) < 0)
            return error_system(e, errno, "set up a pipe");
    }
    return 0;
}

int child_start(struct child *child, const char *program, char *const *arguments, const sigset_t *mask, struct error *e)
{
    int ends[2] = {-1, -1};
    *child = (struct child){.streams = {{.fd = -1}, {.fd = -1}}, .began = clock_monotonic(), .ended = -1};
    int result = open_streams(child, ends, e);
    if (result == 0) {
        int number = spawn(&child->pid, program, arguments, ends, mask);
        if (number != 0)
            result = error_system(e, number, "start '%s'", program);
    }
    for (size_t i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (result < 0)
        close_streams(child);
    return result;
}

/* ---- reading ---- */

/* The lines that are whole; all of it when it is full. */
static void give_lines(struct child *child, size_t i, child_line *line, void *context)
{
    struct child_stream *s = &child->streams[i];
    char *end, *at = s->text;
    while ((end = memchr(at, '\n', s->length - (size_t)(at - s->text)))) {
        *end = '\0';
        line(context, child, i == 1, at);
        at = end + 1;
    }
    s->length -= (size_t)(at - s->text);
    memmove(s->text, at, s->length);
    if (s->length < sizeof s->text - 1)
        return;
    s->text[s->length] = '\0';
    line(context, child, i == 1, s->text);
    s->length = 0;
}

static void read_stream(struct child *child, size_t i, child_line *line, void *context)
{
    struct child_stream *s = &child->streams[i];
    while (s->fd >= 0) {
        ssize_t n = read(s->fd, s->text + s->length, sizeof s->text - 1 - s->length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close(s->fd);
            s->fd = -1;
            return;
        }
        s->length += (size_t)n;
        give_lines(child, i, line, context);
    }
}

void child_read(struct child *child, child_line *line, void *context)
{
    for (size_t i = 0; i < 2; i++)
        read_stream(child, i, line, context);
}

/* ---- ending ---- */

void child_end(struct child *child, int wait_status)
{
    child->ended = clock_monotonic();
    child->status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

bool child_is_over(const struct child *child)
{
    if (child->ended < 0)
        return false;
    return (child->streams[0].fd < 0 && child->streams[1].fd < 0) || clock_monotonic() - child->ended >= CHILD_PATIENCE;
}

void child_close(struct child *child, child_line *line, void *context)
{
    child_read(child, line, context);
    for (size_t i = 0; i < 2; i++) {
        struct child_stream *s = &child->streams[i];
        s->text[s->length] = '\0';
        if (s->length > 0)
            line(context, child, i == 1, s->text);
        s->length = 0;
    }
    close_streams(child);
}
