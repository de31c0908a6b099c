/* Collect: remove from a sink what nothing needs any more, unless what this machine remembers speaks against it. */
#ifndef COFRE_JOB_COLLECT_H
#define COFRE_JOB_COLLECT_H

#include "format/vault.h"

/* As vault_collect. Another doubt: the sink is another one than those that jobs of this machine have saved to, or does
 * not list the newest snapshot of one of them. */
int collect_run(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
                struct vault_gc_result *result, struct error *e);

#endif
