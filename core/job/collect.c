#include "job/collect.h"

#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "job/history.h"
#include "worker/engine.h"

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

static int compare_job(struct vault *vault, const struct history *history, const char *job, struct error *e)
{
    struct search search = {.id = history_newest_in(history, vault->id)};
    if (search.id && vault_names(vault, vault->engine->config->host, job, compare_name, &search, e) < 0)
        return -1;
    return history_doubt(history, vault, job, search.found, e);
}

static int compare_state(struct vault *vault, struct error *e)
{
    const struct config *config = vault->engine->config;
    for (size_t i = 0; i < config->job_count; i++) {
        struct history history;
        if (!config_job_uses(&config->jobs[i], vault->config))
            continue;
        int result = history_of_job(config, config->jobs[i].name, &history, e);
        if (result == 0)
            result = compare_job(vault, &history, config->jobs[i].name, e);
        history_free(&history);
        if (result < 0)
            return -1;
    }
    return 0;
}

int collect_run(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
                struct vault_gc_result *result, struct error *e)
{
    *result = (struct vault_gc_result){.doubt = {.class = ERROR_NONE}};
    if (compare_state(vault, e) == 0) {
        int done = vault_collect(vault, request, told, context, result, e);
        if (done == 0 && !request->dry_run && result->doubt.class == ERROR_NONE)
            vault_sweep(vault);
        return done;
    }
    if (e->class == ERROR_CANCELLED || e->class == ERROR_MEMORY)
        return -1;
    result->doubt = *e;
    return 0;
}
