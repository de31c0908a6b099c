/* Hooks: the programs of a job around its runs, and around its restores in place.
 *
 * Each is run by a process of its own, the runner: this program once more, in a session of its own, as the watchdog is
 * (attempt/watchdog.h). It has what it needs in a file in memory, gives the hook its input, environment and time, puts
 * its output into the log, and says how it ended. When the engine is killed, the runner ends a hook that was only for
 * the engine; one that is owed (after, after_restore) it sees through. That one has a hold (attempt/undo.h), whose lock
 * the runner has, too, and whose file it removes when the hook is done: whoever is killed, nobody runs it twice, but
 * for the runner itself; then it is run again.
 */
#ifndef COFRE_ATTEMPT_HOOK_H
#define COFRE_ATTEMPT_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "config/config.h"

struct attempt;
struct engine;

#define HOOK_SKIP 75 /* EX_TEMPFAIL: with this status `before` says that there is to be no run */

struct hook {
    enum config_hook_kind kind;
    char *job;
    char **words;
    size_t word_count;
    int64_t timeout; /* ms */
    json_t *record;  /* of the run or restore, as far as it is known; an object */
};

/* The job's hook of this kind with a reference to the record (taken; NULL counts as out of memory), to be freed also
 * after an error. */
int hook_make(const struct config_job *job, enum config_hook_kind kind, json_t *record, struct hook *hook,
              struct error *e);
void hook_free(struct hook *hook);
/* One JSON object; NULL = out of memory. */
json_t *hook_encode(const struct hook *hook);
/* What that has written: 0; something else: -1, and then there is nothing to be freed. */
int hook_decode(const json_t *json, struct hook *hook);
/* "hook 'after' of job 'nightly'" into out[HOOK_TITLE]. Returns out. */
const char *hook_title(const struct hook *hook, char *out);
#define HOOK_TITLE 128

/* What the program finds in its environment, ending with NULL: PATH, HOME, LANG and TZ, and what the record says as
 * COFRE_*. NULL = out of memory. */
char **hook_environment(const struct hook *hook);
void hook_environment_free(char **environment);

struct hook_outcome {
    int status;         /* that the program ended with; -1: it was not started, or did not end by itself */
    int64_t elapsed;    /* ms */
    struct error error; /* ERROR_NONE: it ended with 0 */
};
/* Run it, and wait for it. lock: descriptor of a locked hold, which the runner has as long as it lives; -1 = none.
 * hold: the file that it removes when the hook is done: it is owed, and not ended when everything is cancelled; NULL =
 * none. 0: *outcome tells what came of it. -1: no runner could be started, or
 * it ended without a word: it was killed. */
int hook_run(const struct hook *hook, int lock, const char *hold, struct hook_outcome *outcome, struct error *e);

/* Every hook of the job that this is about can be run: before anything is. ERROR_CONFIG. */
int hook_check(const struct config_job *job, enum config_hook_kind first, enum config_hook_kind last, struct error *e);

/* ---- those of one run, or one restore ---- */

/* The first of a pair, and its counterpart, which is owed from there on. */
struct hook_pair {
    const struct engine *engine;
    const struct config_job *job;
    enum config_hook_kind first; /* CONFIG_BEFORE, CONFIG_BEFORE_RESTORE; the next is its counterpart */
    struct attempt *attempt;     /* whose record gets a row "hooks" of them; NULL = it could not be had */
    struct undo *owed;
    json_t *told;
};

enum hook_begun { HOOK_FAILED = -1, HOOK_GO_ON, HOOK_SKIPPED };
/* From here on the second is owed; then the first is run. pair: the first four members are set. hook_end is due
 * whatever comes of it. HOOK_FAILED: nothing may be done; *e says why. HOOK_SKIPPED: `before` said that there is to be
 * no run. ERROR_BUSY: hooks of this job are still at work. */
enum hook_begun hook_begin(struct hook_pair *pair, struct error *e);
/* Run the second, if it is owed; status: what became of the whole, for the record. -1: it failed, or could not be run;
 * *e says how. */
int hook_end(struct hook_pair *pair, const char *status, struct error *e);
void hook_pair_free(struct hook_pair *pair);
/* Run on_success or on_failure, with this record. What goes wrong is a warning, said here. */
void hook_tell(const struct config_job *job, bool success, const json_t *record);

#endif
