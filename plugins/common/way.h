/* The way to a directory that an operator named, component by component and not by its whole name. A symlink on it is
 * followed when it and everything that leads to it belong to root or ourselves and nobody else can write there: any
 * other could lead elsewhere a moment later. Directories of others are gone through: what they can put there in place
 * of one is no secret of anybody else's. */
#ifndef COFRE_COMMON_WAY_H
#define COFRE_COMMON_WAY_H

#include "cofre/plugin.h"

/* Makes a directory that is missing on the way; the directory above it is open with O_PATH. 0 or an errno; EEXIST is as
 * good as 0. */
typedef int way_make(int above, const char *name);

#define WAY_REFUSED (-1) /* a symlink that others can change: the error says which */

/* Open the directory at path, absolute, for reading; make may be NULL. 0; an errno, ELOOP when it is a symlink itself;
 * or WAY_REFUSED. The error is filled for WAY_REFUSED alone. */
int way_open(const char *path, way_make *make, int *directory, struct cofre_error *error);

#endif
