/* The worker's side: one plugin instance, and the host that the plugin sees. Everything hangs on struct host, so that
 * several of them can run as threads of one process (--in-process).
 *
 *   host.c          the loop: takes calls, runs them, sends results
 *   host_calls.c    one function for each call
 *   host_open.c     those by which it begins: the plugin is loaded, and opened
 *   host_host.c     the host's table, and services that every call has
 *   host_content.c  bytes in and out: reserve commit hole take
 *   host_backup.c   entry end restart missing fact left_out
 *   host_restore.c  next done late
 *   host_past.c     snapshot recorded
 *   host_list.c     object more
 *   host_discover.c configured offer
 */
#ifndef COFRE_HOST_HOST_H
#define COFRE_HOST_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "host/describe.h"
#include "host/values.h"
#include "snapshot/entry.h"
#include "wire/channel.h"
#include "wire/grammar.h"
#include "wire/wire.h"

struct apart;
struct previous;

#define HOST_DEFERRED 65536 /* bytes of log lines that wait */

struct host {
    struct channel channel;
    bool own_process; /* to be confined */
    bool loaded, opened, ended;
    struct apart *apart; /* the plugin of a sink, until it is opened for the first time; NULL = none */
    int log_level;
    struct describe plugin;
    struct values values;
    void *instance;
    struct bytes arguments; /* of the call at hand */
    struct bytes frame;     /* being made */
    struct bytes deferred;  /* log lines that wait until nothing is lent */
    unsigned deferred_lost; /* lines for which there was no room */
    struct bytes entry;     /* restore: the frame of the entry at hand */
    struct snapshot_attribute *attributes;
    struct cofre_attribute *lent_attributes;
    struct grammar grammar;
    int previous_fd;
    char *directory; /* of this instance; NULL = none */
    char *common;    /* of all sources of the plugin; NULL = none */
};

/* What the snapshot that is restored, or the one before a backup, says. */
struct host_fact {
    char *key, *value;
};

/* A source of the configuration, as the plugin sees it. */
struct host_section {
    struct cofre_section shown;
    struct cofre_setting *settings;
    uint8_t *frame; /* holds the texts */
};

/* What the incoming content of a call has come to. */
enum host_input { HOST_NO_INPUT, HOST_CONTENT, HOST_CONTENT_ENDED, HOST_ALL_ENDED };

struct cofre_call {
    struct host *host;
    uint32_t number, kind;
    const char *id;       /* that covers it; NULL = none */
    int64_t deadline;     /* monotonic ms, 0 = none */
    struct error fault;   /* what the plugin did wrong; it decides the call's result */
    _Atomic bool faulted; /* there is a fault, and it changes no more: for threads of the plugin */
    struct error lost;    /* why a finding could not be told: success would then be less than the truth */
    size_t lent;          /* bytes that reserve lent */
    enum host_input input;
    uint64_t hole; /* restore: the piece that take lends is a hole of this length */
    struct previous *previous;
    uint8_t fingerprint_key[16];
    struct cofre_entry entry; /* restore: as lent by next */
    bool entry_open, asked;
    uint64_t restored, partly, problems;
    const char *snapshot; /* restore: its id; backup: that of the one before; NULL = not known */
    struct host_fact *facts;
    uint64_t fact_count;
    struct host_section *sections; /* check, discover of a source */
    uint64_t section_count;
    bool acts; /* services: it is not only to say what it would do */
    char cursor[WIRE_MAX_CURSOR];
    size_t cursor_length;
    bool more;
};

/* Serve calls until told to end, then 0, or until the engine is gone, then 1. Takes over the socket; the memfd stays
 * the caller's. */
int host_run(int socket, int memory, struct error *e);
/* The same for a process that does nothing else: it is confined before it loads the plugin. */
int host_run_confined(int socket, int memory, struct error *e);

/* "the engine sent malformed arguments" */
int32_t host_calls_malformed(struct cofre_error *error);
/* Run the call; the result is in *error, ERROR_NONE = success. */
void host_calls_run(struct cofre_call *call, struct cursor *arguments, struct error *error);

/* The calls load and open. */
int32_t host_open_load(struct cofre_call *call, struct cursor *arguments, struct cofre_error *error);
int32_t host_open_instance(struct cofre_call *call, struct cursor *arguments, struct cofre_error *error);

extern const struct cofre_host host_table;

/* May this service be used now? COFRE_OK; else *error is filled: cancelled, out of time, not in this call, or without
 * an error to fill (faults). calls: bits 1 << WIRE_BACKUP ... */
int32_t host_enter(struct cofre_call *call, uint32_t calls, const char *service, struct cofre_error *error);
/* The plugin broke its contract: the call is going to fail with ERROR_PLUGIN, whatever it returns. */
int32_t host_fault(struct cofre_call *call, const struct error *why, struct cofre_error *error);
/* The same in words: "announced an entry without a path". */
int32_t host_broke(struct cofre_call *call, struct cofre_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int32_t host_fail(struct cofre_error *error, const struct error *why);
/* Is it COFRE_OK, or COFRE_E_*? */
bool host_is_result(int32_t result);
/* An error of the plugin's, of a class that host_is_result, as the engine has it. */
void host_error(int32_t class, const struct cofre_error *from, struct error *to);
/* Begin a frame; fill it; send it. Waits for room; fails when the call is cancelled meanwhile. */
struct bytes *host_frame(struct cofre_call *call);
int32_t host_send(struct cofre_call *call, enum wire_frame type, struct cofre_error *error);
/* The next frame from the engine. */
int32_t host_receive(struct cofre_call *call, struct channel_frame *frame, struct cofre_error *error);

int32_t host_content_reserve(struct cofre_call *, void **, size_t *, struct cofre_error *);
int32_t host_content_commit(struct cofre_call *, size_t, struct cofre_error *);
int32_t host_content_hole(struct cofre_call *, uint64_t, struct cofre_error *);
int32_t host_content_take(struct cofre_call *, const void **, uint64_t *, struct cofre_error *);

int32_t host_backup_unchanged(struct cofre_call *, const char *path, size_t length, const void *fingerprint,
                              size_t fingerprint_length);
int32_t host_backup_entry(struct cofre_call *, const struct cofre_entry *, struct cofre_error *);
int32_t host_backup_end(struct cofre_call *, int32_t, const struct cofre_error *, struct cofre_error *);
int32_t host_backup_restart(struct cofre_call *, struct cofre_error *);
int32_t host_backup_missing(struct cofre_call *, const char *, size_t, int32_t, const struct cofre_error *,
                            struct cofre_error *);
int32_t host_backup_fact(struct cofre_call *, const char *, const char *, uint32_t flags, struct cofre_error *);
int32_t host_backup_left_out(struct cofre_call *, const char *, size_t, const char *why, struct cofre_error *);

int32_t host_restore_next(struct cofre_call *, const struct cofre_entry **, struct cofre_error *);
int32_t host_restore_done(struct cofre_call *, int32_t, const struct cofre_error *, struct cofre_error *);
int32_t host_restore_late(struct cofre_call *, const char *, size_t, int32_t, const struct cofre_error *,
                          struct cofre_error *);

/* Take the snapshot's id from the call's arguments, and the facts that follow them. host_past_forget, also after
 * failure. */
int32_t host_past_take(struct cofre_call *, struct cursor *arguments, struct cofre_error *);
void host_past_forget(struct cofre_call *);
const char *host_past_snapshot(struct cofre_call *);
int32_t host_past_recorded(struct cofre_call *, uint64_t index, const char **key, const char **value,
                           struct cofre_error *);

/* Take the configured sources that follow the call. host_discover_forget, also after failure. */
int32_t host_discover_take(struct cofre_call *, struct cursor *arguments, struct cofre_error *);
void host_discover_forget(struct cofre_call *);
int32_t host_discover_configured(struct cofre_call *, uint64_t index, const struct cofre_section **,
                                 struct cofre_error *);
int32_t host_discover_offer(struct cofre_call *, const struct cofre_offer *, struct cofre_error *);

int32_t host_list_object(struct cofre_call *, const struct cofre_object *, struct cofre_error *);
int32_t host_list_more(struct cofre_call *, const void *, size_t, struct cofre_error *);

#define HOST_IN(call) (UINT32_C(1) << (call))
_Static_assert(WIRE_CALLS <= 32, "a bit for each call");

#endif
