/* The copy of what a restore is about to replace: an RDB in the source's own directory, complete, checked and durable
 * before anything else happens. Nobody but the operator removes it. */
#ifndef COFRE_REDIS_RESCUE_H
#define COFRE_REDIS_RESCUE_H

#include <stddef.h>
#include <stdint.h>

#include "redis/conf.h"

#define RESCUE_PATH 4200

/* DIRECTORY/rescue-ID.rdb. version: of the RDB that this server writes, so of what it can read. */
int32_t rescue_take(const struct conf *conf, struct cofre_call *call, char path[RESCUE_PATH], int *version,
                    struct cofre_error *error);

#endif
