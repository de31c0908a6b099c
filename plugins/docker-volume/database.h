/* Containers that run a database for which there is a plugin: told by what their image and configuration say, without a
 * look inside. */
#ifndef COFRE_DOCKER_VOLUME_DATABASE_H
#define COFRE_DOCKER_VOLUME_DATABASE_H

#include <stdbool.h>

#include "common/docker/container.h"

struct database {
    const char *plugin;                                                             /* that saves it */
    const char *what;                                                               /* "PostgreSQL" */
    const char *const *programs, *const *variables, *const *images, *const *places; /* ended by NULL */
    const char *port, *place_variable, *user_variable, *user;                       /* NULL = none */
};

/* NULL = none that is known. */
const struct database *database_find(const struct container *container);

/* Are its files in this volume? */
bool database_has_data(const struct database *database, const struct container *container, const char *volume);

/* The role that the container made at first; NULL = there is none, or an odd one. Never a password. */
const char *database_user(const struct database *database, const struct container *container);

#endif
