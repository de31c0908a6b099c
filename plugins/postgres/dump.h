/* Saving one database: pg_dump on a snapshot, looked at as it passes, its rows counted in the same snapshot. */
#ifndef COFRE_POSTGRES_DUMP_H
#define COFRE_POSTGRES_DUMP_H

#include <stdint.h>

#include "postgres/freeze.h"

/* Announce, send and end DATABASE.dump, and say its facts. Where the moment no longer shows the database as it was
 * (altered.h) it is taken anew, which is logged, and the dump begins again. Returns errors of the host: the backup is
 * over. *result is how the database fared, with *why: the entry has been ended with it. prefix as in recorded.h. */
int32_t dump_database(struct freeze_moment *moment, struct cofre_call *call, const struct options *options,
                      const char *prefix, int32_t *result, struct cofre_error *why, struct cofre_error *error);

#endif
