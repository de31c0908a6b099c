/* init: make the repository or archive of a sink, and a repository's key file if there is none. */
#ifndef COFRE_JOB_INIT_H
#define COFRE_JOB_INIT_H

struct config_instance;
struct engine;
struct error;
struct init_result;

/* Refuses (ERROR_EXISTS) a place that holds a repository of another key or any other objects. An interrupted init is
 * completed by the next one. */
int init_run(const struct engine *engine, const struct config_instance *sink, struct init_result *result,
             struct error *e);

#endif
