/* check: does everything stand that a run needs? */
#ifndef COFRE_OPERATION_CHECK_H
#define COFRE_OPERATION_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct engine;
struct error;

struct check_finding {
    const char *subject; /* "sink 'nas'" */
    int level;           /* enum log_level: LOG_ERROR = a run will fail, LOG_WARNING, LOG_INFO = fine */
    const char *text, *hint;
    int error_class; /* LOG_ERROR: enum error_class, for the exit status */
};

/* names: sources, sinks or jobs; none = everything. offline: only configuration and plugins. found is called for each
 * finding; the result is -1 only when looking itself failed (unknown name). */
int check_run(const struct engine *engine, char *const *names, size_t name_count, bool offline,
              void (*found)(void *context, const struct check_finding *), void *context, struct error *e);

#endif
