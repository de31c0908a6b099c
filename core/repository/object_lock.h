/* Retaining: what a new snapshot re-uses stays protected as long as what it adds, where the sink has a `lock`. */
#ifndef COFRE_REPOSITORY_OBJECT_LOCK_H
#define COFRE_REPOSITORY_OBJECT_LOCK_H

struct error;
struct needs;
struct repository;

/* Before the manifest is committed: extend the lock of every pack of the repository that the snapshot needs, and of its
 * config, to the sink's `lock` from now on. What was extended to when is remembered beside the index, so that each pack
 * costs one request in an eighth of the lock, and not one in each run. Does nothing without a lock. */
int object_lock_extend(struct repository *repository, const struct needs *needs, struct error *e);

#endif
