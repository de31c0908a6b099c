#include "job/discover.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "job/plugins.h"
#include "worker/configured.h"
#include "worker/engine.h"
#include "worker/retry.h"
#include "worker/source.h"
#include "worker/worker.h"

#define NAME_MAX_BYTES 63
#define OFFERS_MAX 100000

struct looking {
    const struct engine *engine;
    struct configured *configured;
    struct discover *found;
    bool no_memory;
};

/* ---- names ---- */

/* As a section may be named. */
static void make_name(const char *proposed, char name[NAME_MAX_BYTES + 1])
{
    size_t n = 0;
    for (; *proposed && n < NAME_MAX_BYTES; proposed++) {
        char c = *proposed >= 'A' && *proposed <= 'Z' ? (char)(*proposed - 'A' + 'a') : *proposed;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain || n > 0)
            name[n++] = plain || c == '_' ? c : '-';
    }
    name[n] = '\0';
    if (n == 0)
        snprintf(name, NAME_MAX_BYTES + 1, "source");
}

static bool is_taken(const struct looking *l, const char *name)
{
    for (size_t i = 0; i < l->engine->config->source_count; i++)
        if (strcmp(l->engine->config->sources[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < l->found->count; i++)
        if (!l->found->offers[i].covered_by && strcmp(l->found->offers[i].name, name) == 0)
            return true;
    return false;
}

/* No section is made of what is covered. */
static char *section_name(const struct looking *l, const struct source_offer *offer)
{
    char base[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1], end[16] = "";
    make_name(offer->name, base);
    snprintf(name, sizeof name, "%s", base);
    for (unsigned i = 2; !offer->covered_by && is_taken(l, name); i++) {
        int n = snprintf(end, sizeof end, "-%u", i);
        snprintf(name, sizeof name, "%.*s%s", NAME_MAX_BYTES - n, base, end);
    }
    return text_copy(name);
}

/* ---- offers ---- */

static struct discover_offer *find_same(struct discover *found, const char *options)
{
    for (size_t i = 0; i < found->count; i++)
        if (strcmp(found->offers[i].options, options) == 0)
            return &found->offers[i];
    return NULL;
}

/* With one newline at the end. */
static char *copy_options(const char *options)
{
    size_t n = strlen(options);
    char *copy = NULL;
    while (n > 0 && options[n - 1] == '\n')
        n--;
    return asprintf(&copy, "%.*s\n", (int)n, options) < 0 ? NULL : copy;
}

static int append(struct looking *l, const struct source_offer *offer, char *options)
{
    struct discover *found = l->found;
    struct discover_offer *offers = reallocarray(found->offers, found->count + 1, sizeof *offers);
    if (!offers)
        return -1;
    found->offers = offers;
    struct discover_offer *o = &offers[found->count];
    *o = (struct discover_offer){.name = section_name(l, offer),
                                 .options = options,
                                 .about = text_copy(offer->about),
                                 .covered_by = offer->covered_by ? text_copy(offer->covered_by) : NULL};
    if (o->name && o->about && (o->covered_by || !offer->covered_by)) {
        found->count++;
        return 0;
    }
    free(o->name);
    free(o->about);
    free(o->covered_by);
    return -1;
}

/* Two that reach the same thing find the same there. */
static void take_offer(void *context, const struct source_offer *offer)
{
    struct looking *l = context;
    char *options = copy_options(offer->options);
    if (options && (l->found->count == OFFERS_MAX || find_same(l->found, options))) {
        free(options);
        return;
    }
    if (options && append(l, offer, options) == 0)
        return;
    free(options);
    l->no_memory = true;
}

/* ---- who looks ---- */

static void fail(struct looking *l, const struct error *e)
{
    log_error(LOG_ERROR, e);
    if (l->found->failed++ == 0)
        l->found->reason = e->class;
}

/* needs: it has an option that must be set. */
static bool can_look(const struct engine *engine, const char *plugin, bool *needs)
{
    struct worker *worker;
    struct error ignored;
    *needs = false;
    /* Who needs a plugin that cannot be loaded is told of it there. */
    if (engine_start_plugin(engine, plugin, plugin, &worker, &ignored) < 0)
        return false;
    const struct plugin_info *p = worker_plugin(worker);
    bool can = p->offers & PLUGIN_OFFERS_DISCOVER;
    for (size_t i = 0; i < p->option_count; i++)
        *needs = *needs || p->options[i].flags & OPTION_REQUIRED;
    worker_stop(worker);
    return can;
}

static int look(struct looking *l, struct worker *worker, struct error *e)
{
    worker_tell(worker, l->configured);
    int result = source_discover(worker, take_offer, l, e);
    worker_stop(worker);
    return l->no_memory ? error_memory(e) : result;
}

struct attempt {
    struct looking *looking;
    const struct config_instance *source;
};

static int try_source(void *context, struct error *e)
{
    const struct attempt *a = context;
    const struct engine *engine = a->looking->engine;
    struct worker *worker;
    if (engine_load(engine, a->source, PLUGIN_SOURCE, &worker, e) < 0)
        return -1;
    if (engine_try_worker(a->source, worker, NULL, 0, e) == 0)
        return look(a->looking, worker, e);
    worker_stop(worker);
    return -1;
}

static void look_by_source(struct looking *l, const struct config_instance *source)
{
    struct attempt attempt = {l, source};
    struct error e;
    bool needs;
    if (!source->fault && can_look(l->engine, source->plugin, &needs) &&
        retry_run(source->wait, try_source, &attempt, &e) < 0)
        fail(l, &e);
}

/* What breaks is a failure also where nothing was asked for. */
static bool is_absence(const struct error *e)
{
    return e->class != ERROR_PLUGIN && e->class != ERROR_BUG && e->class != ERROR_MEMORY && e->class != ERROR_CANCELLED;
}

static void look_by_plugin(struct looking *l, const char *plugin)
{
    struct worker *worker;
    struct error e;
    bool needs;
    for (size_t i = 0; i < l->configured->count; i++)
        if (strcmp(l->configured->sources[i].plugin, plugin) == 0)
            return;
    if (!can_look(l->engine, plugin, &needs) || needs)
        return;
    if (engine_open_defaults(l->engine, plugin, false, &worker, &e) == 0 && look(l, worker, &e) == 0)
        return;
    if (is_absence(&e))
        log_error(LOG_NOTICE, &e);
    else
        fail(l, &e);
}

static int look_everywhere(struct looking *l, struct error *e)
{
    const struct config *config = l->engine->config;
    struct plugins plugins;
    if (plugins_list(config, &plugins, e) < 0) {
        plugins_free(&plugins);
        return -1;
    }
    for (size_t i = 0; i < config->source_count && !cancel_requested(); i++)
        look_by_source(l, &config->sources[i]);
    for (size_t i = 0; i < plugins.count && !cancel_requested(); i++)
        look_by_plugin(l, plugins.names[i]);
    plugins_free(&plugins);
    if (cancel_requested())
        return error_set(e, ERROR_CANCELLED, "looking was cancelled");
    return l->no_memory ? error_memory(e) : 0;
}

int discover_run(const struct engine *engine, struct discover *discover, struct error *e)
{
    struct looking l = {.engine = engine, .found = discover};
    *discover = (struct discover){.count = 0};
    if (engine_configured(engine, &l.configured, e) < 0)
        return -1;
    int result = look_everywhere(&l, e);
    engine_configured_free(l.configured);
    return result;
}

void discover_free(struct discover *discover)
{
    for (size_t i = 0; i < discover->count; i++) {
        free(discover->offers[i].name);
        free(discover->offers[i].options);
        free(discover->offers[i].about);
        free(discover->offers[i].covered_by);
    }
    free(discover->offers);
    *discover = (struct discover){.count = 0};
}
