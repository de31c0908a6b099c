/* Small files that a plugin keeps in a directory of its own: whatever stands where one belongs, what was put there by
 * somebody else is neither followed, waited for, nor believed. */
#ifndef COFRE_COMMON_OWNFILE_H
#define COFRE_COMMON_OWNFILE_H

#include <stdio.h>

/* flags as open has them, without O_TRUNC; one that O_CREAT makes has mode 0600. The descriptor of a regular file of
 * root or ourselves, or -1 and errno: EINVAL for what is no file, EPERM for one of somebody else. */
int ownfile_open(const char *path, int flags);

/* The same to read, as a stream; NULL and errno. */
FILE *ownfile_read(const char *path);

/* A new file in the place of whatever has that name, to write: it is one that we have made. */
int ownfile_make(const char *path);

#endif
