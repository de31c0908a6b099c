#include "flow/slots.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

struct slots {
    pthread_mutex_t lock;
    pthread_cond_t given;
    size_t count;
    bool taken[SLOTS_MAX];
    pthread_t owner[SLOTS_MAX]; /* of those that are taken */
};

int slots_new(size_t count, struct slots **slots, struct error *e)
{
    ASSERT(count > 0 && count <= SLOTS_MAX);
    struct slots *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->given, NULL);
    s->count = count;
    *slots = s;
    return 0;
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    for (size_t i = 0; i < SLOTS_MAX; i++)
        ASSERT(!slots->taken[i]);
    pthread_mutex_destroy(&slots->lock);
    pthread_cond_destroy(&slots->given);
    free(slots);
}

static size_t lowest_free(const struct slots *s)
{
    size_t i = 0;
    while (i < s->count && s->taken[i])
        i++;
    return i;
}

static bool has_one(const struct slots *s)
{
    for (size_t i = 0; i < SLOTS_MAX; i++)
        if (s->taken[i] && pthread_equal(s->owner[i], pthread_self()))
            return true;
    return false;
}

static void wait_locked(struct slots *s)
{
    ASSERT(!has_one(s));
    pthread_cond_wait(&s->given, &s->lock);
}

static void mark(struct slots *s, size_t slot)
{
    s->taken[slot] = true;
    s->owner[slot] = pthread_self();
}

size_t slots_take(struct slots *slots)
{
    pthread_mutex_lock(&slots->lock);
    size_t slot;
    while ((slot = lowest_free(slots)) >= slots->count)
        wait_locked(slots);
    mark(slots, slot);
    pthread_mutex_unlock(&slots->lock);
    return slot;
}

void slots_take_one(struct slots *slots, size_t slot)
{
    ASSERT(slot < SLOTS_MAX);
    pthread_mutex_lock(&slots->lock);
    while (slots->taken[slot])
        wait_locked(slots);
    mark(slots, slot);
    pthread_mutex_unlock(&slots->lock);
}

void slots_give(struct slots *slots, size_t slot)
{
    pthread_mutex_lock(&slots->lock);
    ASSERT(slot < SLOTS_MAX && slots->taken[slot]);
    slots->taken[slot] = false;
    pthread_cond_broadcast(&slots->given);
    pthread_mutex_unlock(&slots->lock);
}

void slots_limit(struct slots *slots, size_t count)
{
    pthread_mutex_lock(&slots->lock);
    ASSERT(count > 0);
    if (count < slots->count)
        slots->count = count;
    pthread_mutex_unlock(&slots->lock);
}
