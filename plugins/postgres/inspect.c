#include "postgres/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/inside.h"
#include "common/failure.h"
#include "postgres/before.h"
#include "postgres/cluster.h"
#include "postgres/collation.h"
#include "postgres/connections.h"
#include "postgres/tool.h"

/* Each gives one row: how many there are, and the first of them. No right on a schema hides what is in it. */
static const struct {
    int32_t level;
    const char *sql;
    const char *format; /* of database, names */
    const char *hint;
} looks[] = {
    {COFRE_LOG_ERROR,
     "SELECT count(*), string_agg(name, ', ') FILTER (WHERE n <= 5) FROM (SELECT row_number() OVER (ORDER BY 1) AS n, "
     "format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace "
     "WHERE relkind IN ('r', 'p', 'S') AND relpersistence <> 't' AND nspname !~ '^pg_' "
     "AND nspname <> 'information_schema' AND NOT (CASE WHEN has_schema_privilege(s.oid, 'USAGE') THEN "
     "has_table_privilege(c.oid, 'SELECT') ELSE false END)) x",
     "database '%s': the user may not read %s", "GRANT pg_read_all_data TO the user of this source"},
    {COFRE_LOG_ERROR,
     "SELECT count(*), string_agg(name, ', ') FILTER (WHERE n <= 5) FROM (SELECT row_number() OVER (ORDER BY 1) AS n, "
     "format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace "
     "WHERE relrowsecurity AND relkind IN ('r', 'p') AND row_security_active(c.oid)) x",
     "database '%s': row security hides rows of %s from the user",
     "ALTER ROLE the user BYPASSRLS, or use a superuser: without it the dump fails"},
    {COFRE_LOG_ERROR,
     "SELECT count(*), string_agg(oid::text, ', ') FILTER (WHERE n <= 5) FROM (SELECT row_number() OVER (ORDER BY oid) "
     "AS n, oid FROM pg_largeobject_metadata m WHERE NOT pg_has_role(lomowner, 'USAGE') AND NOT EXISTS ("
     "SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR "
     "pg_has_role(a.grantee, 'USAGE'))) AND current_setting('lo_compat_privileges') <> 'on' AND "
     "current_setting('is_superuser') <> 'on') x",
     "database '%s': the user may not read large objects: %s", "GRANT SELECT ON LARGE OBJECT ... TO the user"},
    {COFRE_LOG_WARNING,
     "SELECT count(*), string_agg(name, ', ') FILTER (WHERE n <= 5) FROM (SELECT row_number() OVER (ORDER BY 1) AS n, "
     "format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace "
     "WHERE relpersistence = 'u' AND relkind = 'r' AND pg_is_in_recovery()) x",
     "database '%s': on a standby the rows of unlogged tables cannot be read: %s", "save the primary, if they matter"},
    /* A run has one more session than we have now: pg_dump's. */
    {COFRE_LOG_ERROR,
     "WITH me AS (SELECT * FROM pg_roles WHERE rolname = current_user AND NOT rolsuper), used AS (SELECT datid, "
     "usesysid FROM pg_stat_activity WHERE datid IS NOT NULL) SELECT count(*), string_agg(name, ' and ') FROM ("
     "SELECT 'the user' AS name FROM me WHERE rolconnlimit BETWEEN 0 AND (SELECT count(*) FROM used WHERE usesysid = "
     "me.oid) UNION ALL SELECT 'the database' FROM me, pg_database d WHERE datname = current_database() AND "
     "datconnlimit BETWEEN 0 AND (SELECT count(*) FROM used WHERE datid = d.oid)) x",
     "database '%s': there is no connection left for pg_dump within the CONNECTION LIMIT of %s", "raise that limit"},
    {COFRE_LOG_WARNING,
     "SELECT count(*), string_agg(name, ', ') FILTER (WHERE n <= 5) FROM (SELECT row_number() OVER (ORDER BY prepared) "
     "AS n, quote_literal(gid) AS name FROM pg_prepared_xacts WHERE database = current_database()) x",
     "database '%s': prepared transactions hold their locks, and keep a restore in place from renaming it: %s",
     "COMMIT PREPARED, or ROLLBACK PREPARED, in that database"},
    {COFRE_LOG_INFO,
     "SELECT count(*), string_agg(name, ', ') FILTER (WHERE n <= 5) FROM (SELECT row_number() OVER (ORDER BY 1) AS n, "
     "name FROM (SELECT format('subscription %I', subname) AS name FROM pg_subscription WHERE subdbid = "
     "(SELECT oid FROM pg_database WHERE datname = current_database()) UNION ALL SELECT format('slot %I', slot_name) "
     "FROM pg_replication_slots WHERE database = current_database()) y) x",
     "database '%s': what logical replication knows is not saved: %s", ""},
};

static int32_t look_into(struct session *s, const char *database, size_t i, bool *fine, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    char text[1200];
    int32_t status = session_query(s, &found, "look at the rights of the user", looks[i].sql, 0, NULL, error);
    long count = status == COFRE_OK ? atol(PQgetvalue(found, 0, 0)) : 0;
    if (count == 0)
        return status;
    char names[900];
    snprintf(names, sizeof names, "%.800s%s", PQgetvalue(found, 0, 1), count > 5 ? ", ..." : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, looks[i].format, database, names);
#pragma GCC diagnostic pop
    cofre->finding(s->call, looks[i].level, text, looks[i].hint);
    *fine = *fine && looks[i].level == COFRE_LOG_INFO;
    return COFRE_OK;
}

static void inspect_collation(struct session *s, bool *fine)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char text[COLLATION_TEXT];
    bool differs;
    if (collation_differs(s, text, &differs, &why) != COFRE_OK)
        cofre->finding(s->call, COFRE_LOG_ERROR, why.message, why.hint);
    else if (differs)
        cofre->finding(s->call, COFRE_LOG_WARNING, text, COLLATION_HINT);
    *fine = *fine && !differs;
}

static void inspect_database(struct cofre_call *call, const struct options *options, const char *name)
{
    struct cofre_error why = {.struct_size = sizeof why};
    SESSION_AUTO s = {.call = call};
    char text[200];
    bool fine = true;
    int32_t status = session_open(&s, call, options, name, NULL, &why);
    for (size_t i = 0; status == COFRE_OK && i < sizeof looks / sizeof looks[0]; i++)
        status = look_into(&s, name, i, &fine, &why);
    if (status == COFRE_OK)
        inspect_collation(&s, &fine);
    snprintf(text, sizeof text, "database '%s': everything in it can be read", name);
    if (status != COFRE_OK)
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    else if (fine)
        cofre->finding(call, COFRE_LOG_INFO, text, "");
}

static void inspect_tools(struct session *s, const struct options *options)
{
    static const char *const names[] = {"pg_dump", "pg_restore", "pg_dumpall"};
    for (size_t i = 0; i < (options->globals ? 3u : 2u); i++) {
        struct tool tool;
        struct cofre_error why = {.struct_size = sizeof why};
        char text[PATH_MAX + 100];
        if (tool_find(&tool, s->call, names[i], options, PQserverVersion(s->connection) / 10000, &why) == COFRE_OK) {
            snprintf(text, sizeof text, "'%s'%s is of version %s", tool.path,
                     options_tools_inside(options) ? " of the container" : "", tool.version);
            cofre->finding(s->call, COFRE_LOG_INFO, text, "");
        } else {
            cofre->finding(s->call, COFRE_LOG_ERROR, why.message, why.hint);
        }
    }
}

static void inspect_connection(struct session *s, const struct options *options)
{
    char text[400];
    const char *host = PQhost(s->connection);
    snprintf(text, sizeof text, "connected to PostgreSQL %s at '%.100s' port %s as user '%.63s', %s",
             PQparameterStatus(s->connection, "server_version"), host, PQport(s->connection), PQuser(s->connection),
             PQsslInUse(s->connection) ? PQsslAttribute(s->connection, "protocol") : "without TLS");
    bool warn = !options->inside && options->allow_unverified && !session_is_local(host, strlen(host));
    cofre->finding(s->call, warn ? COFRE_LOG_WARNING : COFRE_LOG_INFO, text,
                   warn ? "allow_unverified is set: nothing proves that this is the right server" : "");
}

static int32_t inspect_server(struct session *s, const struct options *options, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = session_query(s, &found, "look at the server",
                                   "SELECT pg_is_in_recovery() AND current_setting('hot_standby_feedback') = 'off' AND "
                                   "current_setting('max_standby_streaming_delay') <> '-1', "
                                   "has_table_privilege('pg_authid', 'SELECT')",
                                   0, NULL, error);
    if (status != COFRE_OK)
        return status;
    if (*PQgetvalue(found, 0, 0) == 't')
        cofre->finding(s->call, COFRE_LOG_WARNING,
                       "the server is a standby that ends long queries when they are in the way of its replication",
                       "set hot_standby_feedback = on, or max_standby_streaming_delay = -1, there");
    if (options->globals && *PQgetvalue(found, 0, 1) != 't')
        cofre->finding(s->call, COFRE_LOG_WARNING, "the user may not read pg_authid: roles are saved without passwords",
                       "use a superuser, or set globals = no when that is wanted");
    return COFRE_OK;
}

/* Which databases, and of how many at once. */
static int32_t inspect_list(struct session *s, const struct options *options, struct namelist *databases,
                            struct cofre_error *error)
{
    NAMELIST_AUTO closed = {.count = 0};
    size_t share = 0;
    char text[240], quoted[FAILURE_QUOTE_MAX];
    int32_t status = cluster_databases(s, options, databases, error);
    if (status == COFRE_OK)
        status = cluster_closed(s, options, &closed, error);
    if (status == COFRE_OK)
        status = connections_share(s, &share, error);
    for (size_t i = 0; status == COFRE_OK && i < closed.count; i++) {
        snprintf(text, sizeof text, "database '%.150s' takes no connections: it is not saved",
                 failure_quote(closed.list[i], strlen(closed.list[i]), quoted));
        cofre->finding(s->call, COFRE_LOG_WARNING, text, "ALTER DATABASE ... ALLOW_CONNECTIONS true, or drop it");
    }
    snprintf(text, sizeof text, CONNECTIONS_FEW, databases->count, share);
    if (status == COFRE_OK && share < databases->count)
        cofre->finding(s->call, COFRE_LOG_WARNING, text, "raise max_connections, or the CONNECTION LIMIT of the role");
    return status;
}

int32_t inspect_run(struct cofre_call *call, const struct options *options, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    SESSION_AUTO s = {.call = call};
    NAMELIST_AUTO databases = {.count = 0};
    int32_t status = options->databases.count > 0 ? cluster_connect(&s, call, options, NULL, &why)
                                                  : session_open(&s, call, options, NULL, NULL, &why);
    /* Nothing was looked at: the host knows whether to wait for a server that is starting. */
    if (status == COFRE_E_RETRY || status == COFRE_E_BUSY) {
        *error = why;
        return status;
    }
    char text[INSIDE_TEXT_MAX];
    if (options->inside)
        cofre->finding(call, COFRE_LOG_INFO, inside_describe(options->inside, text), "");
    if (status == COFRE_OK) {
        inspect_connection(&s, options);
        inspect_tools(&s, options);
        status = inspect_server(&s, options, &why);
    }
    if (status == COFRE_OK)
        status = inspect_list(&s, options, &databases, &why);
    if (status == COFRE_OK)
        status = before_inspect(&s, &databases, &why);
    if (status != COFRE_OK)
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    for (size_t i = 0; status == COFRE_OK && i < databases.count; i++)
        inspect_database(call, options, databases.list[i]);
    return cofre->cancelled(call, error);
}
