/* Leftovers: what restores have left beside, such as a database that one has replaced, and nobody has removed yet, as
 * far as this machine knows. The plugins name it (cofre->leftover) whenever they reach the thing; it is kept in
 * STATE/leftovers/SOURCE, which is whole or not there, so that status can tell of it without reaching anything. */
#ifndef COFRE_JOB_LEFTOVER_H
#define COFRE_JOB_LEFTOVER_H

#include <stdbool.h>

#include <jansson.h>

struct config;
struct error;
struct worker;

/* Take what the calls of the source's worker have named. all: they named all that there is, and what they did not name
 * is gone; else it is added. What cannot be kept is a warning. */
void leftover_note(const struct config *config, const char *source, const struct worker *worker, bool all);

/* A list of objects with "what" and "removal", escaped as attempt_json does it, and "since", when it was named first.
 * It is the caller's; empty = there is nothing. A file that cannot be understood is ERROR_INTEGRITY. */
int leftover_read(const struct config *config, const char *source, json_t **list, struct error *e);

#endif
