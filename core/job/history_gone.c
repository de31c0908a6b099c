/* Of the history: what this machine remembers of a sink, for those who only look at it. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "format/join.h"
#include "format/vault.h"
#include "job/history.h"
#include "job/snapshot.h"
#include "job/vaults.h"
#include "worker/engine.h"

int history_of_job(const struct config *config, const char *job, struct history *history, struct error *e)
{
    char directory[PATH_MAX];
    *history = (struct history){0};
    if (snprintf(directory, sizeof directory, "%s/jobs/%s", config->state_dir, job) >= (int)sizeof directory)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
    return history_load(directory, config->host, history, e);
}

static bool is_listed(const struct snapshot_list *list, const char *job, const char *id,
                      const struct config_instance *sink)
{
    for (size_t i = list->count; i-- > 0;) {
        const struct snapshot *s = &list->items[i];
        for (size_t k = 0; k < s->sink_count && strcmp(s->id, id) == 0 && strcmp(s->job, job) == 0; k++)
            if (s->sinks[k] == sink)
                return true;
    }
    return false;
}

struct search {
    const char *id;
    uint64_t sequence;
    bool found;
};

static int compare_removed(void *context, const struct verify_link *removed, struct error *e)
{
    struct search *search = context;
    (void)e;
    search->found =
        search->found || strcmp(removed->id, search->id) == 0 || join_is_within(removed, search->sequence, search->id);
    return 0;
}

bool history_was_removed(struct vault *vault, const struct history *history, const char *job, const char *id)
{
    struct search search = {.id = id};
    struct error e;
    for (size_t i = 0; i < history->count; i++)
        if (strcmp(history->links[i].id, id) == 0)
            search.sequence = history->links[i].sequence;
    if (vault_removals(vault, history->host, job, compare_removed, &search, &e) < 0)
        log_error(LOG_WARNING, &e);
    return search.found;
}

int history_doubt(const struct history *history, struct vault *vault, const char *job, bool listed, struct error *e)
{
    const char *newest = history_newest_in(history, vault->id);
    if (history->count > 0 && !newest) {
        error_set(e, ERROR_PERMANENT,
                  "this machine has saved job '%s' to other places, and never to %s, which is there", job, vault->id);
        return error_hint(e, "is it the right disk or bucket? the next run that commits to it settles it");
    }
    if (!newest || listed || history_was_removed(vault, history, job, newest))
        return 0;
    error_set(e, ERROR_PERMANENT, "snapshot %s@%s was committed there and is not listed", job, newest);
    return error_hint(e, "see what is wrong with it: cofre verify %s", job);
}

static void warn_of_job(const struct vaults *vaults, const struct snapshot_list *list, const char *job)
{
    struct history history;
    struct error e;
    if (history_of_job(vaults->engine->config, job, &history, &e) < 0)
        log_error(LOG_WARNING, &e);
    for (size_t i = 0; i < vaults->count; i++) {
        const struct vaults_item *item = &vaults->items[i];
        const char *id = item->vault ? history_newest_in(&history, item->vault->id) : NULL;
        if (id && item->why.class == ERROR_NONE && !is_listed(list, job, id, item->sink) &&
            !history_was_removed(item->vault, &history, job, id))
            history_say_gone(item->sink->name, id);
    }
    history_free(&history);
}

void history_warn_gone(const struct vaults *vaults, const struct snapshot_list *list, const char *job, const char *host)
{
    const struct config *config = vaults->engine->config;
    if (!host || strcmp(host, config->host) != 0)
        return;
    for (size_t i = 0; i < config->job_count; i++)
        if (!job || strcmp(job, config->jobs[i].name) == 0)
            warn_of_job(vaults, list, config->jobs[i].name);
}
