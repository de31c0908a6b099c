/* What a server is, and what it holds: from INFO and a few commands that it may refuse to us. */
#ifndef COFRE_REDIS_SERVER_H
#define COFRE_REDIS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct link;
struct rdb_summary;

/* Everything INFO said; and -1 for what the server would not tell us. */
struct server {
    char *info;
    int64_t libraries; /* of functions */
    int64_t modules;
    char module_names[512]; /* "a, b" */
};

int32_t server_look(struct link *link, struct cofre_call *call, struct server *server, struct cofre_error *error);
void server_free(struct server *server);

bool server_is_cluster(const struct server *server);
bool server_is_replica(const struct server *server);
/* Keys in all databases. */
uint64_t server_keys(const struct server *server);
/* How long its RDB can be at most; max_size of the options when that is not 0. */
uint64_t server_most(const struct server *server, int64_t max_size);
/* Would a fork be a danger? The text says why. */
bool server_is_tight(const struct server *server, char *text, size_t size);

/* The facts of a snapshot. summary: counts of the RDB; NULL = those of the server now. */
int32_t server_facts(const struct server *server, struct cofre_call *call, const struct rdb_summary *summary,
                     struct cofre_error *error);

#endif
