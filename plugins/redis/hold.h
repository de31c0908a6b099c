/* The server follows us: it is our replica, with what it has. From the moment when it is told so it takes no writes, so
 * what it holds is the state after the last write that it confirmed, until it is given something else (redis/play.h) or
 * is a primary again (undo_promote). */
#ifndef COFRE_REDIS_HOLD_H
#define COFRE_REDIS_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct link;
struct primary;

/* Tell it, with a note for thaw before. again: it follows us already, and has lost what it had; primary is made anew,
 * as the server has forgotten its id and gets a new one. primary_close is due also after an error. */
int32_t hold_tell(struct primary *primary, bool again, struct link *link, struct cofre_call *call,
                  struct cofre_error *error);

/* Until it is our replica. COFRE_E_UNSUPPORTED: it takes writes all the same. */
int32_t hold_await(struct primary *primary, struct cofre_error *error);

#endif
