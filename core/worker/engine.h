/* The engine: what every verb needs. Configuration, how plugins are run, and where progress goes. */
#ifndef COFRE_WORKER_ENGINE_H
#define COFRE_WORKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "worker/worker.h"

struct configured;
struct error;
struct sink;

/* Where long work has got to. Called from the thread that runs the verb, at most some ten times a second. */
struct engine_progress {
    const char *stage; /* "reading uploads", "writing", "verifying nas", "restoring uploads" */
    uint64_t entries, bytes;
    uint64_t total_bytes; /* 0 = unknown */
};

struct engine {
    const struct config *config;
    worker_host *in_process; /* runs plugins in threads of this process; NULL = in worker processes */
    bool watched;            /* this program is also its own watchdog: main() of attempt/watchdog.h is in it */
    void (*progress)(void *context, const struct engine_progress *); /* may be NULL */
    void *progress_context;
};

void engine_report(const struct engine *engine, const char *stage, uint64_t entries, uint64_t bytes, uint64_t total);

/* Start the worker of a configured source, sink or notifier. role: enum plugin_role that the plugin must have. Its
 * options are not looked at. */
int engine_load(const struct engine *engine, const struct config_instance *instance, int role, struct worker **worker,
                struct error *e);
/* The same, and check the section against the plugin's options, without opening it: secrets are resolved now, and kept
 * for when it is opened. */
int engine_start(const struct engine *engine, const struct config_instance *instance, int role, struct worker **worker,
                 struct error *e);
/* How long a run or a restore goes on trying when the source fails in passing, ms: retry_for, or wait when that is
 * more.
 */
int64_t engine_patience(const struct config_instance *source);
/* worker_open with the section's options; secrets are resolved now, unless engine_start has done it: once for a worker,
 * however often opening is tried. overrides: "key=value" texts of --set; may be NULL. The worker stays the caller's. A
 * source that fails in passing is tried for engine_patience, a sink is not: another may be at hand. */
int engine_open_worker(const struct config_instance *instance, struct worker *worker, char *const *overrides,
                       size_t override_count, struct error *e);
/* The same, once. */
int engine_try_worker(const struct config_instance *instance, struct worker *worker, char *const *overrides,
                      size_t override_count, struct error *e);
/* engine_load, then engine_open_worker. */
int engine_open(const struct engine *engine, const struct config_instance *instance, int role, char *const *overrides,
                size_t override_count, struct worker **worker, struct error *e);
/* For `check --offline`: opened, which reaches nothing, without a look at any secret (config_check_syntax). No call but
 * an offline check makes sense. */
int engine_open_offline(const struct engine *engine, const struct config_instance *instance, int role,
                        struct worker **worker, struct error *e);
/* A source's worker, opened, whose calls run although everything else is being cancelled: to undo something. */
int engine_open_undoing(const struct engine *engine, const struct config_instance *source, char *const *overrides,
                        size_t override_count, struct worker **worker, struct error *e);
/* An instance of nothing but defaults of a plugin of sources, opened. undoes: as engine_open_undoing. ERROR_CONFIG when
 * it requires an option. */
int engine_open_defaults(const struct engine *engine, const char *plugin, bool undoes, struct worker **worker,
                         struct error *e);
/* The sources of the configuration as plugins may know them, for worker_tell: the settings of a plugin that cannot be
 * loaded are left out, since secrets may be among them. To be freed; lives no longer than the configuration. */
int engine_configured(const struct engine *engine, struct configured **configured, struct error *e);
void engine_configured_free(struct configured *configured);
/* A sink, its first connection opened; secrets are resolved now, once for all of them. least: connections without which
 * nothing works (worker/sink.h). */
int engine_open_sink(const struct engine *engine, const struct config_instance *section, unsigned least,
                     struct sink **sink, struct error *e);
/* The same of a worker of its, opened, which is taken, also after an error. */
int engine_make_sink(const struct engine *engine, const struct config_instance *section, struct worker *worker,
                     unsigned least, struct sink **sink, struct error *e);
/* A plugin that no section names: the directory plugin for `restore --into`, and `plugin describe`. */
int engine_start_plugin(const struct engine *engine, const char *plugin, const char *instance, struct worker **worker,
                        struct error *e);

#endif
