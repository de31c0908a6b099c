/* Sinks of the plugin memory-sink, as threads of this process: milliseconds, and what they were asked can be counted.
 */
#ifndef TESTS_UNIT_WORKER_MEMORY_H
#define TESTS_UNIT_WORKER_MEMORY_H

#include <stdatomic.h>

#include "../../plugins/memory-sink.h"
#include "harness.h"

/* A sink with several connections. */
struct memory_pool {
    const char *options; /* "place=...;..." */
    unsigned parallel, least;
    /* So many connections can be started, the first one included; the others fail so. */
    int startable; /* 0 = all */
    enum error_class failure;
    atomic_int refused; /* out: how many could not */
};

/* The pool outlives the sink. */
struct sink *memory_sink(struct memory_pool *pool);

struct memory_counts memory_counts(const char *place);
int memory_calls(const char *place, enum memory_call call);

#endif
