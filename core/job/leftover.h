/* Leftovers: what restores have left beside, such as a database that one has replaced, and nobody has removed yet, as
 * far as this machine knows. The plugins name it (cofre->leftover) whenever they reach the thing; it is kept in
 * STATE/leftovers/SOURCE, which is whole or not there, so that status can tell of it without reaching anything. */
#ifndef COFRE_JOB_LEFTOVER_H
#define COFRE_JOB_LEFTOVER_H

#include <stdint.h>

#include <jansson.h>

#include "worker/worker.h"

struct config;
struct error;

/* So many are remembered of one source: when the list is full there may be more. */
#define LEFTOVER_MAX WORKER_LEFTOVERS_MAX

/* What the calls of the source's worker have named is there. What cannot be kept is a warning. */
void leftover_add(const struct config *config, const char *source, const struct worker *worker);
/* The same, and nothing else was there when it began to look (ns): what was known by then and is not named is gone. */
void leftover_replace(const struct config *config, const char *source, const struct worker *worker, int64_t begun);

/* A list of objects with "what" and "removal", escaped as attempt_json does it, and "since", when it was named first.
 * It is the caller's; empty = there is nothing. A file that cannot be understood is ERROR_INTEGRITY. */
int leftover_read(const struct config *config, const char *source, json_t **list, struct error *e);

#endif
