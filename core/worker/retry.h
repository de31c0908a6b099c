/* Trying again, with backoff: the only place in cofre that does. */
#ifndef COFRE_WORKER_RETRY_H
#define COFRE_WORKER_RETRY_H

struct error;

/* Run attempt until it succeeds, fails with another class than ERROR_RETRY, or has failed 8 times more or for 5
 * minutes. Each new try is logged. */
int retry_run(int (*attempt)(void *context, struct error *e), void *context, struct error *e);

#endif
