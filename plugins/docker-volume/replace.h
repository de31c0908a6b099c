/* The moment in which what was restored takes the place of what the volumes hold. */
#ifndef COFRE_DOCKER_VOLUME_REPLACE_H
#define COFRE_DOCKER_VOLUME_REPLACE_H

#include <stdint.h>

#include "docker-volume/restoring.h"

/* Everything is there, and whole. Stop what uses the volumes, exchange them all, or none; what they held is kept as
 * volumes of their own. The containers stay halted, for halt_undo. Logs what it did. */
int32_t replace_all(struct restoring *r);

/* Stop what uses the volumes of the note, for its id, and see that nothing does. */
int32_t replace_stop(const struct source *source, struct cofre_call *call, const struct note *note,
                     struct cofre_error *error);

#endif
