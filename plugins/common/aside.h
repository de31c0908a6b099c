/* What a restore that is to be exact finds and the snapshot does not have: moved aside, never removed.
 *
 * It goes beside the root, into ROOT_before_SNAPSHOT, under the paths that it had. Where the root is a mount point that
 * is another file system, to which nothing can be moved: then into a directory of that name, with a dot in front, in
 * the root. What the patterns of the source leave out is none of its business, and stays. */
#ifndef COFRE_COMMON_ASIDE_H
#define COFRE_COMMON_ASIDE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/listing.h"
#include "common/remark.h"
#include "common/tree_write.h"
#include "cofre/plugin.h"

struct aside {
    struct cofre_call *call;
    const struct tree_write_options *options;
    const char *prefix;     /* of paths, for the patterns; "" = none */
    int root;               /* lent */
    dev_t device;           /* of the root: other file systems are left alone */
    struct listing listing; /* what was there in the directories on the way */
    char place[PATH_MAX];   /* "" = nothing was moved yet */
    int fd;                 /* of it, -1 = none */
    struct remark moved, stuck;
};

/* A directory on the way, and its names that are still to come. */
struct aside_level {
    int fd;
    const char *path; /* from the root, not terminated */
    size_t length;
    struct listing_range *range;
};

/* options and root outlive it. 0 or an errno. */
int aside_begin(struct aside *aside, struct cofre_call *call, const struct tree_write_options *options, int root);
void aside_end(struct aside *aside);

/* The snapshot has this directory: see what is in it. false: it is not to be exact, and nothing was listed. */
bool aside_enter(struct aside *aside, const struct aside_level *level);

/* The snapshot has this name in it: what was there before it in the order of names goes, and what has the name and is
 * not of this kind. */
void aside_pass(struct aside *aside, const struct aside_level *level, const char *name, bool directory);

/* Nothing more comes in it. */
void aside_leave(struct aside *aside, const struct aside_level *level);

/* Say what was moved. COFRE_OK, or an error: something is in the way that could not be moved. */
int32_t aside_say(const struct aside *aside, struct cofre_error *error);

#endif
