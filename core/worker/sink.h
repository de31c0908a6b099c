/* Calls of a sink's worker. Keys as in cofre/plugin.h. Retries (ERROR_RETRY: with backoff, for as long as the
 * worker's spec says) are made in here and nowhere else; each is logged. */
#ifndef COFRE_WORKER_SINK_H
#define COFRE_WORKER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;
struct worker;

/* Make the place itself; only `init` calls this. */
int sink_create(struct worker *sink, struct error *e);

/* Store n bytes under key, durable when it returns, or, where the plugin offers sync, when sink_sync has. if_absent:
 * ERROR_EXISTS when the key is taken. The bytes are sent again on a retry; with if_absent a retry that meets its own
 * earlier success compares and succeeds. */
int sink_put(struct worker *sink, const char *key, const void *p, size_t n, bool if_absent, struct error *e);

/* A put of unknown length, once, without retry: begin, write..., then end (durable as after sink_put) or abort. After
 * begin succeeded one of the two must follow. */
int sink_put_begin(struct worker *sink, const char *key, bool if_absent, struct error *e);
int sink_put_write(struct worker *sink, const void *p, size_t n, struct error *e);
int sink_put_end(struct worker *sink, struct error *e);
void sink_put_abort(struct worker *sink);

/* The whole object, at most maximum bytes (ERROR_INTEGRITY beyond), appended to *out. */
int sink_get(struct worker *sink, const char *key, size_t maximum, struct bytes *out, struct error *e);
/* Exactly n bytes from offset into p; fewer: ERROR_RANGE. */
int sink_get_range(struct worker *sink, const char *key, uint64_t offset, void *p, size_t n, struct error *e);
/* The whole object in pieces, in order, to a function that returns 0 or -1 with *e set. A retry goes on where the last
 * try was cut: for objects that are never replaced. */
int sink_get_pieces(struct worker *sink, const char *key,
                    int (*piece)(void *context, const void *p, size_t n, struct error *e), void *context,
                    struct error *e);

int sink_stat(struct worker *sink, const char *key, uint64_t *size, struct error *e);

struct sink_object {
    const char *key;
    uint64_t size;
    int64_t mtime; /* ns, INT64_MIN unknown */
};
/* Every object under prefix, each once, in any order; follows all pages. object returns 0, or -1 with *e set to stop.
 * Complete, or an error. */
int sink_list(struct worker *sink, const char *prefix,
              int (*object)(void *context, const struct sink_object *, struct error *e), void *context,
              struct error *e);

/* Absent is success. */
int sink_remove(struct worker *sink, const char *key, struct error *e);
/* Where the plugin offers it; else success. */
int sink_sync(struct worker *sink, struct error *e);
/* Remove left-overs of interrupted puts that began before older_than (ns). Where offered; else success. */
int sink_sweep(struct worker *sink, int64_t older_than, struct error *e);
/* -1 = unknown. */
int sink_space(struct worker *sink, int64_t *total, int64_t *available, struct error *e);

/* Nobody can remove or replace the object before until (ns). ERROR_UNSUPPORTED where the plugin does not offer it. */
int sink_retain(struct worker *sink, const char *key, int64_t until, struct error *e);

#endif
