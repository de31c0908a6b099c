/* cofre discover: what the daemon has that could be a source. */
#ifndef COFRE_DOCKER_VOLUME_DISCOVER_H
#define COFRE_DOCKER_VOLUME_DISCOVER_H

#include "docker-volume/source.h"

/* An offer for the volumes of each compose project, for each other volume, and for each database in a container, whose
 * volume is then left out of the others. */
int32_t discover_run(const struct source *source, struct cofre_call *call, struct cofre_error *error);

#endif
