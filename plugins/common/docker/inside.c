#include "common/docker/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"

#define OWN_NETWORK "/proc/thread-self/ns/net"

int32_t inside_open(struct inside **inside, const char *container, const char *docker, const char *tls,
                    struct cofre_error *error)
{
    const struct daemon_options options = {.address = docker, .tls = tls};
    struct inside *in = calloc(1, sizeof *in);
    if (!in)
        return cofre_fail_errno(error, ENOMEM, "open the source");
    in->home = -1;
    in->reference = strdup(container);
    int32_t status =
        in->reference ? daemon_open(&options, &in->daemon, error) : cofre_fail_errno(error, ENOMEM, "open the source");
    if (status != COFRE_OK) {
        inside_close(in);
        return status;
    }
    *inside = in;
    return COFRE_OK;
}

/* ---- in and out ---- */

static int32_t go_home(struct inside *in, struct cofre_error *error)
{
    if (in->home < 0)
        return COFRE_OK;
    int failed = setns(in->home, CLONE_NEWNET) < 0 ? errno : 0;
    close(in->home);
    in->home = -1;
    return failed ? cofre_fail_errno(error, failed, "leave the network of a container") : COFRE_OK;
}

void inside_close(struct inside *in)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    if (!in)
        return;
    go_home(in, &ignored);
    daemon_close(in->daemon);
    free(in->reference);
    free(in);
}

static int32_t enter(struct inside *in, const struct container *c, struct cofre_error *error)
{
    in->home = open(OWN_NETWORK, O_RDONLY | O_CLOEXEC);
    if (in->home < 0)
        return cofre_fail_errno(error, errno, "open '" OWN_NETWORK "'");
    int32_t status = container_enter_network(in->daemon, c, error);
    if (status != COFRE_OK) {
        close(in->home);
        in->home = -1;
        return status;
    }
    in->way = INSIDE_NETWORK;
    in->network[0] = '\0';
    snprintf(in->host, sizeof in->host, "127.0.0.1");
    return COFRE_OK;
}

static int32_t take_way(struct inside *in, struct cofre_call *call, const struct container *c, int64_t port,
                        struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = enter(in, c, &why);
    if (status == COFRE_E_UNSUPPORTED || status == COFRE_E_DENIED)
        return inside_address(in, call, c, port, &why, error);
    if (status != COFRE_OK)
        *error = why;
    return status;
}

/* ---- does it run? ---- */

/* What is none of these runs. */
static const struct {
    enum container_state state;
    int32_t class;
    const char *hint; /* of its name */
} halted[] = {
    {CONTAINER_CREATED, COFRE_E_RETRY,
     "docker start %s; one that is about to be started can be waited for: wait = 60s"},
    {CONTAINER_EXITED, COFRE_E_RETRY, "docker start %s; one that is about to be started can be waited for: wait = 60s"},
    {CONTAINER_RESTARTING, COFRE_E_RETRY, "docker logs %s says why it ends again and again"},
    {CONTAINER_PAUSED, COFRE_E_BUSY, "docker unpause %s"},
    {CONTAINER_REMOVING, COFRE_E_RETRY, "is %s being made anew? Try again"},
    {CONTAINER_DEAD, COFRE_E_PERMANENT, "docker rm %s, and make it anew"},
};

static int32_t check_state(const struct container *c, struct cofre_error *error)
{
    size_t n = sizeof halted / sizeof halted[0], i = 0;
    while (i < n && halted[i].state != c->state)
        i++;
    if (i == n && c->pid > 0)
        return COFRE_OK;
    if (i == n) /* it ended just now */
        i = 1;
    cofre_fail(error, halted[i].class, "container '%s' does not run: it is %s", c->name,
               container_state_name(halted[i].state));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    cofre_hint(error, halted[i].hint, c->name);
#pragma GCC diagnostic pop
    return halted[i].class;
}

int32_t inside_reach(struct inside *in, struct cofre_call *call, int64_t port, struct cofre_error *error)
{
    CONTAINER_AUTO c = {.json = NULL};
    int32_t status = go_home(in, error);
    if (status == COFRE_OK)
        status = container_find(in->daemon, call, in->reference, &c, error);
    if (status == COFRE_OK)
        status = check_state(&c, error);
    if (status == COFRE_OK)
        status = container_digest(in->daemon, call, &c, in->digest, error);
    if (status != COFRE_OK)
        return status;
    snprintf(in->id, sizeof in->id, "%s", c.id);
    snprintf(in->name, sizeof in->name, "%s", c.name);
    snprintf(in->image, sizeof in->image, "%s", c.image);
    return take_way(in, call, &c, port, error);
}

/* ---- what is said of it ---- */

const char *inside_describe(const struct inside *in, char out[INSIDE_TEXT_MAX])
{
    int n =
        snprintf(out, INSIDE_TEXT_MAX, "container '%s' runs, of image '%s' (%s): ", in->name, in->image, in->digest);
    size_t used = n > 0 && n < INSIDE_TEXT_MAX ? (size_t)n : 0;
    if (in->way == INSIDE_NETWORK)
        snprintf(out + used, INSIDE_TEXT_MAX - used, "its network was entered");
    else
        snprintf(out + used, INSIDE_TEXT_MAX - used, "it is at %s in network '%s'", in->host, in->network);
    return out;
}

int32_t inside_facts(const struct inside *in, struct cofre_call *call, struct cofre_error *error)
{
    int32_t status = cofre->fact(call, "container", in->name, 0, error);
    return status == COFRE_OK ? cofre->fact(call, "container.image", in->digest, 0, error) : status;
}
