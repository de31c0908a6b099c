/* Directories that say of themselves that they are caches: https://bford.info/cachedir/ */
#ifndef COFRE_COMMON_CACHEDIR_H
#define COFRE_COMMON_CACHEDIR_H

#include <stdbool.h>
#include <sys/types.h>

#define CACHEDIR_TAG "CACHEDIR.TAG"

/* Does the directory hold a CACHEDIR.TAG, a regular file with the right beginning? One that cannot be read is none.
 * user: the effective one. */
bool cachedir_is_marked(int directory, uid_t user);

#endif
