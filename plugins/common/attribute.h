/* Extended attributes of a file: among them POSIX ACLs (system.posix_acl_*) and file capabilities
 * (security.capability). */
#ifndef COFRE_COMMON_ATTRIBUTE_H
#define COFRE_COMMON_ATTRIBUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cofre/plugin.h"

/* Room that is used again for each file. Zeroed is empty. */
struct attribute_set {
    struct cofre_attribute *rows; /* count of them; valid until the next read */
    uint32_t count, capacity;
    char *names;
    uint8_t *values;
    size_t used, room;
    dev_t without; /* a file system that has no attributes: not asked again */
    bool knows_without;
};

void attribute_free(struct attribute_set *set);

/* Read all attributes of the open file fd, which lives on device. COFRE_OK, also where the file system has none; or an
 * error class with the text in *why: then the set holds those that could be read. */
int32_t attribute_read(struct attribute_set *set, int fd, dev_t device, struct cofre_error *why);

/* The same by name, for what cannot be opened: entry name of the directory dir. A symlink is not followed. One that
 * vanished has none. */
int32_t attribute_read_at(struct attribute_set *set, int dir, const char *name, dev_t device, struct cofre_error *why);

#endif
