/* accept: a snapshot that the publish gate (job/gate.h) found suspect is as it should be. From then on it counts as any
 * other, and the gate compares with it. */
#ifndef COFRE_JOB_ACCEPT_H
#define COFRE_JOB_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>

#include "format/vault.h"

struct config_instance;
struct engine;
struct error;
struct snapshot_selector;

/* Of each sink that has the snapshot. was: it was suspect there, and is accepted now. why: ERROR_NONE, or what went
 * wrong there. */
typedef void accept_told(void *context, const char *sink, const struct vault_standing *standing, bool was,
                         const struct error *why);

/* selector: by an id, or its beginning. sink: NULL = all of the job that have it. 0: in all sinks that could be reached
 * it counts, but for those of which told was told an error; *unreachable: how many could not. -1: there is no such
 * snapshot, or nothing could be looked at. */
int accept_run(const struct engine *engine, const struct snapshot_selector *selector,
               const struct config_instance *sink, accept_told *told, void *context, size_t *unreachable,
               struct error *e);

/* The snapshot of the last run in the records (directory: of records_directory), when it is suspect and nobody has
 * accepted it; "" else. */
int accept_last(const char *directory, char id[MANIFEST_ID_SIZE], struct error *e);

#endif
