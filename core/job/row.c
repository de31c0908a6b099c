#include "job/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "config/config.h"
#include "snapshot/manifest.h"
#include "worker/worker.h"

#define LOGGED_MAX 100 /* of a kind, for each source */

static int copy_texts(struct error *e, char **to, const char *from)
{
    *to = text_copy(from);
    return *to ? 0 : error_memory(e);
}

static int copy_options(struct manifest_source *row, const struct config_instance *config,
                        const struct plugin_info *plugin, struct error *e)
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

int row_describe(struct manifest_source *row, const struct config_instance *config, const struct plugin_info *plugin,
                 struct error *e)
{
    if (copy_texts(e, &row->name, config->name) < 0 || copy_texts(e, &row->plugin, plugin->name) < 0 ||
        copy_texts(e, &row->plugin_version, plugin->version) < 0)
        return -1;
    return copy_options(row, config, plugin, e);
}

static char *copy_bytes(const char *p, size_t n)
{
    char *copy = malloc(n + 1);
    if (copy) {
        memcpy(copy, p, n);
        copy[n] = '\0';
    }
    return copy;
}

/* The source itself has no path. */
static void log_named(enum log_level level, const struct manifest_source *row, const char *name, size_t n,
                      const char *text)
{
    char shown[1024];
    if (n == 0)
        log_line(level, "source '%s': %s", row->name, text);
    else
        log_line(level, "source '%s': '%s': %s", row->name, log_escape(name, n, shown, sizeof shown), text);
}

/* Of the texts that are listed, beside the room of what is counted. */
static bool has_room(size_t *used, size_t n)
{
    *used += n;
    return *used <= MANIFEST_LISTED_MAX;
}

int row_problem(struct manifest_source *row, const char *path, size_t n, const char *why, const char *hint,
                struct error *e)
{
    if (row->problem_count < LOGGED_MAX) {
        log_named(LOG_WARNING, row, path, n, why);
        log_hint(LOG_WARNING, hint);
    }
    if (row->problem_count == LOGGED_MAX)
        log_line(LOG_WARNING, "source '%s': further problems are only counted here; the snapshot names them",
                 row->name);
    row->problem_count++;
    row->status = MANIFEST_INCOMPLETE;
    if (row->problems_listed == MANIFEST_PROBLEMS_MAX || !has_room(&row->problem_bytes, n + strlen(why)))
        return 0;
    struct manifest_problem *problems = realloc(row->problems, (row->problems_listed + 1) * sizeof *problems);
    if (!problems)
        return error_memory(e);
    row->problems = problems;
    struct manifest_problem *p = &problems[row->problems_listed++];
    bool hinted = hint && hint[0];
    *p = (struct manifest_problem){
        .path = copy_bytes(path, n), .error = text_copy(why), .hint = hinted ? text_copy(hint) : NULL};
    return p->path && p->error && (p->hint || !hinted) ? 0 : error_memory(e);
}

int row_left_out(struct manifest_source *row, const char *name, size_t n, const char *why, struct error *e)
{
    char text[1024];
    snprintf(text, sizeof text, "left out: %s", why);
    if (row->left_out_count < LOGGED_MAX)
        log_named(LOG_NOTICE, row, name, n, text);
    if (row->left_out_count == LOGGED_MAX)
        log_line(LOG_NOTICE, "source '%s': what else is left out is only counted here; the snapshot names it",
                 row->name);
    row->left_out_count++;
    if (row->left_out_listed == MANIFEST_LEFT_OUT_MAX || !has_room(&row->left_out_bytes, n + strlen(why)))
        return 0;
    struct manifest_left_out *list = realloc(row->left_out, (row->left_out_listed + 1) * sizeof *list);
    if (!list)
        return error_memory(e);
    row->left_out = list;
    struct manifest_left_out *item = &list[row->left_out_listed++];
    *item = (struct manifest_left_out){.name = copy_bytes(name, n), .why = text_copy(why)};
    return item->name && item->why ? 0 : error_memory(e);
}

int row_fact(struct manifest_source *row, const char *key, const char *value, uint32_t flags, struct error *e)
{
    size_t n = strlen(key) + strlen(value);
    if (row->fact_count == MANIFEST_FACTS_MAX || n > MANIFEST_FACT_BYTES_MAX - row->fact_bytes) {
        if (!row->facts_cut)
            log_line(LOG_WARNING, "source '%s': it has more facts than a snapshot keeps; '%s' is the first without",
                     row->name, key);
        row->facts_cut = true;
        return 0;
    }
    row->fact_bytes += n;
    struct manifest_fact *facts = realloc(row->facts, (row->fact_count + 1) * sizeof *facts);
    if (!facts)
        return error_memory(e);
    row->facts = facts;
    struct manifest_fact *fact = &facts[row->fact_count++];
    *fact = (struct manifest_fact){.key = text_copy(key),
                                   .value = text_copy(value),
                                   .identity = (flags & COFRE_FACT_IDENTITY) != 0,
                                   .must_match = (flags & COFRE_FACT_MUST_MATCH) != 0,
                                   .may_grow = (flags & COFRE_FACT_MAY_GROW) != 0};
    return fact->key && fact->value ? 0 : error_memory(e);
}

int row_part(struct manifest_source *row, const char *path, size_t n, struct manifest_part **part, struct error *e)
{
    const char *slash = memchr(path, '/', n);
    size_t length = slash ? (size_t)(slash - path) : n;
    struct manifest_part *last = row->part_count > 0 ? &row->parts[row->part_count - 1] : NULL;
    *part = NULL;
    if (length == 0 || length > MANIFEST_PART_NAME_MAX || path[0] == '.')
        return 0;
    if (last && strlen(last->name) == length && memcmp(last->name, path, length) == 0) {
        *part = last;
        return 0;
    }
    if (row->part_count == MANIFEST_PARTS_MAX)
        return 0;
    struct manifest_part *parts = realloc(row->parts, (row->part_count + 1) * sizeof *parts);
    if (!parts)
        return error_memory(e);
    row->parts = parts;
    *part = &parts[row->part_count++];
    **part = (struct manifest_part){.name = copy_bytes(path, length)};
    return (*part)->name ? 0 : error_memory(e);
}

static void forget_parts(struct manifest_source *row)
{
    for (size_t i = 0; i < row->part_count; i++)
        free(row->parts[i].name);
    free(row->parts);
    row->parts = NULL;
    row->part_count = 0;
}

static void forget_problems(struct manifest_source *row)
{
    for (size_t i = 0; i < row->problems_listed; i++) {
        free(row->problems[i].path);
        free(row->problems[i].error);
        free(row->problems[i].hint);
    }
    row->problem_count = row->problems_listed = row->problem_bytes = 0;
}

static void forget_left_out(struct manifest_source *row)
{
    for (size_t i = 0; i < row->left_out_listed; i++) {
        free(row->left_out[i].name);
        free(row->left_out[i].why);
    }
    row->left_out_count = row->left_out_listed = row->left_out_bytes = 0;
}

int row_missing(struct manifest_source *row, const struct error *why, struct error *e)
{
    row->status = MANIFEST_MISSING;
    free(row->suspect);
    row->suspect = NULL;
    row->entries = row->bytes = row->vanished = row->catalogue_bytes = 0;
    forget_parts(row);
    forget_problems(row);
    forget_left_out(row);
    for (size_t i = 0; i < row->chunk_count; i++)
        free(row->chunks[i].first_path);
    row->chunk_count = 0;
    char text[ERROR_TEXT_MAX];
    return copy_texts(e, &row->error, error_text(why, text));
}
