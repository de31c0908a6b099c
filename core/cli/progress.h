/* Progress: one line on a terminal, drawn at most ten times a second, out of the way of the log. Nothing elsewhere: a
 * log has the line per stage that the job code writes. */
#ifndef COFRE_CLI_PROGRESS_H
#define COFRE_CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct engine;
struct engine_progress;

/* Let the engine report here, when standard error is a terminal. */
void progress_start(struct engine *engine);
/* Take the line away until the next report: something else is going to be printed. */
void progress_pause(void);
/* Take the line away, for good. Safe without progress_start. */
void progress_stop(void);

/* The line of at most width columns into out, without newline. elapsed: ms since the stage began. Returns out. */
const char *progress_format(const struct engine_progress *progress, int64_t elapsed, size_t width, char *out,
                            size_t size);

#endif
