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

#define SYNC_ID 40

/* Where the bytes go: lend room for about *length bytes, and take the first length of them, as in struct cofre_host. */
struct sync_target {
    int32_t (*reserve)(void *context, void **buffer, size_t *length, struct cofre_error *error);
    int32_t (*commit)(void *context, size_t length, struct cofre_error *error);
    void (*tend)(void *context); /* about once a second, whatever we wait for; or NULL */
    void *context;
    uint64_t most; /* bytes that may come */
    char *replid; /* SYNC_ID + 1 bytes for the server's replication id of now, which asking may have changed; or NULL */
};

/* Ask for the RDB and take all of it, fed to rdb on the way and checked at its end (rdb_end). The link is of no use
 * afterwards, whatever came of it. COFRE_E_RETRY: the server ended the connection before the end. It also ends with a
 * server that never does: COFRE_E_PERMANENT after more than target->most bytes, COFRE_E_TIMEOUT when the RDB has not
 * begun after start_within, or when it comes more slowly than SYNC_SLOWEST over ten times patience. */
#define SYNC_SLOWEST 4096 /* bytes per second, without the time that the target took */
int32_t sync_receive(struct link *link, struct cofre_call *call, const struct sync_target *target, struct rdb *rdb,
                     struct rdb_summary *summary, struct cofre_error *error);

#endif
