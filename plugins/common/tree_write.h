/* A directory tree, written safely, from the host: the restore half of every plugin that saves files, and of restoring
 * anything into a directory.
 *
 * What comes from the host is not believed: a path that leads out of the root is refused. What is in the target is not
 * believed either: no link is followed, nothing is opened but what this run made and the directories on the way. A new
 * directory is closed to others (0700) until all of it is there. An entry that cannot be put back, or not whole, is
 * told to the host, and the next one follows; a full disk ends the restore.
 */
#ifndef COFRE_COMMON_TREE_WRITE_H
#define COFRE_COMMON_TREE_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct pattern_set;

struct tree_write_options {
    const char *path;   /* absolute; made when it is missing */
    bool overwrite;     /* replace what is there, each file atomically; else it is left and told */
    bool devices;       /* make devices (root) */
    bool setuid;        /* setuid and setgid bits, file capabilities (root) */
    bool numeric_owner; /* owners by number, not by name */
    bool exact;         /* in directories of the snapshot, what it does not have is moved aside (aside.h) */
    const struct pattern_set *exclude, *include; /* of the source: what they leave out stays; may be empty */
};

/* Take every entry and put it back. COFRE_OK = all was tried, and is durable. */
int32_t tree_write(struct cofre_call *call, const struct tree_write_options *options, struct cofre_error *error);

#endif
