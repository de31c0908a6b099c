/* The primary's side of a synchronisation: one server connects to us and either goes on with what it has, as our
 * replica, or takes an RDB. So a running Redis takes over a whole data set without a restart, and without anybody
 * touching its files.
 *
 * Whoever connects must come from the server's address and must name the server's replication id, which nobody else
 * knows: the data is shown to nobody else. */
#ifndef COFRE_REDIS_PRIMARY_H
#define COFRE_REDIS_PRIMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct link;

#define PRIMARY_ID 40
#define PRIMARY_HOST 256

struct primary {
    struct link *server;
    struct cofre_call *call;
    char host[PRIMARY_HOST]; /* where the server is told to find us */
    int port;
    char id[PRIMARY_ID + 1];     /* our replication id: random, so that the server's word for it proves who served it */
    char theirs[PRIMARY_ID + 1]; /* the server's own */
    char mark[PRIMARY_ID + 1];
    int listener, peer;
    bool keep;      /* it goes on with what it has */
    int64_t tended; /* when it was given a sign of life last */
};

/* Listen where the server of this link can reach us: announce_host, or our address as it sees it. Our id is a new one.
 * theirs, the server's master_replid, is to be filled before primary_accept. primary_close is due also after an error.
 */
int32_t primary_listen(struct primary *primary, struct link *server, struct cofre_call *call,
                       struct cofre_error *error);

/* Wait for the server, which was told REPLICAOF host port, in place of one that is connected. keep: it goes on with
 * what it has, and takes no writes of anybody; else we come to the point where the RDB begins. */
int32_t primary_accept(struct primary *primary, bool keep, struct cofre_error *error);

/* Of a server that keeps what it has: take what it says, and once a second say PING, as it gives up a primary that
 * keeps silent for its repl-timeout. It connects anew when the connection was lost. */
void primary_tend(struct primary *primary);

int32_t primary_send(struct primary *primary, const void *p, size_t n, struct cofre_error *error);
/* The RDB is complete: only now does the server replace what it has. */
int32_t primary_finish(struct primary *primary, struct cofre_error *error);

/* Throw away what the server says meanwhile. False: it has ended the connection. */
bool primary_is_connected(struct primary *primary);
void primary_close(struct primary *primary);

#endif
