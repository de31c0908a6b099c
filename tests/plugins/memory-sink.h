/* What a test may ask of memory-sink, which runs in its own process (--in-process). */
#ifndef TESTS_PLUGINS_MEMORY_SINK_H
#define TESTS_PLUGINS_MEMORY_SINK_H

enum memory_call {
    MEMORY_OPEN,
    MEMORY_PUT,
    MEMORY_GET,
    MEMORY_STAT,
    MEMORY_LIST,
    MEMORY_REMOVE,
    MEMORY_SYNC,
    MEMORY_CALLS
};

/* Of one place, by all instances together. */
struct memory_counts {
    int calls[MEMORY_CALLS]; /* begun */
    int closed;              /* instances */
    int most;                /* puts and gets under way at once */
    int most_lists;          /* listings, likewise */
    int most_held_puts;      /* of those that `hold` names, about to end at once */
    int most_held_gets;      /* likewise */
};

/* The symbol "memory_sink_counts" of the plugin. */
typedef void memory_sink_counts_function(const char *place, struct memory_counts *counts);

#endif
