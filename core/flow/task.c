#include "flow/task.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"

struct task {
    pthread_t thread;
    int (*run)(void *context, struct error *e);
    void *context;
    int result;
    struct error error;
};

static void *task_main(void *argument)
{
    struct task *task = argument;
    task->result = task->run(task->context, &task->error);
    return NULL;
}

int task_start(struct task **task, int (*run)(void *context, struct error *e), void *context, struct error *e)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return error_memory(e);
    t->run = run;
    t->context = context;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->thread, NULL, task_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(t);
        return error_system(e, failed, "start a thread");
    }
    *task = t;
    return 0;
}

int task_join(struct task *task, struct error *e)
{
    ASSERT(pthread_join(task->thread, NULL) == 0);
    int result = task->result;
    if (result < 0)
        *e = task->error;
    free(task);
    return result;
}
