#include "job/collect.h"

#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "job/history.h"
#include "worker/engine.h"

static bool uses(const struct config_job *job, const struct config_instance *sink)
{
    for (size_t i = 0; i < job->sink_count; i++)
        if (job->sinks[i] == sink)
            return true;
    return false;
}

struct search {
    const char *id;
    bool found;
};

static int compare_name(void *context, const struct vault_name *name, struct error *e)
{
    struct search *s = context;
    (void)e;
    s->found = s->found || strcmp(name->id, s->id) == 0;
    return 0;
}

/* Does the sink list the newest that was committed there? */
static int look_for(struct vault *vault, const char *job, const char *id, struct error *e)
{
    const char *host = vault->engine->config->host;
    struct search search = {.id = id};
    if (vault_names(vault, host, job, compare_name, &search, e) < 0)
        return -1;
    if (search.found || history_was_removed(vault, host, job, id))
        return 0;
    error_set(e, ERROR_PERMANENT, "snapshot %s@%s was committed there and is not listed", job, id);
    return error_hint(e, "see what is wrong with it: cofre verify %s", job);
}

static int compare_job(struct vault *vault, const char *job, bool *strange, struct error *e)
{
    struct history history;
    int result = history_of_job(vault->engine->config, job, &history, e);
    if (result == 0) {
        const char *newest = history_newest_in(&history, vault->id);
        *strange = *strange || (history.count > 0 && !newest);
        if (newest)
            result = look_for(vault, job, newest, e);
    }
    history_free(&history);
    return result;
}

static int compare_state(struct vault *vault, struct error *e)
{
    const struct config *config = vault->engine->config;
    bool strange = false;
    for (size_t i = 0; i < config->job_count; i++)
        if (uses(&config->jobs[i], vault->config) && compare_job(vault, config->jobs[i].name, &strange, e) < 0)
            return -1;
    if (!strange)
        return 0;
    error_set(e, ERROR_PERMANENT, "this machine has saved to other places, and never to %s, which is there", vault->id);
    return error_hint(e, "is it the right disk or bucket? the next run that commits to it settles it");
}

int collect_run(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
                struct vault_gc_result *result, struct error *e)
{
    *result = (struct vault_gc_result){.doubt = {.class = ERROR_NONE}};
    if (compare_state(vault, e) == 0)
        return vault_collect(vault, request, told, context, result, e);
    if (e->class == ERROR_CANCELLED || e->class == ERROR_MEMORY)
        return -1;
    result->doubt = *e;
    return 0;
}
