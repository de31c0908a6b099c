/* What the files of container.h share. Nobody else includes this. */
#ifndef COFRE_DOCKER_CONTAINER_INSIDE_H
#define COFRE_DOCKER_CONTAINER_INSIDE_H

#include <stdint.h>

#include "common/docker/container.h"
#include "common/docker/daemon_inside.h"
#include "cofre/plugin.h"

#define CONTAINERS_MAX 4096u

/* As containers_list, those that the daemon's filters (JSON; NULL = none) let through. */
int32_t container_list(struct daemon *daemon, struct cofre_call *call, const char *filters,
                       struct containers *containers, struct cofre_error *error);

/* By whatever the daemon takes for a name of it. what: for messages. */
int32_t container_inspect(struct daemon *daemon, struct cofre_call *call, const char *name, const char *what,
                          struct container *container, struct cofre_error *error);

/* A pidfd of a process that belongs to the container of this id; -1 and errno: there is none of that number, or it is
 * not known to be the container's. */
int container_open_process(int64_t pid, const char *id);

#endif
