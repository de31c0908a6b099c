/* Objects on their way to the far side.
 *
 * A put ends in the outbox. From there many go at once, in one run of rsync, while the next ones are being staged and
 * others are under way. A second run has the far side read them again and compares; what is small comes back for it,
 * into the inbox, where a get that reads it back finds it. Only then is the local copy given up. outbox_flush waits
 * until all are there: durable, and the same. */
#ifndef COFRE_RSYNC_OUTBOX_H
#define COFRE_RSYNC_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include <cofre/plugin.h>

#include "rsync/inbox.h"
#include "rsync/link.h"
#include "rsync/transfer.h"

#define OUTBOX_RUNS 3 /* through one ssh connection; while one waits for the far side's disk, another uses the line */

struct outbox_run {
    enum transfer_kind kind; /* first a sending, then a comparison */
    size_t count;            /* parcels that it is about; 0 = there is none */
    int64_t bytes;
    struct transfer_names names;
    struct program program;
};

struct parcel {
    char key[COFRE_MAX_KEY + 1];
    int64_t size;
    bool replace;
    const struct outbox_run *run; /* NULL = it waits for one */
};

struct outbox {
    struct link *link;
    struct inbox *inbox;
    struct parcel *parcels; /* in the order of their puts */
    size_t count, room;
    int64_t bytes, waiting; /* of all, and of those without a run */
    struct outbox_run runs[OUTBOX_RUNS];
};

void outbox_open(struct outbox *outbox, struct link *link, struct inbox *inbox);
/* What was not flushed is given up. */
void outbox_close(struct outbox *outbox);

bool outbox_has(const struct outbox *outbox, const char *key);
/* Take an object from the host: staged, and perhaps under way, when it returns. Errors may be about earlier ones, which
 * then stay for the next try; this one was not taken. */
int32_t outbox_put(struct outbox *outbox, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error);
int32_t outbox_flush(struct outbox *outbox, struct cofre_call *call, struct cofre_error *error);

#endif
