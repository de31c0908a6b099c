#include "postgres/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/inside.h"
#include "common/failure.h"
#include "postgres/before.h"
#include "postgres/recorded.h"

int32_t cluster_connect(struct session *session, struct cofre_call *call, const struct options *options,
                        const char *avoid, struct cofre_error *error)
{
    static const char usual[] = "postgres";
    bool other = avoid && strcmp(avoid, usual) == 0;
    int32_t status = other ? COFRE_E_NOT_FOUND : session_open(session, call, options, usual, NULL, error);
    if (status == COFRE_E_NOT_FOUND)
        status = session_open(session, call, options, "template1", NULL, error);
    return status;
}

/* ---- which databases ---- */

static int32_t add(struct namelist *names, const char *name, struct cofre_error *error)
{
    return namelist_add(names, name) ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "list the databases");
}

static int32_t add_all(struct session *session, struct namelist *names, bool open, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {open ? "t" : "f"};
    int32_t status =
        session_query(session, &found, "list the databases",
                      "SELECT datname FROM pg_database WHERE datallowconn = $1::bool AND NOT datistemplate "
                      "AND datname !~ " BEFORE_PATTERN " "
                      "ORDER BY datname COLLATE \"C\"",
                      1, parameters, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++)
        status = add(names, PQgetvalue(found, i, 0), error);
    return status;
}

static bool stands_for_all(const char *name)
{
    return strcmp(name, "*") == 0;
}

static int compare_paths(const void *one, const void *other)
{
    char a[CLUSTER_PATH_MAX], b[CLUSTER_PATH_MAX];
    return strcmp(cluster_path(*(char *const *)one, a), cluster_path(*(char *const *)other, b));
}

int32_t cluster_databases(struct session *session, const struct options *options, struct namelist *names,
                          struct cofre_error *error)
{
    *names = (struct namelist){.count = 0};
    if (options->databases.count == 0)
        return add(names, PQdb(session->connection), error);
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < options->databases.count; i++) {
        const char *name = options->databases.items[i];
        status = stands_for_all(name) ? add_all(session, names, true, error) : add(names, name, error);
    }
    if (status == COFRE_OK && names->count == 0)
        status = cofre_fail(error, COFRE_E_NOT_FOUND, "list the databases: the server has none to save");
    if (status == COFRE_OK)
        qsort(names->list, names->count, sizeof *names->list, compare_paths);
    return status;
}

int32_t cluster_closed(struct session *session, const struct options *options, struct namelist *names,
                       struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    *names = (struct namelist){.count = 0};
    for (size_t i = 0; status == COFRE_OK && i < options->databases.count; i++)
        if (stands_for_all(options->databases.items[i]))
            status = add_all(session, names, false, error);
    return status;
}

/* ---- file names ---- */

#define DUMP ".dump"

const char *cluster_path(const char *database, char out[CLUSTER_PATH_MAX])
{
    char *to = out;
    for (size_t i = 0; database[i] && i < SESSION_NAME_MAX; i++) {
        if (database[i] == '/' || database[i] == '%')
            to += sprintf(to, "%%%02X", (unsigned char)database[i]);
        else
            *to++ = database[i];
    }
    memcpy(to, DUMP, sizeof DUMP);
    return out;
}

bool cluster_database_of(const char *path, char *out)
{
    size_t n = strlen(path), at = 0;
    if (n <= strlen(DUMP) || strcmp(path + n - strlen(DUMP), DUMP) != 0 || strchr(path, '/'))
        return false;
    for (const char *p = path, *end = path + n - strlen(DUMP); p < end; p++) {
        char c = *p;
        if (strncmp(p, "%2F", 3) == 0 || strncmp(p, "%25", 3) == 0) {
            c = p[2] == 'F' ? '/' : '%';
            p += 2;
        }
        if (at == SESSION_NAME_MAX)
            return false;
        out[at++] = c;
    }
    out[at] = '\0';
    return true;
}

/* ---- facts ---- */

/* to_jsonb of the row, since the columns differ between versions of the server. */
static const char facts_sql[] =
    "SELECT pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collation, "
    "coalesce((SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname COLLATE \"C\") FROM "
    "pg_extension), "
    "'') AS extensions, pg_database_size(d.oid) AS size, jsonb_build_object("
    "'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype, "
    "'provider', to_jsonb(d)->>'datlocprovider', "
    "'locale', coalesce(to_jsonb(d)->>'daticulocale', to_jsonb(d)->>'datlocale'), "
    "'owner', pg_get_userbyid(d.datdba), 'limit', d.datconnlimit, 'tablespace', t.spcname, "
    "'comment', shobj_description(d.oid, 'pg_database'), "
    "'grants', (SELECT jsonb_agg(jsonb_build_object('role', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, "
    "'privilege', privilege_type, 'option', is_grantable)) FROM aclexplode(d.datacl)), "
    "'settings', (SELECT jsonb_agg(jsonb_build_object("
    "'role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END, 'name', split_part(x, '=', 1), "
    "'value', substr(x, strpos(x, '=') + 1))) "
    "FROM pg_db_role_setting s, unnest(s.setconfig) x WHERE s.setdatabase = d.oid)) AS database "
    "FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = current_database()";

/* JSON in which bytes that are not UTF-8, from a database in another encoding, are escaped as if they were Latin-1. */
static bool escape(PGresult *facts, int field)
{
    char *text = NULL;
    size_t size = 0, take;
    FILE *out = open_memstream(&text, &size);
    for (const char *p = PQgetvalue(facts, 0, field); out && *p; p += take ? take : 1) {
        take = failure_character(p, strlen(p));
        if (take)
            fwrite(p, 1, take, out);
        else
            fprintf(out, "\\u%04x", (unsigned char)*p);
    }
    bool fine = out && fclose(out) == 0 && PQsetvalue(facts, 0, field, text, (int)size);
    free(text);
    return fine;
}

int32_t cluster_facts(struct session *session, PGresult **facts, struct cofre_error *error)
{
    static const char what[] = "read what the database is like";
    int32_t status = session_run(session, what, "SAVEPOINT facts", error);
    if (status == COFRE_OK)
        status = session_query(session, facts, what, facts_sql, 0, NULL, error);
    /* Not everything in it is UTF-8, or can be. */
    if (status != COFRE_OK && !session_is_raw(session)) {
        status = session_run(session, what, "ROLLBACK TO SAVEPOINT facts", error);
        if (status == COFRE_OK)
            status = session_speak_raw(session, error);
        if (status == COFRE_OK)
            status = session_query(session, facts, what, facts_sql, 0, NULL, error);
    }
    for (int i = 0; status == COFRE_OK && session_is_raw(session) && i < PQnfields(*facts); i++)
        if (!escape(*facts, i))
            status = cofre_fail_errno(error, ENOMEM, "%s", what);
    return status;
}

int32_t cluster_say(struct cofre_call *call, const PGresult *facts, const char *prefix, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (int i = 0; status == COFRE_OK && i < PQnfields(facts) && PQntuples(facts) == 1; i++) {
        char key[RECORDED_KEY_MAX];
        const char *name = PQfname(facts, i);
        /* The others change with the server or the owner, and lose nothing. */
        bool same = strcmp(name, "encoding") == 0 || strcmp(name, "collation") == 0;
        snprintf(key, sizeof key, "%s%s", prefix, name);
        status = cofre->fact(call, key, PQgetvalue(facts, 0, i), same ? COFRE_FACT_MUST_MATCH : 0, error);
    }
    return status;
}

/* The same on a standby as on its primary, another after initdb. */
static int32_t say_identity(struct session *session, struct cofre_error *error)
{
    static const char what[] = "ask the server who it is";
    SESSION_RESULT may = NULL;
    SESSION_RESULT found = NULL;
    int32_t status = session_query(session, &may, what,
                                   "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')", 0, NULL, error);
    if (status != COFRE_OK || *PQgetvalue(may, 0, 0) != 't')
        return status;
    status = session_query(session, &found, what, "SELECT system_identifier FROM pg_control_system()", 0, NULL, error);
    if (status != COFRE_OK)
        return status;
    return cofre->fact(session->call, "postgres.system_identifier", PQgetvalue(found, 0, 0), COFRE_FACT_IDENTITY,
                       error);
}

int32_t cluster_server_facts(struct session *session, const struct options *options, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = session_query(session, &found, "read what the server is like",
                                   "SELECT split_part(current_setting('server_version'), ' ', 1), "
                                   "current_setting('data_checksums'), pg_is_in_recovery()",
                                   0, NULL, error);
    static const char *const keys[] = {"postgres.version", "postgres.data_checksums", "postgres.standby"};
    for (int i = 0; status == COFRE_OK && i < 3; i++) {
        const char *value = PQgetvalue(found, 0, i);
        status = cofre->fact(session->call, keys[i], i == 2 ? (*value == 't' ? "yes" : "no") : value, 0, error);
    }
    if (status == COFRE_OK && options->inside)
        status = inside_facts(options->inside, session->call, error);
    return status == COFRE_OK ? say_identity(session, error) : status;
}
