/* What keeps a database from being renamed, and with that a restored one from taking its place. */
#ifndef COFRE_POSTGRES_OBSTACLE_H
#define COFRE_POSTGRES_OBSTACLE_H

#include "postgres/session.h"

/* Before anything is filled: may the user rename it, and will everybody let go of it? Sessions that cannot be ended get
 * a few seconds to go by themselves. The error names what is in the way. */
int32_t obstacle_look(struct session *other, const char *database, struct cofre_error *error);
/* It could not be renamed, since somebody uses it: who? Never COFRE_OK. */
int32_t obstacle_name(struct session *other, const char *database, struct cofre_error *error);

#endif
