#include "postgres/before.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/target.h"

#define INFIX "_before_"
#define PARTIAL "_partial_"
#define UTF8_MAX 4 /* bytes of a character */

/* At the end of a comment. The first group is the name, the second the time, which compares as text. */
#define MARK "'\\(cofre: this was (.+) until ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}Z)\\)$'"
#define TIME_FORMAT "'YYYY-MM-DD HH24:MI:SS\"Z\"'"

/* ---- names ---- */

int32_t before_choose(struct session *admin, const char *name, const char *id, char out[SESSION_NAME_MAX + 1],
                      struct cofre_error *error)
{
    return target_free_name(admin, name, INFIX, id, out, error);
}

/* An earlier mark goes: the database was put back by hand, and is replaced again. */
static const char mark_sql[] =
    "SELECT format('COMMENT ON DATABASE %I IS %L', datname, ltrim(regexp_replace("
    "coalesce(shobj_description(oid, 'pg_database'), ''), ' ?' || " MARK ", '') || ' ' || "
    "format('(cofre: this was %s until %s)', $2::text, to_char(now() AT TIME ZONE 'UTC', " TIME_FORMAT ")))) "
    "FROM pg_database WHERE datname = $1";

int32_t before_mark(struct session *admin, const char *before, const char *name, struct cofre_error *error)
{
    const char *const parameters[] = {before, name};
    return session_run_made(admin, "write down when the database was replaced", mark_sql, 2, parameters, error);
}

/* ---- which there are ---- */

enum column { NAME, WAS, UNTIL, SIZE, REASON };

/* $1: ms. What stays has a reason. Of those that were replaced later than that, or never by a restore of this cofre,
 * nothing is said here. */
static const char list_sql[] =
    "SELECT datname, m[1], m[2], CASE WHEN has_database_privilege(oid, 'CONNECT') OR "
    "pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_size_pretty(pg_database_size(oid)) END, "
    "CASE WHEN pg_is_in_recovery() OR m IS NULL OR m[2] COLLATE \"C\" >= to_char((now() - $1::bigint * interval '1 "
    "ms') AT TIME ZONE 'UTC', " TIME_FORMAT ") COLLATE \"C\" THEN '' "
    "WHEN NOT EXISTS (SELECT FROM pg_database n WHERE n.datname = m[1]) THEN 'there is no database ' || m[1] "
    "WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid AND backend_type <> 'autovacuum worker') THEN "
    "'somebody is using it' "
    "WHEN EXISTS (SELECT FROM pg_replication_slots s WHERE s.database = d.datname) THEN 'it has a replication slot' "
    "WHEN EXISTS (SELECT FROM pg_subscription s WHERE s.subdbid = d.oid) THEN 'it has a subscription' END "
    "FROM (SELECT *, regexp_match(shobj_description(oid, 'pg_database'), " MARK ") AS m FROM pg_database "
    "WHERE datname ~ " BEFORE_PATTERN ") d ORDER BY datname COLLATE \"C\"";

static int32_t list(struct session *s, int64_t age, PGresult **found, struct cofre_error *error)
{
    char milliseconds[24];
    const char *const parameters[] = {milliseconds};
    snprintf(milliseconds, sizeof milliseconds, "%lld", (long long)age);
    return session_query(s, found, "list the databases that restores replaced", list_sql, 1, parameters, error);
}

/* `name` is the beginning of that of a database. cut: not all of it. */
static bool is_name_of(const char *name, bool cut, const struct namelist *databases)
{
    for (size_t i = 0; i < databases->count; i++)
        if (cut ? strncmp(databases->list[i], name, strlen(name)) == 0 : strcmp(databases->list[i], name) == 0)
            return true;
    return false;
}

/* Of one that is not marked only the name can tell. It may have been cut when no further character would fit. */
static bool is_of(const PGresult *found, int row, const struct namelist *databases)
{
    char name[SESSION_NAME_MAX + 1];
    if (!PQgetisnull(found, row, WAS))
        return namelist_has(databases, PQgetvalue(found, row, WAS));
    snprintf(name, sizeof name, "%s", PQgetvalue(found, row, NAME));
    bool cut = strlen(name) + UTF8_MAX > SESSION_NAME_MAX;
    /* What the pattern matched ends in "_" and an id without one, and perhaps a number. */
    for (size_t n = strlen(name); n > 0; n--)
        if (strncmp(name + n, INFIX, strlen(INFIX)) == 0 || strncmp(name + n, PARTIAL, strlen(PARTIAL)) == 0) {
            name[n] = '\0';
            return is_name_of(name, cut, databases);
        }
    return false;
}

void before_name(struct cofre_call *call, const char *name)
{
    char quoted[SESSION_QUOTED_MAX], what[SESSION_NAME_MAX + 20], removal[SESSION_QUOTED_MAX + 20];
    snprintf(what, sizeof what, "database '%s'", name);
    snprintf(removal, sizeof removal, "DROP DATABASE %s", session_identifier(name, quoted));
    cofre->leftover(call, what, removal);
}

int32_t before_name_all(struct session *s, const struct namelist *databases, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = list(s, 0, &found, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++)
        if (is_of(found, i, databases))
            before_name(s->call, PQgetvalue(found, i, NAME));
    return status;
}

int32_t before_inspect(struct session *s, const struct namelist *databases, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = list(s, 0, &found, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char text[400];
        const char *size = PQgetvalue(found, i, SIZE), *until = PQgetvalue(found, i, UNTIL);
        if (!is_of(found, i, databases))
            continue;
        snprintf(text, sizeof text, "database '%s' is what a restore %s%s%s%s%s", PQgetvalue(found, i, NAME),
                 strstr(PQgetvalue(found, i, NAME), INFIX) ? "replaced" : "left, in part", *until ? " at " : "", until,
                 *size ? "; it takes " : "", size);
        cofre->finding(s->call, COFRE_LOG_WARNING, text,
                       "drop it when all is well; drop_before does that by itself after some time");
        before_name(s->call, PQgetvalue(found, i, NAME));
    }
    return status;
}

int32_t before_say(struct session *s, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = list(s, 0, &found, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char text[200];
        snprintf(text, sizeof text, "database '%s' is not saved: a restore left it", PQgetvalue(found, i, NAME));
        cofre->log(s->call, COFRE_LOG_INFO, text);
    }
    return status;
}

/* ---- dropping ---- */

static void drop(struct session *admin, const char *name, const char *until)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char quoted[SESSION_QUOTED_MAX], sql[SESSION_QUOTED_MAX + 20], text[800];
    /* Without FORCE: whoever came in meanwhile keeps it. */
    snprintf(sql, sizeof sql, "DROP DATABASE %s", session_identifier(name, quoted));
    if (session_run(admin, "drop it", sql, &why) == COFRE_OK) {
        snprintf(text, sizeof text, "database '%s' is dropped: a restore replaced it at %s, and drop_before is over",
                 name, until);
        cofre->log(admin->call, COFRE_LOG_NOTICE, text);
    } else {
        snprintf(text, sizeof text, "database '%s' was to be dropped by drop_before, and stays: %s", name, why.message);
        cofre->log(admin->call, COFRE_LOG_WARNING, text);
    }
}

void before_drop(struct session *admin, const struct namelist *databases, int64_t age)
{
    SESSION_RESULT found = NULL;
    struct cofre_error why = {.struct_size = sizeof why};
    if (age == 0)
        return;
    if (list(admin, age, &found, &why) != COFRE_OK) {
        cofre->log(admin->call, COFRE_LOG_WARNING, why.message);
        return;
    }
    for (int i = 0; i < PQntuples(found); i++) {
        char text[400];
        const char *name = PQgetvalue(found, i, NAME), *reason = PQgetvalue(found, i, REASON);
        if (!is_of(found, i, databases))
            continue;
        if (PQgetisnull(found, i, REASON)) {
            drop(admin, name, PQgetvalue(found, i, UNTIL));
        } else if (*reason) {
            snprintf(text, sizeof text, "database '%s' was to be dropped by drop_before, and stays: %s", name, reason);
            cofre->log(admin->call, COFRE_LOG_WARNING, text);
        }
    }
}
