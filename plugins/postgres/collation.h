/* A database whose collation is of another version than what the system has now, as after an upgrade of glibc or ICU. A
 * dump is not touched by that, but the server says it to everybody who connects. */
#ifndef COFRE_POSTGRES_COLLATION_H
#define COFRE_POSTGRES_COLLATION_H

#include <stdbool.h>
#include <stdint.h>

#include "postgres/program.h"
#include "postgres/session.h"

#define COLLATION_TEXT 400
#define COLLATION_HINT "REINDEX DATABASE, then ALTER DATABASE ... REFRESH COLLATION VERSION"

/* Does that of the session's database differ? Then text says so. PostgreSQL 15 and later know. */
int32_t collation_differs(struct session *session, char text[COLLATION_TEXT], bool *differs, struct cofre_error *error);

/* How many of the program's first lines are the server's remark on it, in whatever language: it comes while connecting,
 * before anything else can be said. */
size_t collation_lines(const struct program *program);

#endif
