/* A task: a thread that returns an error. */
#ifndef COFRE_FLOW_TASK_H
#define COFRE_FLOW_TASK_H

struct error;
struct task;

/* Start run(context, e) in a thread with all signals blocked. On success *task must be joined. */
int task_start(struct task **task, int (*run)(void *context, struct error *e), void *context, struct error *e);

/* Wait for its end; the result and error are those of run. Frees the task. */
int task_join(struct task *task, struct error *e);

#endif
