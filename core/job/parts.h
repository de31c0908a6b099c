/* Which parts of a snapshot a restore is to give back. */
#ifndef COFRE_JOB_PARTS_H
#define COFRE_JOB_PARTS_H

#include <stdbool.h>

struct manifest_source;
struct restore_request;

bool parts_wanted(const struct restore_request *request, const struct manifest_source *source);

/* The paths of the source that are wanted, in path order, none inside another, ended by NULL: none at all = everything.
 * The array is the caller's, the paths are the request's. NULL: out of memory. */
const char **parts_paths(const struct restore_request *request, const struct manifest_source *source);

#endif
