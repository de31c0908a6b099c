#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/docker/inside.h"

#define PATIENCE 3000 /* ms that an address may take to answer */
#define SHARES 8      /* containers whose networks are used in turn: container:A whose own is container:B ... */

struct search {
    struct inside *in;
    struct cofre_call *call;
    int64_t port;
    char tried[200]; /* "172.18.0.2, 10.0.3.7" */
    bool not_ours;   /* an address was left out */
};

/* ---- does it answer? ---- */

/* *answers: somebody is there, also one who refuses: the server may be starting. */
static int32_t await_answer(struct search *s, int fd, bool *answers, struct cofre_error *error)
{
    int failed = 0;
    socklen_t size = sizeof failed;
    struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = cofre->cancel_fd(s->call), .events = POLLIN}};
    while (poll(fds, 2, PATIENCE) < 0 && errno == EINTR)
        ;
    int32_t status = cofre->cancelled(s->call, error);
    if (status == COFRE_OK && fds[0].revents && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0)
        *answers = failed == 0 || failed == ECONNREFUSED;
    return status;
}

static int32_t try_address(struct search *s, const char *text, bool *answers, struct cofre_error *error)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    *answers = false;
    if (inet_pton(AF_INET, text, &to.sin_addr) != 1)
        return COFRE_OK;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return cofre_fail_errno(error, errno, "make a socket");
    int32_t status = COFRE_OK;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == ECONNREFUSED)
        *answers = true;
    else if (errno == EINPROGRESS)
        status = await_answer(s, fd, answers, error);
    close(fd);
    return status;
}

/* ---- is it the network that we are in? ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Has that interface this hardware address? */
static bool has_hardware(const struct ifaddrs *all, const char *interface, const char *mac)
{
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        char text[18];
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_PACKET || strcmp(i->ifa_name, interface) != 0)
            continue;
        const unsigned char *b = ((const struct sockaddr_ll *)(const void *)i->ifa_addr)->sll_addr;
        snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
        if (strcasecmp(text, mac) == 0)
            return true;
    }
    return false;
}

/* An end of the network, as the daemon knows it: is it an interface of ours? */
static bool is_ours(const struct ifaddrs *all, const json_t *end)
{
    const char *address = text_of(end, "IPv4Address");
    size_t n = strcspn(address, "/");
    for (const struct ifaddrs *i = all; i && n > 0; i = i->ifa_next) {
        char text[INET_ADDRSTRLEN];
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
            !inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, text, sizeof text))
            continue;
        if (strlen(text) == n && strncmp(text, address, n) == 0 &&
            has_hardware(all, i->ifa_name, text_of(end, "MacAddress")))
            return true;
    }
    return false;
}

/* On another machine the same address is another container's. */
static int32_t is_shared(struct search *s, const char *network, bool *shared, struct cofre_error *error)
{
    json_t *answer = NULL;
    const char *key;
    json_t *end;
    struct ifaddrs *all = NULL;
    struct cofre_error why = {.struct_size = sizeof why};
    const struct daemon_request request = {.method = "GET",
                                           .path = "/networks/%s",
                                           .segments = DAEMON_WORDS(network),
                                           .what = "look at the network of the container"};
    *shared = daemon_is_local(s->in->daemon);
    if (*shared)
        return COFRE_OK;
    /* A daemon that does not tell, as behind a proxy that lets little through, proves nothing. */
    if (daemon_ask(s->in->daemon, s->call, &request, &answer, &why) == COFRE_OK && getifaddrs(&all) == 0)
        json_object_foreach(json_object_get(answer, "Containers"), key, end) *shared = *shared || is_ours(all, end);
    if (all)
        freeifaddrs(all);
    json_decref(answer);
    return cofre->cancelled(s->call, error);
}

/* ---- the networks of a container ---- */

static int32_t try_network(struct search *s, const char *name, const json_t *network, bool *found,
                           struct cofre_error *error)
{
    const char *address = text_of(network, "IPAddress");
    bool shared = false;
    if (*address == '\0')
        return COFRE_OK;
    int32_t status = is_shared(s, text_of(network, "NetworkID"), &shared, error);
    s->not_ours = s->not_ours || !shared;
    size_t used = strlen(s->tried);
    snprintf(s->tried + used, sizeof s->tried - used, "%s%s", used ? ", " : "", address);
    if (status == COFRE_OK && shared)
        status = try_address(s, address, found, error);
    if (status == COFRE_OK && *found) {
        s->in->way = INSIDE_ADDRESS;
        snprintf(s->in->host, sizeof s->in->host, "%s", address);
        snprintf(s->in->network, sizeof s->in->network, "%s", name);
    }
    return status;
}

static int32_t try_all(struct search *s, const struct container *c, bool *found, struct cofre_error *error)
{
    const char *name;
    json_t *network;
    int32_t status = COFRE_OK;
    json_t *networks = json_object_get(json_object_get(c->json, "NetworkSettings"), "Networks");
    json_object_foreach(networks, name, network)
    {
        if (status == COFRE_OK && !*found)
            status = try_network(s, name, network, found, error);
    }
    return status;
}

/* One that uses the network of another has no address of its own. */
static int32_t try_owner(struct search *s, const struct container *c, int depth, bool *found, struct cofre_error *error)
{
    static const char shares[] = "container:";
    if (strncmp(c->network_mode, shares, strlen(shares)) != 0 || depth == SHARES)
        return try_all(s, c, found, error);
    CONTAINER_AUTO owner = {.json = NULL};
    int32_t status = container_look(s->in->daemon, s->call, c->network_mode + strlen(shares), &owner, error);
    return status == COFRE_OK ? try_owner(s, &owner, depth + 1, found, error) : status;
}

static int32_t no_way(const struct search *s, const struct container *c, const struct cofre_error *why,
                      struct cofre_error *error)
{
    const char *result = !*s->tried    ? "it has no address in any network"
                         : s->not_ours ? "nothing proves that we are in a network of it: "
                                       : "none of its addresses answers: ";
    cofre_fail(error, COFRE_E_UNSUPPORTED, "container '%s' cannot be reached from here: %.200s; %s%s", c->name,
               why->message, result, s->tried);
    if (*s->tried)
        cofre_hint(error,
                   "run cofre as root on the container's machine; or, where cofre is in a container, attach that "
                   "to a network of it: docker network connect");
    else
        cofre_hint(error, "run cofre as root on the container's machine");
    return COFRE_E_UNSUPPORTED;
}

int32_t inside_address(struct inside *in, struct cofre_call *call, const struct container *container, int64_t port,
                       const struct cofre_error *why, struct cofre_error *error)
{
    struct search s = {.in = in, .call = call, .port = port};
    bool found = false;
    int32_t status = try_owner(&s, container, 0, &found, error);
    return status == COFRE_OK && !found ? no_way(&s, container, why, error) : status;
}
