/* Status: how the jobs of this machine fare, from their records (attempt/records.h) and their attempts that are at work
 * (attempt/attempt.h). No sink is looked at, and nothing is written. */
#ifndef COFRE_OPERATION_STATUS_H
#define COFRE_OPERATION_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "operation/problem.h"
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

#define STATUS_TREND 36 /* days by which it is told where things are going */
/* How much of a place was in use at the end of a run: bytes, and when, ns; INT64_MIN = nobody has measured it. */
struct status_measure {
    int64_t when;
    uint64_t used;
};

/* The place of a sink, whichever jobs use it. Times are ns, INT64_MIN = never, or not known. */
struct status_place {
    const struct config_instance *sink;
    int64_t measured;                         /* when its space was, at the end of a run */
    uint64_t space, available;                /* bytes; space 0 = it cannot tell */
    struct status_measure days[STATUS_TREND]; /* the last of each day; the first is today */
    double growth;                            /* bytes a day; not above 0: it does not grow, or that is not known */
    int64_t full;                             /* when it will be, if that goes on */
    int64_t reached;                          /* when something was done there last, by whichever command */
    int64_t failed;                           /* when something last could not be, */
    json_t *why;                              /* and why, escaped; NULL = nothing failed */
    int64_t told;                             /* when a run said last whether a key is going to expire, */
    json_t *expiry;                           /* and what it said, escaped; NULL = none is */
};

/* One sink of a job. Times are ns, INT64_MIN = never, as far as the records know. */
struct status_sink {
    const struct config_instance *sink;
    int64_t good; /* the newest complete snapshot there: when it was begun */
    char good_id[MANIFEST_ID_SIZE];
    int64_t verified; /* when all of the job was read back there last, and was whole */
    int64_t damaged;  /* when a verification found damage there last */
    uint64_t added;   /* bytes, by that snapshot */
    bool stale;
    struct status_place *place; /* NULL: nobody asks */
    /* When the first snapshot of the job came there, and with how many bytes; INT64_MIN = longer ago than STATUS_TREND
     * days, or never. */
    int64_t first;
    uint64_t first_added;
    bool first_known; /* while records are read */
};

#define STATUS_USUAL 10
struct status_job {
    const struct config_job *job;
    json_t *last;    /* the record of the newest run that has ended; NULL = none */
    json_t *tried;   /* the same of the newest that was not skipped */
    bool accepted;   /* its snapshot was suspect, and somebody has accepted it since */
    int64_t running; /* since; INT64_MIN = it is not */
    int64_t next;    /* when the schedule has it next; INT64_MIN = it has none */
    int64_t missed;  /* when the schedule had it, and no run began; INT64_MIN */
    bool unattended; /* it has a schedule, and nobody looks after that: neither due, nor who else runs it */
    int64_t future;  /* when the latest snapshot was begun that lies in the future: it is none of those below */
    char future_id[MANIFEST_ID_SIZE];
    int64_t silent; /* ms between its runs while it had a rhythm without a schedule, and none has begun for twice as
                     * long; 0 = neither */
    /* ms that it takes: the lower median of the last STATUS_USUAL complete runs of the whole job, before the one that
     * is at work, or else that was tried last; 0 = fewer than three are known. */
    int64_t usual;
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
    int64_t seen;   /* the latest that this machine wrote down last, of each job and sink; INT64_MIN = nothing */
    struct status_job *jobs;
    size_t job_count;
    struct status_place *places; /* of the sinks of these jobs */
    size_t place_count;
    struct problem_list problems;
};

/* Of one job, or of all (NULL); what is said of places is known from the records of all jobs. To be freed also after an
 * error. Records that cannot be read are a problem of their job, and no error. */
int status_read(const struct config *config, const struct config_job *only, struct status *status, struct error *e);
void status_free(struct status *status);

/* A text of a record as it was before it was escaped, to be freed; NULL = out of memory. */
char *status_text(const char *escaped);

/* Bytes that it grows by in a day: the median of what it has grown by within a week, so that neither one day that was
 * unlike the others counts nor what comes and goes within a week. 0 = there are too few. */
double status_growth(const struct status_measure days[STATUS_TREND]);
/* When it will be full by that; INT64_MIN = it does not grow, not within two years, or was not measured lately. */
int64_t status_full(const struct status_place *place, int64_t now);
/* What was written down last. */
void status_see(struct status *status, const json_t *record);
/* Did everything that was tried fail, and for days nothing has worked there? */
bool status_is_away(const struct status_place *place, int64_t now);
/* Is it as full as warn_space says, or going to be within warn_full? */
bool status_is_full(const struct status_place *place);
bool status_is_filling(const struct status_place *place, int64_t now);
/* Or so nearly that whoever was told so need not hear that it is over, and soon again that it is so: up to a fiftieth
 * less than warn_space, or a quarter longer than warn_full. */
bool status_is_nearly_full(const struct status_place *place, int64_t now);
/* How full it is, 0 to 100; space is not 0. */
double status_percent(const struct status_place *place);
/* "full about 2027-03-14 (in 15 weeks)" into out[STATUS_FULL_TEXT]; "" when that is not known. Returns out. */
#define STATUS_FULL_TEXT 64
const char *status_full_text(const struct status_place *place, int64_t now, char *out);

/* Parts of status_read. What the records of the job say, and its attempts that are at work. */
int status_job_read(const struct config *config, struct status *status, struct status_job *job, struct error *e);
void status_place_begin(struct status_place *place, const struct config_instance *sink);
/* A record of a job, or of the sink, in whatever order they come; one of the future says nothing. */
void status_place_take(struct status_place *place, int64_t now, const json_t *record);
/* When all have come: so many bytes that came then are no growth. */
void status_place_level(struct status_place *place, int64_t when, uint64_t bytes);
/* At last. */
void status_place_forecast(struct status_place *place, int64_t now);
void status_place_free(struct status_place *place);
/* Fills in the problems. */
int status_judge(const struct config *config, struct status *status, struct error *e);

#endif
