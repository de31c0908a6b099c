/* The moment in which a restored database takes the place of the live one. */
#ifndef COFRE_POSTGRES_SWAP_H
#define COFRE_POSTGRES_SWAP_H

#include "postgres/target.h"

/* target->work becomes target->name; what had that name becomes NAME_before_ID (id: of the snapshot), in one
 * transaction: there is one database of that name at every moment, the old or the new; its comment says when. Sessions
 * of the old one are ended. After failure everything has its old name; the message names the sessions that did not go.
 * With drop_old the old one is then dropped, but not for one that is partial. Logs what it did. */
int32_t swap_names(struct target *target, const char *id, struct cofre_error *error);
/* target->work, filled in part, becomes NAME_partial_ID, and target->work that name: it stays, and target->name is as
 * it was. */
int32_t swap_partial(struct target *target, const char *id, struct cofre_error *error);

#endif
