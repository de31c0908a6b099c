/* Of source.h: what its files share. */
#ifndef COFRE_WORKER_SOURCE_PART_H
#define COFRE_WORKER_SOURCE_PART_H

#include "worker/call.h"

/* The id that covers the call, or one of its own, so that what a plugin names after it is never that of another backup
 * or restore. */
void source_part_put_id(struct worker *w, struct bytes *arguments);

/* Begin the backup or restore whose other arguments stand in w->arguments, and tell of the snapshot before
 * (source_recall). */
int source_part_begin(struct worker *w, enum wire_call kind, struct error *e);

#endif
