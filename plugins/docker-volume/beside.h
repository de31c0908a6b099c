/* The directory of a plain volume, the one that is filled beside it, and the moment in which they change places. */
#ifndef COFRE_DOCKER_VOLUME_BESIDE_H
#define COFRE_DOCKER_VOLUME_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "docker-volume/note.h"

/* Fill place and leaf of the item: where the volume's directory is, which is open as data. COFRE_E_UNSUPPORTED: it
 * cannot be exchanged: it is a mount point, or its volume is a file system of its own. */
int32_t beside_find(struct note_item *item, const struct volume *volume, int data, struct cofre_error *error);

/* Fill place, leaf and inode of the item with the volume's own directory. */
int32_t beside_identify(struct note_item *item, const struct volume *volume, int data, struct cofre_error *error);
/* Is it still that one? */
bool beside_is_same(const struct note_item *item, const struct volume *volume);

/* Open the place; checked to be a directory, no link. */
int32_t beside_place(const struct note_item *item, int *place, struct cofre_error *error);

/* Make the directory beside, closed to others, and open it. Its inode goes into the item. */
int32_t beside_make(const struct note *note, struct note_item *item, int *fd, struct cofre_error *error);

/* Exchange, when that has not happened yet. Durable. *gone: the volume is not there any more. */
int32_t beside_exchange(const struct note *note, const struct note_item *item, bool *gone, struct cofre_error *error);
/* The other way round, when it has. */
int32_t beside_exchange_back(const struct note *note, const struct note_item *item, bool *gone,
                             struct cofre_error *error);

/* Is the exchange that the note's phase asks for still to be made? */
bool beside_is_pending(const struct note *note, const struct note_item *item);

/* What is beside goes. */
int32_t beside_discard(const struct note *note, const struct note_item *item, struct cofre_call *call,
                       struct cofre_error *error);

#endif
