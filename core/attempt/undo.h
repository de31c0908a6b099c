/* Holds: whatever a plugin freezes, changes or makes for a while, named so that it is undone whatever happens.
 *
 * Before the call, a hold is written to STATE/holds/ID: what it is, of which source, with which options. Afterwards it
 * is undone by the plugin's thaw(id) or scratch_drop(id), and the file goes. When this process is killed in between,
 * the file stays, and the watchdog (attempt/watchdog.h), or the next start of cofre, undoes it from a fresh worker
 * (undo_recover). The file is locked while its process lives, so a hold in use is left alone.
 *
 *   undo_make   durable: now freeze, restore or scratch_make may be called
 *   undo_run    thaw or scratch_drop; twice does no harm
 *   undo_release the plugin was told to leave it so, and has said how it is undone by hand
 */
#ifndef COFRE_ATTEMPT_UNDO_H
#define COFRE_ATTEMPT_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct config_instance;
struct engine;
struct error;
struct hook;
struct hook_outcome;
struct undo;
struct worker;

enum undo_what {
    UNDO_FREEZE,   /* freeze: undone by thaw */
    UNDO_RESTORE,  /* a restore into the running application: undone by thaw */
    UNDO_SCRATCH,  /* scratch_make: undone by scratch_drop */
    UNDO_SERVICES, /* services that are stopped around the restore of a job: undone by thaw */
    UNDO_HOOK      /* a hook that is owed, since its counterpart may have run: undone by running it (attempt/hook.h) */
};

struct undo_spec {
    enum undo_what what;
    const struct config_instance *source; /* NULL: an instance of nothing but defaults (engine_open_defaults) */
    const char *job;                      /* NULL = none */
    char *const *overrides;               /* "key=value" of --set, in force for this source; may be NULL */
    size_t override_count;
};

/* worker: of the source, for the types of its options: an override that is a literal secret is not written down. After
 * an error there is no hold. */
int undo_make(const struct engine *engine, const struct undo_spec *spec, const struct worker *worker,
              struct undo **hold, struct error *e);

/* The same for a hook, as it is to be run when nobody else does; it stays the caller's. ERROR_BUSY: one of its job is
 * owed already, or being run. */
int undo_make_hook(const struct engine *engine, const struct hook *hook, struct undo **hold, struct error *e);
/* Its locked descriptor. */
int undo_lock(const struct undo *hold);

/* "cofre-20261120t020000z-ab12cd": at most 40 bytes of [a-z0-9-], never the same twice. Lives as long as the hold. */
const char *undo_id(const struct undo *hold);

/* Undo with this worker or, when it is NULL or of no use any more, with a fresh one; also while everything else is
 * being cancelled. Frees the hold in both cases. -1: the file stays, for the next start to try again; *e names the hold
 * and says why. hold NULL: nothing to do. */
int undo_run(struct undo *hold, struct worker *worker, struct error *e);

/* Run the hook of undo_make_hook, with another record (a reference, taken; NULL: the one that it was made with). Frees
 * the hold in both cases. 0: it was run, and *outcome tells what came of it. -1: the file stays. */
int undo_run_hook(struct undo *hold, json_t *record, struct hook_outcome *outcome, struct error *e);

/* What it covers is to stay as it is: the file goes. Frees the hold in both cases. -1: the file stays. */
int undo_release(struct undo *hold, struct error *e);

/* Undo what killed runs left, and log each: services that were stopped, and then hooks, last, as they came first.
 * Returns how many could not be undone, or failed; each was named in the log. Holds of living processes are not
 * counted. */
size_t undo_recover(const struct engine *engine);
/* Only the hooks of that job. */
void undo_recover_hooks(const struct engine *engine, const char *job);
/* As undo_recover, and what is in use is waited for, at most so many ms. A child of a killed process that has not
 * become another program yet has its locks for a moment longer. */
size_t undo_recover_patiently(const struct engine *engine, int64_t patience);

#endif
