/* A volume whose files cannot be reached from here, filled through the daemon: a tar archive, unpacked by it. */
#ifndef COFRE_DOCKER_VOLUME_POUR_H
#define COFRE_DOCKER_VOLUME_POUR_H

#include <stddef.h>
#include <stdint.h>

#include "docker-volume/restoring.h"

/* As fill_whole, into a volume that item `at` of the note says was made for it. It must be empty, which one that mounts
 * something need not be. */
int32_t pour_volume(struct restoring *r, const char *name, const struct volume *volume, size_t at,
                    const struct cofre_entry **entry);

/* Into one that is there; one that has content is refused. */
int32_t pour_into(struct restoring *r, const char *name, const struct volume *volume, const struct cofre_entry **entry);

#endif
