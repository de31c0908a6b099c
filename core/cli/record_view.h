/* How the records of attempts (attempt/records.h) are shown. */
#ifndef COFRE_CLI_RECORD_VIEW_H
#define COFRE_CLI_RECORD_VIEW_H

#include <jansson.h>

struct cli;
struct error;
struct output;

/* The title of the rows, and one row; status: instead of the record's own, for one that has none yet; NULL = its own.
 */
void record_view_title(struct output *out);
void record_view_row(struct output *out, const json_t *record, const char *status);

/* All of the record of the job whose id, or the beginning of it, is given; NULL = the newest. The exit status, or -1:
 * ERROR_NOT_FOUND, or ERROR_USAGE when more than one is meant. */
int record_view_show(struct cli *cli, const char *job, const char *id, struct error *e);

#endif
