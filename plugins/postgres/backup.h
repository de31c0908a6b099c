/* Saving all that the options name. */
#ifndef COFRE_POSTGRES_BACKUP_H
#define COFRE_POSTGRES_BACKUP_H

#include <stdint.h>

#include "postgres/freeze.h"

/* frozen: moments that were taken before. Databases that are not among them get theirs when the turn of the first of
 * them comes, as many at once as there are connections for. */
int32_t backup_run(struct cofre_call *call, const struct options *options, struct freeze *frozen,
                   struct cofre_error *error);

#endif
