/* Does the data fit into the server's maxmemory? A server with more evicts keys, or refuses all writes, as soon as it
 * is a primary; as a replica it does neither. */
#ifndef COFRE_REDIS_FIT_H
#define COFRE_REDIS_FIT_H

#include <stdint.h>

#include "cofre/plugin.h"

struct link;
struct server;

/* By what the server used that was saved, as the snapshot knows. COFRE_E_UNSUPPORTED: it will not fit. */
int32_t fit_foresee(const struct link *link, struct cofre_call *call, const struct server *server,
                    struct cofre_error *error);

/* By what it uses now, with the data loaded. COFRE_E_UNSUPPORTED: it does not fit. */
int32_t fit_look(struct link *link, struct cofre_call *call, struct cofre_error *error);

#endif
