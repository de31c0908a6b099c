/* How a report is shown as text and as JSON, and what its page says in the same words. */
#ifndef COFRE_CLI_REPORT_VIEW_H
#define COFRE_CLI_REPORT_VIEW_H

#include <stdint.h>

#include "operation/status.h"

struct config;
struct error;
struct output;
struct report;
struct report_chain;
struct report_job;

int report_view_text(struct output *out, const struct config *config, const struct report *report, struct error *e);
void report_view_json(struct output *out, const struct config *config, const struct report *report);

/* ---- words ---- */

#define REPORT_VIEW_LINE 512
/* The runs of a job in one line. Returns out. */
const char *report_view_line(const struct report_job *job, char out[REPORT_VIEW_LINE]);
/* "whole", or what is wrong. Returns out. */
const char *report_view_chain(const struct report_chain *chain, char out[REPORT_VIEW_LINE]);
/* "3 d 4 h", or "never", into out[TEXT_AGE_MAX]. Times are ns. Returns out. */
const char *report_view_age(int64_t now, int64_t when, char *out);
/* "81 %", or "" when it is not known, into out[16]. Returns out. */
const char *report_view_full(const struct status_sink *sink, char *out);
/* Of one sink of a job: fine, damaged, stale, or a warning when no complete snapshot is known to be there. */
enum problem_level report_view_level(const struct status_sink *sink);
/* What is taken to outlive the machine. */
extern const char report_view_elsewhere[];

#endif
