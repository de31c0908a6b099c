/* A few threads that do jobs, and hand them back. One thread, the owner, gives the jobs and takes them back; what a job
 * holds belongs to the crew in between, so nothing of it needs a lock. */
#ifndef COFRE_COMMON_CREW_H
#define COFRE_COMMON_CREW_H

#include <stdbool.h>

#define CREW_MAX 4 /* threads */

/* To be embedded at the beginning of what a job is. */
struct crew_job {
    struct crew_job *next;
};

/* thread: 0 to CREW_MAX - 1; no two jobs run with the same one at once. */
typedef void crew_run(void *context, unsigned thread, struct crew_job *job);

struct crew;

/* NULL: out of memory. Without any thread, where the system gives none, jobs are done by the owner as they are given.
 */
struct crew *crew_new(unsigned threads, crew_run *run, void *context);

/* What was given is done before this returns; what was not taken back is the caller's. */
void crew_free(struct crew *crew);

void crew_give(struct crew *crew, struct crew_job *job);

/* A job that is done, in any order. NULL: none (wait false), or none is left to wait for. */
struct crew_job *crew_take_back(struct crew *crew, bool wait);

#endif
