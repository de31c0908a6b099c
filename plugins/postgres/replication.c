#include "postgres/replication.h"

#include <stdio.h>
#include <string.h>

/* Rows of a kind ('subscription' or 'slot') and its name. Everybody may read these columns. */
static const char hanging_sql[] =
    "SELECT 'subscription', subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = "
    "$1 "
    "UNION ALL SELECT 'slot', slot_name FROM pg_replication_slots WHERE database = $1 ORDER BY 1, 2";

static int32_t list(struct session *s, const char *database, PGresult **found, struct cofre_error *error)
{
    const char *const parameters[] = {database};
    return session_query(s, found, "look for subscriptions and replication slots", hanging_sql, 1, parameters, error);
}

static bool is_slot(const PGresult *found, int row)
{
    return strcmp(PQgetvalue(found, row, 0), "slot") == 0;
}

int32_t replication_announce(struct session *other, const char *database, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = list(other, database, &found, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char text[500];
        const char *name = PQgetvalue(found, i, 1);
        if (is_slot(found, i))
            snprintf(text, sizeof text,
                     "replication slot '%s' belongs to database '%s', and stays with it when it is replaced: whoever "
                     "reads it gets nothing from the restored database",
                     name, database);
        else
            snprintf(text, sizeof text,
                     "subscription '%s' belongs to database '%s', and stays with it when it is replaced: the restored "
                     "database gets nothing by it",
                     name, database);
        cofre->log(other->call, COFRE_LOG_WARNING, text);
    }
    return status;
}

void replication_say(struct session *other, const char *old, const char *database)
{
    SESSION_RESULT found = NULL;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int32_t status = list(other, old, &found, &ignored);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char text[700];
        const char *name = PQgetvalue(found, i, 1);
        if (is_slot(found, i))
            snprintf(text, sizeof text,
                     "replication slot '%s' is with '%s' now, and keeps WAL until it is dropped: let its subscribers "
                     "begin anew from '%s', then pg_drop_replication_slot",
                     name, old, database);
        else
            snprintf(text, sizeof text,
                     "subscription '%s' is with '%s' now, which goes on to receive what '%s' should: disable it there, "
                     "set its slot_name to NONE, drop it, and subscribe anew in '%s'",
                     name, old, database, database);
        cofre->log(other->call, COFRE_LOG_WARNING, text);
    }
}

void replication_restored(struct session *other, const char *database)
{
    SESSION_RESULT found = NULL;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int32_t status = list(other, database, &found, &ignored);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "subscription '%s' of the snapshot is in database '%s', and disabled: what was published since the "
                 "snapshot is not in its tables",
                 PQgetvalue(found, i, 1), database);
        if (!is_slot(found, i))
            cofre->log(other->call, COFRE_LOG_NOTICE, text);
    }
}

int32_t replication_detach(struct session *other, const struct options *options, const char *database,
                           struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    SESSION_AUTO inside = {.call = other->call};
    int32_t status = list(other, database, &found, error);
    int rows = status == COFRE_OK ? PQntuples(found) : 0;
    if (rows > 0)
        status = session_open(&inside, other->call, options, database, NULL, error);
    for (int i = 0; status == COFRE_OK && i < rows; i++) {
        char name[SESSION_QUOTED_MAX], sql[3 * SESSION_QUOTED_MAX + 120];
        if (is_slot(found, i))
            continue;
        session_identifier(PQgetvalue(found, i, 1), name);
        snprintf(sql, sizeof sql,
                 "ALTER SUBSCRIPTION %s DISABLE; ALTER SUBSCRIPTION %s SET (slot_name = NONE); "
                 "DROP SUBSCRIPTION %s",
                 name, name, name);
        status = session_run(&inside, "drop a subscription that was restored", sql, error);
    }
    return status;
}
