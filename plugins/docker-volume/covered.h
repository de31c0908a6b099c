/* Which source of the configuration saves a volume. */
#ifndef COFRE_DOCKER_VOLUME_COVERED_H
#define COFRE_DOCKER_VOLUME_COVERED_H

#include <stdbool.h>

#include "docker-volume/survey.h"

#define COVERED_NAME_MAX 256

/* By a docker-volume source of the same daemon that chooses it, or by one of the databases in containers that keeps its
 * data in it. in_job: only those that a job runs. covered: its name; "" = none. */
int32_t covered_volume(const struct source *source, struct cofre_call *call, const struct survey *survey,
                       const struct volume *volume, bool in_job, char covered[COVERED_NAME_MAX],
                       struct cofre_error *error);

/* By a source of that plugin with this container. */
int32_t covered_container(struct cofre_call *call, const char *plugin, const struct container *container, bool in_job,
                          char covered[COVERED_NAME_MAX], struct cofre_error *error);

#endif
