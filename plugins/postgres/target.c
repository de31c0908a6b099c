#include "postgres/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "common/record.h"
#include "postgres/replication.h"

/* Objects that somebody made: whatever initdb made has a number below this one. */
static const char content_sql[] =
    "SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384) "
    "OR EXISTS (SELECT FROM pg_type WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384) "
    "OR EXISTS (SELECT FROM pg_extension WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_largeobject_metadata)";

int32_t target_exists(struct session *admin, const char *name, bool *exists, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {name};
    int32_t status = session_query(admin, &found, "look for the database",
                                   "SELECT 1 FROM pg_database WHERE datname = $1", 1, parameters, error);
    *exists = status == COFRE_OK && PQntuples(found) > 0;
    return status;
}

/* Large objects, extensions and functions are content, too. */
static int32_t has_content(const struct target *t, bool *content, struct cofre_error *error)
{
    SESSION_RESULT objects = NULL;
    SESSION_AUTO session = {.call = t->admin->call};
    int32_t status = session_open(&session, t->admin->call, t->options, t->name, NULL, error);
    if (status == COFRE_OK)
        status = session_query(&session, &objects, "look at what the database has", content_sql, 0, NULL, error);
    *content = status == COFRE_OK && *PQgetvalue(objects, 0, 0) == 't';
    return status;
}

static int32_t refuse_whole(const struct target *t, struct cofre_error *error)
{
    int32_t class = cofre_fail(error, COFRE_E_EXISTS, "database '%s' exists and is not empty", t->name);
    cofre_hint(error, "restore it under another name with --set database=NAME, or replace it with --in-place");
    return class;
}

int32_t target_choose(struct target *t, const char *temporary, struct cofre_error *error)
{
    bool content = false;
    const struct options *o = t->options;
    bool part = o->section != OPTIONS_ALL || o->tables.count > 0 || o->only_schemas.count > 0;
    int32_t status = target_exists(t->admin, t->name, &t->exists, error);
    if (status == COFRE_OK && t->exists && !o->overwrite)
        status = has_content(t, &content, error);
    if (status != COFRE_OK)
        return status;
    if (part && o->overwrite) {
        status = cofre_fail(error, COFRE_E_CONFIG, "a part of a dump cannot take the place of database '%s'", t->name);
        cofre_hint(error, "restore the part into another database, without --in-place: --set database=NAME");
        return status;
    }
    if (o->section == OPTIONS_DATA && o->go_on)
        return cofre_fail(error, COFRE_E_CONFIG, "option 'go_on': with section = data it is all or nothing");
    if (o->section == OPTIONS_DATA && !t->exists)
        return cofre_fail(error, COFRE_E_NOT_FOUND, "database '%s' does not exist, so its tables cannot be filled",
                          t->name);
    if (content && !o->overwrite && o->section != OPTIONS_DATA)
        return refuse_whole(t, error);
    bool direct = t->exists && !o->overwrite;
    snprintf(t->work, sizeof t->work, "%s", direct ? t->name : temporary);
    return COFRE_OK;
}

/* ---- making ---- */

static const char *property(const struct target *t)
{
    char key[RECORDED_KEY_MAX];
    snprintf(key, sizeof key, "%sdatabase", t->prefix);
    const char *value = recorded_find(t->recorded, key);
    return value ? value : "{}";
}

/* $1: name, $2: properties. Roles and tablespaces that are not there are left out. */
static const char make_sql[] =
    "SELECT format('CREATE DATABASE %I TEMPLATE template0', $1::text) || "
    "coalesce(format(' ENCODING %L', p->>'encoding'), '') || coalesce(format(' LC_COLLATE %L', p->>'collate'), '') || "
    "coalesce(format(' LC_CTYPE %L', p->>'ctype'), '') || "
    "CASE WHEN p->>'provider' = 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', p->>'locale') ELSE '' END || "
    "coalesce((SELECT format(' OWNER %I', rolname) FROM pg_roles WHERE rolname = p->>'owner' "
    "AND NOT $3::bool AND pg_has_role(oid, 'MEMBER')), '') || "
    "coalesce((SELECT format(' TABLESPACE %I', spcname) FROM pg_tablespace WHERE spcname = p->>'tablespace' "
    "AND spcname <> 'pg_default'), '') FROM (SELECT $2::jsonb AS p) x";

/* A server that was given a new libc or ICU makes no database from a template whose collations are of the old one. The
 * error of that has no SQLSTATE of its own. */
static bool template_is_older(struct session *admin)
{
    SESSION_RESULT found = NULL;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    return PQserverVersion(admin->connection) >= 150000 &&
           session_query(admin, &found, "look at the template",
                         "SELECT datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid) "
                         "FROM pg_database WHERE datname = 'template0'",
                         0, NULL, &ignored) == COFRE_OK &&
           PQntuples(found) == 1 && *PQgetvalue(found, 0, 0) == 't';
}

int32_t target_make(struct target *t, struct cofre_error *error)
{
    char what[200];
    const char *const parameters[] = {t->work, property(t), t->options->no_owner ? "t" : "f"};
    if (strcmp(t->work, t->name) == 0)
        return COFRE_OK;
    snprintf(what, sizeof what, "create database '%s'", t->work);
    int32_t status = session_run_made(t->admin, what, make_sql, 3, parameters, error);
    t->made = status == COFRE_OK;
    if (status == COFRE_E_DENIED)
        cofre_hint(error, "let the user make databases (ALTER ROLE the user CREATEDB), or make an empty one for it");
    if (status == COFRE_E_INTEGRITY && template_is_older(t->admin)) {
        status = COFRE_E_PERMANENT;
        cofre_hint(error,
                   "ALTER DATABASE template0 REFRESH COLLATION VERSION: nothing in it is sorted; an empty database "
                   "that is there can be filled without --in-place");
    }
    return status;
}

/* $1: name, $2: properties, $3: without owners. */
static const char furnish_sql[] =
    "WITH x AS (SELECT $2::jsonb AS p), "
    "g AS (SELECT e->>'role' AS role, e->>'privilege' AS privilege, (e->>'option')::bool AS option FROM x, "
    "jsonb_array_elements(CASE jsonb_typeof(p->'grants') WHEN 'array' THEN p->'grants' ELSE '[]' END) e "
    "WHERE e->>'privilege' IN ('CREATE', 'CONNECT', 'TEMPORARY') AND NOT $3::bool AND "
    "(e->>'role' IS NULL OR EXISTS (SELECT FROM pg_roles WHERE rolname = e->>'role'))), "
    "s AS (SELECT e->>'role' AS role, e->>'name' AS name, e->>'value' AS value FROM x, "
    "jsonb_array_elements(CASE jsonb_typeof(p->'settings') WHEN 'array' THEN p->'settings' ELSE '[]' END) e "
    "WHERE e->>'role' IS NULL OR EXISTS (SELECT FROM pg_roles WHERE rolname = e->>'role')), "
    "made AS ("
    "SELECT 1 AS step, format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $1::text) AS sql FROM x "
    "WHERE jsonb_typeof(p->'grants') = 'array' AND NOT $3::bool "
    "UNION ALL SELECT 2, format('GRANT %s ON DATABASE %I TO %s%s', privilege, $1::text, "
    "CASE WHEN role IS NULL THEN 'PUBLIC' ELSE quote_ident(role) END, "
    "CASE WHEN option THEN ' WITH GRANT OPTION' ELSE '' END) FROM g "
    /* What a variable holds is taken over as it is: lists such as search_path have a quoting of their own. */
    "UNION ALL SELECT 3, format('SELECT set_config(%L, %L, true); ALTER %s SET %s FROM CURRENT', name, value, "
    "CASE WHEN role IS NULL THEN format('DATABASE %I', $1::text) ELSE format('ROLE %I IN DATABASE %I', role, $1::text) "
    "END, quoted) FROM (SELECT *, (SELECT string_agg(quote_ident(part), '.') FROM "
    "unnest(string_to_array(name, '.')) part) AS quoted FROM s) q "
    "UNION ALL SELECT 4, format('COMMENT ON DATABASE %I IS %L', $1::text, p->>'comment') FROM x "
    "WHERE p->>'comment' IS NOT NULL "
    "UNION ALL SELECT 5, format('ALTER DATABASE %I CONNECTION LIMIT %s', $1::text, (p->>'limit')::int) FROM x "
    "WHERE (p->>'limit')::int >= 0) SELECT sql FROM made ORDER BY step";

int32_t target_furnish(struct target *t, struct cofre_error *error)
{
    SESSION_RESULT statements = NULL;
    const char *const parameters[] = {t->work, property(t), t->options->no_owner ? "t" : "f"};
    if (!t->made)
        return COFRE_OK;
    int32_t status = session_query(t->admin, &statements, "furnish the database", furnish_sql, 3, parameters, error);
    /* Each by itself: a setting that this server does not know is no reason to have no database. */
    for (int i = 0; status == COFRE_OK && i < PQntuples(statements); i++) {
        struct cofre_error why = {.struct_size = sizeof why};
        if (session_run(t->admin, "give the database its rights and settings", PQgetvalue(statements, i, 0), &why) !=
            COFRE_OK)
            cofre->log(t->admin->call, COFRE_LOG_WARNING, why.message);
        status = cofre->cancelled(t->admin->call, error);
    }
    return status;
}

/* ---- removing ---- */

static int32_t drop(struct session *admin, const struct options *options, const char *name, struct cofre_error *error)
{
    char quoted[SESSION_QUOTED_MAX], sql[SESSION_QUOTED_MAX + 40], what[120];
    bool force = PQserverVersion(admin->connection) >= 130000;
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s%s", session_identifier(name, quoted),
             force ? " WITH (FORCE)" : "");
    snprintf(what, sizeof what, "drop database '%s'", name);
    int32_t status = replication_detach(admin, options, name, error);
    return status == COFRE_OK ? session_run(admin, what, sql, error) : status;
}

bool target_discard(struct target *t)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char text[700];
    if (!t->made || drop(t->admin, t->options, t->work, &why) == COFRE_OK)
        return true;
    snprintf(text, sizeof text, "database '%s' stays behind, half filled: %s", t->work, why.message);
    cofre->log(t->admin->call, COFRE_LOG_WARNING, text);
    return false;
}

int32_t target_drop_all(struct session *admin, const struct options *options, const char *prefix,
                        struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {prefix};
    int32_t status =
        session_query(admin, &found, "look for databases that an interrupted run left",
                      "SELECT datname FROM pg_database WHERE left(datname, length($1)) = $1", 1, parameters, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++)
        status = drop(admin, options, PQgetvalue(found, i, 0), error);
    return status;
}

/* ---- names ---- */

size_t target_fitting(const char *name, size_t most)
{
    size_t n = strlen(name);
    if (n <= most)
        return n;
    for (n = most; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

int32_t target_free_name(struct session *admin, const char *name, const char *infix, const char *id,
                         char out[SESSION_NAME_MAX + 1], struct cofre_error *error)
{
    for (int number = 1; number < 1000; number++) {
        char tail[SESSION_NAME_MAX + 1], suffix[8] = "";
        bool taken;
        if (number > 1)
            snprintf(suffix, sizeof suffix, "_%d", number);
        snprintf(tail, sizeof tail, "%.12s%.40s%s", infix, *id ? id : "restore", suffix);
        size_t n = target_fitting(name, SESSION_NAME_MAX - strlen(tail));
        memcpy(out, name, n);
        memcpy(out + n, tail, strlen(tail) + 1);
        int32_t status = target_exists(admin, out, &taken, error);
        if (status != COFRE_OK || !taken)
            return status;
    }
    return cofre_fail(error, COFRE_E_EXISTS, "keep database '%s': there are too many '%s%s%s...'", name, name, infix,
                      id);
}

void target_prefixed(const char *prefix, const char *origin, char out[SESSION_NAME_MAX + 1])
{
    char number[16] = "";
    size_t at = target_fitting(prefix, SESSION_NAME_MAX - 16), n = strlen(origin);
    if (at + n > SESSION_NAME_MAX) {
        snprintf(number, sizeof number, "~%08x", (unsigned)record_hash(origin, n));
        n = target_fitting(origin, SESSION_NAME_MAX - at - strlen(number));
    }
    memcpy(out, prefix, at);
    memcpy(out + at, origin, n);
    memcpy(out + at + n, number, strlen(number) + 1);
}
