#include "job/row.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "store/manifest.h"
#include "worker/worker.h"

static int copy_texts(struct error *e, char **to, const char *from)
{
    *to = text_copy(from);
    return *to ? 0 : error_memory(e);
}

static int copy_options(struct manifest_source *row, const struct config_instance *config,
                        const struct worker_plugin *plugin, struct error *e)
{
    row->options = calloc(config->key_count + 1, sizeof *row->options);
    if (!row->options)
        return error_memory(e);
    for (size_t i = 0; i < config->key_count; i++) {
        const struct option *option = NULL;
        for (size_t k = 0; k < plugin->option_count; k++)
            if (strcmp(plugin->options[k].name, config->keys[i].name) == 0)
                option = &plugin->options[k];
        if (!option || option->type == OPTION_SECRET)
            continue;
        struct manifest_pair *pair = &row->options[row->option_count++];
        if (copy_texts(e, &pair->key, config->keys[i].name) < 0 ||
            copy_texts(e, &pair->value, config->keys[i].value) < 0)
            return -1;
    }
    return 0;
}

int row_describe(struct manifest_source *row, const struct config_instance *config, const struct worker_plugin *plugin,
                 struct error *e)
{
    if (copy_texts(e, &row->name, config->name) < 0 || copy_texts(e, &row->plugin, plugin->name) < 0 ||
        copy_texts(e, &row->plugin_version, plugin->version) < 0)
        return -1;
    return copy_options(row, config, plugin, e);
}

int row_missing(struct manifest_source *row, const struct error *why, struct error *e)
{
    row->status = MANIFEST_MISSING;
    row->entries = row->bytes = row->vanished = row->problem_count = row->catalogue_bytes = 0;
    for (size_t i = 0; i < row->problems_listed; i++) {
        free(row->problems[i].path);
        free(row->problems[i].error);
    }
    row->problems_listed = 0;
    for (size_t i = 0; i < row->chunk_count; i++)
        free(row->chunks[i].first_path);
    row->chunk_count = 0;
    return copy_texts(e, &row->error, why->message);
}
