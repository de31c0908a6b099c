/* What a server has: its databases, and the facts of one. */
#ifndef COFRE_POSTGRES_CLUSTER_H
#define COFRE_POSTGRES_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "postgres/namelist.h"
#include "postgres/session.h"

/* A session from which the server as a whole can be seen, and every other database renamed: in "postgres" or, where
 * that is not there, or is the one to avoid (NULL = none), "template1". */
int32_t cluster_connect(struct session *session, struct cofre_call *call, const struct options *options,
                        const char *avoid, struct cofre_error *error);

/* The databases that the options name: `databases`, where * stands for all but templates, those that let nobody in, and
 * those that restores keep beside (before.h); else `database`, else what libpq connects to. In the order of their
 * paths. The caller frees them. */
int32_t cluster_databases(struct session *session, const struct options *options, struct namelist *names,
                          struct cofre_error *error);

/* Those that * stands for and that let nobody in: they cannot be saved as they are. The caller frees them. */
int32_t cluster_closed(struct session *session, const struct options *options, struct namelist *names,
                       struct cofre_error *error);

/* The file name of a database's dump in the snapshot: '/' and '%' are written as %2F and %25. And back. */
#define CLUSTER_PATH_MAX (3 * SESSION_NAME_MAX + 8)
const char *cluster_path(const char *database, char out[CLUSTER_PATH_MAX]);
/* false: path is not of a dump. out: SESSION_NAME_MAX + 1 bytes. */
bool cluster_database_of(const char *path, char *out);

/* The facts of the session's database, as its transaction sees it, in UTF-8 (the session may speak raw afterwards):
 * encoding, collation, extensions, size, and "database", which holds all that a new one must be made with, as JSON.
 * *facts is freed with PQclear. */
int32_t cluster_facts(struct session *session, PGresult **facts, struct cofre_error *error);
/* Say them. prefix as in recorded.h. */
int32_t cluster_say(struct cofre_call *call, const PGresult *facts, const char *prefix, struct cofre_error *error);
/* Say those of the server, with its container, and its identity where the user may ask for it. */
int32_t cluster_server_facts(struct session *session, const struct options *options, struct cofre_error *error);

#endif
