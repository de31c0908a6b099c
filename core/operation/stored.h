/* Stored: what the sinks hold of each host and job, how old it is and whether it is whole, by the sinks alone: also of
 * hosts whose records are not on this machine, and of this one when its records are lost. A prune key is enough, and a
 * put key: nothing is looked at but what manifests say in the clear, and what is said of snapshots. No sink
 * is changed. */
#ifndef COFRE_OPERATION_STORED_H
#define COFRE_OPERATION_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "operation/problem.h"
#include "snapshot/manifest.h"

struct config_instance;
struct engine;
struct error;

/* What a snapshot is. */
enum stored_state {
    STORED_COMPLETE,
    STORED_PARTIAL, /* only some of the job's sources were asked for */
    STORED_INCOMPLETE,
    STORED_SUSPECT, /* and nobody has accepted it */
    STORED_UNKNOWN, /* it says something that this version does not know */
    STORED_STATES
};

/* One host and job in one sink. Times are ns, INT64_MIN = never; those of snapshots are when they were begun. What is
 * being removed is left out; so is, but for its number, what says to be of the future. */
struct stored_row {
    char host[64], job[64];
    const struct config_instance *sink;
    int64_t max_age; /* ms, 0 = none */
    int64_t good;    /* the newest complete one */
    char good_id[MANIFEST_ID_SIZE];
    int64_t last; /* the newest of any kind, and what it is */
    char last_id[MANIFEST_ID_SIZE];
    enum stored_state last_state;
    int64_t verified, proven;     /* the newest of which that is said */
    size_t states[STORED_STATES]; /* how many there are of each */
    size_t future;
    size_t unreadable;
    bool damaged; /* one of these has lost its integrity */
    char *why;    /* what is wrong with one of these; NULL = there is none */
    bool stale;
};

/* Of one sink: whoever may add can name a million. */
#define STORED_ROWS_MAX 10000u

struct stored_sink {
    const struct config_instance *sink;
    bool reached;
    size_t unreadable; /* snapshots that nobody can say the host of */
    size_t more;       /* snapshots of hosts and jobs beyond STORED_ROWS_MAX: nothing is said of those */
    char *why;         /* why it was not reached, or what is wrong with one of these; NULL = nothing */
};

struct stored {
    int64_t now; /* ns: when it was looked at */
    struct stored_row *rows;
    size_t row_count; /* by host, job and sink */
    struct stored_sink *sinks;
    size_t sink_count;
    struct problem_list problems;
};

struct stored_request {
    const char *job;                    /* NULL = all */
    const struct config_instance *sink; /* NULL = those of the job; where no job is configured, all */
    bool all_hosts;                     /* else this one */
    int64_t max_age;                    /* ms; 0 = that of the job, where it is configured here, else of the sink */
};

/* A job of this host that is configured to store in a sink has a row also when nothing is there. A sink that cannot be
 * looked at is a problem of that sink, and no error. To be freed also after an error. */
int stored_read(const struct engine *engine, const struct stored_request *request, struct stored *stored,
                struct error *e);
void stored_free(struct stored *stored);

/* How many can be read. */
size_t stored_count(const struct stored_row *row);

/* Fills in the problems: a part of stored_read. */
int stored_judge(struct stored *stored, struct error *e);

#endif
