/* The worker's side: one plugin instance, and the host that the plugin sees. Everything hangs on struct child, so that
 * several of them can run as threads of one process (--in-process).
 *
 *   child.c          the loop: takes calls, runs them, sends results
 *   child_calls.c    one function for each call
 *   child_host.c     the host's table, and services that every call has
 *   child_content.c  bytes in and out: reserve commit hole take
 *   child_backup.c   entry end restart missing fact left_out
 *   child_restore.c  next done late
 *   child_past.c     snapshot recorded
 *   child_list.c     object more
 *   child_discover.c configured offer
 */
#ifndef COFRE_WORKER_CHILD_H
#define COFRE_WORKER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "worker/channel.h"
#include "worker/describe.h"
#include "worker/grammar.h"
#include "worker/source.h"
#include "worker/values.h"
#include "worker/wire.h"

struct previous;

#define CHILD_DEFERRED 65536 /* bytes of log lines that wait */

struct child {
    struct channel channel;
    bool loaded, opened, ended;
    int log_level;
    struct describe plugin;
    struct values values;
    void *instance;
    struct bytes arguments; /* of the call at hand */
    struct bytes frame;     /* being made */
    struct bytes deferred;  /* log lines that wait until nothing is lent */
    unsigned deferred_lost; /* lines for which there was no room */
    struct bytes entry;     /* restore: the frame of the entry at hand */
    struct source_attribute *attributes;
    struct cofre_attribute *lent_attributes;
    struct grammar grammar;
    int previous_fd;
    char *directory; /* of this instance; NULL = none */
    char *common;    /* of all sources of the plugin; NULL = none */
};

/* What the snapshot that is restored says. */
struct child_fact {
    char *key, *value;
};

/* A source of the configuration, as the plugin sees it. */
struct child_section {
    struct cofre_section shown;
    struct cofre_setting *settings;
    uint8_t *frame; /* holds the texts */
};

/* What the incoming content of a call has come to. */
enum child_input { CHILD_NO_INPUT, CHILD_CONTENT, CHILD_CONTENT_ENDED, CHILD_ALL_ENDED };

struct cofre_call {
    struct child *child;
    uint32_t number, kind;
    const char *id;     /* that covers it; NULL = none */
    int64_t deadline;   /* monotonic ms, 0 = none */
    struct error fault; /* what the plugin did wrong; it decides the call's result */
    struct error lost;  /* why a finding could not be told: success would then be less than the truth */
    size_t lent;        /* bytes that reserve lent */
    enum child_input input;
    uint64_t hole; /* restore: the piece that take lends is a hole of this length */
    struct previous *previous;
    uint8_t fingerprint_key[16];
    struct cofre_entry entry; /* restore: as lent by next */
    bool entry_open, asked;
    uint64_t restored, partly, problems;
    const char *snapshot; /* restore: its id; NULL = not known */
    struct child_fact *facts;
    uint64_t fact_count;
    struct child_section *sections; /* check, discover of a source */
    uint64_t section_count;
    bool acts; /* services: it is not only to say what it would do */
    char cursor[WIRE_MAX_CURSOR];
    size_t cursor_length;
    bool more;
};

/* Serve calls until told to end, then 0, or until the engine is gone, then 1. Takes over the socket; the memfd stays
 * the caller's. */
int child_run(int socket, int memory, struct error *e);

/* Run the call; the result is in *error, ERROR_NONE = success. */
void child_calls_run(struct cofre_call *call, struct cursor *arguments, struct error *error);

extern const struct cofre_host child_host_table;

/* May this service be used now? COFRE_OK; else *error is filled: cancelled, out of time, not in this call, or without
 * an error to fill (faults). calls: bits 1 << WIRE_BACKUP ... */
int32_t child_host_enter(struct cofre_call *call, uint32_t calls, const char *service, struct cofre_error *error);
/* The plugin broke its contract: the call is going to fail with ERROR_PLUGIN, whatever it returns. */
int32_t child_host_fault(struct cofre_call *call, const struct error *why, struct cofre_error *error);
/* The same in words: "announced an entry without a path". */
int32_t child_host_broke(struct cofre_call *call, struct cofre_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int32_t child_host_fail(struct cofre_error *error, const struct error *why);
/* Is it COFRE_OK, or COFRE_E_*? */
bool child_host_is_result(int32_t result);
/* An error of the plugin's, of a class that child_host_is_result, as the engine has it. */
void child_host_error(int32_t class, const struct cofre_error *from, struct error *to);
/* Begin a frame; fill it; send it. Waits for room; fails when the call is cancelled meanwhile. */
struct bytes *child_host_frame(struct cofre_call *call);
int32_t child_host_send(struct cofre_call *call, enum wire_frame type, struct cofre_error *error);
/* The next frame from the engine. */
int32_t child_host_receive(struct cofre_call *call, struct channel_frame *frame, struct cofre_error *error);

int32_t child_content_reserve(struct cofre_call *, void **, size_t *, struct cofre_error *);
int32_t child_content_commit(struct cofre_call *, size_t, struct cofre_error *);
int32_t child_content_hole(struct cofre_call *, uint64_t, struct cofre_error *);
int32_t child_content_take(struct cofre_call *, const void **, uint64_t *, struct cofre_error *);

int32_t child_backup_unchanged(struct cofre_call *, const char *path, size_t length, const void *fingerprint,
                               size_t fingerprint_length);
int32_t child_backup_entry(struct cofre_call *, const struct cofre_entry *, struct cofre_error *);
int32_t child_backup_end(struct cofre_call *, int32_t, const struct cofre_error *, struct cofre_error *);
int32_t child_backup_restart(struct cofre_call *, struct cofre_error *);
int32_t child_backup_missing(struct cofre_call *, const char *, size_t, int32_t, const struct cofre_error *,
                             struct cofre_error *);
int32_t child_backup_fact(struct cofre_call *, const char *, const char *, uint32_t flags, struct cofre_error *);
int32_t child_backup_left_out(struct cofre_call *, const char *, size_t, const char *why, struct cofre_error *);

int32_t child_restore_next(struct cofre_call *, const struct cofre_entry **, struct cofre_error *);
int32_t child_restore_done(struct cofre_call *, int32_t, const struct cofre_error *, struct cofre_error *);
int32_t child_restore_late(struct cofre_call *, const char *, size_t, int32_t, const struct cofre_error *,
                           struct cofre_error *);

/* Take the snapshot's id from the call's arguments, and the facts that follow them. child_past_forget, also after
 * failure. */
int32_t child_past_take(struct cofre_call *, struct cursor *arguments, struct cofre_error *);
void child_past_forget(struct cofre_call *);
const char *child_past_snapshot(struct cofre_call *);
int32_t child_past_recorded(struct cofre_call *, uint64_t index, const char **key, const char **value,
                            struct cofre_error *);

/* Take the configured sources that follow the call. child_discover_forget, also after failure. */
int32_t child_discover_take(struct cofre_call *, struct cursor *arguments, struct cofre_error *);
void child_discover_forget(struct cofre_call *);
int32_t child_discover_configured(struct cofre_call *, uint64_t index, const struct cofre_section **,
                                  struct cofre_error *);
int32_t child_discover_offer(struct cofre_call *, const struct cofre_offer *, struct cofre_error *);

int32_t child_list_object(struct cofre_call *, const struct cofre_object *, struct cofre_error *);
int32_t child_list_more(struct cofre_call *, const void *, size_t, struct cofre_error *);

#define CHILD_IN(call) (UINT32_C(1) << (call))
_Static_assert(WIRE_CALLS <= 32, "a bit for each call");

#endif
