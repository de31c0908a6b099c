/* What can be said of a tree before it is saved, without walking through all of it: mount points that a run would leave
 * out, and databases that are at work in it, near its root. */
#ifndef COFRE_COMMON_TREE_CHECK_H
#define COFRE_COMMON_TREE_CHECK_H

#include <stdint.h>

#include "common/tree_read.h"
#include "cofre/plugin.h"

/* Says findings, under paths with the prefix if there is one (of at most NAME_MAX bytes, here). root is the tree's root
 * at options->path, open; it stays the caller's. An error: looking itself failed. */
int32_t tree_check(struct cofre_call *call, const struct tree_read_options *options, int root,
                   struct cofre_error *error);

#endif
