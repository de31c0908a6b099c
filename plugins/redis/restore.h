/* An RDB into a running server, which goes on running. */
#ifndef COFRE_REDIS_RESTORE_H
#define COFRE_REDIS_RESTORE_H

#include <stdint.h>

#include "redis/conf.h"

#define RESTORE_STREAM "dump.rdb"

/* restore() of struct cofre_source. The server ends with all of the new data or, after any failure, with all of the
 * old. It is then still our replica, until thaw: undo_all. */
int32_t restore_run(const struct conf *conf, struct cofre_call *call, struct cofre_error *error);

#endif
