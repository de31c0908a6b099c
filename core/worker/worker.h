/* A worker: the child process in which one plugin instance runs, seen from the engine.
 *
 *   worker_start   re-executes our own binary (or, in-process, starts a thread), which loads the plugin and describes
 * it worker_open    gives the options; the plugin's open() runs sink_*, source_*   calls, one at a time worker_stop
 * close() runs; the process ends, or is killed
 *
 * A worker that crashes, hangs, exits or breaks the protocol fails the call at hand with ERROR_PLUGIN and a message
 * that names plugin and instance and says how ("was killed by signal 11", "moved no byte for 15min"); later calls fail
 * at once the same way. The engine's other workers are not touched. A call that ran out of time, but ended when it was
 * told to, fails with ERROR_TIMEOUT, and the worker can be used on.
 *
 * All functions of one worker are used by one thread at a time. Waiting is bounded: by the call's deadline, by the
 * stall watchdog, and by worker_cancel_all.
 */
#ifndef COFRE_WORKER_WORKER_H
#define COFRE_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/option.h"

struct config_value;
struct configured;
struct error;
struct worker;

enum worker_role { WORKER_SOURCE = 1, WORKER_SINK = 2 };

struct worker_spec {
    const char *instance; /* name for messages: "source 'uploads'" */
    const char *plugin;   /* name: looked up as DIR/NAME.so; two directories that have it are an error */
    char *const *plugin_dirs;
    size_t plugin_dir_count;
    bool in_process;
    int64_t timeout;       /* ms for one call; 0 = none */
    int64_t stall_timeout; /* ms without progress; 0 = none */
    const char *directory; /* that the plugin may have for itself, made when it asks; NULL = none */
    const char *common;    /* likewise, for all sources of the plugin */
    bool undoes;           /* it is there to undo something: its calls run although everything else is cancelled */
    int64_t patience;      /* ms that a failing operation of a sink is tried again; 0 = 5 minutes */
    int64_t grace;         /* ms that a cancelled call has to return, before SIGTERM; a tenth of it later SIGKILL. close
                            * has half of it. 0 = 10 s */
};

/* What a worker may allocate (RLIMIT_DATA, for each of its processes; not in builds with sanitizers): a plugin that
 * allocates without bound meets a failed malloc and fails its call, instead of taking the machine with it. */
#define WORKER_MEMORY_MAX (UINT64_C(1) << 30)

/* What the plugin said of itself. Lives as long as the worker. */
struct worker_plugin {
    enum worker_role role;
    char *path; /* of the shared object */
    char *name, *version, *summary, *license, *example;
    char *environment; /* names of variables it reads; NULL = none */
    uint32_t api_level;
    uint64_t capabilities; /* COFRE_SINK_* */
    uint32_t offers;       /* WORKER_OFFERS_* */
    struct option *options;
    size_t option_count;
};

/* The optional operations that are there. */
enum {
    WORKER_OFFERS_FREEZE = 1,
    WORKER_OFFERS_ESTIMATE = 2,
    WORKER_OFFERS_SCRATCH = 4,
    WORKER_OFFERS_FACTS = 8,
    WORKER_OFFERS_CREATE = 16,
    WORKER_OFFERS_SYNC = 32,
    WORKER_OFFERS_SWEEP = 64,
    WORKER_OFFERS_SPACE = 128,
    WORKER_OFFERS_RETAIN = 256,
    WORKER_OFFERS_THAW = 512,
    WORKER_OFFERS_DISCOVER = 1024,
    WORKER_OFFERS_SERVICES = 2048
};

/* Loads the plugin: file and directories must not be writable by others. After an error nothing is left. */
int worker_start(const struct worker_spec *spec, struct worker **worker, struct error *e);
const struct worker_plugin *worker_plugin(const struct worker *worker);

/* Run the plugin's open(). values: one row per option of the plugin. */
int worker_open(struct worker *worker, const struct config_value *values, struct error *e);

/* The sources of the configuration, for a source's check and discover; lent until the worker is stopped. */
void worker_tell(struct worker *worker, const struct configured *configured);

/* What check() found, one after another. */
struct worker_finding {
    int level; /* enum log_level */
    const char *text, *hint;
};
int worker_check(struct worker *worker, bool connect, void (*found)(void *context, const struct worker_finding *),
                 void *context, struct error *e);

/* close(), then the process ends; each has half the grace for it, then SIGTERM and SIGKILL follow. NULL is fine. Never
 * fails: there is nothing left to save. */
void worker_stop(struct worker *worker);

/* Is it of no use any more: did it crash, hang or break the contract? */
bool worker_failed(const struct worker *worker);

/* Bytes and entries that the plugin reported with progress(). */
void worker_progress(const struct worker *worker, uint64_t *done, uint64_t *total);

/* Ask every call of every worker to end with ERROR_CANCELLED, now and in future. Safe in a signal handler. */
void worker_cancel_all(void);
bool worker_cancelled(void);

/* main() of the re-executed process: the engine's binary started with the single argument WORKER_ARGUMENT. Never
 * returns to the command line. */
#define WORKER_ARGUMENT "worker"
int worker_main(void);
/* True when this process was started by worker_start (the channel is there), so that a user who types "cofre worker"
 * gets a usage error. */
bool worker_is_child(int argc, char **argv);

#endif
