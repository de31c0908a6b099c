#include "worker/engine.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "worker/process.h"
#include "worker/retry.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define NOTIFIER_GRACE 2000            /* ms: it has nothing to put back */
#define STALL_TIMEOUT (15 * 60 * 1000) /* ms; as the default of a section */

void engine_report(const struct engine *engine, const char *stage, uint64_t entries, uint64_t bytes, uint64_t total)
{
    if (!engine->progress)
        return;
    struct engine_progress progress = {.stage = stage, .entries = entries, .bytes = bytes, .total_bytes = total};
    engine->progress(engine->progress_context, &progress);
}

static struct worker_spec spec_of(const struct engine *engine, const char *instance, const char *plugin)
{
    const struct config *config = engine->config;
    return (struct worker_spec){.instance = instance,
                                .plugin = plugin,
                                .plugin_dirs = config->plugin_dirs,
                                .plugin_dir_count = config->plugin_dir_count,
                                .in_process = engine->in_process};
}

static int check_role(const struct config_instance *instance, const struct worker *worker, int role, struct error *e)
{
    if ((int)worker_plugin(worker)->role == role)
        return 0;
    return error_set(e, ERROR_CONFIG, "%s:%u: plugin '%s' is a %s, so it cannot be used in [%s %s]", instance->file,
                     instance->line, instance->plugin, config_role_name(worker_plugin(worker)->role),
                     config_role_section((enum plugin_role)role), instance->name);
}

static int check_options(const struct config_instance *instance, const struct worker *worker, char *const *overrides,
                         size_t override_count, struct config_value **values, struct error *e)
{
    const struct plugin_info *plugin = worker_plugin(worker);
    return config_check_options(instance, plugin->options, plugin->option_count, overrides, override_count, values, e);
}

/* The directory of a source, which its plugin may ask for. */
static int own_directory(const struct engine *engine, const char *source, char *out, struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/sources/%s", engine->config->state_dir, source) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", engine->config->state_dir);
    return 0;
}

/* What all sources of a plugin share. */
static int common_directory(const struct engine *engine, const char *plugin, char *out, struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/plugins/%s", engine->config->state_dir, plugin) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", engine->config->state_dir);
    return 0;
}

/* ---- what is never a plugin's ---- */

#define FROM_FILE "@file:"

static void add(char **paths, size_t *count, char *path)
{
    if (path)
        paths[(*count)++] = path;
}

static size_t most_secluded(const struct config *config)
{
    size_t most = 3 + 2 * config->sink_count;
    for (size_t i = 0; i < config->source_count; i++)
        most += config->sources[i].key_count;
    for (size_t i = 0; i < config->sink_count; i++)
        most += config->sinks[i].key_count;
    for (size_t i = 0; i < config->notifier_count; i++)
        most += config->notifiers[i].key_count;
    return most;
}

static void add_secrets(char **paths, size_t *count, const struct config_instance *instance)
{
    for (size_t i = 0; i < instance->key_count; i++)
        if (strncmp(instance->keys[i].value, FROM_FILE, strlen(FROM_FILE)) == 0)
            add(paths, count, instance->keys[i].value + strlen(FROM_FILE));
}

/* The configuration, state and cache, keys, and the files of secrets. The array is the caller's; NULL = no memory. */
static char **list_secluded(const struct config *config, size_t *count)
{
    char **paths = calloc(most_secluded(config), sizeof *paths);
    *count = 0;
    if (!paths)
        return NULL;
    add(paths, count, config->directory);
    add(paths, count, config->state_dir);
    add(paths, count, config->cache_dir);
    for (size_t i = 0; i < config->source_count; i++)
        add_secrets(paths, count, &config->sources[i]);
    for (size_t i = 0; i < config->sink_count; i++) {
        add(paths, count, config->sinks[i].key);
        add(paths, count, config->sinks[i].openpgp.home);
        add_secrets(paths, count, &config->sinks[i]);
    }
    for (size_t i = 0; i < config->notifier_count; i++)
        add_secrets(paths, count, &config->notifiers[i]);
    return paths;
}

/* ---- starting ---- */

/* As whom the section says, and with what it may not see. */
static int start_as(const struct engine *engine, const struct config_instance *instance, struct worker_spec *spec,
                    struct worker **worker, struct error *e)
{
    struct process_user user = {.groups = NULL};
    if (instance->run_as) {
        if (process_user_find(instance->run_as, &user, e) < 0)
            return -1;
        if (user.change && engine->in_process)
            return error_set(e, ERROR_USAGE, "with --in-process nothing runs as somebody else, as 'run_as' says");
        spec->user = &user;
    }
    /* What is ours there it could not reach. */
    if (user.change)
        spec->directory = spec->common = NULL;
    char **secluded = list_secluded(engine->config, &spec->secluded_count);
    spec->secluded = secluded;
    int result = secluded ? worker_start(spec, worker, e) : error_memory(e);
    free(secluded);
    process_user_free(&user);
    return result;
}

/* The worker of a section, with the plugin that the section needs; its options are not looked at. */
static int start(const struct engine *engine, const struct config_instance *instance, int role, bool undoes,
                 struct worker **worker, struct error *e)
{
    char name[96], directory[PATH_MAX], common[PATH_MAX];
    if (config_usable(instance, e) < 0)
        return -1;
    snprintf(name, sizeof name, "%s '%s'", config_role_name(instance->role), instance->name);
    struct worker_spec spec = spec_of(engine, name, instance->plugin);
    spec.timeout = instance->timeout;
    spec.stall_timeout = instance->stall_timeout;
    spec.undoes = undoes;
    spec.role = role;
    if (role == PLUGIN_SOURCE && engine->config->state_dir) {
        if (own_directory(engine, instance->name, directory, e) < 0 ||
            common_directory(engine, instance->plugin, common, e) < 0)
            return -1;
        spec.directory = directory;
        spec.common = common;
    }
    spec.patience = instance->retry_for;
    spec.grace = role == PLUGIN_NOTIFIER ? NOTIFIER_GRACE : 0;
    struct worker *w;
    if (start_as(engine, instance, &spec, &w, e) < 0)
        return e->class == ERROR_CONFIG || e->class == ERROR_NOT_FOUND
                   ? error_context(e, "%s:%u: ", instance->file, instance->line)
                   : -1;
    *worker = w;
    if (check_role(instance, w, role, e) == 0)
        return 0;
    worker_stop(w);
    return -1;
}

/* result: of what was done with the worker. One that is of no use is stopped. */
static int keep(struct worker *started, int result, struct worker **worker)
{
    if (result < 0)
        worker_stop(started);
    else
        *worker = started;
    return result;
}

int engine_load(const struct engine *engine, const struct config_instance *instance, int role, struct worker **worker,
                struct error *e)
{
    return start(engine, instance, role, false, worker, e);
}

/* What the worker was not configured with yet. */
static int configure(const struct config_instance *instance, struct worker *worker, char *const *overrides,
                     size_t override_count, struct error *e)
{
    struct config_value *values;
    if (worker_values(worker) && override_count == 0)
        return 0;
    if (check_options(instance, worker, overrides, override_count, &values, e) < 0)
        return -1;
    worker_configure(worker, values);
    return 0;
}

int engine_start(const struct engine *engine, const struct config_instance *instance, int role, struct worker **worker,
                 struct error *e)
{
    struct worker *w;
    if (start(engine, instance, role, false, &w, e) < 0)
        return -1;
    return keep(w, configure(instance, w, NULL, 0, e), worker);
}

int engine_try_worker(const struct config_instance *instance, struct worker *worker, char *const *overrides,
                      size_t override_count, struct error *e)
{
    if (configure(instance, worker, overrides, override_count, e) < 0)
        return -1;
    return worker_open(worker, worker_values(worker), e);
}

int64_t engine_patience(const struct config_instance *source)
{
    return source->retry_for > source->wait ? source->retry_for : source->wait;
}

static int try_opening(void *context, struct error *e)
{
    struct worker *worker = context;
    return worker_open(worker, worker_values(worker), e);
}

int engine_open_worker(const struct config_instance *instance, struct worker *worker, char *const *overrides,
                       size_t override_count, struct error *e)
{
    if (configure(instance, worker, overrides, override_count, e) < 0)
        return -1;
    return retry_run(instance->role == PLUGIN_SINK ? 0 : engine_patience(instance), try_opening, worker, e);
}

static int start_and_open(const struct engine *engine, const struct config_instance *instance, int role, bool undoes,
                          char *const *overrides, size_t override_count, struct worker **worker, struct error *e)
{
    struct worker *w;
    if (start(engine, instance, role, undoes, &w, e) < 0)
        return -1;
    return keep(w, engine_open_worker(instance, w, overrides, override_count, e), worker);
}

int engine_open_offline(const struct engine *engine, const struct config_instance *instance, int role,
                        struct worker **worker, struct error *e)
{
    struct worker *w;
    struct config_value *values = NULL;
    if (start(engine, instance, role, false, &w, e) < 0)
        return -1;
    const struct plugin_info *plugin = worker_plugin(w);
    int result = config_check_syntax(instance, plugin->options, plugin->option_count, &values, e);
    if (result == 0)
        result = worker_open(w, values, e);
    config_values_free(values, plugin->option_count);
    return keep(w, result, worker);
}

int engine_open(const struct engine *engine, const struct config_instance *instance, int role, char *const *overrides,
                size_t override_count, struct worker **worker, struct error *e)
{
    return start_and_open(engine, instance, role, false, overrides, override_count, worker, e);
}

int engine_open_undoing(const struct engine *engine, const struct config_instance *source, char *const *overrides,
                        size_t override_count, struct worker **worker, struct error *e)
{
    return start_and_open(engine, source, PLUGIN_SOURCE, true, overrides, override_count, worker, e);
}

/* ---- an instance of nothing but defaults ---- */

static int start_defaults(const struct engine *engine, const char *plugin, bool undoes, struct worker **worker,
                          struct error *e)
{
    char name[96], common[PATH_MAX];
    snprintf(name, sizeof name, "plugin '%.80s'", plugin);
    struct worker_spec spec = spec_of(engine, name, plugin);
    spec.stall_timeout = STALL_TIMEOUT;
    spec.role = PLUGIN_SOURCE;
    spec.undoes = undoes;
    if (engine->config->state_dir) {
        if (common_directory(engine, plugin, common, e) < 0)
            return -1;
        spec.common = common;
    }
    return worker_start(&spec, worker, e);
}

int engine_open_defaults(const struct engine *engine, const char *plugin, bool undoes, struct worker **worker,
                         struct error *e)
{
    char name[96];
    struct worker *w;
    snprintf(name, sizeof name, "%.80s", plugin);
    const struct config_instance instance = {.name = name, .plugin = name, .role = PLUGIN_SOURCE, .file = "defaults"};
    if (start_defaults(engine, plugin, undoes, &w, e) < 0)
        return -1;
    return keep(w, engine_try_worker(&instance, w, NULL, 0, e), worker);
}

/* ---- sinks ---- */

/* What further connections of a sink are made of: the options of the first, so that its secrets are resolved once. */
struct connecting {
    const struct engine *engine;
    const struct config_instance *section;
    struct worker *first;
};

static int connect_worker(void *context, struct worker **worker, struct error *e)
{
    const struct connecting *c = context;
    struct worker *w;
    if (start(c->engine, c->section, PLUGIN_SINK, false, &w, e) < 0)
        return -1;
    return keep(w, worker_open(w, worker_values(c->first), e), worker);
}

static int renew_worker(void *context, struct worker **worker, struct error *e)
{
    struct connecting *c = context;
    struct worker *w;
    if (connect_worker(context, &w, e) < 0)
        return -1;
    worker_inherit(w, *worker);
    worker_stop(*worker);
    c->first = *worker = w;
    return 0;
}

/* What the section, or else the plugin, says of the number whose option has this flag; *value stays when none has it.
 * The worker was opened with it, so it can be parsed. */
static int declared_number(const struct config_instance *instance, const struct worker *worker, unsigned flag,
                           int64_t *value, struct error *e)
{
    const struct plugin_info *plugin = worker_plugin(worker);
    for (size_t i = 0; i < plugin->option_count; i++) {
        const struct option *option = &plugin->options[i];
        if (!(option->flags & flag))
            continue;
        const char *text = option->fallback;
        for (size_t k = 0; k < instance->key_count; k++)
            if (strcmp(instance->keys[k].name, option->name) == 0)
                text = instance->keys[k].value;
        struct option_value parsed;
        if (!text)
            return 0;
        if (option_parse(option, text, &parsed, e) < 0)
            return -1;
        *value = parsed.number;
    }
    return 0;
}

/* What the section says of the sink as a whole. The first worker was opened with it. */
static int fill_spec(const struct config_instance *section, const struct worker *worker, unsigned least,
                     struct sink_spec *spec, struct error *e)
{
    int64_t parallel = 1, lock = 0;
    if (declared_number(section, worker, OPTION_PARALLEL, &parallel, e) < 0 ||
        declared_number(section, worker, OPTION_PROTECT, &lock, e) < 0)
        return -1;
    *spec = (struct sink_spec){.name = section->name,
                               .parallel = parallel < 1                   ? 1
                                           : parallel > SINK_PARALLEL_MAX ? SINK_PARALLEL_MAX
                                                                          : (unsigned)parallel,
                               .least = least,
                               .lock = lock,
                               .connect = connect_worker,
                               .renew = renew_worker,
                               .forget = free};
    return 0;
}

int engine_make_sink(const struct engine *engine, const struct config_instance *section, struct worker *worker,
                     unsigned least, struct sink **sink, struct error *e)
{
    struct sink_spec spec;
    struct connecting *c = calloc(1, sizeof *c);
    if (!c)
        error_memory(e);
    if (!c || fill_spec(section, worker, least, &spec, e) < 0) {
        worker_stop(worker);
        free(c);
        return -1;
    }
    *c = (struct connecting){.engine = engine, .section = section, .first = worker};
    spec.context = c;
    return sink_new(worker, &spec, sink, e);
}

int engine_open_sink(const struct engine *engine, const struct config_instance *section, unsigned least,
                     struct sink **sink, struct error *e)
{
    struct worker *worker;
    if (engine_open(engine, section, PLUGIN_SINK, NULL, 0, &worker, e) < 0)
        return -1;
    return engine_make_sink(engine, section, worker, least, sink, e);
}

int engine_start_plugin(const struct engine *engine, const char *plugin, const char *instance, struct worker **worker,
                        struct error *e)
{
    struct worker_spec spec = spec_of(engine, instance, plugin);
    return worker_start(&spec, worker, e);
}
