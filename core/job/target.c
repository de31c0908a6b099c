#include "job/target.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attempt/undo.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "job/leftover.h"
#include "job/restore.h"
#include "snapshot/manifest.h"
#include "worker/engine.h"
#include "worker/source.h"
#include "worker/worker.h"

#define PLUGIN "directory"

/* Plugins that can leave alone what is there have an option for it. Its name; NULL = there is none. */
static const char *replace_option(const struct plugin_info *plugin)
{
    for (size_t i = 0; i < plugin->option_count; i++)
        if (plugin->options[i].flags & OPTION_REPLACE)
            return plugin->options[i].name;
    return NULL;
}

static bool is_set(const struct restore_request *request, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < request->override_count; i++)
        if (strncmp(request->overrides[i], name, n) == 0 && request->overrides[i][n] == '=')
            return true;
    return false;
}

/* The plugin that puts a source's entries back: the configured one, or a section of our own making. */
static int open_worker(const struct engine *engine, const struct config_instance *instance,
                       const struct restore_request *request, const char *path, bool replace, struct target *target,
                       struct error *e)
{
    size_t count = request->override_count;
    AUTO_FREE char **overrides = calloc(count + 2, sizeof *overrides);
    AUTO_FREE char *where = NULL;
    char overwrite[80]; /* names have 63 bytes at most */
    if (!overrides || (path && asprintf(&where, "path=%s", path) < 0)) {
        where = NULL;
        return error_memory(e);
    }
    for (size_t i = 0; i < count; i++)
        overrides[i] = request->overrides[i];
    if (path)
        overrides[count++] = where;
    if (engine_load(engine, instance, PLUGIN_SOURCE, &target->worker, e) < 0)
        return -1;
    const char *option = replace_option(worker_plugin(target->worker));
    if (!path && !replace && !option) {
        error_set(e, ERROR_USAGE, "plugin '%s' does not say whether a restore replaces what is there",
                  instance->plugin);
        return error_hint(e, "say --in-place when it may, or restore into a directory with --into DIR");
    }
    if (replace && option && !is_set(request, option)) {
        snprintf(overwrite, sizeof overwrite, "%s=yes", option);
        overrides[count++] = overwrite;
    }
    return engine_open_worker(instance, target->worker, overrides, count, e);
}

static int has_content(const char *path, bool *content, struct error *e)
{
    *content = false;
    DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? 0 : error_system(e, errno, "open target '%s'", path);
    errno = 0;
    for (const struct dirent *d = readdir(directory); d && !*content; d = readdir(directory))
        *content = strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
    int failed = *content ? 0 : errno;
    closedir(directory);
    return failed ? error_system(e, failed, "read target '%s'", path) : 0;
}

/* Does the marker tell of an interrupted restore of the same snapshot? */
static bool is_rest(const char *marker, const char *snapshot)
{
    struct error ignored;
    AUTO_BYTES struct bytes text = {.maximum = 4096};
    return file_read_own(marker, 4000, &text, &ignored) == 0 && text.length == strlen(snapshot) &&
           memcmp(text.data, snapshot, text.length) == 0;
}

/* Of the place as it was written, with its links: it is up to whoever restores, and so only said. */
static void warn_of_others(const char *into, const char *source)
{
    struct error e;
    char place[PATH_MAX];
    if (snprintf(place, sizeof place, "%s/%s.incomplete", into, source) >= (int)sizeof place)
        error_set(&e, ERROR_RANGE, "path '%s' is too long to tell", into);
    else if (file_check_trusted_place(place, &e) == 0)
        return;
    error_context(&e, "what is restored can be changed by others while it is written: ");
    log_error(LOG_WARNING, &e);
}

static int open_into(const struct engine *engine, const struct manifest *manifest, const struct manifest_source *source,
                     const struct restore_request *request, struct target *target, struct error *e)
{
    char absolute[PATH_MAX], path[PATH_MAX], snapshot[160];
    if (file_make_directories(request->into, e) < 0)
        return -1;
    if (!realpath(request->into, absolute))
        return error_system(e, errno, "find target '%s'", request->into);
    if (snprintf(path, sizeof path, "%s/%s", absolute, source->name) >= (int)sizeof path ||
        snprintf(target->marker, sizeof target->marker, "%s/%s.incomplete", absolute, source->name) >= (int)sizeof path)
        return error_set(e, ERROR_USAGE, "target '%s' is too long", request->into);
    snprintf(snapshot, sizeof snapshot, "%s@%s\n", manifest->job, manifest->id);
    bool content, rest = is_rest(target->marker, snapshot);
    if (has_content(path, &content, e) < 0)
        return -1;
    if (content && !rest && !request->yes) {
        error_set(e, ERROR_EXISTS, "target '%s' is not empty", path);
        return error_hint(e, "choose another directory, or replace files of the same name with --yes");
    }
    char plugin[] = PLUGIN, name[64];
    snprintf(name, sizeof name, "%s", source->name);
    struct config_instance instance = {
        .name = name, .plugin = plugin, .role = PLUGIN_SOURCE, .file = "--into", .stall_timeout = 15 * 60 * 1000};
    if (open_worker(engine, &instance, request, path, content, target, e) < 0)
        return -1;
    warn_of_others(request->into, source->name);
    /* From here on something is written. */
    return file_write(target->marker, snapshot, strlen(snapshot), FILE_PUBLIC, e);
}

/* A running application that has to be put back as it was, whatever becomes of us. */
static int cover(const struct engine *engine, const struct manifest *manifest, const struct config_instance *instance,
                 const struct restore_request *request, struct target *target, struct error *e)
{
    if (!(worker_plugin(target->worker)->offers & PLUGIN_OFFERS_THAW))
        return 0;
    struct undo_spec spec = {.what = UNDO_RESTORE,
                             .source = instance,
                             .job = manifest->job,
                             .overrides = request->overrides,
                             .override_count = request->override_count};
    if (undo_make(engine, &spec, target->worker, &target->hold, e) < 0)
        return -1;
    source_cover(target->worker, undo_id(target->hold));
    return 0;
}

/* The configured source: in place, or, with other options, elsewhere; then nothing that is there is replaced. */
static int open_configured(const struct engine *engine, const struct manifest *manifest,
                           const struct manifest_source *source, const struct restore_request *request,
                           struct target *target, struct error *e)
{
    const struct config_instance *instance;
    if (config_find_source(engine->config, source->name, &instance, e) < 0)
        return error_hint(e, "configure it again, or restore with --into DIR");
    if (strcmp(instance->plugin, source->plugin) != 0)
        return error_set(e, ERROR_CONFIG, "was saved by plugin '%s' and is now configured with plugin '%s'",
                         source->plugin, instance->plugin);
    if (request->in_place && !request->yes) {
        error_set(e, ERROR_EXISTS, "restoring source '%s' in place replaces what is there", source->name);
        return error_hint(e, "say --yes when you mean it, or restore beside it with --into DIR");
    }
    if (open_worker(engine, instance, request, NULL, request->in_place, target, e) < 0)
        return -1;
    target->source = instance;
    target->patience = engine_patience(instance);
    return cover(engine, manifest, instance, request, target, e);
}

int target_open(const struct engine *engine, const struct manifest *manifest, const struct manifest_source *source,
                const struct restore_request *request, struct target *target, struct error *e)
{
    *target = (struct target){0};
    return request->into ? open_into(engine, manifest, source, request, target, e)
                         : open_configured(engine, manifest, source, request, target, e);
}

void target_take_back(const struct target *target, struct error *e)
{
    if (target->hold)
        source_take_back(target->worker, undo_id(target->hold), e);
}

int target_finish(struct target *target, struct error *e)
{
    if (target->marker[0] != '\0' && unlink(target->marker) < 0)
        return error_system(e, errno, "remove '%s'", target->marker);
    return 0;
}

int target_close(const struct engine *engine, struct target *target, struct error *e)
{
    int result = undo_run(target->hold, target->worker, e);
    if (target->source && target->worker)
        leftover_add(engine->config, target->source->name, target->worker);
    worker_stop(target->worker);
    target->worker = NULL;
    target->hold = NULL;
    return result;
}
