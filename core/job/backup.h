/* backup: one run of a job. */
#ifndef COFRE_JOB_BACKUP_H
#define COFRE_JOB_BACKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "snapshot/manifest.h"

struct config_instance;
struct config_job;
struct engine;
struct error;

struct backup_sink {
    const char *name;
    const char *plugin;
    char *plugin_version; /* NULL: it could not be opened */
    bool committed;
    char *error;              /* not committed: why; NULL else */
    char *warning;            /* of what will fail there one day: a key expires; NULL = of nothing */
    uint64_t added;           /* stored bytes */
    int64_t space, available; /* bytes, when it was committed; 0 = the sink cannot tell */
    size_t removed, kept;     /* snapshots of the job, afterwards; both 0 where none were to be removed */
};

/* What came of it. Owned by the caller: backup_result_free. */
struct backup_result {
    struct manifest
        *manifest; /* NULL when nothing was committed anywhere, and after a dry run it is what would have been */
    struct backup_sink *sinks;
    size_t sink_count;
    size_t held;        /* sources that are still frozen: thaw failed */
    uint64_t unchanged; /* entries taken over without being opened */
    bool skipped;       /* nothing was done, as begin has said */
    bool unpruned;      /* what the rules let go could not be removed afterwards, or is held back; it was said */
    int64_t elapsed;    /* ms */
};
void backup_result_free(struct backup_result *result);

/* What is to be saved. */
struct backup_request {
    const struct config_job *job;
    const struct config_instance **sources; /* some of the job's, in its order; NULL = all of them */
    size_t source_count;
    bool dry_run;      /* reads and counts, stores nothing */
    const char *label; /* of the snapshot; NULL = none */
    /* Both while the job is locked; may be NULL. begin: before anything is read or opened; 1: the run is skipped, -1:
     * it fails. end: once, when nothing is frozen or open any more; why: of a run that failed, else NULL. */
    int (*begin)(void *context, struct error *e);
    void (*end)(void *context, const struct backup_result *result, const struct error *why);
    void *context;
};

/* 0: skipped, or committed on at least one sink, and what the rules let go is removed where the job says so (prune.h);
 * result->manifest->status and result->sinks tell whether everything was (exit 0) or parts are missing (exit 3). -1:
 * nothing was committed. ERROR_BUSY: another run of this job is active. Each stage and each missing part is logged. */
int backup_run(const struct engine *engine, const struct backup_request *request, struct backup_result *result,
               struct error *e);
/* Is everything there that was asked for, and no source still frozen? */
bool backup_complete(const struct backup_result *result);

#endif
