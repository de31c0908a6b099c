/* What a worker says outside of its frames, and inside of them: lines for the log, named, scrubbed, bounded. */
#ifndef COFRE_WORKER_WORKER_OUTPUT_H
#define COFRE_WORKER_WORKER_OUTPUT_H

#include <stdint.h>

struct worker;

/* One line. text is changed in place. After CALL_LINES lines of one call the rest is only counted. */
void worker_output_line(struct worker *w, int level, const char *said, char *text);
/* Take what the worker wrote to stdout and stderr. */
void worker_output_drain(struct worker *w);
/* The call is over: say how many lines were dropped. */
void worker_output_settle(struct worker *w);

#endif
