/* Whoever gets the entries of a snapshot with their content. */
#ifndef COFRE_FORMAT_AUDIENCE_H
#define COFRE_FORMAT_AUDIENCE_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct record;

/* Called in order, from one thread, which need not be the caller's. Each returns 0, or -1 with *e set, which ends it.
 * Records are lent. */
struct audience {
    int (*entry)(void *context, const struct record *record, struct error *e);
    int (*data)(void *context, const void *p, size_t n, struct error *e);
    int (*hole)(void *context, uint64_t n, struct error *e);
    int (*end)(void *context, struct error *e);
    /* Instead of end, and of the rest of its content: the entry cannot be had whole, for the reason in why. */
    int (*damaged)(void *context, const struct error *why, struct error *e);
    void *context;
};

#endif
