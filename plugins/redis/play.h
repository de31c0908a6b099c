/* One full synchronisation in which we are the primary: to the moment when the server has loaded everything and its
 * counts are those of the RDB. */
#ifndef COFRE_REDIS_PLAY_H
#define COFRE_REDIS_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct link;
struct primary;
struct server;

/* Where the RDB comes from: as take of struct cofre_host, COFRE_END after the last piece. */
struct play_feed {
    int32_t (*take)(void *context, const void **bytes, uint64_t *length, struct cofre_error *error);
    void *context;
};

struct play {
    struct primary *primary; /* whom the server was told to follow: redis/hold.h */
    struct link *link;       /* for commands to the server */
    struct cofre_call *call;
    const struct server *server; /* as it was before */
    bool empty;                  /* nothing is lost when the server replaces what it has before all was checked */
    int newest;                  /* RDB version that it can read; 0 = not known, and nothing to lose */
    uint64_t databases;          /* that it has; 0 = not known; play_run asks */
    bool replaced;               /* out: the server was given the whole RDB, so what it had is gone or going */
};

/* Afterwards the server is a replica of nobody: undo_promote or undo_all is due. On COFRE_E_INTEGRITY before replaced,
 * the RDB itself is bad, and the server still has what it had. */
int32_t play_run(struct play *play, const struct play_feed *feed, struct cofre_error *error);

#endif
