#include "postgres/collation.h"

#include <stdio.h>
#include <string.h>

#include "common/failure.h"

#define LINES 3 /* what, in detail, a hint */

int32_t collation_differs(struct session *session, char text[COLLATION_TEXT], bool *differs, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    char quoted[FAILURE_QUOTE_MAX];
    const char *name = PQdb(session->connection);
    *differs = false;
    if (PQserverVersion(session->connection) < 150000)
        return COFRE_OK;
    int32_t status = session_query(session, &found, "compare the versions of the collation",
                                   "SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database "
                                   "WHERE datname = current_database() AND datcollversion <> "
                                   "pg_database_collation_actual_version(oid)",
                                   0, NULL, error);
    *differs = status == COFRE_OK && PQntuples(found) == 1;
    if (*differs)
        snprintf(text, COLLATION_TEXT,
                 "database '%.140s': its collation is of version %.40s, the system's of version %.40s: what is sorted "
                 "by text, such as an index, may be in a wrong order",
                 failure_quote(name, strlen(name), quoted), PQgetvalue(found, 0, 0), PQgetvalue(found, 0, 1));
    return status;
}

size_t collation_lines(const struct program *program)
{
    size_t own = strlen(program->name), n = 0;
    while (n < LINES && n < program->line_count && strncmp(program->lines[n], program->name, own) != 0)
        n++;
    return n;
}
