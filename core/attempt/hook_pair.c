#include "attempt/attempt.h"
#include "attempt/hook.h"
#include "attempt/undo.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker/engine.h"

#define LOOK_AGAIN 200 /* ms */
#define SLACK 30000    /* ms beyond the time that a hook may take */

/* Into the record: which, and what came of it; of what was written of it nothing but the program. */
static void note(struct hook_pair *pair, enum config_hook_kind kind, const char *program,
                 const struct hook_outcome *outcome)
{
    const struct error *e = &outcome->error;
    json_t *row =
        json_pack("{s:s, s:o, s:o, s:f, s:o}", "hook", config_hook_names[kind], "program", attempt_json(program),
                  "status", outcome->status < 0 ? json_null() : json_integer(outcome->status), "elapsed",
                  (double)outcome->elapsed / 1000, "error", attempt_json(e->class == ERROR_NONE ? NULL : e->message));
    if (!pair->told)
        pair->told = json_array();
    if (!row || !pair->told || json_array_append_new(pair->told, row) < 0)
        attempt_tell(pair->attempt, NULL);
    else
        attempt_tell(pair->attempt, json_pack("{s:O}", "hooks", pair->told));
}

static int try_to_owe(struct hook_pair *pair, struct error *e)
{
    struct hook hook;
    int result = hook_make(pair->job, pair->first + 1, attempt_record(pair->attempt, "killed"), &hook, e);
    if (result == 0)
        result = undo_make_hook(pair->engine, &hook, &pair->owed, e);
    hook_free(&hook);
    return result;
}

/* One that was left by a killed run may be at work, or be taken by nobody yet. */
static int owe(struct hook_pair *pair, struct error *e)
{
    int64_t until = clock_monotonic() + pair->job->hook_timeout + SLACK;
    bool said = false;
    int result;
    while ((result = try_to_owe(pair, e)) < 0 && e->class == ERROR_BUSY && clock_monotonic() < until &&
           !cancel_requested()) {
        if (!said)
            log_line(LOG_NOTICE, "waiting: %s", e->message);
        said = true;
        undo_recover_hooks(pair->engine, pair->job->name);
        clock_sleep(LOOK_AGAIN);
    }
    return result;
}

static enum hook_begun run_first(struct hook_pair *pair, struct error *e)
{
    struct hook hook;
    struct hook_outcome outcome = {.status = -1};
    int result = hook_make(pair->job, pair->first, attempt_record(pair->attempt, NULL), &hook, e);
    if (result == 0 && (result = hook_run(&hook, pair->owed ? undo_lock(pair->owed) : -1, NULL, &outcome, e)) == 0) {
        note(pair, pair->first, hook.words[0], &outcome);
        if (outcome.error.class != ERROR_NONE) {
            *e = outcome.error;
            result = -1;
        }
    }
    hook_free(&hook);
    return result == 0                                                   ? HOOK_GO_ON
           : pair->first == CONFIG_BEFORE && outcome.status == HOOK_SKIP ? HOOK_SKIPPED
                                                                         : HOOK_FAILED;
}

enum hook_begun hook_begin(struct hook_pair *pair, struct error *e)
{
    const struct config_hook *hooks = &pair->job->hooks[pair->first];
    if (cancel_requested())
        return error_set(e, ERROR_CANCELLED, "cancelled");
    if (hook_check(pair->job, pair->first, pair->first + 1, e) < 0 || (hooks[1].word_count > 0 && owe(pair, e) < 0))
        return HOOK_FAILED;
    return hooks[0].word_count > 0 ? run_first(pair, e) : HOOK_GO_ON;
}

int hook_end(struct hook_pair *pair, const char *status, struct error *e)
{
    const struct config_hook *second = &pair->job->hooks[pair->first + 1];
    struct hook_outcome outcome;
    if (!pair->owed)
        return 0;
    int result = undo_run_hook(pair->owed, attempt_record(pair->attempt, status), &outcome, e);
    pair->owed = NULL;
    if (result < 0)
        return -1;
    note(pair, pair->first + 1, second->words[0], &outcome);
    if (outcome.error.class == ERROR_NONE)
        return 0;
    *e = outcome.error;
    return -1;
}

void hook_pair_free(struct hook_pair *pair)
{
    json_decref(pair->told);
    pair->told = NULL;
}
