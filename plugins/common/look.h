/* What one look at an entry of a tree found, and how it is told to the host. */
#ifndef COFRE_COMMON_LOOK_H
#define COFRE_COMMON_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cofre/plugin.h"

struct attribute_set;

/* What all looks of a run share. */
struct look_rules {
    dev_t device; /* of the root: not part of fingerprints, for a snapshot of a file system has a new one each time */
    bool inodes_vary;  /* nor are inodes: the file system gives out others at each mount */
    bool numbers_only; /* owners without names */
};

struct look {
    const struct look_rules *rules;
    struct stat st;
    uint32_t kind; /* COFRE_FILE ...; HARDLINK when link is the path of the first name */
    bool racy;     /* changed less than two seconds before the look, or dated in the future */
    bool asked;    /* unchanged() was called for this path */
    const char *path;
    size_t path_length;
    const char *link; /* SYMLINK, HARDLINK; else NULL */
    size_t link_length;
    const char *user, *group; /* of the owner; NULL = not known, not wanted */
};

/* The kind of a file type; 0 when there is none. */
uint32_t look_kind(mode_t mode);

/* fstatat without following a link, or fstat when name is NULL. 0 or an errno. Sets st, kind and racy. */
int look_at(struct look *look, int fd, const char *name);

/* Open what the look showed, for reading: never a link, never waiting for a writer, without a trace in its access time
 * where user (the effective one) may do that. A descriptor, or -1 with errno. */
int look_open(const struct look *look, int dir, const char *name, uid_t user, int flags);

/* Same kind, inode, times: the second look saw what the first one saw. */
bool look_same(const struct look *a, const struct look *b);

/* Ask the host: true = taken over from the last snapshot. Racy entries are not asked about; nobody is asked twice. */
bool look_unchanged(struct cofre_call *call, struct look *look);

/* Is its time too far away for nanoseconds since 1970 in 64 bits? It is told as the nearest that fits. */
bool look_is_far(const struct look *look);

/* Announce. attributes may be NULL. sure false leaves the fingerprint out: it is known to be not whole. COFRE_E_RANGE:
 * it is too large to be told, with these attributes. */
int32_t look_announce(struct cofre_call *call, const struct look *look, const struct attribute_set *attributes,
                      bool sure, struct cofre_error *error);

#endif
