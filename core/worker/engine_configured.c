#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "worker/configured.h"
#include "worker/engine.h"
#include "worker/worker.h"

/* Of a key that the plugin does not have nobody knows: it may be a secret, misspelt. */
static bool may_be_told(const struct plugin_info *plugin, const char *name)
{
    for (size_t i = 0; i < plugin->option_count; i++)
        if (strcmp(plugin->options[i].name, name) == 0)
            return plugin->options[i].type != OPTION_SECRET;
    return false;
}

static int fill_settings(const struct config_instance *source, const struct plugin_info *plugin,
                         struct configured_source *out, struct error *e)
{
    out->settings = calloc(source->key_count + 1, sizeof *out->settings);
    if (!out->settings)
        return error_memory(e);
    for (size_t i = 0; i < source->key_count; i++)
        if (may_be_told(plugin, source->keys[i].name))
            out->settings[out->setting_count++] =
                (struct configured_setting){.name = source->keys[i].name, .value = source->keys[i].value};
    return 0;
}

/* The settings of all sources of the plugin of the i-th, which is the first that has it. */
static int fill_plugin(const struct engine *engine, struct configured *configured, size_t first, struct error *e)
{
    const struct config_instance *sources = engine->config->sources;
    struct worker *worker;
    struct error ignored;
    int result = 0;
    if (engine_start_plugin(engine, sources[first].plugin, sources[first].plugin, &worker, &ignored) < 0)
        return 0;
    for (size_t i = first; i < configured->count && result == 0; i++)
        if (!sources[i].fault && strcmp(sources[i].plugin, sources[first].plugin) == 0)
            result = fill_settings(&sources[i], worker_plugin(worker), &configured->sources[i], e);
    worker_stop(worker);
    return result;
}

/* The first source of its plugin? */
static bool is_first(const struct config *config, size_t index)
{
    const struct config_instance *sources = config->sources;
    if (sources[index].fault)
        return false;
    for (size_t i = 0; i < index; i++)
        if (!sources[i].fault && strcmp(sources[i].plugin, sources[index].plugin) == 0)
            return false;
    return true;
}

int engine_configured(const struct engine *engine, struct configured **configured, struct error *e)
{
    const struct config *config = engine->config;
    struct configured *c = calloc(1, sizeof *c);
    if (!c || !(c->sources = calloc(config->source_count + 1, sizeof *c->sources))) {
        free(c);
        return error_memory(e);
    }
    c->count = config->source_count;
    for (size_t i = 0; i < c->count; i++) {
        const struct config_instance *source = &config->sources[i];
        c->sources[i].name = source->name;
        c->sources[i].plugin = source->fault ? "" : source->plugin;
        c->sources[i].in_job = config_saves(config, source);
    }
    int result = 0;
    for (size_t i = 0; i < c->count && result == 0; i++)
        if (is_first(config, i))
            result = fill_plugin(engine, c, i, e);
    if (result < 0) {
        engine_configured_free(c);
        return -1;
    }
    *configured = c;
    return 0;
}

void engine_configured_free(struct configured *configured)
{
    if (!configured)
        return;
    for (size_t i = 0; i < configured->count; i++)
        free(configured->sources[i].settings);
    free(configured->sources);
    free(configured);
}
