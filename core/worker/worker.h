/* A worker: the child process in which one plugin instance runs, seen from the engine.
 *
 *   worker_start   starts a process (or, in-process, a thread), which loads the plugin and describes it
 *   worker_open    gives the options; the plugin's open() runs
 *   sink_*, source_*   calls, one at a time
 *   worker_stop    close() runs; the process ends, or is killed
 *
 * A worker that crashes, hangs, exits or breaks the protocol fails the call at hand with ERROR_PLUGIN and a message
 * that names plugin and instance and says how ("was killed by signal 11", "moved no byte for 15min"); later calls fail
 * at once the same way. The engine's other workers are not touched. A call that ran out of time, but ended when it was
 * told to, fails with ERROR_TIMEOUT, and the worker can be used on.
 *
 * All functions of one worker are used by one thread at a time. Waiting is bounded: by the call's deadline, by the
 * stall watchdog, and by cancel_request.
 */
#ifndef COFRE_WORKER_WORKER_H
#define COFRE_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/plugin_info.h"

struct config_value;
struct configured;
struct error;
struct process_user;
struct worker;

/* The plugin's end of a channel: serves calls until told to end, then 0, or until the engine is gone, then 1. Takes
 * over the socket; the memory stays the caller's. */
typedef int worker_host(int socket, int memory, struct error *e);

struct worker_spec {
    const char *instance; /* name for messages: "source 'uploads'" */
    const char *plugin;   /* name: looked up as DIR/NAME.so; two directories that have it are an error */
    char *const *plugin_dirs;
    size_t plugin_dir_count;
    worker_host *in_process; /* runs the plugin in a thread of this process; NULL = in a process of its own */
    int role;                /* enum plugin_role: what the worker may do; 0 = say what the plugin is, and no more */
    const struct process_user *user; /* as whom it runs; NULL = as we do */
    char *const *secluded;           /* paths that are never a plugin's; they outlive the worker, the array need not */
    size_t secluded_count;
    int64_t timeout;       /* ms for one call; 0 = none */
    int64_t stall_timeout; /* ms without progress; 0 = none */
    const char *directory; /* that the plugin may have for itself, made when it asks; NULL = none */
    const char *common;    /* likewise, for all sources of the plugin */
    bool undoes;           /* it is there to undo something: its calls run although everything else is cancelled */
    int64_t patience;      /* ms that a failing operation of a sink is tried again; 0 = 5 minutes */
    int64_t grace;         /* ms that a cancelled call has to return, before SIGTERM; a tenth of it later SIGKILL. close
                            * has half of it. 0 = 10 s */
};

/* Loads the plugin: file and directories must not be writable by others. After an error nothing is left. */
int worker_start(const struct worker_spec *spec, struct worker **worker, struct error *e);
/* Lives as long as the worker. */
const struct plugin_info *worker_plugin(const struct worker *worker);

/* One row per option of the plugin, checked, secrets resolved: the worker's now, until it is stopped. */
void worker_configure(struct worker *worker, struct config_value *values);
/* The same with those of another worker of the same plugin, which has none then. */
void worker_inherit(struct worker *worker, struct worker *from);
/* NULL = it was not configured. */
const struct config_value *worker_values(const struct worker *worker);
/* Run the plugin's open(). values: those of worker_configure, or others. */
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

/* What a source's calls have named that restores left, each once; the first WORKER_LEFTOVERS_MAX. Lent until
 * worker_stop. */
#define WORKER_LEFTOVERS_MAX 100
struct worker_leftover {
    char *what, *removal;
};
const struct worker_leftover *worker_leftovers(const struct worker *worker, size_t *count);

/* Is it of no use any more: did it crash, hang or break the contract? */
bool worker_failed(const struct worker *worker);

/* Bytes and entries that the plugin reported with progress(). */
void worker_progress(const struct worker *worker, uint64_t *done, uint64_t *total);

#endif
