/* The services around a restore of a job into the running applications (restore_stop): stopped before the first source
 * is restored, under a hold, and started again in order after the last, whatever came of it. */
#ifndef COFRE_JOB_SERVICES_H
#define COFRE_JOB_SERVICES_H

#include <stdbool.h>

struct config_job;
struct engine;
struct error;
struct services;
struct worker_finding;

enum services_state {
    SERVICES_UNTOUCHED, /* as they were */
    SERVICES_STARTED,   /* they were stopped, and work again */
    SERVICES_KEPT,      /* they are still stopped, as was asked for */
    SERVICES_LEFT       /* they could not all be started; it was logged, and the next start of cofre tries again */
};

/* Who does it: the first of the job's sources whose plugin can; else a plugin that can with nothing but defaults.
 * *services is NULL when the job asks for none. ERROR_CONFIG when nobody can. Starts a worker; reaches nothing. */
int services_find(const struct engine *engine, const struct config_job *job, struct services **services,
                  struct error *e);
/* "source 'volumes'", "plugin 'docker-volume'". */
const char *services_by(const struct services *services);

/* What would be stopped and started, one after another. */
int services_say(struct services *services, void (*found)(void *context, const struct worker_finding *), void *context,
                 struct error *e);
/* -1: they run as before, or SERVICES_LEFT is logged. */
int services_stop(struct services *services, struct error *e);
/* After services_stop. keep: they stay stopped, when nothing is being cancelled. */
enum services_state services_end(struct services *services, bool keep);

/* NULL is fine. */
void services_free(struct services *services);

#endif
