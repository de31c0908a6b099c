/* The place: the root directory that holds the objects, and the way from a key to a directory and a name in it.
 *
 * Everything below the root is reached through directory descriptors, one component at a time, never through a symbolic
 * link: whoever can rename things in there cannot lead us out of it.
 */
#ifndef LOCAL_PLACE_H
#define LOCAL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cofre/plugin.h>

/* The directory in the root where puts begin. No key may begin like this, so that listings need not know about it. */
#define PLACE_TEMPORARY ".tmp"

/* Directories whose own entry is known to be on the disk; 256 of packs/, and the few others. */
#define PLACE_SETTLED_MAX 512

struct place {
    char *path; /* no '/' at the end */
    int root;   /* -1 = not there (yet) */
    ino_t settled[PLACE_SETTLED_MAX];
    size_t settled_count;
};

/* A root that does not exist is no error here: only place_create can mend it, and all else asks place_need first. */
int32_t place_open(struct place *place, const char *path, struct cofre_error *error);
void place_close(struct place *place);
/* Make the root and what is missing above it, 0700, durable. */
int32_t place_create(struct place *place, struct cofre_error *error);
/* COFRE_E_NOT_FOUND when the root is not there. */
int32_t place_need(struct place *place, struct cofre_error *error);

/* A segment of a key: [A-Za-z0-9._-]+, not "." or "..", not beginning with PLACE_TEMPORARY. */
bool place_is_segment(const char *name, size_t length);

/* The directory that holds key, and in *leaf the name in it (a part of key). make: missing directories are made, 0700,
 * and every directory on the way is durable. Not there: COFRE_E_NOT_FOUND. The caller closes *directory. */
int32_t place_parent(struct place *place, const char *key, bool make, int *directory, const char **leaf,
                     struct cofre_error *error);
/* The directory of temporary names, made when it is not there (make) or COFRE_E_NOT_FOUND. The caller closes it. */
int32_t place_temporary(struct place *place, bool make, int *directory, struct cofre_error *error);

/* For cleanup attributes. */
void place_close_fd(int *fd);
#define PLACE_CLOSE __attribute__((cleanup(place_close_fd)))

/* Fill *error from an errno: format is "what 'object'", the cause follows. Returns the class. */
int32_t place_fail(struct cofre_error *error, int errnum, const char *format, ...) COFRE_PRINTF_(3, 4);

#endif
