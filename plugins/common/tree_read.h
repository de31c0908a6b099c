/* A directory tree, read safely, to the host: the backup half of every plugin that saves files.
 *
 * The tree may be changed by others while it is read, also by those who mean harm: no link is ever followed, nothing
 * but regular files and directories is ever opened, and what was opened is looked at again before it is believed.
 * Unchanged files are not opened. Memory grows with the names of one directory and its ancestors, and with files that
 * have several names.
 */
#ifndef COFRE_COMMON_TREE_READ_H
#define COFRE_COMMON_TREE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct pattern_set;

struct tree_read_options {
    const char *path;                            /* absolute; a directory, not a symlink to one */
    const char *prefix;                          /* NULL = none; else of every path, and the path of the root itself */
    int root;                                    /* with a prefix: the directory, open; path is then not looked at */
    const struct pattern_set *exclude, *include; /* may be empty */
    bool exclude_caches, one_file_system, numeric_owner;
    bool inodes_vary;      /* inodes say nothing from one run to the next */
    bool living_accepted;  /* files of a running database are as good as others */
    const char *container; /* that a database found in the tree is in; NULL = none is known */
};

struct tree_read_counts {
    uint64_t entries, files, directories, bytes; /* bytes: sizes of the files */
};

/* Announce and send every entry. COFRE_OK = all was announced; what could not be read was said to the host. */
int32_t tree_read(struct cofre_call *call, const struct tree_read_options *options, struct tree_read_counts *counts,
                  struct cofre_error *error);

/* Count what tree_read would announce, and announce nothing. */
int32_t tree_read_count(struct cofre_call *call, const struct tree_read_options *options,
                        struct tree_read_counts *counts, struct cofre_error *error);

#endif
