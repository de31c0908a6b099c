/* Waiting that ends: for a descriptor, for a cancellation, for the end of patience. */
#ifndef COFRE_REDIS_WAIT_H
#define COFRE_REDIS_WAIT_H

#include <stdint.h>

#include "cofre/plugin.h"

/* Until fd is ready for events (POLLIN, POLLOUT), or has failed, which the next call on it will tell. COFRE_E_TIMEOUT
 * after patience ms: "WHAT: no answer for N s". fd -1: just wait; then COFRE_OK after patience. */
int32_t wait_for(struct cofre_call *call, int fd, short events, int64_t patience, const char *what,
                 struct cofre_error *error);

int64_t wait_clock(void); /* monotonic ms */

#endif
