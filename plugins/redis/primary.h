/* The primary's side of a full synchronisation: one server connects to us and takes an RDB. So a running Redis takes
 * over a whole data set without a restart, and without anybody touching its files.
 *
 * Whoever connects must come from the server's address and must name the server's replication id, which nobody else
 * knows: the data is shown to nobody else. */
#ifndef COFRE_REDIS_PRIMARY_H
#define COFRE_REDIS_PRIMARY_H

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
};

/* Listen where the server of this link can reach us: announce_host, or our address as it sees it. theirs: the server's
 * master_replid. primary_close is due also after an error. */
int32_t primary_listen(struct primary *primary, struct link *server, struct cofre_call *call, const char *theirs,
                       struct cofre_error *error);

/* Wait for the server, which was told REPLICAOF host port, and come to the point where the RDB begins. */
int32_t primary_accept(struct primary *primary, struct cofre_error *error);

int32_t primary_send(struct primary *primary, const void *p, size_t n, struct cofre_error *error);
/* The RDB is complete: only now does the server replace what it has. */
int32_t primary_finish(struct primary *primary, struct cofre_error *error);

/* Throw away what the server says meanwhile. False: it has ended the connection. */
int primary_is_connected(struct primary *primary);
void primary_close(struct primary *primary);

#endif
