/* Calls of a notifier's worker. */
#ifndef COFRE_WORKER_NOTIFIER_H
#define COFRE_WORKER_NOTIFIER_H

#include <stdint.h>

struct error;
struct worker;

/* As struct cofre_event; NULL = "". */
struct notifier_event {
    int level;    /* enum log_level */
    int64_t time; /* ns */
    const char *id, *event, *host, *job, *sink, *title, *text, *json;
};

/* Once it has been opened. Tried again for patience, ms, while it fails in passing. ERROR_RETRY, ERROR_TIMEOUT: later
 * it may work.
 */
int notifier_notify(struct worker *notifier, const struct notifier_event *event, int64_t patience, struct error *e);

#endif
