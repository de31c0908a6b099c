/* A task: a thread that returns an error. */
#ifndef COFRE_FLOW_TASK_H
#define COFRE_FLOW_TASK_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct task;

/* How many threads of this process can run at once: at least 1. */
unsigned task_processors(void);

/* Start run(context, e) in a thread with all signals blocked. On success *task must be joined. */
int task_start(struct task **task, int (*run)(void *context, struct error *e), void *context, struct error *e);

/* Has it ended? Then task_join does not wait. */
bool task_ended(struct task *task);
/* Wait until one of them has ended; which one, task_ended tells. n > 0; NULLs are passed over, but not all may be NULL.
 */
void task_wait_any(struct task *const *tasks, size_t n);

/* Wait for its end; the result and error are those of run. Frees the task. */
int task_join(struct task *task, struct error *e);

#endif
