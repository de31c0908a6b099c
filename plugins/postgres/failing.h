/* What PostgreSQL says, in the words of the plugin ABI: an error class, a line, and the way out. */
#ifndef COFRE_POSTGRES_FAILING_H
#define COFRE_POSTGRES_FAILING_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

/* Fill *error from a SQLSTATE (five characters; "" or NULL = none is known, the text decides) and the server's or a
 * program's own words, of which line breaks become spaces. what: what failed, with its object. Returns the class. */
int32_t failing_set(struct cofre_error *error, const char *sqlstate, const char *what, const char *said);

/* The same from a result (an error of it), or, with result NULL, from the connection. */
int32_t failing_query(struct cofre_error *error, const PGconn *connection, const PGresult *result, const char *what);

#endif
