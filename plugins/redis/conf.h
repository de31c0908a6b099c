/* The options of a [source] with plugin = redis. */
#ifndef COFRE_REDIS_CONF_H
#define COFRE_REDIS_CONF_H

#include "cofre/plugin.h"

struct inside;

enum over_maxmemory { OVER_MAXMEMORY_REFUSE, OVER_MAXMEMORY_KEEP };

struct conf {
    const char *container, *docker, *docker_tls;
    const char *host, *socket, *user;
    int64_t port;
    struct cofre_secret password;
    int32_t tls;
    int64_t patience, start_within; /* ms */
    int64_t max_size;               /* bytes; 0 = by what the server says that it uses */
    int32_t over_maxmemory;         /* enum over_maxmemory */
    const char *announce_host, *announce_port_range;
    const char *server;
    /* Not of the host, but made at open: */
    struct inside *inside; /* the container that the server is in; NULL = it is in none */
};

#endif
