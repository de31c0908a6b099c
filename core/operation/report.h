/* The facts of a report: what the records of this machine say of its jobs over a time, whether those records are whole,
 * and what would be lost if the machine were. As for status (operation/status.h), no sink is looked at, and nothing is
 * written.
 */
#ifndef COFRE_OPERATION_REPORT_H
#define COFRE_OPERATION_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attempt/records.h"
#include "operation/status.h"
#include "snapshot/manifest.h"

struct config;
struct config_instance;
struct config_job;
struct error;

enum report_result {
    REPORT_COMPLETE, /* also what was suspect, and somebody has accepted it */
    REPORT_PARTLY,   /* incomplete or suspect */
    REPORT_FAILED,   /* or killed */
    REPORT_ASIDE,    /* skipped, or of some sources alone: it says nothing of the whole job */
    REPORT_RESULTS
};

/* A run that ended in the time of the report. Texts are as the record has them (escaped); NULL = none. */
struct report_run {
    int64_t started, ended; /* ns */
    int64_t elapsed;        /* ms; -1 = not known */
    enum report_result result;
    bool sized; /* it made a complete snapshot of the whole job, so the next two are known: */
    uint64_t bytes, added;
    char *id, *status, *snapshot, *label, *error;
};

/* A sink of the job, in the order of status_job.sinks. */
struct report_sink {
    size_t runs, committed; /* that were to bring a snapshot there, and did */
    uint64_t added;         /* bytes, by those */
    int64_t restored;       /* ns: when a restore from there was complete last, in this time; INT64_MIN = none was */
};

/* What would be left of a source without this machine: the newest snapshot with all of it in a sink elsewhere. */
struct report_source {
    const struct config_instance *source;
    const struct config_instance *sink; /* NULL = none is known */
    int64_t began;                      /* ns: that snapshot; INT64_MIN */
    char id[MANIFEST_ID_SIZE];
};

struct report_job {
    const struct status_job *status;
    struct report_run *runs; /* oldest first */
    size_t run_count;
    size_t results[REPORT_RESULTS]; /* how many of them */
    uint64_t bytes, added;          /* of all that are sized */
    int64_t median, longest;        /* ms that those of the whole job took; -1 = not known */
    struct report_sink *sinks;
    struct report_source *sources;
};

/* One file of records. */
struct report_chain {
    const char *job, *sink; /* one of them is NULL */
    struct records_chain chain;
    char flaw[256]; /* the first of them, or why it cannot be read; "" = it is whole */
};

struct report {
    int64_t since; /* ns; to status.now */
    struct status status;
    struct report_job *jobs; /* as status has them */
    struct report_chain *chains;
    size_t chain_count;
    size_t flawed; /* chains that are not whole, or cannot be read */
};

/* Of all jobs. since: ns. To be freed also after an error. Records that cannot be read are a flaw of their chain, and
 * no error. */
int report_read(const struct config *config, int64_t since, struct report *report, struct error *e);
void report_free(struct report *report);

/* Does what is stored there outlive this machine? Not known to: plugin local, as its path may be a disk in here. */
bool report_elsewhere(const struct config_instance *sink);
/* Of complete, partly and failed ones, how many were complete: 0 to 1; negative = there was none. */
double report_success(const struct report_job *job);
/* The part of the bytes that was there before: 0 to 1; negative = not known. */
double report_deduplication(uint64_t bytes, uint64_t added);

#endif
