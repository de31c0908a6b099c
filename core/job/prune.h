/* Prune: remove the snapshots that no rule keeps, of one host and job in one sink at a time.
 *
 * A dry run takes the same way, and stops before the removal. Nothing is removed on a doubt (prune_doubt.c), nor more
 * than half at once unless a person says so: then what would go is held, and why is said.
 */
#ifndef COFRE_JOB_PRUNE_H
#define COFRE_JOB_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/vault.h"
#include "job/retention.h"

struct config_instance;
struct config_job;
struct config_retention;
struct history;

enum prune_action {
    PRUNE_KEEP,
    PRUNE_REMOVE, /* it is gone; in a dry run it would be */
    PRUNE_HOLD    /* no rule keeps it, and it stays all the same: its last reason says why */
};

struct prune_request {
    bool dry_run;
    bool yes; /* a person has said that it may be much */
};

/* What came of one host and job. */
struct prune_result {
    const char *host, *job;
    size_t kept, removed, held;
    struct error why; /* what is held, or that nothing could be decided; ERROR_NONE = neither */
};

struct prune_audience {
    /* Each snapshot, newest first, after what was done; lent. */
    void (*decided)(void *context, const struct prune_result *of, const struct vault_standing *standing,
                    const struct retention_decision *decision, enum prune_action action);
    /* After those of one host and job. */
    void (*done)(void *context, const struct prune_result *result);
    void *context;
};

/* Those of this host and job; its lock is held. history: what this machine remembers of it. 0: done, or held, as the
 * audience was told; -1: nothing was decided. */
int prune_job(struct vault *vault, const struct config_job *job, const struct history *history,
              const struct prune_request *request, const struct prune_audience *audience, struct error *e);
/* Those of other hosts, of this job (NULL = any), by the rules of the sink's section. */
int prune_others(struct vault *vault, const char *job, const struct prune_request *request,
                 const struct prune_audience *audience, struct error *e);

/* Do the rules ask for removing after each run, and the key at hand does not allow it? Then *why says so. */
bool prune_is_denied(struct vault *vault, const struct config_job *job, struct error *why);
/* After a run of the job, whose lock is held, has committed to the vault: prune_job, when the rules say so and the key
 * may. What was removed, and what is wrong, is logged. False: something is held or failed, and was a warning. *result:
 * all 0 when nothing was decided. */
bool prune_after_run(struct vault *vault, const struct config_job *job, const struct history *history,
                     struct prune_result *result);

/* ---- doubts: prune_doubt.c ---- */

/* May it be decided which of these, of one host and this job, go? standings: all of them, newest first. history: NULL =
 * of another host. 0, or -1 with why not. now: ns. */
int prune_doubt(struct vault *vault, const char *job, const struct vault_standing *standings, size_t count,
                const struct history *history, const struct prune_request *request, int64_t now, struct error *e);

#endif
