/* What a volume held before a restore replaced it: kept as volume NAME_before_SNAPSHOT, until somebody removes it.
 *
 * It has the labels of the volume, but for those of compose, which would take it for one of the project, and remove it
 * with `down -v`. Two of its own say what it is. */
#ifndef COFRE_DOCKER_VOLUME_BEFORE_H
#define COFRE_DOCKER_VOLUME_BEFORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/docker/volume.h"
#include "docker-volume/note.h"
#include "docker-volume/survey.h"

#define BEFORE_LABEL "cofre.before" /* the name of the volume that it was */

/* Is this volume such a one? */
bool before_is(const struct volume *volume);

/* Labels and options of a volume, for another one that is not compose's; a new reference, NULL: out of memory. */
json_t *before_without_compose(const json_t *description);

/* Choose name and description of the volume that keeps what item's volume holds. */
int32_t before_choose(struct daemon *daemon, struct cofre_call *call, const struct note *note, const char *snapshot,
                      const struct volume *volume, struct note_item *item, struct cofre_error *error);

/* After the exchange: what the volume held becomes the volume item->before, when that has not happened yet; an empty
 * one is removed. *kept: it is there now. */
int32_t before_keep(struct daemon *daemon, struct cofre_call *call, const struct note *note,
                    const struct note_item *item, bool *kept, struct cofre_error *error);

/* Name those of them that were one that is chosen as what restores have left. */
void before_name(struct cofre_call *call, const struct survey *survey);

/* Say with finding(), and name, which of these volumes were one that is chosen, and how large they are. */
int32_t before_inspect(struct daemon *daemon, struct cofre_call *call, const struct survey *survey,
                       struct cofre_error *error);

#endif
