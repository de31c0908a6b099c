/* One moment for all sources of a job: those that offer it are frozen before the first is read, each under a hold of
 * its own, and thawed as soon as they were read, whatever came of it. In their order, but those whose plugin offers
 * services before all others: they stop what writes, and a database's moment must not be an earlier one. */
#ifndef COFRE_JOB_FREEZE_H
#define COFRE_JOB_FREEZE_H

#include <stdbool.h>
#include <stddef.h>

struct config_job;
struct engine;
struct error;
struct freeze;
struct worker;

/* workers: one for each source of the job, started. Opens and freezes those that offer it. One that cannot be opened or
 * frozen is that source's failure alone: freeze_result. -1: the run must end; freeze_end is due all the same. */
int freeze_sources(const struct engine *engine, const struct config_job *job, struct worker *const *workers,
                   struct freeze **freeze, struct error *e);

/* -1 when the i-th source could not be frozen, with *e. */
int freeze_result(const struct freeze *freeze, size_t i, struct error *e);
/* Was its worker opened here? */
bool freeze_has_opened(const struct freeze *freeze, size_t i);

/* Thaw the i-th source, when it is frozen. A failure is logged and counted. worker: NULL = a fresh one. */
void freeze_thaw(struct freeze *freeze, size_t i, struct worker *worker);
/* Thaw what is still frozen. Returns how many could not be thawed, in all. NULL is fine. */
size_t freeze_end(struct freeze *freeze, struct worker *const *workers);

#endif
