/* Where we are, as the server sees it. */
#ifndef COFRE_REDIS_ADDRESS_H
#define COFRE_REDIS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "cofre/plugin.h"

struct link;

/* A socket that listens where the server of this link can reach it: on our own end of the link; on every address when
 * announce_host says another name for it; on 127.0.0.1 when the link is a UNIX socket. The port is one of
 * announce_port_range ("4000-4010"), or any. host, port: what the server is to be told. */
int32_t address_listen(const struct link *link, int *listener, char *host, size_t host_size, int *port,
                       struct cofre_error *error);

/* Is this the address of the server? Not asked when announce_host is set: then addresses are translated on the way.
 * text: the address, for messages. */
bool address_is_server(const struct link *link, const struct sockaddr_storage *peer, char *text, size_t size);

#endif
