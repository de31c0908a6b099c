/* Saving all that the options name. */
#ifndef COFRE_POSTGRES_BACKUP_H
#define COFRE_POSTGRES_BACKUP_H

#include <stdint.h>

#include "postgres/freeze.h"

/* frozen: moments that were taken before; a database that is not among them gets one of its own when its turn comes. */
int32_t backup_run(struct cofre_call *call, const struct options *options, const struct freeze *frozen,
                   struct cofre_error *error);

#endif
