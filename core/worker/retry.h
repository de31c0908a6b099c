/* Trying again, with backoff: the only place in cofre that does. */
#ifndef COFRE_WORKER_RETRY_H
#define COFRE_WORKER_RETRY_H

#include <stdint.h>

struct error;

/* Run attempt until it succeeds, fails with another class than ERROR_RETRY, or has gone on failing for so long (ms)
 * that another try would come too late. Waits 0.2 s to 15 s, longer each time, with jitter; at least as long as the
 * failure asks for. Each new try is logged. */
int retry_run(int64_t patience, int (*attempt)(void *context, struct error *e), void *context, struct error *e);

#endif
