/* A host in miniature, in the process of the test: it records what a source's backup() emits, and feeds restore().
 *
 * struct cofre_call is the host's own; here it is the recording. What backup() breaks of the contract (order of paths,
 * grammar of calls) is counted in `broken`, with the first case in `complaint`.
 */
#ifndef COFRE_TESTS_HOST_H
#define COFRE_TESTS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

enum host_event_type { HOST_ENTRY, HOST_UNCHANGED, HOST_MISSING };

/* A piece of content: bytes, or a hole when bytes is NULL. */
struct host_piece {
    uint8_t *bytes;
    uint64_t length;
};

struct host_event {
    enum host_event_type type;
    struct cofre_entry entry; /* pointers are copies; path only for UNCHANGED and MISSING */
    struct host_piece *pieces;
    size_t piece_count;
    uint64_t content_length;
    unsigned restarts;
    int32_t result; /* of end(), missing(), or, when fed, done() */
    char why[512];
};

struct cofre_call {
    struct host_event *events;
    size_t count, capacity;
    const struct cofre_call *previous; /* the last snapshot: answers unchanged() */
    size_t previous_at;
    bool discard; /* keep no content */
    bool is_open; /* between entry() and end() */
    uint64_t content_total;
    uint8_t *buffer;
    /* called before each commit, entry and take: a place to change the world in mid-work */
    void (*disturb)(struct cofre_call *);
    void *disturb_context;
    size_t feed_at, feed_piece;  /* restore: which event is given */
    void *lent;                  /* by take(), until the next call */
    int32_t take_fails;          /* restore: class that take() returns at the end of the content */
    unsigned findings[8], lines; /* by level; log lines */
    char last_finding[512], last_line[1024];
    char facts[16][2][64];
    char left_out[4][256]; /* names, the last four */
    size_t left_out_count;
    size_t fact_count;
    unsigned late; /* calls of late() */
    unsigned broken;
    char complaint[256];
};

extern const struct cofre_host host_table;

/* Forget everything; a zeroed call is ready for use. */
void host_clear(struct cofre_call *call);

/* The event of this path; NULL when there is none. */
struct host_event *host_find(const struct cofre_call *call, const char *path);

/* For restore: append an entry. content may be NULL. Returns it, so that a test can set more. */
struct host_event *host_add(struct cofre_call *call, uint32_t kind, const char *path, uint32_t mode,
                            const char *content);

#endif
