/* A server that runs in a container, and the way to it.
 *
 * It is looked up whenever something is about to be done with it: made anew, a container has another address, another
 * process and perhaps another image. The ways, of which the first that there is counts:
 *
 *   INSIDE_NETWORK  our thread enters the network of the container: its 127.0.0.1 is ours, and what we listen on it
 *                   reaches. No port needs to be published, nobody else can hear it. It takes root, on its machine.
 *   INSIDE_ADDRESS  the container's address in a network that reaches here: where cofre runs in a container itself, or
 *                   not as root. Of a daemon that is not on this machine only an address in a network that is proven to
 *                   be ours as well: the same numbers mean other containers elsewhere. */
#ifndef COFRE_DOCKER_INSIDE_H
#define COFRE_DOCKER_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/container.h"
#include "common/docker/daemon.h"
#include "cofre/plugin.h"

enum inside_way { INSIDE_NETWORK, INSIDE_ADDRESS };

#define INSIDE_NAME_MAX 256
#define INSIDE_HOST_MAX 64

struct inside {
    struct daemon *daemon;
    char *reference; /* as the options name it */
    int home;        /* our own network, once it was left; else -1 */
    bool abandoned;  /* for the plugin: a program was given up in there, and may not have heard of it */
    /* Of the last inside_reach: */
    enum inside_way way;
    char id[65], name[INSIDE_NAME_MAX], image[INSIDE_NAME_MAX], digest[CONTAINER_DIGEST_MAX];
    char host[INSIDE_HOST_MAX];    /* where its server listens, seen from here */
    char network[INSIDE_NAME_MAX]; /* INSIDE_ADDRESS: the one that reaches here */
};

/* container: name, id, or PROJECT/SERVICE. docker, tls: as daemon_options has them. Looks at the options alone
 * (COFRE_E_CONFIG). *inside is given to inside_close. */
int32_t inside_open(struct inside **inside, const char *container, const char *docker, const char *tls,
                    struct cofre_error *error);
/* Back into our own network. By the thread that entered. NULL is fine. */
void inside_close(struct inside *inside);

/* Find it, see that it runs, and take a way to its server, which listens on that port; whether it does is for whoever
 * connects to find out. By the thread that connects, and starts programs, afterwards. One that does not run is
 * COFRE_E_RETRY, one that is paused COFRE_E_BUSY: it may be about to. COFRE_E_UNSUPPORTED: there is no way. */
int32_t inside_reach(struct inside *inside, struct cofre_call *call, int64_t port, struct cofre_error *error);

/* "container 'db' runs postgres:15 (sha256:...): its network was entered". Returns out. */
#define INSIDE_TEXT_MAX 1024
const char *inside_describe(const struct inside *inside, char out[INSIDE_TEXT_MAX]);

/* backup, facts: "container" and "container.image". Both change when an application is brought up to date, so neither
 * says which server it is: that is for the server itself. */
int32_t inside_facts(const struct inside *inside, struct cofre_call *call, struct cofre_error *error);

/* For inside_reach: an address of the container that reaches here, into host and network. why: why its network cannot
 * be entered. */
int32_t inside_address(struct inside *inside, struct cofre_call *call, const struct container *container, int64_t port,
                       const struct cofre_error *why, struct cofre_error *error);

#endif
