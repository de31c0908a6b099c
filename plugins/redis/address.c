#include "redis/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "redis/link.h"

static void set_port(struct sockaddr_storage *address, int port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

static socklen_t size_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void any_address(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_addr = in6addr_any;
    else
        ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_ANY);
}

static void loopback(struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    address->ss_family = AF_INET;
    ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void write_host(const struct sockaddr_storage *address, char *out, size_t size)
{
    if (getnameinfo((const struct sockaddr *)address, size_of(address), out, (socklen_t)size, NULL, 0, NI_NUMERICHOST))
        snprintf(out, size, "?");
}

static void own_end(const struct link *link, struct sockaddr_storage *address)
{
    socklen_t size = sizeof *address;
    memset(address, 0, sizeof *address);
    if (getsockname(link_descriptor(link), (struct sockaddr *)address, &size) < 0 ||
        (address->ss_family != AF_INET && address->ss_family != AF_INET6))
        loopback(address);
}

static int32_t parse_range(const char *text, int *first, int *last, struct cofre_error *error)
{
    char rest;
    *first = *last = 0;
    if (!text || sscanf(text, "%d-%d%c", first, last, &rest) == 2)
        return *first >= 0 && *last <= 65535 && *first <= *last
                   ? COFRE_OK
                   : cofre_fail(error, COFRE_E_CONFIG, "announce_port_range '%s' is no range of ports", text);
    if (sscanf(text, "%d%c", first, &rest) != 1 || *first < 1 || *first > 65535)
        return cofre_fail(error, COFRE_E_CONFIG, "announce_port_range '%s' is no range of ports: write 4000-4010",
                          text);
    *last = *first;
    return COFRE_OK;
}

static int32_t try_ports(int fd, struct sockaddr_storage *address, int first, int last, struct cofre_error *error)
{
    for (int port = first; port <= last; port++) {
        set_port(address, port);
        if (bind(fd, (struct sockaddr *)address, size_of(address)) == 0 && listen(fd, 4) == 0)
            return COFRE_OK;
        if (errno != EADDRINUSE && errno != EACCES)
            break;
    }
    return cofre_fail_errno(error, errno, "listen for the server on ports '%d-%d'", first, last);
}

int32_t address_listen(const struct link *link, int *listener, char *host, size_t host_size, int *port,
                       struct cofre_error *error)
{
    struct sockaddr_storage address;
    int first, last;
    int32_t class = parse_range(link->conf->announce_port_range, &first, &last, error);
    if (class != COFRE_OK)
        return class;
    own_end(link, &address);
    write_host(&address, host, host_size);
    if (link->conf->announce_host) {
        snprintf(host, host_size, "%s", link->conf->announce_host);
        any_address(&address);
    }
    *listener = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*listener < 0)
        return cofre_fail_errno(error, errno, "make a socket for the server");
    class = try_ports(*listener, &address, first, last, error);
    socklen_t size = sizeof address;
    if (class == COFRE_OK && getsockname(*listener, (struct sockaddr *)&address, &size) < 0)
        class = cofre_fail_errno(error, errno, "find our port");
    *port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
    return class;
}

bool address_is_server(const struct link *link, const struct sockaddr_storage *peer, char *text, size_t size)
{
    struct sockaddr_storage server;
    socklen_t length = sizeof server;
    char expected[NI_MAXHOST];
    memset(&server, 0, sizeof server);
    write_host(peer, text, size);
    if (link->conf->announce_host)
        return true;
    if (getpeername(link_descriptor(link), (struct sockaddr *)&server, &length) < 0 ||
        (server.ss_family != AF_INET && server.ss_family != AF_INET6))
        loopback(&server);
    write_host(&server, expected, sizeof expected);
    return strcmp(text, expected) == 0;
}
