/* Pools of connections between us and a server. One that gives a session of the server to another client between two
 * transactions leaves in it what we set, for an application to find, and the other way round. */
#ifndef COFRE_POSTGRES_POOL_H
#define COFRE_POSTGRES_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "postgres/session.h"

/* *direct: is it the server itself that was connected to? Sets nothing. */
int32_t pool_absent(struct session *session, bool *direct, struct cofre_error *error);

/* Two sessions of the same database that something else than the server answers: COFRE_E_CONFIG when they are not each
 * other's alone. Sets nothing, and leaves no transaction. */
int32_t pool_refuse(struct session *one, struct session *other, struct cofre_error *error);

#endif
