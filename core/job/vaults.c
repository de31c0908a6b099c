#include "job/vaults.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "format/vault.h"
#include "job/formats.h"
#include "worker/engine.h"

static bool is_wanted(const struct config *config, const struct config_instance *sink, const char *job)
{
    if (config->job_count == 0)
        return true;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *j = &config->jobs[i];
        if (job && strcmp(j->name, job) != 0)
            continue;
        for (size_t k = 0; k < j->sink_count; k++)
            if (j->sinks[k] == sink)
                return true;
    }
    return false;
}

int vaults_choose(const struct engine *engine, const char *job, const struct config_instance *sink,
                  struct vaults *vaults, struct error *e)
{
    const struct config *config = engine->config;
    *vaults = (struct vaults){.engine = engine, .only = sink != NULL};
    vaults->items = calloc(config->sink_count + 1, sizeof *vaults->items);
    if (!vaults->items)
        return error_memory(e);
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_instance *candidate = &config->sinks[i];
        if (sink ? sink == candidate : is_wanted(config, candidate, job))
            vaults->items[vaults->count++].sink = candidate;
    }
    return 0;
}

int vaults_open(struct vaults *vaults, size_t item, struct vault **vault, struct error *e)
{
    struct vaults_item *it = &vaults->items[item];
    struct error why;
    if (!it->vault && it->why.class == ERROR_NONE && formats_open(vaults->engine, it->sink, &it->vault, &why) < 0) {
        it->vault = NULL;
        it->why = why;
    }
    *vault = it->vault;
    if (it->vault)
        return 0;
    *e = it->why;
    return -1;
}

size_t vaults_find(const struct vaults *vaults, const struct config_instance *sink)
{
    size_t item = 0;
    while (vaults->items[item].sink != sink)
        item++;
    return item;
}

void vaults_close(struct vaults *vaults, const struct vault *but)
{
    for (size_t i = 0; i < vaults->count; i++)
        if (vaults->items[i].vault != but)
            vault_close(vaults->items[i].vault);
    free(vaults->items);
    *vaults = (struct vaults){.count = 0};
}
