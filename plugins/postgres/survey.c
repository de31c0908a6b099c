#include "postgres/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/cluster.h"
#include "postgres/count.h"
#include "postgres/freeze.h"
#include "postgres/recorded.h"
#include "postgres/target.h"

static int32_t connect_server(struct session *session, struct cofre_call *call, const struct options *options,
                              struct cofre_error *error)
{
    return options->databases.count > 0 ? cluster_connect(session, call, options, NULL, error)
                                        : session_open(session, call, options, NULL, NULL, error);
}

/* ---- rows ---- */

/* The tables that pg_dump would save with all their rows. */
static const char tables_sql[] =
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' "
    "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid "
    "AND d.deptype = 'e') ORDER BY 1, 2";

struct saying {
    struct cofre_call *call;
    const char *prefix;
};

static int32_t say(void *context, const struct archive_item *item, int64_t rows, struct cofre_error *error)
{
    const struct saying *s = context;
    char key[RECORDED_KEY_MAX], value[24];
    snprintf(value, sizeof value, "%lld", (long long)rows);
    return cofre->fact(s->call, recorded_rows_key(s->prefix, item->schema, item->name, key), value,
                       COFRE_FACT_MUST_MATCH, error);
}

static int32_t say_rows(struct session *s, const char *prefix, struct cofre_error *error)
{
    SESSION_RESULT tables = NULL;
    struct saying saying = {.call = s->call, .prefix = prefix};
    int32_t status = session_speak_raw(s, error);
    if (status == COFRE_OK)
        status = session_query(s, &tables, "list the tables", tables_sql, 0, NULL, error);
    size_t total = status == COFRE_OK ? (size_t)PQntuples(tables) : 0;
    struct archive_item *items = calloc(total + 1, sizeof *items), **all = calloc(total + 1, sizeof *all);
    if (status == COFRE_OK && (!items || !all))
        status = cofre_fail_errno(error, ENOMEM, "count rows");
    for (size_t i = 0; status == COFRE_OK && i < total; i++) {
        items[i].schema = PQgetvalue(tables, (int)i, 0);
        items[i].name = PQgetvalue(tables, (int)i, 1);
        all[i] = &items[i];
    }
    struct count count = {.session = s, .items = all, .total = total, .found = say, .context = &saying};
    if (status == COFRE_OK)
        status = count_finish(&count, error);
    free(items);
    free(all);
    return status;
}

/* ---- databases ---- */

/* How the database of that name in the snapshot is called now. */
static const char *name_now(const struct options *o, const char *origin, char out[SESSION_NAME_MAX + 1])
{
    if (o->prefix && *o->prefix)
        target_prefixed(o->prefix, origin, out);
    else
        snprintf(out, SESSION_NAME_MAX + 1, "%s", origin);
    return out;
}

static int32_t survey_database(struct cofre_call *call, const struct options *options, const char *origin,
                               struct cofre_error *error)
{
    char prefix[RECORDED_PREFIX_MAX] = "", name[SESSION_NAME_MAX + 1];
    struct freeze_moment moment;
    SESSION_RESULT facts = NULL;
    if (options->databases.count > 0)
        recorded_prefix(origin, prefix);
    freeze_open(&moment, call, options, name_now(options, origin, name), NULL);
    int32_t status = moment.result;
    if (status != COFRE_OK)
        *error = moment.why;
    else
        status = cluster_facts(&moment.session, &facts, error);
    if (status == COFRE_OK)
        status = cluster_say(call, facts, prefix, error);
    if (status == COFRE_OK && options->row_counts == OPTIONS_EXACT)
        status = say_rows(&moment.session, prefix, error);
    freeze_close(&moment);
    return status;
}

/* With a prefix "*" stands for what that prefix is in front of. */
static int32_t list_origins(struct session *s, const struct options *o, struct namelist *names,
                            struct cofre_error *error)
{
    NAMELIST_AUTO all = {.count = 0};
    int32_t status = cluster_databases(s, o, &all, error);
    size_t n = o->prefix ? strlen(o->prefix) : 0;
    bool every = false;
    for (size_t i = 0; i < o->databases.count; i++)
        every = every || strcmp(o->databases.items[i], "*") == 0;
    for (size_t i = 0; status == COFRE_OK && i < all.count; i++) {
        const char *name = all.list[i];
        if (every && n > 0 && strncmp(name, o->prefix, n) != 0)
            continue;
        if (!namelist_add(names, every ? name + n : name))
            status = cofre_fail_errno(error, ENOMEM, "list the databases");
    }
    return status;
}

int32_t survey_facts(struct cofre_call *call, const struct options *options, struct cofre_error *error)
{
    SESSION_AUTO session = {.call = call};
    NAMELIST_AUTO origins = {.count = 0};
    int32_t status = connect_server(&session, call, options, error);
    if (status == COFRE_OK)
        status = cluster_server_facts(&session, options, error);
    if (status == COFRE_OK)
        status = list_origins(&session, options, &origins, error);
    for (size_t i = 0; status == COFRE_OK && i < origins.count; i++)
        status = survey_database(call, options, origins.list[i], error);
    return status;
}

int32_t survey_estimate(struct cofre_call *call, const struct options *options, int64_t *entries, int64_t *bytes,
                        struct cofre_error *error)
{
    SESSION_AUTO session = {.call = call};
    NAMELIST_AUTO databases = {.count = 0};
    int32_t status = connect_server(&session, call, options, error);
    if (status == COFRE_OK)
        status = cluster_databases(&session, options, &databases, error);
    *entries = (int64_t)databases.count + (options->globals ? 2 : 0);
    *bytes = -1;
    return status;
}
