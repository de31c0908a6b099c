/* A session with a server: libpq, never waiting where a cancellation would not be seen. */
#ifndef COFRE_POSTGRES_SESSION_H
#define COFRE_POSTGRES_SESSION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "postgres/options.h"

struct session {
    PGconn *connection; /* NULL = closed */
    struct cofre_call *call;
};

#define SESSION_PORT 5432   /* where a server listens, unless somebody says otherwise */
#define SESSION_NAME_MAX 63 /* bytes of a name in PostgreSQL; longer ones the server cuts */

/* Connect to `database` (NULL: what the options, the environment or libpq say), as application_name `name` (NULL:
 * "cofre"). A server elsewhere must prove who it is (sslmode=verify-full) unless allow_unverified is set. In the
 * session nothing times out but locks (lock_timeout), row security is an error, only pg_catalog is searched, and text
 * is UTF-8 where the server can convert the database's to it. A pool that gives the server's sessions to others in
 * between is refused (COFRE_E_CONFIG) before anything is set in one. After failure the session is closed. */
int32_t session_open(struct session *session, struct cofre_call *call, const struct options *options,
                     const char *database, const char *name, struct cofre_error *error);
/* Any state; twice does no harm. Ends the transaction, if there is one. */
void session_close(struct session *session);

/* From now on names and texts are the database's own bytes, in whatever encoding it has: as pg_dump writes them. */
int32_t session_speak_raw(struct session *session, struct cofre_error *error);
bool session_is_raw(const struct session *session);

/* The port, as far as the options say; 0 = libpq's own. */
int64_t session_port(const struct options *options);

/* Is the host of these n bytes this machine: a socket, loopback, or none at all? */
bool session_is_local(const char *host, size_t n);

/* Run one statement with text parameters. *result is freed by the caller, with PQclear; it is NULL after failure.
 * `what` is what failed, should it fail: "count the rows of 'public.users'". */
int32_t session_query(struct session *session, PGresult **result, const char *what, const char *sql, int count,
                      const char *const *parameters, struct cofre_error *error);
/* As session_query, without interest in what comes back. Without parameters it may be several statements. */
int32_t session_run(struct session *session, const char *what, const char *sql, struct cofre_error *error);
/* The query gives statements, one in each row, first column; run all of them in this order. */
int32_t session_run_made(struct session *session, const char *what, const char *sql, int count,
                         const char *const *parameters, struct cofre_error *error);
/* Has a statement that was sent (PQsendQuery...) come to its end? Never waits. */
bool session_ready(struct session *session);
/* Wait for the statement that was sent. *result as in session_query. */
int32_t session_wait(struct session *session, PGresult **result, const char *what, struct cofre_error *error);

/* A name as an identifier in SQL, quotes included. Returns out. */
#define SESSION_QUOTED_MAX (2 * SESSION_NAME_MAX + 3)
const char *session_identifier(const char *name, char out[SESSION_QUOTED_MAX]);

/* The connection as a string for a program: where to, who, TLS, and `passfile` (NULL = the options'); no password.
 * malloc'ed; NULL = no memory. */
char *session_string(const struct session *session, const struct options *options, const char *database,
                     const char *passfile);

/* The same for a program in the server's container. The server is asked for `name` to be that of the session. */
char *session_string_inside(const struct session *session, const char *database, const char *passfile,
                            const char *name);

static inline void session_clear(PGresult **result)
{
    PQclear(*result);
}
#define SESSION_RESULT __attribute__((cleanup(session_clear))) PGresult *
#define SESSION_AUTO __attribute__((cleanup(session_close))) struct session

#endif
