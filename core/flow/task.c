#include "flow/task.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

struct task {
    pthread_t thread;
    int (*run)(void *context, struct error *e);
    void *context;
    int result;
    bool ended;
    struct error error;
};

/* Ends are rare, so one bell for all tasks is enough. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;

static void *task_main(void *argument)
{
    struct task *task = argument;
    task->result = task->run(task->context, &task->error);
    pthread_mutex_lock(&lock);
    task->ended = true;
    pthread_cond_broadcast(&bell);
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool task_ended(struct task *task)
{
    pthread_mutex_lock(&lock);
    bool ended = task->ended;
    pthread_mutex_unlock(&lock);
    return ended;
}

static bool any_ended(struct task *const *tasks, size_t n)
{
    bool ended = false;
    for (size_t i = 0; i < n; i++)
        ended = ended || (tasks[i] && tasks[i]->ended);
    return ended;
}

void task_wait_any(struct task *const *tasks, size_t n)
{
    pthread_mutex_lock(&lock);
    while (!any_ended(tasks, n))
        pthread_cond_wait(&bell, &lock);
    pthread_mutex_unlock(&lock);
}

unsigned task_processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    return count > 0 ? (unsigned)count : 1;
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
