/* The target of a restore: where a source's entries go, and whether that may be. */
#ifndef COFRE_JOB_TARGET_H
#define COFRE_JOB_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct config_instance;
struct engine;
struct error;
struct undo;
struct manifest;
struct manifest_source;
struct restore_request;
struct worker;

/* Opened for one source. */
struct target {
    struct worker *worker;
    const struct config_instance *source; /* the configured one; NULL = it goes into a directory */
    struct undo *hold;                    /* covers a restore into a running application; NULL = none */
    int64_t patience;                     /* ms that a restore is begun again when it fails in passing */
    char marker[PATH_MAX];                /* file that tells of an unfinished restore; "" = none */
};

/* Into a directory: the directory plugin on INTO/SOURCE. Otherwise: the configured source of that name, in place or
 * where the overrides lead; then its plugin refuses what would replace something. A place that has content is refused
 * (ERROR_EXISTS) without request->yes, unless it is the rest of an interrupted restore of the same snapshot. */
int target_open(const struct engine *engine, const struct manifest *manifest, const struct manifest_source *source,
                const struct restore_request *request, struct target *target, struct error *e);
/* A restore failed in passing, before anything was put back: what it has changed by then is taken back. */
void target_take_back(const struct target *target, struct error *e);
/* Everything was put back: the place is finished. */
int target_finish(struct target *target, struct error *e);
/* Thaws, notes what was left beside, and stops the worker. -1: the source is not as it was before; *e says why. */
int target_close(const struct engine *engine, struct target *target, struct error *e);

#endif
