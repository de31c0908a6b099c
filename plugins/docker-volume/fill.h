/* One volume of a snapshot, put back. */
#ifndef COFRE_DOCKER_VOLUME_FILL_H
#define COFRE_DOCKER_VOLUME_FILL_H

#include <stdint.h>

#include "docker-volume/restoring.h"

/* All of volume `name`: *entry is its root, lent; then what follows it (tree_write_part). A volume that is missing is
 * made; one that is there is filled beside, and stays as it is. Whatever is not put back ends the restore. */
int32_t fill_whole(struct restoring *r, const char *name, const struct cofre_entry **entry);

/* Some of its entries, into the volume as it is used: file by file, as a directory is restored. */
int32_t fill_part(struct restoring *r, const char *name, const struct cofre_entry **entry);

/* A new item in the note, and its tally; valid until the next one. Not written yet. */
int32_t fill_item(struct restoring *r, const char *volume, enum note_way way, struct note_item **item);

#endif
