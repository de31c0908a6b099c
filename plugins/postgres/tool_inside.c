#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/docker/inside.h"
#include "postgres/program.h"
#include "postgres/tool.h"

#define NOT_THERE 127 /* what a container says of a program that it has not */
#define NOT_RUN 126
#define PATIENCE 100 /* ms between two looks */

/* What it writes to stdout, terminated, to its end or as much as there is room for. */
static int32_t read_all(struct program *p, struct cofre_call *call, char *out, size_t size, struct cofre_error *error)
{
    size_t n = 0;
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && n < size - 1) {
        struct pollfd fd = {.fd = p->out, .events = POLLIN};
        poll(&fd, 1, PATIENCE);
        ssize_t got = read(p->out, out + n, size - 1 - n);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            break;
        n += got > 0 ? (size_t)got : 0;
        status = cofre->cancelled(call, error);
    }
    out[n] = '\0';
    return status;
}

/* tool->major 0: it is not there, or is something else. */
static int32_t look(struct tool *tool, struct cofre_call *call, struct inside *inside, struct cofre_error *error)
{
    PROGRAM_AUTO p = {.pid = 0};
    char word[] = "--version", said[200];
    char *const words[] = {tool->path, word, NULL};
    const struct program_inside spec = {.inside = inside, .call = call, .words = words, .input = -1, .output = true};
    int code = 0;
    int32_t status = program_start_inside(&p, &spec, error);
    if (status == COFRE_E_NOT_FOUND)
        return COFRE_OK;
    if (status == COFRE_OK)
        status = read_all(&p, call, said, sizeof said, error);
    if (status == COFRE_OK)
        status = program_wait(&p, call, false, &code, error);
    if (status != COFRE_OK)
        return status;
    if (code < 0)
        return program_fail(&p, code, "ask for its version", error);
    if (code != NOT_THERE && code != NOT_RUN)
        tool_read_version(tool, said);
    return COFRE_OK;
}

int32_t tool_find_inside(struct tool *tool, struct cofre_call *call, const char *name, const struct options *options,
                         int server_major, struct cofre_error *error)
{
    /* As the container finds it; then where packages for Debian put it, whose images may have nothing in their PATH. */
    char places[2][PATH_MAX];
    size_t count = options->bin_dir ? 1 : 2;
    if (options->bin_dir)
        snprintf(places[0], PATH_MAX, "%s/%s", options->bin_dir, name);
    else
        snprintf(places[0], PATH_MAX, "%s", name);
    snprintf(places[1], PATH_MAX, "/usr/lib/postgresql/%d/bin/%s", server_major, name);
    for (size_t i = 0; i < count; i++) {
        struct tool found = {.major = 0};
        memcpy(found.path, places[i], sizeof found.path);
        int32_t status = look(&found, call, options->inside, error);
        if (status != COFRE_OK)
            return status;
        if (found.major > tool->major)
            *tool = found;
        if (tool->major >= server_major)
            return COFRE_OK;
    }
    int32_t class = COFRE_E_NOT_FOUND;
    if (tool->major > 0)
        class = cofre_fail(error, COFRE_E_CONFIG,
                           "'%.100s' in container '%.100s' is of version %s, and the server of "
                           "version %d",
                           tool->path, options->inside->name, tool->version, server_major);
    else
        cofre_fail(error, class, "container '%.100s' has no %s", options->inside->name, places[0]);
    cofre_hint(error, "tools = host uses that of this machine: postgresql-client-%d or newer", server_major);
    return class;
}
