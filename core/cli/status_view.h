/* How status is shown: to people, to programs, to Nagios and to Prometheus. */
#ifndef COFRE_CLI_STATUS_VIEW_H
#define COFRE_CLI_STATUS_VIEW_H

#include <stdbool.h>

struct bytes;
struct error;
struct output;
struct problem;
struct problem_list;
struct status;

/* The problems, one line each. color: for a terminal. */
void status_view_problems(struct output *out, const struct problem_list *problems, bool color);
/* Problems first, then one line for each job and sink. color: for a terminal. */
int status_view_text(struct output *out, const struct status *status, bool color, struct error *e);
/* An empty line, and one for each sink of which something is known. */
void status_view_sinks(struct output *out, const struct status *status);
/* The problems alone; and the sinks. */
void status_view_findings(struct output *out, const struct status *status);
void status_view_places(struct output *out, const struct status *status);
void status_view_json(struct output *out, const struct status *status);

/* One line with performance data, as plugins of Nagios print it; the exit status is returned: 0 OK, 1 WARNING,
 * 2 CRITICAL, 3 UNKNOWN. */
int status_view_nagios(struct output *out, const struct status *status);
/* The same when the configuration cannot be used. */
int status_view_nagios_broken(struct output *out, const struct error *why);
/* Parts of such a line: "COFRE OK - " of an enum problem_level, a text that is nothing but that, and the exit status.
 */
void status_view_nagios_begin(struct output *out, int level);
void status_view_nagios_problems(struct output *out, const struct problem_list *problems);
void status_view_nagios_text(struct output *out, const char *text);
int status_view_nagios_exit(int level);

/* Metrics in the text format of Prometheus, appended to text. status NULL: the configuration cannot be used. */
void status_view_prometheus(struct bytes *text, const struct status *status);

/* "job 'nightly', sink 'nas'", "this machine" into out[STATUS_VIEW_SUBJECT]: whose problem it is. Returns out. */
#define STATUS_VIEW_SUBJECT 256
const char *status_view_subject(const struct problem *problem, char *out);
/* "ok", "unknown", "warning", "stale" of an enum problem_level. */
const char *status_view_level(int level);
/* What turns a terminal's colour for it on. */
const char *status_view_paint(int level);

#endif
