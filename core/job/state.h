/* The directory of a job's state on this machine, STATE/jobs/JOB: what must outlive a run, and the lock of those who
 * change it. */
#ifndef COFRE_JOB_STATE_H
#define COFRE_JOB_STATE_H

struct config;
struct error;

/* The directory, made. out has PATH_MAX bytes, and room for a file's name of 100 is left in it. */
int state_directory(const struct config *config, const char *job, char *out, struct error *e);

/* The lock of the job: who holds it runs the job, or changes its state. *fd is the lock; close releases it. ERROR_BUSY
 * names the process that has it. directory: of state_directory. */
int state_lock(const char *directory, const char *job, int *fd, struct error *e);

#endif
