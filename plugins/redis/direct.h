/* Whether the server loads the RDB as it comes, instead of writing it to its disk first. It may when it holds nothing:
 * then there is nothing to keep until all of it was checked. That is a setting of the server (repl-diskless-load),
 * which is changed for the restore alone. */
#ifndef COFRE_REDIS_DIRECT_H
#define COFRE_REDIS_DIRECT_H

#include <stdint.h>

#include "cofre/plugin.h"

struct link;

#define DIRECT_VALUE 32
#define DIRECT_NONE "-"

/* What the setting is, when it is off and we may read it; else DIRECT_NONE, and it stays as it is. */
int32_t direct_look(struct link *link, struct cofre_call *call, char before[DIRECT_VALUE], struct cofre_error *error);
/* Switch it on. A server that refuses goes on as before. */
int32_t direct_begin(struct link *link, struct cofre_call *call, struct cofre_error *error);
/* Back to what it was; nothing to do when that is DIRECT_NONE, or when somebody else has changed it since. */
int32_t direct_end(struct link *link, struct cofre_call *call, const char *before, struct cofre_error *error);

/* How many databases the server has; 0 = it does not say. Found with SELECT, as CONFIG is for few. To be asked before
 * the server loads: one that loads as it comes answers nobody while it waits for us. */
int32_t direct_databases(struct link *link, struct cofre_call *call, uint64_t *count, struct cofre_error *error);

#endif
