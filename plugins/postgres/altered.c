#include "postgres/altered.h"

#include <errno.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/recorded.h"

/* Rows of a catalogue are seen by the snapshot; the functions look at what is there now. And a row x that the snapshot
 * sees, but that somebody has replaced or deleted since, bears his transaction in xmax: not older than the oldest that
 * the snapshot does not see, and committed, while those who gave up leave theirs behind as well. */
#define REPLACED                                                                                                       \
    "CASE WHEN x.xmax <> '0'::xid AND age(x.xmax) <= age(oldest) THEN "                                                \
    "txid_status(oldest_of_all + age(oldest) - age(x.xmax)) = 'committed' ELSE false END"
#define OLDEST                                                                                                         \
    "(SELECT y AS oldest_of_all, (y % 4294967296)::text::xid AS oldest "                                               \
    "FROM txid_snapshot_xmin(txid_current_snapshot()) y) o"

/* Is what now has the name of this relation something else, or nothing? */
#define NAMED_OTHERWISE                                                                                                \
    "CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN to_regclass(format('%I.%I', nspname, relname)) IS DISTINCT "  \
    "FROM c.oid::regclass ELSE false END"

/* Nothing with rows of its own has the storage 0. */
static const char tables_sql[] =
    "WITH columns AS (SELECT DISTINCT attrelid FROM pg_attribute x, " OLDEST " WHERE attnum > 0 AND " REPLACED ") "
    "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
    "LEFT JOIN columns ON attrelid = c.oid WHERE relkind = 'r' AND relpersistence <> 't' AND relfilenode <> 0 AND "
    "(attrelid IS NOT NULL OR pg_relation_filenode(c.oid) IS DISTINCT FROM relfilenode OR " NAMED_OTHERWISE ")";

/* Rows of pg_class change with the storage, too: there the names tell. */
static const char definitions_sql[] =
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
    "WHERE relkind <> 't' AND relpersistence <> 't' AND " NAMED_OTHERWISE ") OR "
    "EXISTS (SELECT FROM pg_proc x, " OLDEST " WHERE " REPLACED ") OR "
    "EXISTS (SELECT FROM pg_type x, " OLDEST " WHERE typtype IN ('d', 'e', 'r', 'm') AND " REPLACED ") OR "
    "EXISTS (SELECT FROM pg_namespace x, " OLDEST " WHERE nspname !~ '^pg_' AND " REPLACED ") OR "
    "EXISTS (SELECT FROM (SELECT attrelid AS part_of, xmax FROM pg_attribute UNION ALL "
    "SELECT conrelid, xmax FROM pg_constraint UNION ALL SELECT tgrelid, xmax FROM pg_trigger UNION ALL "
    "SELECT ev_class, xmax FROM pg_rewrite) x JOIN pg_class c ON c.oid = part_of, " OLDEST
    " WHERE relpersistence <> 't' AND " REPLACED ")";

static bool has_rows_of(const struct archive_item *items, size_t count, const char *schema, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].is_table && items[i].schema && items[i].name && strcmp(items[i].name, name) == 0 &&
            strcmp(items[i].schema, schema) == 0)
            return true;
    return false;
}

int32_t altered_tables(struct session *session, const struct archive *archive, struct namelist *tables,
                       struct cofre_error *error)
{
    static const char what[] = "look for tables that were altered";
    SESSION_RESULT found = NULL;
    size_t count;
    const struct archive_item *items = archive_items(archive, &count);
    int32_t status = session_query(session, &found, what, tables_sql, 0, NULL, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char key[RECORDED_KEY_MAX];
        const char *schema = PQgetvalue(found, i, 0), *name = PQgetvalue(found, i, 1);
        if (has_rows_of(items, count, schema, name) && !namelist_add(tables, recorded_rows_key("", schema, name, key)))
            status = cofre_fail_errno(error, ENOMEM, "%s", what);
    }
    return status;
}

int32_t altered_definitions(struct session *session, bool *altered, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = session_query(session, &found, "look for what was altered", definitions_sql, 0, NULL, error);
    *altered = status == COFRE_OK && *PQgetvalue(found, 0, 0) == 't';
    return status;
}
