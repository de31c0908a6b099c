/* The options of a [source] with plugin = redis. */
#ifndef COFRE_REDIS_CONF_H
#define COFRE_REDIS_CONF_H

#include "cofre/plugin.h"

struct conf {
    const char *host, *socket, *user;
    int64_t port;
    struct cofre_secret password;
    int32_t tls;
    int64_t patience; /* ms */
    const char *announce_host, *announce_port_range;
    const char *server;
};

#endif
