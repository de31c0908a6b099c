/* Directories of cofre's own making, removed with all that is in them. */
#ifndef COFRE_DOCKER_VOLUME_DISCARD_H
#define COFRE_DOCKER_VOLUME_DISCARD_H

#include <stdint.h>

#include "cofre/plugin.h"

/* Remove the directory name of the open directory dir. No link is followed, other file systems are not entered, and
 * depth costs no memory. It may be done again after a failure. One that is not there is fine. */
int32_t discard_directory(struct cofre_call *call, int dir, const char *name, struct cofre_error *error);

#endif
