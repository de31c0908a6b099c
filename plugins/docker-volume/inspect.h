/* cofre check: the daemon, the volumes that are chosen, who uses them, and what would be done with whom. */
#ifndef COFRE_DOCKER_VOLUME_INSPECT_H
#define COFRE_DOCKER_VOLUME_INSPECT_H

#include "docker-volume/source.h"

int32_t inspect_run(const struct source *source, struct cofre_call *call, struct cofre_error *error);

#endif
