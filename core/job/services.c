#include "job/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/undo.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "cofre/plugin.h"
#include "config/config.h"
#include "job/plugins.h"
#include "worker/engine.h"
#include "worker/source.h"
#include "worker/worker.h"

struct services {
    const struct engine *engine;
    const struct config_job *job;
    const struct config_instance *source; /* NULL: nothing but defaults */
    char plugin[64], by[96];
    struct worker *worker; /* opened; NULL = not yet */
    struct undo *hold;
};

const char *services_by(const struct services *services)
{
    return services->by;
}

/* ---- who does it ---- */

/* A plugin that cannot be loaded offers nothing here: what needs it says so. */
static bool can(const struct engine *engine, const char *plugin, bool with_defaults)
{
    struct worker *worker;
    struct error ignored;
    if (engine_start_plugin(engine, plugin, plugin, &worker, &ignored) < 0)
        return false;
    const struct plugin_info *p = worker_plugin(worker);
    bool result = p->offers & PLUGIN_OFFERS_SERVICES;
    for (size_t i = 0; with_defaults && i < p->option_count; i++)
        result = result && !(p->options[i].flags & OPTION_REQUIRED);
    worker_stop(worker);
    return result;
}

static const struct config_instance *find_source(const struct engine *engine, const struct config_job *job)
{
    for (size_t i = 0; i < job->source_count; i++) {
        const struct config_instance *source = job->sources[i];
        bool seen = source->fault;
        for (size_t k = 0; k < i && !seen; k++)
            seen = !job->sources[k]->fault && strcmp(job->sources[k]->plugin, source->plugin) == 0;
        if (!seen && can(engine, source->plugin, false))
            return source;
    }
    return NULL;
}

/* The name of a plugin that needs no section; "" = there is none. */
static int find_plugin(const struct engine *engine, char plugin[64], struct error *e)
{
    struct plugins plugins;
    plugin[0] = '\0';
    int result = plugins_list(engine->config, &plugins, e);
    for (size_t i = 0; i < plugins.count && result == 0 && !plugin[0]; i++)
        if (strlen(plugins.names[i]) < 64 && can(engine, plugins.names[i], true))
            snprintf(plugin, 64, "%s", plugins.names[i]);
    plugins_free(&plugins);
    return result;
}

static int find(struct services *s, struct error *e)
{
    s->source = find_source(s->engine, s->job);
    if (s->source) {
        snprintf(s->plugin, sizeof s->plugin, "%.63s", s->source->plugin);
        snprintf(s->by, sizeof s->by, "source '%.80s'", s->source->name);
        return 0;
    }
    if (find_plugin(s->engine, s->plugin, e) < 0)
        return -1;
    if (s->plugin[0]) {
        snprintf(s->by, sizeof s->by, "plugin '%s'", s->plugin);
        return 0;
    }
    error_set(e, ERROR_CONFIG, "%s:%u: [job %s]: 'restore_stop': no plugin that is there can stop services",
              s->job->file, s->job->line, s->job->name);
    return error_hint(e, "install one that can (docker-volume), or take restore_stop out and stop them by hand");
}

int services_find(const struct engine *engine, const struct config_job *job, struct services **services,
                  struct error *e)
{
    *services = NULL;
    if (!job->restore_stop)
        return 0;
    struct services *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    *s = (struct services){.engine = engine, .job = job};
    if (find(s, e) < 0) {
        free(s);
        return -1;
    }
    *services = s;
    return 0;
}

static int open_worker(struct services *s, struct error *e)
{
    if (s->worker)
        return 0;
    return s->source ? engine_open(s->engine, s->source, PLUGIN_SOURCE, NULL, 0, &s->worker, e)
                     : engine_open_defaults(s->engine, s->plugin, false, &s->worker, e);
}

/* ---- what is done ---- */

int services_say(struct services *s, void (*found)(void *context, const struct worker_finding *), void *context,
                 struct error *e)
{
    if (open_worker(s, e) < 0)
        return -1;
    return source_services(s->worker, COFRE_SERVICES_SAY, NULL, s->job->restore_stop, found, context, e);
}

static int undo(struct services *s)
{
    struct error e;
    int result = undo_run(s->hold, s->worker, &e);
    s->hold = NULL;
    if (result < 0)
        log_error(LOG_ERROR, &e);
    return result;
}

int services_stop(struct services *s, struct error *e)
{
    struct undo_spec spec = {.what = UNDO_SERVICES, .source = s->source, .job = s->job->name};
    if (open_worker(s, e) < 0 || undo_make(s->engine, &spec, s->worker, &s->hold, e) < 0)
        return -1;
    const char *id = undo_id(s->hold);
    if (source_services(s->worker, COFRE_SERVICES_STOP, id, s->job->restore_stop, NULL, NULL, e) == 0) {
        log_line(LOG_INFO, "%s has stopped the services of job '%s' (%s)", s->by, s->job->name, id);
        return 0;
    }
    undo(s);
    return error_consequence(e,
                             "nothing was restored, as the services of job '%s' could not be stopped: ", s->job->name);
}

/* The plugin says how they are started, and leaves them to the operator. */
static int keep_stopped(struct services *s)
{
    struct error e;
    if (source_services(s->worker, COFRE_SERVICES_KEEP, undo_id(s->hold), s->job->restore_stop, NULL, NULL, &e) < 0) {
        log_error(LOG_ERROR, &e);
        return -1;
    }
    int result = undo_release(s->hold, &e);
    s->hold = NULL;
    if (result < 0)
        log_error(LOG_ERROR, &e);
    return 0;
}

enum services_state services_end(struct services *s, bool keep)
{
    if (keep && !cancel_requested() && keep_stopped(s) == 0)
        return SERVICES_KEPT;
    return undo(s) == 0 ? SERVICES_STARTED : SERVICES_LEFT;
}

void services_free(struct services *services)
{
    if (!services)
        return;
    worker_stop(services->worker);
    free(services);
}
