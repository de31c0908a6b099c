/* What describes the volumes in a snapshot (layout.h): them, the containers that mount them, their compose files. */
#ifndef COFRE_DOCKER_VOLUME_DESCRIBE_H
#define COFRE_DOCKER_VOLUME_DESCRIBE_H

#include "docker-volume/survey.h"

/* Announce and send all of it, in the order of paths. Only what lasts is in it, so that it is the same in each snapshot
 * until somebody changes something. With facts: the image of each container. */
int32_t describe_send(const struct source *source, struct cofre_call *call, const struct survey *survey,
                      struct cofre_error *error);

/* What lasts of a container; digest: of its image. And of a volume: what volume_make wants. NULL: no memory. */
json_t *describe_container(const struct container *container, const char *digest);
json_t *describe_volume(const struct volume *volume);

#endif
