/* Of the archive format: gc, the call of format/vault.h. What is removed is what stands beside no manifest, since a run
 * was killed or a removal was interrupted, when all of it is older than a day, or than twice the longest run, by the
 * store's own clock. A run that takes longer finds that it is gone before it writes its manifest.
 */
#ifndef COFRE_ARCHIVE_ARCHIVE_GC_H
#define COFRE_ARCHIVE_ARCHIVE_GC_H

#include "format/vault.h"

int archive_gc(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
               struct vault_gc_result *result, struct error *e);

#endif
