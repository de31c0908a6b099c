/* What a snapshot of a docker-volume source holds, and under which paths.
 *
 *   .docker/containers/NAME.json    of each container that mounts one: what inspect says (environment included: the
 *                                   entry is sealed like all data), and the digest of its image
 *   .docker/projects/PROJECT/FILE   the compose files that its labels name, where they can be read
 *   .docker/volumes/NAME.json       of each volume: driver, options, labels
 *   NAME/...                        the content of the volume; NAME itself is its root, with owner and mode
 *
 * No name of a volume begins with a dot, and "." comes before what may begin one, so all descriptions come first. */
#ifndef COFRE_DOCKER_VOLUME_LAYOUT_H
#define COFRE_DOCKER_VOLUME_LAYOUT_H

#define LAYOUT_ROOT ".docker"
#define LAYOUT_CONTAINERS ".docker/containers"
#define LAYOUT_PROJECTS ".docker/projects"
#define LAYOUT_VOLUMES ".docker/volumes"

#endif
