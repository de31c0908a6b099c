/* Containers that use a volume. */
#ifndef COFRE_DOCKER_VOLUME_USER_H
#define COFRE_DOCKER_VOLUME_USER_H

#include <stdbool.h>
#include <stddef.h>

#include "docker-volume/survey.h"

/* Does it mount the volume, or something in it, at all, or writable? */
bool user_mounts(const struct container *container, const struct volume *volume);
bool user_writes(const struct container *container, const struct volume *volume);
/* One of the chosen volumes? */
bool user_mounts_any(const struct survey *survey, const struct container *container);
bool user_writes_any(const struct survey *survey, const struct container *container);

/* It has processes, or is going to have some by itself. */
bool user_runs(const struct container *container);

/* Is it the one that cofre itself runs in? */
bool user_is_self(const struct container *container);

/* What is to be done with it while a volume is read that it writes to: the section's word, its own label, or nothing
 * with the one in which cofre runs. *known false: its label says something else, which does not count. */
enum options_during user_during(const struct options *options, const struct container *container, bool *known);

/* How it is named in a section: PROJECT/SERVICE of compose, else its name. Returns out. */
#define USER_REFERENCE_MAX 300
const char *user_reference(const struct container *container, char out[USER_REFERENCE_MAX]);

#endif
