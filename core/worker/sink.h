/* A sink: one configured place with all its connections.
 *
 * A connection is a worker with one instance of the plugin. The first is there from the beginning; the others are
 * started when they are first needed, as many as `parallel` says. Every call takes one that is free, so that any number
 * of threads may call at once; sink_sync means all of them. Keys as in cofre/plugin.h. Retries (ERROR_RETRY: with
 * backoff, for as long as the worker's spec says) are made in here and nowhere else; each is logged.
 */
#ifndef COFRE_WORKER_SINK_H
#define COFRE_WORKER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;
struct plugin_info;
struct sink;
struct worker;

#define SINK_PARALLEL_MAX 32

struct sink_spec {
    const char *name; /* of its section */
    /* Connections at most, at least 1; more than SINK_PARALLEL_MAX are as many. One that cannot be started is a
     * warning, and from then on there are fewer; but of the first `least` each is needed, since who uses several at
     * once holds one while he asks for the next: there it is the error of the call. */
    unsigned parallel, least;
    int64_t lock; /* ms that objects stay protected; 0 = not */
    /* One more worker of the place, opened; NULL = there is only the first. */
    int (*connect)(void *context, struct worker **worker, struct error *e);
    /* Another worker in the place of that one, which is stopped; NULL = there is no other. After an error it stays. */
    int (*renew)(void *context, struct worker **worker, struct error *e);
    void *context;
    void (*forget)(void *context); /* when the sink is freed; also when it could not be made */
};

/* Takes over the opened worker, also after an error. */
int sink_new(struct worker *first, const struct sink_spec *spec, struct sink **sink, struct error *e);
/* Closes every connection. NULL is fine. */
void sink_free(struct sink *sink);

const char *sink_name(const struct sink *sink);
/* Of an object that could not be read: is that the object's own failure, so that others may well be read? False when
 * the place is out of reach, or we are in trouble ourselves. */
bool sink_is_of_object(const struct error *why);
const struct plugin_info *sink_plugin(const struct sink *sink);
/* How many calls can be under way at once. */
unsigned sink_parallel(const struct sink *sink);
/* ms that objects stay protected; 0 = not. */
int64_t sink_lock(const struct sink *sink);

/* one(context, i) for each i below count, in any order, side by side with all connections; each may make one call of
 * the sink at a time. The first failure ends it: what is under way is waited for, and the rest is left out. */
int sink_each(struct sink *sink, size_t count, int (*one)(void *context, size_t i, struct error *e), void *context,
              struct error *e);

/* Make the place itself; only `init` calls this, before anything else. What a worker may reach is settled when it is
 * opened, so the one that has made the place gives way to another. */
int sink_create(struct sink *sink, struct error *e);

/* Store n bytes under key, durable when it returns, or, where the plugin offers sync, when sink_sync has. if_absent:
 * ERROR_EXISTS when the key is taken. The bytes are sent again on a retry; with if_absent a retry that meets its own
 * earlier success compares and succeeds. */
int sink_put(struct sink *sink, const char *key, const void *p, size_t n, bool if_absent, struct error *e);

/* A put of unknown length, once, without retry: begin, write..., then end (durable as after sink_put) or abort, which
 * give back the connection. After begin succeeded one of the two must follow. */
struct sink_put;
int sink_put_begin(struct sink *sink, const char *key, bool if_absent, struct sink_put **put, struct error *e);
int sink_put_write(struct sink_put *put, const void *p, size_t n, struct error *e);
int sink_put_end(struct sink_put *put, struct error *e);
void sink_put_abort(struct sink_put *put);

/* The whole object, at most maximum bytes (ERROR_INTEGRITY beyond), appended to *out. */
int sink_get(struct sink *sink, const char *key, size_t maximum, struct bytes *out, struct error *e);
/* Exactly n bytes from offset into p; fewer: ERROR_RANGE. */
int sink_get_range(struct sink *sink, const char *key, uint64_t offset, void *p, size_t n, struct error *e);
/* The whole object in pieces, in order, to a function that returns 0 or -1 with *e set. A retry goes on where the last
 * try was cut: for objects that are never replaced. */
int sink_get_pieces(struct sink *sink, const char *key,
                    int (*piece)(void *context, const void *p, size_t n, struct error *e), void *context,
                    struct error *e);

/* Many objects, read side by side, given in their order. keys: each NUL terminated, n bytes in all. got returns 0, or
 * -1 with *e set to stop; object is lent, or NULL: then *why, as sink_get says. got may call the sink. */
typedef int sink_got(void *context, const char *key, const struct bytes *object, const struct error *why,
                     struct error *e);
int sink_get_each(struct sink *sink, const char *keys, size_t n, size_t maximum, sink_got *got, void *context,
                  struct error *e);

int sink_stat(struct sink *sink, const char *key, uint64_t *size, struct error *e);

struct sink_object {
    const char *key;
    uint64_t size;
    int64_t mtime; /* ns, INT64_MIN unknown */
};
/* Every object under prefix, each once, in any order; follows all pages. object returns 0, or -1 with *e set to stop;
 * it may not call the sink. Complete, or an error: ERROR_RANGE for a listing that seems not to end (more than
 * 16,777,216 objects, a million that are none of ours, pages with hardly an object in them). */
int sink_list(struct sink *sink, const char *prefix,
              int (*object)(void *context, const struct sink_object *, struct error *e), void *context,
              struct error *e);

/* Absent is success. */
int sink_remove(struct sink *sink, const char *key, struct error *e);
/* As sink_remove for each of many keys, where the plugin can with a thousand in one call. keys: each NUL terminated, n
 * bytes in all. After an error any of them may be gone. */
int sink_remove_many(struct sink *sink, const char *keys, size_t n, struct error *e);
/* What any of the connections has put is durable. Where the plugin offers it; else success. No put may be under way. */
int sink_sync(struct sink *sink, struct error *e);
/* Remove left-overs of interrupted puts that began before older_than (ns). Where offered; else success. */
int sink_sweep(struct sink *sink, int64_t older_than, struct error *e);
/* -1 = unknown. */
int sink_space(struct sink *sink, int64_t *total, int64_t *available, struct error *e);

/* Nobody can remove or replace the object before until (ns). ERROR_UNSUPPORTED where the plugin does not offer it. */
int sink_retain(struct sink *sink, const char *key, int64_t until, struct error *e);

#endif
