/* The run log: one line for each run of a job, whatever came of it, where [engine] log asks for it: in a file, or in
 * the log of the system. */
#ifndef COFRE_CLI_RUN_LOG_H
#define COFRE_CLI_RUN_LOG_H

#include <stdint.h>

struct error;

struct run_log_line {
    const char *job;
    const char *status;   /* of the record: "complete", "partial", "incomplete", "suspect", "skipped", "failed" */
    int exit;             /* the exit status of this job alone */
    const char *snapshot; /* id; NULL = none was stored */
    uint64_t entries, bytes, added; /* as in `cofre run --json` */
    int64_t elapsed;                /* ms */
    const char *error;              /* of a failed one; else NULL */
};

/* Append the line, with the time in front, in one write; the file is opened anew, and made with mode 0600 where it is
 * not there, so that it may be rotated at any time, or made beforehand with another mode. */
int run_log_write(const char *path, const struct run_log_line *line, struct error *e);
/* To the log of the system (base/log.h), where one is set: as a notice, or an error when it is not as it should be; for
 * the journal with an id for each status and its members as fields, which the manual page lists. */
void run_log_tell(const struct run_log_line *line);

#endif
