#include "attempt/undo_text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/hook.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "snapshot/manifest_text.h"
#include "worker/worker.h"

#define FILE_MAX_BYTES 2097152u

static const struct {
    const char *key;  /* in the file */
    const char *name; /* in messages */
} kinds[] = {
    [UNDO_FREEZE] = {"freeze", "the freeze of"},
    [UNDO_RESTORE] = {"restore", "the restore of"},
    [UNDO_SCRATCH] = {"scratch", "the scratch copy of"},
    [UNDO_SERVICES] = {"services", "the stop of services by"},
    [UNDO_HOOK] = {"hook", ""},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

const char *undo_text_name(const struct undo_text *text, char *out)
{
    if (text->hook)
        return hook_title(text->hook, out);
    bool source = text->source[0] != '\0';
    snprintf(out, UNDO_TEXT_WHAT, "%s %s '%s'", kinds[text->what].name, source ? "source" : "plugin",
             source ? text->source : text->plugin);
    return out;
}

const char *undo_text_describe(const struct undo_text *text, const char *id, char *out)
{
    bool job = text->job[0] != '\0' && !text->hook; /* which says its job itself */
    undo_text_name(text, out);
    size_t used = strlen(out);
    snprintf(out + used, UNDO_TEXT_WHAT - used, " (%s%s%s%s)", job ? "job '" : "", job ? text->job : "",
             job ? "', " : "", id);
    return out;
}

void undo_text_free(struct undo_text *text)
{
    for (size_t i = 0; i < text->override_count; i++)
        free(text->overrides[i]);
    free(text->overrides);
    free(text->source);
    free(text->plugin);
    free(text->job);
    if (text->hook)
        hook_free(text->hook);
    free(text->hook);
    *text = (struct undo_text){0};
}

/* Where a secret is to be found may be written down ("@file:..."), the secret itself may not. */
static bool is_literal_secret(const char *override, const struct plugin_info *plugin)
{
    size_t n = strcspn(override, "=");
    bool reference = override[n] == '=' && override[n + 1] == '@' && override[n + 2] != '@';
    for (size_t i = 0; i < plugin->option_count; i++)
        if (strlen(plugin->options[i].name) == n && strncmp(plugin->options[i].name, override, n) == 0)
            return plugin->options[i].type == OPTION_SECRET && !reference;
    return true;
}

int undo_text_make(const struct undo_spec *spec, const struct plugin_info *plugin, struct undo_text *text,
                   struct error *e)
{
    *text = (struct undo_text){.what = spec->what,
                               .source = text_copy(spec->source ? spec->source->name : ""),
                               .plugin = text_copy(plugin->name),
                               .job = text_copy(spec->job ? spec->job : ""),
                               .overrides = calloc(spec->override_count + 1, sizeof(char *))};
    if (!text->source || !text->plugin || !text->job || !text->overrides)
        return error_memory(e);
    for (size_t i = 0; i < spec->override_count; i++) {
        if (is_literal_secret(spec->overrides[i], plugin))
            continue;
        if (!(text->overrides[text->override_count] = text_copy(spec->overrides[i])))
            return error_memory(e);
        text->override_count++;
    }
    return 0;
}

int undo_text_make_hook(const struct hook *hook, struct undo_text *text, struct error *e)
{
    json_t *copy = hook_encode(hook);
    *text = (struct undo_text){.what = UNDO_HOOK,
                               .source = text_copy(""),
                               .plugin = text_copy(""),
                               .job = text_copy(hook->job),
                               .overrides = calloc(1, sizeof(char *)),
                               .hook = calloc(1, sizeof *text->hook)};
    int result = copy && text->hook ? hook_decode(copy, text->hook) : -1;
    json_decref(copy);
    return result == 0 && text->source && text->plugin && text->job && text->overrides ? 0 : error_memory(e);
}

char *undo_text_encode(const struct undo_text *text)
{
    json_t *overrides = manifest_text_list(text->overrides, text->override_count);
    json_t *json = overrides ? json_pack("{s:s, s:s, s:s, s:s, s:o}", "what", kinds[text->what].key, "source",
                                         text->source, "plugin", text->plugin, "job", text->job, "overrides", overrides)
                             : NULL;
    if (json && text->hook && json_object_set_new(json, "hook", hook_encode(text->hook)) < 0) {
        json_decref(json);
        return NULL;
    }
    char *out = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    return out;
}

static int damaged(const char *path, struct error *e)
{
    error_set(e, ERROR_INTEGRITY, "hold '%s' is damaged: what it names may still be frozen or there", path);
    return error_hint(e, "look at the application, put it right, then remove the file");
}

static int take_hook(const json_t *json, struct undo_text *text)
{
    struct hook hook;
    if (!json || hook_decode(json, &hook) < 0)
        return -1;
    text->hook = malloc(sizeof hook);
    if (text->hook)
        *text->hook = hook;
    else
        hook_free(&hook);
    return text->hook ? 0 : -1;
}

static int decode(json_t *json, const char *path, struct undo_text *text, struct error *e)
{
    const char *what, *source, *plugin, *job;
    json_t *overrides;
    if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:o}", "what", &what, "source", &source, "plugin", &plugin, "job", &job,
                    "overrides", &overrides) < 0)
        return damaged(path, e);
    size_t kind = 0;
    while (kind < KINDS && strcmp(kinds[kind].key, what) != 0)
        kind++;
    if (kind == KINDS)
        return damaged(path, e);
    *text = (struct undo_text){
        .what = (enum undo_what)kind, .source = text_copy(source), .plugin = text_copy(plugin), .job = text_copy(job)};
    if (!text->source || !text->plugin || !text->job)
        return error_memory(e);
    if (text->what == UNDO_HOOK && take_hook(json_object_get(json, "hook"), text) < 0)
        return damaged(path, e);
    if (manifest_text_unlist(overrides, &text->overrides, &text->override_count, e) == 0)
        return 0;
    return e->class == ERROR_INTEGRITY ? damaged(path, e) : -1;
}

int undo_text_read(const char *path, struct undo_text *text, struct error *e)
{
    AUTO_BYTES struct bytes content = {.maximum = FILE_MAX_BYTES};
    json_error_t where;
    if (file_read_own(path, FILE_MAX_BYTES - 1, &content, e) < 0)
        return -1;
    json_t *json = json_loadb((const char *)content.data, content.length, 0, &where);
    int result = json ? decode(json, path, text, e) : damaged(path, e);
    json_decref(json);
    return result;
}
