/* A snapshot's volumes, put back.
 *
 * All or nothing: each volume is filled beside what it holds, or, when it is missing, made; only when all of them are
 * whole are their users stopped, and the contents exchanged. What is done is noted before it is (note.h), so that
 * after a kill at any moment, restore_settle and restore_tidy, from a fresh process, take it all back, or, once the
 * exchange has begun, finish it. */
#ifndef COFRE_DOCKER_VOLUME_RESTORE_H
#define COFRE_DOCKER_VOLUME_RESTORE_H

#include <stdint.h>

#include "docker-volume/source.h"

int32_t restore_run(const struct source *source, struct cofre_call *call, struct cofre_error *error);

/* thaw, before the containers start again: no volume is half exchanged afterwards. After a failure they must not be
 * started: what they use may still be exchanged. */
int32_t restore_settle(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error);
/* thaw, afterwards: what is left over goes, or is kept as a volume. */
int32_t restore_tidy(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error);

#endif
