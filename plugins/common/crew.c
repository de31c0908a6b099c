#include "common/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct queue {
    struct crew_job *first, **last;
};

struct crew {
    crew_run *run;
    void *context;
    unsigned threads, started; /* started: number of the next thread to begin, under the lock */
    unsigned out;              /* jobs given and not taken back: the owner's */
    pthread_t ids[CREW_MAX];
    pthread_mutex_t lock;
    pthread_cond_t given, done;
    struct queue todo, back;
    bool ended;
};

static void put(struct queue *q, struct crew_job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}

static struct crew_job *get(struct queue *q)
{
    struct crew_job *job = q->first;
    if (job && !(q->first = job->next))
        q->last = &q->first;
    return job;
}

static void *work(void *context)
{
    struct crew *crew = context;
    pthread_mutex_lock(&crew->lock);
    unsigned number = crew->started++;
    for (;;) {
        struct crew_job *job = get(&crew->todo);
        if (!job && crew->ended)
            break;
        if (!job) {
            pthread_cond_wait(&crew->given, &crew->lock);
            continue;
        }
        pthread_mutex_unlock(&crew->lock);
        crew->run(crew->context, number, job);
        pthread_mutex_lock(&crew->lock);
        put(&crew->back, job);
        pthread_cond_signal(&crew->done);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

struct crew *crew_new(unsigned threads, crew_run *run, void *context)
{
    sigset_t all, before;
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return NULL;
    crew->run = run;
    crew->context = context;
    crew->todo.last = &crew->todo.first;
    crew->back.last = &crew->back.first;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->given, NULL);
    pthread_cond_init(&crew->done, NULL);
    /* Signals are the host's, and go to its thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (crew->threads < threads && crew->threads < CREW_MAX &&
           pthread_create(&crew->ids[crew->threads], NULL, work, crew) == 0)
        crew->threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return crew;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->ended = true;
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->threads; i++)
        pthread_join(crew->ids[i], NULL);
    pthread_cond_destroy(&crew->done);
    pthread_cond_destroy(&crew->given);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

void crew_give(struct crew *crew, struct crew_job *job)
{
    crew->out++;
    if (crew->threads == 0) {
        crew->run(crew->context, 0, job);
        put(&crew->back, job);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    put(&crew->todo, job);
    pthread_cond_signal(&crew->given);
    pthread_mutex_unlock(&crew->lock);
}

struct crew_job *crew_take_back(struct crew *crew, bool wait)
{
    if (crew->out == 0)
        return NULL;
    pthread_mutex_lock(&crew->lock);
    struct crew_job *job;
    while (!(job = get(&crew->back)) && wait)
        pthread_cond_wait(&crew->done, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    crew->out -= job != NULL;
    return job;
}
