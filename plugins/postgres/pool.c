#include "postgres/pool.h"

#include <stdlib.h>

#include "cofre/plugin.h"

#define ROUNDS 5 /* so that a busy pool, too, gives itself away */

static const char what[] = "ask the server who answers";
static const char own_process[] = "SELECT pg_catalog.pg_backend_pid()";

/* The process of the server that answers now. */
static int32_t ask(struct session *s, const char *sql, int *process, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = PQsendQuery(s->connection, sql) ? session_wait(s, &found, what, error)
                                                     : cofre_fail(error, COFRE_E_RETRY, "%s: it is gone", what);
    *process = status == COFRE_OK && PQntuples(found) == 1 ? atoi(PQgetvalue(found, 0, 0)) : 0;
    return status;
}

int32_t pool_absent(struct session *session, bool *direct, struct cofre_error *error)
{
    int process;
    int32_t status = ask(session, own_process, &process, error);
    /* A pool makes up the key that a cancellation is sent with. */
    *direct = process == PQbackendPID(session->connection);
    return status;
}

static int32_t refuse(const struct session *s, struct cofre_error *error)
{
    int32_t class = cofre_fail(error, COFRE_E_CONFIG,
                               "connect to '%.100s' port %s: a pool there shares the server's sessions between clients",
                               PQhost(s->connection), PQport(s->connection));
    cofre_hint(error, "set host and port to the server itself, or to a pool of whole sessions (pool_mode = session): "
                      "pg_dump needs sessions of its own");
    return class;
}

int32_t pool_refuse(struct session *one, struct session *other, struct cofre_error *error)
{
    int first, meanwhile, after;
    int32_t status = ask(one, own_process, &first, error);
    for (int i = 0; status == COFRE_OK && i < ROUNDS; i++) {
        /* While the other has one for itself, ours must not be that one, and must stay the same. */
        status = ask(other, "BEGIN; SELECT pg_catalog.pg_backend_pid()", &meanwhile, error);
        if (status == COFRE_OK)
            status = ask(one, own_process, &after, error);
        if (status == COFRE_OK)
            status = session_run(other, what, "ROLLBACK", error);
        if (status == COFRE_OK && (meanwhile == first || after != first))
            return refuse(one, error);
    }
    return status;
}
