/* The replica's side of a full synchronisation: the server forks, and streams the RDB of that moment to us. Nothing is
 * written anywhere on the way. (Redis documentation, "Replication"; replication.c of Redis 6 and 7.) */
#ifndef COFRE_REDIS_SYNC_H
#define COFRE_REDIS_SYNC_H

#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct link;
struct rdb;
struct rdb_summary;

/* Where the bytes go: lend room for about *length bytes, and take the first length of them, as in struct cofre_host. */
struct sync_target {
    int32_t (*reserve)(void *context, void **buffer, size_t *length, struct cofre_error *error);
    int32_t (*commit)(void *context, size_t length, struct cofre_error *error);
    void *context;
};

/* Ask for the RDB and take all of it, fed to rdb on the way and checked at its end (rdb_end). The link is of no use
 * afterwards, whatever came of it. COFRE_E_RETRY: the server ended the connection before the end. */
int32_t sync_receive(struct link *link, struct cofre_call *call, const struct sync_target *target, struct rdb *rdb,
                     struct rdb_summary *summary, struct cofre_error *error);

#endif
