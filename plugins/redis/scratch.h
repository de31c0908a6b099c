/* A private server for a trial restore: redis-server on a UNIX socket in a directory of the source's own, with the same
 * user and password, nothing on disk, no port. */
#ifndef COFRE_REDIS_SCRATCH_H
#define COFRE_REDIS_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#include "redis/conf.h"

/* overrides: "socket=...\n". COFRE_E_NOT_FOUND: there is no redis-server on this machine. */
int32_t scratch_begin(const struct conf *conf, struct cofre_call *call, const char *id, char *overrides, size_t length,
                      struct cofre_error *error);
int32_t scratch_end(const struct conf *conf, struct cofre_call *call, const char *id, struct cofre_error *error);

#endif
