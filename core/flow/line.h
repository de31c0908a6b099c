/* A line: one producer, some workers side by side, one consumer that gets the items in the order in which they were
 * made.
 *
 *   producer                     workers                  consumer
 *   line_slot -> fill -> line_submit ──► work(item) ──► consume(item), in order
 *
 * Items are the line's own: a fixed number of equal structs, made at birth and used round and round, so memory is known
 * and back-pressure is the wait in line_slot. The first failure wins: it stops the line, and every later line_slot,
 * line_submit and line_drain returns that error. Workers have a lower priority than the producer and the consumer. With
 * no workers everything runs inside line_submit, in the same order, with the same results.
 */
#ifndef COFRE_FLOW_LINE_H
#define COFRE_FLOW_LINE_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct line;

struct line_spec {
    size_t slots;       /* items; at least workers + 2 to keep everyone busy */
    size_t workers;     /* 0 = inline */
    void *const *items; /* slots pointers, owned by the caller, who outlives the line */
    /* Any worker, any order; worker counts from 0, so that each can have tools of its own. */
    int (*work)(void *context, size_t worker, void *item, struct error *e);
    int (*consume)(void *context, void *item, struct error *e); /* one thread, in order */
    void *context;
};

int line_new(const struct line_spec *spec, struct line **line, struct error *e);

/* The next free item, to be filled by the producer; waits for one. The same item until it is submitted. */
int line_slot(struct line *line, void **item, struct error *e);
/* Hand the item of the last line_slot to the workers. */
int line_submit(struct line *line, struct error *e);

/* How many items have been consumed. What consume wrote for them may be read by the producer. */
uint64_t line_consumed(struct line *line);

/* Wait until all submitted items are consumed. The line can be used on. */
int line_drain(struct line *line, struct error *e);

/* Stops and joins all threads; what is not consumed is dropped. NULL is fine. */
void line_free(struct line *line);

#endif
