/* The directory that an operator named: where a tree begins. It is no symlink itself; of those above it way.h says
 * which are followed. */
#ifndef COFRE_COMMON_ROOT_H
#define COFRE_COMMON_ROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cofre/plugin.h"

/* Open it for reading. COFRE_E_NOT_FOUND, COFRE_E_CONFIG (a symlink, no directory), COFRE_E_DENIED (also for a symlink
 * on the way that others can change), with a hint. */
int32_t root_open(const char *path, int *root, struct cofre_error *error);

/* Make it, and the directories above it that are missing, with mode 0700, and open it. One that is there is fine. */
int32_t root_make(const char *path, int *root, struct cofre_error *error);

/* Read its first names; it can then be listed from the beginning. */
int32_t root_is_empty(int root, bool *empty, struct cofre_error *error);

#endif
