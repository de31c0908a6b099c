#include "host/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "host/confine.h"
#include "host/describe.h"
#include "host/load.h"
#include "wire/greeting.h"
#include "wire/wire.h"

#define LONGEST (4u << 20)
#define DESCRIBED 1u
#define REFUSED 0u

/* ---- the child ---- */

static int describe(const struct apart *apart, struct bytes *out, struct error *e)
{
    const struct confine_places nothing = {.plugin_dirs = apart->directories,
                                           .plugin_dir_count = apart->directory_count};
    struct describe d;
    struct plugin_info info;
    const struct cofre_plugin *(*entry)(const struct cofre_host *) = NULL;
    if (confine_sink(&nothing, e) < 0 ||
        load_described(apart->name, apart->directories, apart->directory_count, &entry, &d, e) < 0)
        return -1;
    describe_lend(&d, &info);
    wire_put_plugin(out, &info);
    return out->failed ? error_memory(e) : 0;
}

static _Noreturn void serve(const struct apart *apart, int out)
{
    struct bytes b = {.maximum = LONGEST};
    struct error e;
    /* The channel belongs to the worker. */
    close(GREETING_SOCKET);
    close(GREETING_MEMORY);
    bytes_put_u32(&b, DESCRIBED);
    if (describe(apart, &b, &e) < 0) {
        bytes_reset(&b);
        bytes_put_u32(&b, REFUSED);
        wire_put_error(&b, &e);
    }
    _exit(file_write_all(out, b.data, b.length, "the description", &e) < 0);
}

/* ---- the worker ---- */

/* Until the child has ended, or the engine is gone. */
static int read_all(int in, struct bytes *out, struct error *e)
{
    uint8_t piece[16384];
    for (;;) {
        struct pollfd fds[] = {{.fd = in, .events = POLLIN}, {.fd = GREETING_SOCKET}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return error_system(e, errno, "wait for a plugin's description");
        if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))
            confine_end_group();
        if (!fds[0].revents)
            continue;
        ssize_t n = read(in, piece, sizeof piece);
        if (n < 0 && errno != EINTR)
            return error_system(e, errno, "read a plugin's description");
        if (n == 0)
            return 0;
        bytes_put(out, piece, n > 0 ? (size_t)n : 0);
        if (out->failed)
            return error_set(e, ERROR_PLUGIN, "the plugin's description is too long");
    }
}

/* As the child has, so that the engine says the same of a plugin whoever loads it. */
static void end_alike(int status)
{
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

static int take(struct apart *apart, struct error *e)
{
    struct cursor c = cursor_of(apart->said.data, apart->said.length);
    uint32_t kind = cursor_u32(&c);
    bool no_memory = false;
    if (kind == DESCRIBED && wire_plugin(&c, &apart->info, &no_memory))
        return 0;
    if (no_memory)
        return error_memory(e);
    if (kind == REFUSED && wire_error(&c, e) && e->class != ERROR_NONE)
        return -1;
    return error_set(e, ERROR_PLUGIN, "plugin '%s' described itself in a malformed way", apart->name);
}

static int run(struct apart *apart, struct error *e)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(e, errno, "make a pipe for a plugin's description");
    pid_t child = fork();
    if (child == 0)
        serve(apart, ends[1]);
    int failed = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return error_system(e, failed, "start a process for a plugin's description");
    }
    int result = read_all(ends[0], &apart->said, e);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0 || apart->said.length == 0)
        end_alike(status);
    return result < 0 ? -1 : take(apart, e);
}

int apart_describe(const char *name, char *const *directories, size_t count, struct apart **apart, struct error *e)
{
    struct apart *a = calloc(1, sizeof *a);
    if (!a)
        return error_memory(e);
    a->said.maximum = LONGEST;
    a->name = text_copy(name);
    a->directories = calloc(count + 1, sizeof *a->directories);
    bool whole = a->name && a->directories;
    for (size_t i = 0; whole && i < count; i++, a->directory_count++)
        whole = (a->directories[i] = text_copy(directories[i])) != NULL;
    if (!whole || run(a, e) < 0) {
        if (!whole)
            error_memory(e);
        apart_free(a);
        return -1;
    }
    *apart = a;
    return 0;
}

void apart_free(struct apart *apart)
{
    if (!apart)
        return;
    for (size_t i = 0; i < apart->directory_count; i++)
        free(apart->directories[i]);
    free(apart->directories);
    free(apart->name);
    bytes_free(&apart->said);
    wire_plugin_free(&apart->info);
    free(apart);
}
