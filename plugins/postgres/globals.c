#include "postgres/globals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "postgres/collation.h"
#include "postgres/launch.h"
#include "postgres/program.h"
#include "postgres/pump.h"

#define ROLE_FACT "role."

/* ---- saving ---- */

/* One row for each role. pg_roles where pg_authid is closed: it shows stars for a password. */
#define ROLES_OF(table, password)                                                                                      \
    "SELECT r.rolname AS name, jsonb_build_object('name', r.rolname, 'superuser', r.rolsuper, 'inherit', "             \
    "r.rolinherit, 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb, 'login', r.rolcanlogin, "                 \
    "'replication', r.rolreplication, 'bypassrls', r.rolbypassrls, 'limit', r.rolconnlimit, "                          \
    "'valid_until', r.rolvaliduntil, 'comment', shobj_description(r.oid, 'pg_authid'), "                               \
    "'member_of', (SELECT jsonb_agg(jsonb_build_object('role', pg_get_userbyid(m.roleid), 'admin', m.admin_option) "   \
    "ORDER BY pg_get_userbyid(m.roleid)) FROM pg_auth_members m WHERE m.member = r.oid), "                             \
    "'settings', (SELECT jsonb_agg(jsonb_build_object('name', split_part(x, '=', 1), "                                 \
    "'value', substr(x, strpos(x, '=') + 1))) FROM pg_db_role_setting s, unnest(s.setconfig) x "                       \
    "WHERE s.setrole = r.oid AND s.setdatabase = 0)) AS role, " password " AS password FROM " table " r "              \
    "WHERE r.rolname !~ '^pg_' ORDER BY r.rolname COLLATE \"C\""

static const char roles_open[] = ROLES_OF("pg_authid", "r.rolpassword");
static const char roles_closed[] = ROLES_OF("pg_roles", "NULL::text");

#define WHOLE_OF(roles)                                                                                                \
    "WITH roles AS (" roles ") SELECT jsonb_pretty(jsonb_build_object('format', 1, 'roles', "                          \
    "(SELECT jsonb_agg(role || jsonb_build_object('password', password)) FROM roles), 'tablespaces', "                 \
    "(SELECT jsonb_agg(jsonb_build_object('name', spcname, 'owner', pg_get_userbyid(spcowner), "                       \
    "'location', pg_tablespace_location(oid), 'comment', shobj_description(oid, 'pg_tablespace'))) "                   \
    "FROM pg_tablespace WHERE spcname !~ '^pg_')))"

static const char whole_open[] = WHOLE_OF(ROLES_OF("pg_authid", "r.rolpassword"));
static const char whole_closed[] = WHOLE_OF(ROLES_OF("pg_roles", "NULL::text"));

static int32_t may_see_passwords(struct session *s, bool *may, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = session_query(s, &found, "look at the rights of the user",
                                   "SELECT has_table_privilege('pg_authid', 'SELECT')", 0, NULL, error);
    *may = status == COFRE_OK && *PQgetvalue(found, 0, 0) == 't';
    return status;
}

static int32_t announce(struct cofre_call *call, const char *path, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = COFRE_STREAM,
                                .path = path,
                                .path_length = (uint32_t)strlen(path),
                                .size = -1,
                                .mtime = COFRE_NO_TIME,
                                .mode = 0600};
    return cofre->entry(call, &entry, error);
}

static int32_t send(struct cofre_call *call, const char *p, size_t n, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && n > 0) {
        void *buffer;
        size_t room = n;
        status = cofre->reserve(call, &buffer, &room, error);
        if (status != COFRE_OK)
            break;
        room = room < n ? room : n;
        memcpy(buffer, p, room);
        status = cofre->commit(call, room, error);
        p += room;
        n -= room;
    }
    return status;
}

static int32_t say_roles(struct session *s, bool may, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = session_query(s, &found, "read the roles", may ? roles_open : roles_closed, 0, NULL, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char key[RECORDED_KEY_MAX];
        snprintf(key, sizeof key, ROLE_FACT "%.200s", PQgetvalue(found, i, 0));
        status = cofre->fact(s->call, key, PQgetvalue(found, i, 1), 0, error);
    }
    return status;
}

int32_t globals_save_json(struct session *s, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    bool may = false;
    int32_t status = announce(s->call, GLOBALS_JSON, error);
    if (status != COFRE_OK)
        return status;
    *result = may_see_passwords(s, &may, why);
    if (*result == COFRE_OK)
        *result = session_query(s, &found, "read roles and tablespaces", may ? whole_open : whole_closed, 0, NULL, why);
    if (*result == COFRE_OK)
        status = send(s->call, PQgetvalue(found, 0, 0), (size_t)PQgetlength(found, 0, 0), error);
    if (status == COFRE_OK)
        status = cofre->end(s->call, *result, *result == COFRE_OK ? NULL : why, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = say_roles(s, may, error);
    if (status == COFRE_OK && *result == COFRE_OK && !may)
        cofre->log(s->call, COFRE_LOG_WARNING,
                   "the user may not read pg_authid: the roles are saved without their passwords");
    return status;
}

/* ---- pg_dumpall ---- */

#define END_MARK "database cluster dump complete"
struct tail {
    char bytes[256];
    size_t length;
};

static int32_t keep_tail(void *context, const void *bytes, size_t length, struct cofre_error *error)
{
    struct tail *t = context;
    size_t take = length < sizeof t->bytes ? length : sizeof t->bytes;
    size_t keep = t->length + take > sizeof t->bytes ? sizeof t->bytes - take : t->length;
    (void)error;
    memmove(t->bytes, t->bytes + t->length - keep, keep);
    memcpy(t->bytes + keep, (const char *)bytes + length - take, take);
    t->length = keep + take;
    return COFRE_OK;
}

static int32_t start_dumpall(struct session *s, const struct options *o, struct program *program, bool may,
                             struct cofre_error *error)
{
    LAUNCH_AUTO launch = LAUNCH_NONE;
    int32_t status = launch_prepare(&launch, s, o, "pg_dumpall", PQdb(s->connection), error);
    if (status != COFRE_OK)
        return status;
    if (!namelist_print(&launch.words, "--globals-only") ||
        (!may && !namelist_print(&launch.words, "--no-role-passwords")))
        return cofre_fail_errno(error, ENOMEM, "save " GLOBALS_SQL);
    return launch_start(&launch, program, NULL, true, error);
}

static int32_t judge_dumpall(struct program *program, struct session *s, const struct tail *tail, int32_t *result,
                             struct cofre_error *why, struct cofre_error *error)
{
    int code;
    char text[COLLATION_TEXT];
    bool differs;
    int32_t status = program_wait(program, s->call, false, &code, error);
    if (status != COFRE_OK)
        return status;
    *result = collation_differs(s, text, &differs, why);
    if (*result != COFRE_OK)
        return COFRE_OK;
    size_t remarks = differs ? collation_lines(program) : 0;
    if (code != 0 || program->line_count > remarks)
        *result = program_fail(program, code, "save " GLOBALS_SQL, why);
    else if (!memmem(tail->bytes, tail->length, END_MARK, strlen(END_MARK)))
        *result = cofre_fail(why, COFRE_E_PERMANENT, "save " GLOBALS_SQL ": what pg_dumpall wrote ends early");
    return COFRE_OK;
}

int32_t globals_save_sql(struct session *s, const struct options *o, int32_t *result, struct cofre_error *why,
                         struct cofre_error *error)
{
    PROGRAM_AUTO program = {.pid = 0};
    struct tail tail = {.length = 0};
    struct pump pump = {.call = s->call, .program = &program, .look = keep_tail, .context = &tail};
    bool may = false;
    int32_t status = announce(s->call, GLOBALS_SQL, error);
    if (status != COFRE_OK)
        return status;
    *result = may_see_passwords(s, &may, why);
    if (*result == COFRE_OK)
        *result = start_dumpall(s, o, &program, may, why);
    if (*result == COFRE_OK)
        status = pump_run(&pump, result, why, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = judge_dumpall(&program, s, &tail, result, why, error);
    if (status == COFRE_OK)
        status = cofre->end(s->call, *result, *result == COFRE_OK ? NULL : why, error);
    return status;
}

/* ---- making what is missing ---- */

/* $1: roles as a JSON array. Statements for those that the server does not have, in the order in which they work. */
static const char make_sql[] =
    "WITH saved AS (SELECT r, r->>'name' AS name FROM jsonb_array_elements($1::jsonb) r "
    "WHERE r->>'name' !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_roles p WHERE p.rolname = r->>'name')), "
    "made AS (SELECT 1 AS step, name, format('CREATE ROLE %I WITH %s %s %s %s %s %s %s CONNECTION LIMIT %s%s', name, "
    "CASE WHEN (r->>'superuser')::bool THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, "
    "CASE WHEN (r->>'inherit')::bool THEN 'INHERIT' ELSE 'NOINHERIT' END, "
    "CASE WHEN (r->>'createrole')::bool THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, "
    "CASE WHEN (r->>'createdb')::bool THEN 'CREATEDB' ELSE 'NOCREATEDB' END, "
    "CASE WHEN (r->>'login')::bool THEN 'LOGIN' ELSE 'NOLOGIN' END, "
    "CASE WHEN (r->>'replication')::bool THEN 'REPLICATION' ELSE 'NOREPLICATION' END, "
    "CASE WHEN (r->>'bypassrls')::bool THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, (r->>'limit')::int, "
    "CASE WHEN r->>'valid_until' IS NOT NULL THEN format(' VALID UNTIL %L', r->>'valid_until') ELSE '' END) AS sql "
    "FROM saved "
    "UNION ALL SELECT 2, name, format('GRANT %I TO %I%s', m->>'role', name, "
    "CASE WHEN (m->>'admin')::bool THEN ' WITH ADMIN OPTION' ELSE '' END) "
    "FROM saved, jsonb_array_elements(CASE jsonb_typeof(r->'member_of') WHEN 'array' THEN r->'member_of' ELSE '[]' "
    "END) m "
    "UNION ALL SELECT 3, name, format('SELECT set_config(%L, %L, true); ALTER ROLE %I SET %s FROM CURRENT', "
    "c->>'name', "
    "c->>'value', name, (SELECT string_agg(quote_ident(part), '.') FROM unnest(string_to_array(c->>'name', '.')) "
    "part)) "
    "FROM saved, jsonb_array_elements(CASE jsonb_typeof(r->'settings') WHEN 'array' THEN r->'settings' ELSE '[]' END) "
    "c "
    "UNION ALL SELECT 4, name, format('COMMENT ON ROLE %I IS %L', name, r->>'comment') FROM saved "
    "WHERE r->>'comment' IS NOT NULL) "
    "SELECT sql, step, name FROM made ORDER BY step, name COLLATE \"C\"";

static void warn(struct session *s, const char *what, const struct cofre_error *why)
{
    char text[700];
    snprintf(text, sizeof text, "%s: %s", what, why->message);
    cofre->log(s->call, COFRE_LOG_WARNING, text);
}

/* Each by itself: one that the user may not make does not keep the others from being made. */
static int32_t make(struct session *s, const char *roles, struct namelist *made, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {roles};
    int32_t status = session_query(s, &found, "compare the roles", make_sql, 1, parameters, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        struct cofre_error why = {.struct_size = sizeof why};
        const char *name = PQgetvalue(found, i, 2);
        bool is_new = *PQgetvalue(found, i, 1) == '1';
        if (!is_new && !namelist_has(made, name))
            continue;
        int32_t done = session_run(s, "make what is missing of a role", PQgetvalue(found, i, 0), &why);
        if (done != COFRE_OK)
            warn(s, name, &why);
        else if (is_new && !namelist_add(made, name))
            status = cofre_fail_errno(error, ENOMEM, "make roles");
        if (status == COFRE_OK)
            status = cofre->cancelled(s->call, error);
    }
    return status;
}

int32_t globals_make_roles(struct session *s, const struct recorded *recorded, struct namelist *made,
                           struct cofre_error *error)
{
    char *text = NULL;
    size_t size = 0, count = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return cofre_fail_errno(error, ENOMEM, "make roles");
    for (size_t i = 0; i < recorded->count; i++)
        if (strncmp(recorded->pairs[i].key, ROLE_FACT, strlen(ROLE_FACT)) == 0)
            fprintf(out, "%c%s", count++ ? ',' : '[', recorded->pairs[i].value);
    fputs(count ? "]" : "[]", out);
    int32_t status = fclose(out) == 0 ? make(s, text, made, error) : cofre_fail_errno(error, ENOMEM, "make roles");
    free(text);
    return status;
}

/* $1: the text of globals.json, $2: an array of names. */
static const char passwords_sql[] = "SELECT format('ALTER ROLE %I PASSWORD %L', r->>'name', r->>'password') FROM "
                                    "jsonb_array_elements($1::jsonb->'roles') "
                                    "r WHERE r->>'password' IS NOT NULL AND r->>'name' = ANY ($2::text[])";

static const char tablespaces_sql[] =
    "SELECT format('CREATE TABLESPACE %I OWNER %I LOCATION %L', t->>'name', t->>'owner', t->>'location'), t->>'name' "
    "FROM jsonb_array_elements(CASE jsonb_typeof($1::jsonb->'tablespaces') WHEN 'array' THEN $1::jsonb->'tablespaces' "
    "ELSE '[]' END) t WHERE NOT EXISTS (SELECT FROM pg_tablespace p WHERE p.spcname = t->>'name')";

static char *array_of(const struct namelist *names)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    putc('{', out);
    for (size_t i = 0; i < names->count; i++) {
        fputs(i ? ",\"" : "\"", out);
        for (const char *p = names->list[i]; *p; p++)
            fprintf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        putc('"', out);
    }
    putc('}', out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int32_t make_tablespaces(struct session *s, const char *json, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {json};
    int32_t status = session_query(s, &found, "compare the tablespaces", tablespaces_sql, 1, parameters, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        struct cofre_error why = {.struct_size = sizeof why};
        if (session_run(s, "make a tablespace", PQgetvalue(found, i, 0), &why) != COFRE_OK)
            warn(s, PQgetvalue(found, i, 1), &why);
    }
    return status;
}

int32_t globals_complete(struct session *s, const char *json, struct namelist *made, struct cofre_error *error)
{
    SESSION_RESULT roles = NULL;
    const char *const parameters[] = {json};
    int32_t status = session_query(s, &roles, "read " GLOBALS_JSON, "SELECT $1::jsonb->'roles'", 1, parameters, error);
    if (status == COFRE_OK)
        status = make(s, PQgetvalue(roles, 0, 0), made, error);
    char *names = status == COFRE_OK ? array_of(made) : NULL;
    if (status == COFRE_OK && !names)
        status = cofre_fail_errno(error, ENOMEM, "make roles");
    const char *const both[] = {json, names};
    if (status == COFRE_OK)
        status = session_run_made(s, "set the password of a role", passwords_sql, 2, both, error);
    free(names);
    return status == COFRE_OK ? make_tablespaces(s, json, error) : status;
}
