/* Of sink.h: the connections of a sink, for those files that hold a part of it. */
#ifndef COFRE_WORKER_SINK_CONNECTION_H
#define COFRE_WORKER_SINK_CONNECTION_H

#include "worker/call.h"

struct sink;

/* One that nobody else uses until it is given back; started if it is not there. Waits while all are in use. */
int sink_connection_take(struct sink *sink, struct worker **worker, struct error *e);
void sink_connection_give(struct sink *sink, struct worker *worker);

/* sink_get_pieces, on this one. */
int sink_connection_get(struct worker *w, const char *key, int (*piece)(void *, const void *, size_t, struct error *),
                        void *context, struct error *e);

int sink_connection_check_key(const struct worker *w, const char *key, struct error *e);

#endif
