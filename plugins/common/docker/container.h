/* Containers, as the daemon describes them, and what can be done with them. */
#ifndef COFRE_DOCKER_CONTAINER_H
#define COFRE_DOCKER_CONTAINER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/daemon.h"
#include "cofre/plugin.h"

enum container_state {
    CONTAINER_CREATED,
    CONTAINER_RUNNING,
    CONTAINER_PAUSED,
    CONTAINER_RESTARTING,
    CONTAINER_EXITED,
    CONTAINER_REMOVING,
    CONTAINER_DEAD
};

enum container_health { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

struct container_mount {
    const char *volume; /* its name; NULL = no volume */
    const char *source, *destination;
    bool writable;
};

/* Text is borrowed from `json`, and never NULL unless said. */
struct container {
    json_t *json; /* what inspect said */
    const char *id, *name;
    const char *image;             /* as it was named */
    const char *image_id;          /* "sha256:..." */
    const char *project, *service; /* of compose; "" = none */
    const char *started_at;        /* as the daemon writes it; changes with every start */
    const char *during;            /* label cofre.during; "" = none */
    const char *network_mode;      /* "container:ID" shares that one's network */
    enum container_state state;
    enum container_health health;
    int64_t pid;               /* on the daemon's machine; 0 = not running */
    bool removed_when_stopped; /* --rm */
    struct container_mount *mounts;
    size_t mount_count;
};

struct containers {
    struct container *items;
    size_t count;
};

const char *container_state_name(enum container_state state);

/* All there are, in the order of their names. One that vanishes meanwhile is none. COFRE_E_UNSUPPORTED: more than
 * 4,096.
 */
int32_t containers_list(struct daemon *daemon, struct cofre_call *call, struct containers *containers,
                        struct cofre_error *error);
/* Dependencies first: compose's depends_on, shared networks, links; else by name. Also where they form a ring. */
int32_t containers_order(struct containers *containers, struct cofre_error *error);
void containers_free(struct containers *containers);
#define CONTAINERS_AUTO __attribute__((cleanup(containers_free))) struct containers

/* By name or id, or PROJECT/SERVICE of compose (the one container of it that runs, else the only one).
 * COFRE_E_NOT_FOUND names what is there instead, COFRE_E_CONFIG says that several run. In whatever state it is. */
int32_t container_find(struct daemon *daemon, struct cofre_call *call, const char *reference,
                       struct container *container, struct cofre_error *error);
/* Look again, by id. */
int32_t container_look(struct daemon *daemon, struct cofre_call *call, const char *id, struct container *container,
                       struct cofre_error *error);
/* Zeroed is fine. */
void container_free(struct container *container);
#define CONTAINER_AUTO __attribute__((cleanup(container_free))) struct container

/* NULL, or the mount of that volume. */
const struct container_mount *container_mounts(const struct container *container, const char *volume);

/* Each returns when the daemon says that it is so; what is so already is fine. None is sent twice. */
int32_t container_start(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                        struct cofre_error *error);
/* timeout: seconds until it is killed; -1 = the container's own. */
int32_t container_stop(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                       int64_t timeout, struct cofre_error *error);
int32_t container_pause(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                        struct cofre_error *error);
int32_t container_unpause(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                          struct cofre_error *error);

/* The digest by which the image was pulled, else its id: text of at most 160 bytes. An image that is gone: its id. */
#define CONTAINER_DIGEST_MAX 161
int32_t container_digest(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                         char digest[CONTAINER_DIGEST_MAX], struct cofre_error *error);

/* Enter its network: what this thread, and threads and programs that it starts, connect from now on is in there, and
 * 127.0.0.1 is the container's. To be called by the thread that connects; there is no way back. Sockets of files, such
 * as the daemon's, are reached as before. For a container of this machine that runs, as root. Others:
 * COFRE_E_UNSUPPORTED, also where its processes are not to be seen, as from within another container; COFRE_E_DENIED.
 */
int32_t container_enter_network(struct daemon *daemon, const struct container *container, struct cofre_error *error);

#endif
