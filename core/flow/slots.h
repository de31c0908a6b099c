/* Slots: a fixed number of things, numbered from 0, each used by one thread at a time.
 *
 * The lowest free one is taken first, so that what is made when it is first needed is made only when it is needed.
 */
#ifndef COFRE_FLOW_SLOTS_H
#define COFRE_FLOW_SLOTS_H

#include <stddef.h>

struct error;
struct slots;

#define SLOTS_MAX 64

/* count: 1 to SLOTS_MAX. */
int slots_new(size_t count, struct slots **slots, struct error *e);
/* All must have been given back. NULL is fine. */
void slots_free(struct slots *slots);

/* The lowest free one; waits for one. A thread that has one already must not have to wait (asserted): it might wait for
 * itself. */
size_t slots_take(struct slots *slots);
/* That one; waits for it. */
void slots_take_one(struct slots *slots, size_t slot);
void slots_give(struct slots *slots, size_t slot);

/* From now on only those below count (at least 1) are taken. */
void slots_limit(struct slots *slots, size_t count);

#endif
