/* Status: how the jobs of this machine fare, from their records (job/records.h) and their attempts that are at work
 * (job/attempt.h). No sink is looked at, and nothing is written. */
#ifndef COFRE_JOB_STATUS_H
#define COFRE_JOB_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "job/problem.h"
#include "snapshot/manifest.h"

struct config;
struct config_instance;
struct config_job;
struct error;

#define STATUS_DAYS 7
/* The runs that ended on one day, in local time. */
enum status_day {
    STATUS_NO_RUN,
    STATUS_GOOD,  /* all complete */
    STATUS_MIXED, /* some complete, or incomplete */
    STATUS_BAD    /* none stored a snapshot */
};

/* One sink of a job. Times are ns, INT64_MIN = never, as far as the records know. */
struct status_sink {
    const struct config_instance *sink;
    int64_t good; /* the newest complete snapshot there: when it was begun */
    char good_id[MANIFEST_ID_SIZE];
    int64_t verified;          /* when all of the job was read back there last, and was whole */
    int64_t damaged;           /* when a verification found damage there last */
    uint64_t added;            /* bytes, by that snapshot */
    int64_t measured;          /* when its space was; */
    uint64_t space, available; /* bytes */
    bool stale;
};

struct status_job {
    const struct config_job *job;
    json_t *last;    /* the record of the newest run that has ended; NULL = none */
    json_t *tried;   /* the same of the newest that was not skipped */
    bool accepted;   /* its snapshot was suspect, and somebody has accepted it since */
    int64_t running; /* since; INT64_MIN = it is not */
    int64_t next;    /* when the schedule has it next; INT64_MIN = it has none */
    int64_t missed;  /* when the schedule had it, and no run began; INT64_MIN */
    bool unattended; /* it has a schedule, and nobody looks after that: neither due, nor who else runs it */
    int64_t silent;  /* ms between its runs while it had a rhythm without a schedule, and none has begun for twice as
                      * long; 0 = neither */
    /* Of the newest complete snapshot of the whole job, and of the one before; sizes: how many of both are known. */
    uint64_t bytes, entries, bytes_before;
    unsigned sizes;
    enum status_day days[STATUS_DAYS]; /* today is the last */
    uint64_t runs, runs_complete;      /* that ended on these days */
    bool damaged;                      /* lines of its records are none */
    struct status_sink *sinks;         /* as the job has them */
};

struct status {
    int64_t now;    /* ns */
    int64_t looked; /* when due or daemon looked last; INT64_MIN = never */
    struct status_job *jobs;
    size_t job_count;
    struct problem_list problems;
};

/* Of one job, or of all (NULL). To be freed also after an error. Records that cannot be read are a problem of their
 * job, and no error. */
int status_read(const struct config *config, const struct config_job *only, struct status *status, struct error *e);
void status_free(struct status *status);

/* A text of a record as it was before it was escaped, to be freed; NULL = out of memory. */
char *status_text(const char *escaped);

/* Fills in the problems: a part of status_read. */
int status_judge(const struct config *config, struct status *status, struct error *e);

#endif
