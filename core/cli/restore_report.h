/* What a restore gives out while it goes on, and its table at the end: a line for each source, and one for the
 * services.
 */
#ifndef COFRE_CLI_RESTORE_REPORT_H
#define COFRE_CLI_RESTORE_REPORT_H

#include <stdbool.h>

#include "cli/table.h"
#include "job/services.h"

struct cli;
struct restore_problem;
struct restore_source;

struct restore_report {
    struct cli *cli;
    bool table; /* it is wanted */
    struct table rows;
    bool no_memory;
};

void restore_report_begin(struct restore_report *report);
/* Of a struct restore_request, whose context is the report. */
void restore_report_problem(void *context, const struct restore_problem *problem);
void restore_report_source(void *context, const struct restore_source *source);
/* services: NULL = none. */
void restore_report_end(struct restore_report *report, const struct services *services, enum services_state state);

#endif
