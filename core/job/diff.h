/* diff: what differs between two snapshots. */
#ifndef COFRE_JOB_DIFF_H
#define COFRE_JOB_DIFF_H

#include <stdint.h>

struct entries_item;
struct error;
struct manifest;
struct manifest_source;
struct vault;

enum diff_what {
    DIFF_ADDED,
    DIFF_REMOVED,
    DIFF_CHANGED,  /* another kind, content or link */
    DIFF_METADATA, /* the same content, with another owner, mode, time, ... */
    DIFF_KINDS
};

/* One entry, in path order. before, after: NULL where there is none. -1 ends it. */
typedef int diff_told(void *context, enum diff_what what, const struct entries_item *before,
                      const struct entries_item *after, struct error *e);

/* One of two snapshots, and of that one source; it is read once. */
struct diff_side {
    struct vault *vault;
    const struct manifest *manifest;
    const struct manifest_source *source; /* NULL = it has nothing of it */
};

/* At and below path (NULL = all). directory: where there is room for a file while it lasts. *entries: those that were
 * compared, of both; 0 = there is no such path. */
int diff_run(const struct diff_side *before, const struct diff_side *after, const char *path, const char *directory,
             diff_told *told, void *context, uint64_t *entries, struct error *e);

#endif
