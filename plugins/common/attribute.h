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

/* Read all attributes of the open file fd, which lives on device. Returns 0 or an errno; then the set holds those that
 * could be read. A file system without attributes has none: 0. */
int attribute_read(struct attribute_set *set, int fd, dev_t device);

/* The same by name, for what cannot be opened: entry name of the directory dir. A symlink is not followed. */
int attribute_read_at(struct attribute_set *set, int dir, const char *name, dev_t device);

#endif
