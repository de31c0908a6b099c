/* Mount points of this machine, as the kernel lists them: nothing is looked at that could hang. */
#ifndef COFRE_COMMON_MOUNTS_H
#define COFRE_COMMON_MOUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct mounts {
    char **paths; /* relative to the directory, sorted, none below another */
    size_t count;
};

/* The mount points below the open directory root, called path, on which a walk that stays on its file system ends. */
int32_t mounts_below(struct mounts *mounts, int root, const char *path, struct cofre_error *error);
void mounts_free(struct mounts *mounts);

#endif
