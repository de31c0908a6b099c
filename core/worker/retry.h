/* Trying again, with backoff: the only place in cofre that does. */
#ifndef COFRE_WORKER_RETRY_H
#define COFRE_WORKER_RETRY_H

#include <stdint.h>

struct error;

/* Run attempt until it succeeds, fails with another class than ERROR_RETRY, or has gone on failing for patience (ms):
 * the last try is at its end, none when it is 0. Waits 0.2 s to 15 s, longer each time, with jitter; at least as long
 * as the failure asks for, and not at all when that would be too late. Each new try is logged; that they were given up,
 * or cancelled, is appended to the message. */
int retry_run(int64_t patience, int (*attempt)(void *context, struct error *e), void *context, struct error *e);

#endif
