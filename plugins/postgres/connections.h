/* How many connections of a server may be used without taking them from the applications that it is there for. */
#ifndef COFRE_POSTGRES_CONNECTIONS_H
#define COFRE_POSTGRES_CONNECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "postgres/session.h"

/* With the number of databases, and the share. */
#define CONNECTIONS_FEW                                                                                                \
    "the server has too few free connections for snapshots of all %zu databases at once: %zu at a time are saved, "    \
    "each "                                                                                                            \
    "such group as of a moment of its own"

/* *share: of how many databases a snapshot may be open at once, at least one. Half of what is free stays so, for the
 * server as for a role with a limit; one goes to pg_dump, one to a session of the server as a whole. */
int32_t connections_share(struct session *session, size_t *share, struct cofre_error *error);

#endif
