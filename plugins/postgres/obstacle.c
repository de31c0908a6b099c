#include "postgres/obstacle.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"

#define LOOKS 20    /* at sessions that cannot be ended */
#define BETWEEN 250 /* ms */

static int32_t check_rights(struct session *s, const char *database, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {database};
    int32_t status = session_query(s, &found, "look at the rights on the database",
                                   "SELECT pg_has_role(d.datdba, 'USAGE') AND (r.rolcreatedb OR r.rolsuper), "
                                   "pg_get_userbyid(d.datdba), r.rolname FROM pg_database d, pg_roles r "
                                   "WHERE d.datname = $1 AND r.rolname = current_user",
                                   1, parameters, error);
    if (status != COFRE_OK || PQntuples(found) == 0 || *PQgetvalue(found, 0, 0) == 't')
        return status;
    status = cofre_fail(error, COFRE_E_DENIED, "replace database '%s': it belongs to '%s', and '%s' may not rename it",
                        database, PQgetvalue(found, 0, 1), PQgetvalue(found, 0, 2));
    cofre_hint(error, "restore as a superuser, or as a member of its owner with CREATEDB");
    return status;
}

/* Nobody can end them but with the statement that belongs to each. Another's may be seen by everybody. */
static int32_t check_prepared(struct session *s, const char *database, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {database};
    int32_t status = session_query(s, &found, "look for prepared transactions",
                                   "SELECT string_agg(format('%L of %s since %s', gid, owner, prepared::timestamp(0)), "
                                   "', '), min(quote_literal(gid)) FROM (SELECT * FROM pg_prepared_xacts "
                                   "WHERE database = $1 ORDER BY prepared LIMIT 4) x",
                                   1, parameters, error);
    if (status != COFRE_OK || PQgetisnull(found, 0, 0))
        return status;
    status = cofre_fail(error, COFRE_E_PERMANENT,
                        "replace database '%s': prepared transactions keep it from being renamed: %s", database,
                        PQgetvalue(found, 0, 0));
    cofre_hint(error,
               "in that database COMMIT PREPARED %.80s or ROLLBACK PREPARED it, then restore again; nothing "
               "was changed",
               PQgetvalue(found, 0, 1));
    return status;
}

/* One row: who they are; NULL = nobody. all: those, too, that we may end. Workers of the server itself go by themselves
 * when somebody wants to rename, and have no user. */
static int32_t list_sessions(struct session *s, const char *database, bool all, PGresult **found,
                             struct cofre_error *error)
{
    const char *const parameters[] = {database, all ? "t" : "f"};
    return session_query(
        s, found, "list sessions",
        "SELECT string_agg(format('%s%s (process %s)', coalesce(usename, backend_type), ' ' || "
        "nullif(application_name, ''), pid), ', ') FROM (SELECT a.* FROM pg_stat_activity a "
        "LEFT JOIN pg_roles r ON r.oid = a.usesysid, pg_roles me WHERE me.rolname = current_user "
        "AND a.datname = $1 AND a.pid <> pg_backend_pid() AND ($2::bool OR (a.usesysid IS NOT NULL AND NOT me.rolsuper "
        "AND (r.rolsuper OR NOT (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))))) "
        "ORDER BY a.backend_start LIMIT 8) x",
        2, parameters, error);
}

static int32_t refuse_sessions(const char *database, const char *who, struct cofre_error *error)
{
    int32_t status = cofre_fail(error, COFRE_E_PERMANENT,
                                "rename database '%s': sessions that cannot be ended are using it: %s", database, who);
    cofre_hint(error, "end them (a superuser may end any), then restore again; the database is as it was");
    return status;
}

/* One that comes and goes, such as a probe of a superuser, is no reason to refuse. */
static int32_t check_sessions(struct session *s, const char *database, struct cofre_error *error)
{
    for (int look = 1;; look++) {
        SESSION_RESULT found = NULL;
        int32_t status = list_sessions(s, database, false, &found, error);
        if (status != COFRE_OK || PQgetisnull(found, 0, 0))
            return status;
        if (look == LOOKS)
            return refuse_sessions(database, PQgetvalue(found, 0, 0), error);
        poll(NULL, 0, BETWEEN);
        cofre->progress(s->call, 1, 0);
        status = cofre->cancelled(s->call, error);
        if (status != COFRE_OK)
            return status;
    }
}

int32_t obstacle_look(struct session *other, const char *database, struct cofre_error *error)
{
    int32_t status = check_rights(other, database, error);
    if (status == COFRE_OK)
        status = check_prepared(other, database, error);
    return status == COFRE_OK ? check_sessions(other, database, error) : status;
}

int32_t obstacle_name(struct session *other, const char *database, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = check_prepared(other, database, error);
    if (status == COFRE_OK)
        status = list_sessions(other, database, true, &found, error);
    if (status != COFRE_OK)
        return status;
    return refuse_sessions(database, PQgetisnull(found, 0, 0) ? "nobody that can be seen" : PQgetvalue(found, 0, 0),
                           error);
}
