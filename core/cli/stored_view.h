/* How what is stored is shown (operation/stored.h): to people, to programs, to Nagios and to Prometheus. */
#ifndef COFRE_CLI_STORED_VIEW_H
#define COFRE_CLI_STORED_VIEW_H

#include <stdbool.h>

struct bytes;
struct error;
struct output;
struct stored;

/* Problems first, then one line for each host, job and sink. color: for a terminal. */
int stored_view_text(struct output *out, const struct stored *stored, bool color, struct error *e);
void stored_view_json(struct output *out, const struct stored *stored);
/* As status_view_nagios. */
int stored_view_nagios(struct output *out, const struct stored *stored);
/* Metrics in the text format of Prometheus, appended to text. No name of them is one of status_view_prometheus, so that
 * one collector may have both. */
void stored_view_prometheus(struct bytes *text, const struct stored *stored);

#endif
