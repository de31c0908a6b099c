/* Keys of a listing that were given already: whoever sizes or sorts by it relies on each being there once. */
#ifndef COFRE_WORKER_SEEN_H
#define COFRE_WORKER_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define SEEN_MAX ((size_t)1 << 24) /* keys remembered: 128 to 256 MB */

/* Zeroed is empty. */
struct seen {
    uint64_t *marks; /* a hash of each key; 0 = free */
    size_t rows, count;
};

void seen_free(struct seen *seen);

/* Add the key. *before: it was added already. Two of ten million keys are taken for one with a chance of less than one
 * in 100,000. Beyond SEEN_MAX keys no more are remembered. */
int seen_add(struct seen *seen, const char *key, size_t n, bool *before, struct error *e);

#endif
