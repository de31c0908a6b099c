/* A connection to the server, logged in. hiredis speaks the protocol; the waiting is ours, so that every wait can be
 * cancelled. A server ends connections that nobody used for a while (its setting "timeout"): such a one is opened anew
 * at the next command, so every command here must be one that may be said twice. */
#ifndef COFRE_REDIS_LINK_H
#define COFRE_REDIS_LINK_H

#include <stdbool.h>
#include <hiredis/hiredis.h>

#include "redis/conf.h"

struct link {
    const struct conf *conf;
    struct redisContext *redis;
    char name[300]; /* "redis '127.0.0.1:6379'": the object of messages */
    int64_t used;   /* when it answered last, on wait_clock */
};

/* Find the container that the server is in, if it is in one, and a way to it: once for every call of the host, as a
 * container is not where it was. Before link_open, by the same thread. */
int32_t link_reach(const struct conf *conf, struct cofre_call *call, struct cofre_error *error);

/* Connect, and authenticate when the options say how. A server that wants more says so at the first command; one that
 * is loading takes INFO alone. */
int32_t link_open(struct cofre_call *call, const struct conf *conf, struct link **link, struct cofre_error *error);
/* NULL is fine. */
void link_close(struct link *link);

#define LINK_WORDS_MAX 8
#define LINK_REPLY_MAX (64u << 20)
/* One command. *reply is the caller's: freeReplyObject. An error reply is a failure, in the words of redis/fault.h. All
 * of the answer must come within patience, and be no longer than LINK_REPLY_MAX bytes. */
int32_t link_command(struct link *link, struct cofre_call *call, struct redisReply **reply, struct cofre_error *error,
                     int count, const char *const *words);
#define LINK_WORDS(...)                                                                                                \
    (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[])                                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

/* The same when the reply does not matter. */
int32_t link_do(struct link *link, struct cofre_call *call, struct cofre_error *error, int count,
                const char *const *words);

/* What INFO says, all sections: malloc'ed text. */
int32_t link_info(struct link *link, struct cofre_call *call, char **info, struct cofre_error *error);

/* What INFO says, and right behind it REPLICAOF host port, in one piece: the server carries out no command of anybody
 * else in between, as it reads and obeys what one client sent at once. again: before both, REPLICAOF NO ONE; then the
 * replication id is a new one, and nobody could write while there was no primary. */
int32_t link_follow(struct link *link, struct cofre_call *call, bool again, const char *host, const char *port,
                    char **info, struct cofre_error *error);

/* The descriptor, for what is no command any more. All replies must have been taken. Another one after a command. */
int link_descriptor(const struct link *link);

/* Is the server reached over a UNIX socket, an address of this machine's own (loopback), or in a container? */
bool link_is_local(const struct link *link);

#endif
