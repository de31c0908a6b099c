/* The containers that use volumes, and what has to become of them before a volume's content is exchanged. */
#ifndef COFRE_DOCKER_VOLUME_USERS_H
#define COFRE_DOCKER_VOLUME_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/docker/container.h"
#include "common/docker/volume.h"
#include "cofre/plugin.h"

struct users {
    struct containers all;    /* in order, dependencies first */
    struct containers chosen; /* of them; their text belongs to `all` */
};

int32_t users_list(struct daemon *daemon, struct cofre_call *call, struct users *users, struct cofre_error *error);
/* Zeroed is fine. */
void users_free(struct users *users);
#define USERS_AUTO __attribute__((cleanup(users_free))) struct users

/* Does it mount that volume, or, from the directory where that is ("" = not known), something in it? */
bool users_is_one(const struct container *container, const char *volume, const char *directory);

/* Add to `chosen` those that use it. */
int32_t users_choose(struct users *users, const char *volume, const char *directory, struct cofre_error *error);

/* A container holds on to the directory that it was started with, also while it is paused: it would go on with what the
 * volume held before. So each user is stopped, and what cannot be is refused: one that is paused, and one with --rm,
 * which would be gone. */
int32_t users_refuse(const struct users *users, const char *volume, const char *directory, struct cofre_error *error);

/* Does one of them run? NULL: none does. */
const struct container *users_running(const struct users *users, const char *volume, const char *directory);

/* "a, b and 3 more" */
void users_names(const struct containers *containers, bool (*which)(const struct container *), char *out, size_t size);

#endif
