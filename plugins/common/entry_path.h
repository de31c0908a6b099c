/* Paths of entries, as they come from the host. */
#ifndef COFRE_COMMON_ENTRY_PATH_H
#define COFRE_COMMON_ENTRY_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a path cannot be one below a root; NULL when it can. */
const char *entry_path_fault(const char *path, size_t length);

/* Of the path of the directory that it lies in; 0 = the root. */
size_t entry_path_parent(const char *path, size_t length);

/* Is it prefix, or below it? "" has all below it. */
bool entry_path_is_of(const char *prefix, const char *path, size_t length);

/* Without that prefix, which it has, and the '/' behind it. */
void entry_path_strip(const char *prefix, const char **path, uint32_t *length);

/* The directory that path names, from the directory root down; no link is followed. The last one that was asked for is
 * held, since hard links come many to a directory. */
struct entry_directory {
    int fd;     /* -1 = none */
    char *path; /* DESCENT_PATH_MAX + 1 bytes */
    size_t length;
};

/* false: out of memory. */
bool entry_directory_begin(struct entry_directory *directory);
/* A descriptor, lent, or -1 with errno. */
int entry_directory_open(struct entry_directory *directory, int root, const char *path, size_t length);
/* Zeroed and not begun: fd must be -1. */
void entry_directory_end(struct entry_directory *directory);

#endif
