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
    bool setuid;        /* setuid and setgid bits, attributes beyond user.* and ACLs (root) */
    bool numeric_owner; /* owners by number, not by name */
    bool exact;         /* in directories of the snapshot, what it does not have is moved aside (aside.h) */
    const struct pattern_set *exclude, *include; /* of the source: what they leave out stays; may be empty */
};

/* Take every entry and put it back. COFRE_OK = all was tried, and is durable. */
int32_t tree_write(struct cofre_call *call, const struct tree_write_options *options, struct cofre_error *error);

/* What became of the entries of a part. */
struct tree_write_counts {
    uint64_t given, bytes;    /* without sockets; bytes: sizes of the files, as announced */
    uint64_t partly;          /* back without some of their metadata */
    uint64_t left_out;        /* devices, while they are not wanted */
    uint64_t failed;          /* any other failure; each was told to the host */
    int32_t class;            /* of the first of these failures */
    struct cofre_error first; /* and its text, which begins with the path */
};

/* Entries of one place among others. */
struct tree_write_part {
    const char *prefix; /* the entry of this path is the root, and what is below it comes; it is taken off, also of the
                           first names of hard links. The host hears whole paths */
    int root;           /* lent: an open directory, which options->path names */
    bool fresh;         /* it was made for this and is closed to others: nothing is in it */
    struct tree_write_counts counts; /* out, also after failure */
};

/* Put back what belongs to the part. *entry: the first of its entries, which next has lent; then the one that ended it,
 * lent and not done, or NULL: there are no more. COFRE_OK = all was tried, and is durable. */
int32_t tree_write_part(struct cofre_call *call, const struct tree_write_options *options, struct tree_write_part *part,
                        const struct cofre_entry **entry, struct cofre_error *error);

#endif
