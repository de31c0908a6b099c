/* What becomes of the containers that write to the volumes, while those are read. */
#ifndef COFRE_DOCKER_VOLUME_DURING_H
#define COFRE_DOCKER_VOLUME_DURING_H

#include "docker-volume/survey.h"

/* Pause and stop, in the reverse order of what depends on what. After an error during_end is due. */
int32_t during_begin(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error);
int32_t during_end(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error);

/* Does nobody write to it: are all that do halted, or ended? What is listed in the survey counts. */
bool during_is_quiet(const struct survey *survey, const struct volume *volume);

/* After a volume was read: did somebody start a container that was to be halted meanwhile? COFRE_E_CHANGED names it.
 * now: a survey made after the reading. */
int32_t during_check(const struct source *source, struct cofre_call *call, const char *id, const struct survey *now,
                     const struct volume *volume, struct cofre_error *error);

#endif
