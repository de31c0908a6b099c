/* The way down into a tree: the directories from the root to where one is, held by descriptor.
 *
 * Every step is one component, opened relative to the descriptor above with O_NOFOLLOW, so that no link is ever
 * followed and no path is looked up twice. Only the root and the lowest DESCENT_OPEN_MAX directories are open; one that
 * was closed on the way down is opened again on the way up, through "..", and must be the same by device and inode. So
 * depth costs a few bytes a level, and is limited by the length of a path alone.
 */
#ifndef COFRE_COMMON_DESCENT_H
#define COFRE_COMMON_DESCENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define DESCENT_OPEN_MAX 64
#define DESCENT_PATH_MAX 65535

struct descent_level {
    dev_t device;
    ino_t inode;
    size_t path_length; /* of this directory, in path */
    int fd;             /* -1: closed for now, or lost */
};

struct descent {
    struct descent_level *levels;
    size_t depth, capacity; /* depth 0: not begun; levels[0] is the root */
    size_t lowest;          /* levels[1] to levels[lowest - 1] are closed */
    char *path;             /* DESCENT_PATH_MAX + 1 bytes: the prefix, then relative to the root; NUL terminated */
    size_t path_length;
};

/* Takes root over. 0 or ENOMEM; then root is closed. */
int descent_begin(struct descent *d, int root, const struct stat *st);
void descent_end(struct descent *d);

/* All paths begin with this, as if the root were a directory of that path: called right after descent_begin, with at
 * most DESCENT_PATH_MAX bytes. */
void descent_prefix(struct descent *d, const char *prefix, size_t length);

/* The descriptor of the lowest directory; -1 when the way back to it was lost. */
static inline int descent_fd(const struct descent *d)
{
    return d->levels[d->depth - 1].fd;
}

static inline size_t descent_path_length(const struct descent *d)
{
    return d->levels[d->depth - 1].path_length;
}

/* Make path that of an entry of the lowest directory. false: it would be too long. */
bool descent_name(struct descent *d, const char *name, size_t length);

/* Go down into what path names now. Takes fd over, also after an error. 0 or ENOMEM. */
int descent_push(struct descent *d, int fd, const struct stat *st);

/* Leave the lowest directory, which is not the root; path is that of the one above. 0; or an errno when the one above
 * could not be opened again or is another by now: then its descriptor is -1. */
int descent_pop(struct descent *d);

/* Is the directory one of those above or here? */
bool descent_holds(const struct descent *d, const struct stat *st);

#endif
