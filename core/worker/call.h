/* One call of a worker, seen from the engine: the waiting, and everything that can go wrong meanwhile. worker.c, sink.c
 * and source.c are made of these. */
#ifndef COFRE_WORKER_CALL_H
#define COFRE_WORKER_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "wire/channel.h"
#include "wire/grammar.h"
#include "wire/wire.h"
#include "worker/configured.h"
#include "worker/id.h"
#include "worker/process.h"
#include "worker/redact.h"
#include "worker/source.h"
#include "worker/worker.h"

struct task;

#define CALL_LINES 1000 /* log lines of one call; further ones are counted */
#define CALL_LINE 1024  /* bytes of a line on stdout or stderr */

/* What a restore did not put back. */
struct call_problem {
    char *path;
    size_t path_length;
    struct error result;
};

struct worker {
    struct config_value *values; /* of the options; NULL = not configured */
    char *instance, *name;       /* name: of the plugin */
    char *directory;             /* NULL = none */
    char *common;                /* NULL = none */
    worker_host *in_process;     /* NULL = in a process of its own */
    bool undoes;
    char **secluded; /* the paths are lent */
    size_t secluded_count;
    int64_t timeout, stall_timeout, grace, patience;
    struct channel channel;
    pid_t pid;         /* -1 when there is no process (any more) */
    int output;        /* -1 = none */
    struct task *task; /* in-process */
    struct plugin_info plugin;
    bool opened;
    const struct configured *configured; /* NULL = none */
    struct worker_leftover *leftovers;
    size_t leftover_count;
    struct redact redact;

    struct error failure; /* with a class: the worker is of no use any more, and why */
    bool abandoned;       /* in-process, and did not come back */

    uint32_t number; /* of the call */
    uint32_t kind;
    bool active;
    int64_t deadline; /* 0 = none */
    uint64_t lines;
    struct bytes arguments;   /* being made */
    struct bytes frame;       /* private copy of the frame at hand */
    struct bytes aside;       /* the same for results and log lines, which nobody else sees */
    char how[PROCESS_HOW];    /* the process ended, in words; else "" */
    char line[CALL_LINE + 1]; /* of stdout or stderr, not ended yet */
    size_t line_length;
    int64_t since; /* of the last movement; 0 = not waited yet */
    uint32_t ticks;
    uint64_t consumed;

    /* source.c */
    const char *hold;               /* id that covers backup or restore; NULL = none */
    char own_id[ID_MAX];            /* of a backup or restore that none covers */
    const struct source_past *past; /* for the next backup or restore; NULL = nothing is known */
    struct grammar grammar;
    struct snapshot_attribute *attributes;
    bool finished;
    uint64_t given, done, partly, failed, kept;
    struct call_problem *problems;
    /* sink.c */
    bool sending;
};

/* Begin arguments, fill them, call. */
struct bytes *call_arguments(struct worker *w);
int call_begin(struct worker *w, enum wire_call kind, struct error *e);

/* The next frame that is not a log line, copied to private memory unless it is content. 1 = frame, 0 = the call's
 * result was success, -1 = it ended otherwise, with the plugin's class; but "busy" is ERROR_RETRY here, and "integrity"
 * of another call than get and restore ERROR_PERMANENT. After 0 and -1 the call is over. */
int call_next(struct worker *w, struct channel_frame *frame, struct error *e);
/* The same without waiting; 2 = nothing there. */
int call_poll(struct worker *w, struct channel_frame *frame, struct error *e);
/* Wait for the result; frames that come before it are an offence. */
int call_finish(struct worker *w, struct error *e);
/* Begin and finish. */
int call_simple(struct worker *w, enum wire_call kind, struct error *e);
/* Begin, one REPLY, finish; the reply is then in w->frame. */
int call_reply(struct worker *w, enum wire_call kind, struct cursor *reply, struct error *e);

/* Take findings until the call is over. */
int call_findings(struct worker *w, void (*found)(void *context, const struct worker_finding *), void *context,
                  struct error *e);

/* -1 with ERROR_UNSUPPORTED when the plugin does not offer it. what: PLUGIN_OFFERS_* */
int call_offered(const struct worker *w, uint32_t what, enum wire_call call, struct error *e);

/* Room to send. 1 = there is; 2 = a frame of the worker's is there instead, in *frame; 0 and -1 as call_next. */
int call_room(struct worker *w, size_t least, size_t most, uint8_t **p, size_t *n, struct channel_frame *frame,
              struct error *e);

/* error_set, and the subject is the instance. -1. */
int call_error(const struct worker *w, struct error *e, enum error_class class, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The worker did what it must not: it is killed, the call fails. -1. */
int call_offence(struct worker *w, struct error *e, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* End the call with this reason, which stays in *e: cancelled, it has the grace to return; then the worker is ended. A
 * close cannot be told anything: it has had its time. -1. */
int call_abort(struct worker *w, struct error *e);

/* Has the worker ended? Then w->how says how. Also takes what it wrote to stdout and stderr to the log. */
bool call_ended(struct worker *w);
/* Wait until the worker has ended, for `patience` ms; then SIGTERM, a tenth of the grace later SIGKILL. */
void call_bury(struct worker *w, int64_t patience);
/* SIGKILL, now. */
void call_kill(struct worker *w);
/* No further call will work. -1. */
int call_fail(struct worker *w, const struct error *e);

#endif
