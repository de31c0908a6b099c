/* What belongs to no database: roles, who is member of whom, tablespaces.
 *
 * They are saved twice. globals.sql is what pg_dumpall writes, for people to read. globals.json is what a restore uses:
 * made by the server from its catalogues, read again by a server, and turned into statements by that server's own
 * quoting, so that no stored SQL is ever run. What of it a restore of one database needs is in the facts, too
 * ("role.NAME"), without passwords.
 */
#ifndef COFRE_POSTGRES_GLOBALS_H
#define COFRE_POSTGRES_GLOBALS_H

#include <stdint.h>

#include "postgres/namelist.h"
#include "postgres/recorded.h"
#include "postgres/session.h"

#define GLOBALS_JSON "globals.json"
#define GLOBALS_SQL "globals.sql"

/* Send globals.json, and say the facts of the roles. Without the right to see passwords it holds none, and a warning
 * tells so. Returns errors of the host; *result and *why as in dump.h. */
int32_t globals_save_json(struct session *session, int32_t *result, struct cofre_error *why, struct cofre_error *error);
/* Send globals.sql. */
int32_t globals_save_sql(struct session *session, const struct options *options, int32_t *result,
                         struct cofre_error *why, struct cofre_error *error);

/* Make the roles of the facts that the server does not have, with their memberships; their names go to `made`. A role
 * that the user may not make is a warning in the log. Roles that are there stay as they are. */
int32_t globals_make_roles(struct session *session, const struct recorded *recorded, struct namelist *made,
                           struct cofre_error *error);
/* Give the roles in `made` their passwords from the text of globals.json, and make roles and tablespaces that are in it
 * and still missing. */
int32_t globals_complete(struct session *session, const char *json, struct namelist *made, struct cofre_error *error);

#endif
