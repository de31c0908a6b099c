/* check(): what would stand in the way of a backup or a restore. */
#ifndef COFRE_REDIS_INSPECT_H
#define COFRE_REDIS_INSPECT_H

#include <stdint.h>

#include "redis/conf.h"

/* Says findings; changes nothing on the server, and makes it fork nothing. */
int32_t inspect_server(const struct conf *conf, struct cofre_call *call, struct cofre_error *error);

#endif
