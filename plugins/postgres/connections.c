#include "postgres/connections.h"

#include <stdlib.h>

#define OTHERS 2 /* pg_dump, and the session of the server as a whole */

/* Neither a limit of their role nor that of the server is one to superusers; what is reserved for them they leave. */
static const char free_sql[] =
    "WITH used AS (SELECT usesysid FROM pg_stat_activity WHERE datid IS NOT NULL) SELECT least("
    "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int "
    "- coalesce(current_setting('reserved_connections', true)::int, 0) - (SELECT count(*) FROM used), "
    "CASE WHEN rolconnlimit >= 0 AND NOT rolsuper THEN rolconnlimit - (SELECT count(*) FROM used WHERE usesysid = oid) "
    "END) FROM pg_roles WHERE rolname = current_user";

int32_t connections_share(struct session *session, size_t *share, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    *share = 1;
    int32_t status = session_query(session, &found, "ask for free connections", free_sql, 0, NULL, error);
    long half = status == COFRE_OK && PQntuples(found) == 1 ? atol(PQgetvalue(found, 0, 0)) / 2 : 0;
    if (half > OTHERS + 1)
        *share = (size_t)(half - OTHERS);
    return status;
}
