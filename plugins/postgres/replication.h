/* Logical replication that hangs on one database: its subscriptions and slots do not follow its name. */
#ifndef COFRE_POSTGRES_REPLICATION_H
#define COFRE_POSTGRES_REPLICATION_H

#include "postgres/session.h"

/* Before anything is filled: what of `database` stays with it when it is replaced. Logged. */
int32_t replication_announce(struct session *other, const char *database, struct cofre_error *error);
/* Afterwards: what stayed with it, now that it is called `old`, and what to do. Logged. */
void replication_say(struct session *other, const char *old, const char *database);
/* The subscriptions that came back with a restored database: they are disabled. Logged. */
void replication_restored(struct session *other, const char *database);

/* Drop the subscriptions of a database that a restore made, and that is to be dropped: the server would refuse. Nothing
 * is said to the publishers, whose slots belong to another database. */
int32_t replication_detach(struct session *other, const struct options *options, const char *database,
                           struct cofre_error *error);

#endif
