/* The fact that identifies the server that was saved. */
#ifndef COFRE_REDIS_IDENTITY_H
#define COFRE_REDIS_IDENTITY_H

#include <stdint.h>

#include "cofre/plugin.h"

struct family_set;
struct server;

/* Say it, redis.identity, by redis/lineage.h. replid: the one that the server has since it was asked for its RDB. When
 * nothing can be remembered, that is logged, and no fact is said. */
int32_t identity_say(const struct server *server, struct cofre_call *call, const char *replid,
                     const struct family_set *families, struct cofre_error *error);

#endif
