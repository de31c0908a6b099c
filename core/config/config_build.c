#include "config/config_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/environment.h"
#include "config/schedule.h"
#include "config/section.h"

static size_t count_kind(const struct sections *all, enum section_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++)
        count += all->items[i].kind == kind;
    return count;
}

/* Zeroed room for count things of this size, or for one when there are none. NULL with the error set. */
static void *allocate(size_t count, size_t size, struct error *e)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        error_memory(e);
    return p;
}

/* ---- sources and sinks ---- */

static bool in_table(const struct option *options, const char *name)
{
    for (; options->name; options++)
        if (strcmp(options->name, name) == 0)
            return true;
    return false;
}

/* Names of the engine that no plugin's option has: in the wrong section they are a slip. */
static bool is_slip(const char *name)
{
    static const char *const names[] = {"key", "encryption", "format", "trust_hosts"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* The plugin's options are all keys that are not the engine's; names reserved for the engine are not for plugins. */
static int check_reserved(const struct section *s, const struct option *own, struct error *e)
{
    char title[160];
    for (size_t i = 0; i < s->key_count; i++) {
        const struct config_key *key = &s->keys[i];
        if (in_table(own, key->name))
            continue;
        const char *place = is_slip(key->name)                    ? "[sink NAME]"
                            : strncmp(key->name, "keep_", 5) == 0 ? "[job NAME] or [job NAME on SINK]"
                                                                  : NULL;
        if (!place)
            continue;
        error_set(e, ERROR_CONFIG, "unknown key '%s' in %s", key->name, section_title(s, title, sizeof title));
        error_hint(e, "'%s' belongs into %s", key->name, place);
        return section_error_at_key(key, e);
    }
    return 0;
}

/* Take the keys that are not in own out of the section: the plugin's. */
static int move_keys(struct config_instance *instance, struct section *s, const struct option *own, struct error *e)
{
    instance->keys = allocate(s->key_count, sizeof *instance->keys, e);
    if (!instance->keys)
        return -1;
    size_t left = 0;
    for (size_t i = 0; i < s->key_count; i++) {
        if (in_table(own, s->keys[i].name))
            s->keys[left++] = s->keys[i];
        else
            instance->keys[instance->key_count++] = s->keys[i];
    }
    s->key_count = left;
    return 0;
}

static int take_text(char **out, const struct section *s, const struct option *own, const char *name, struct error *e)
{
    struct option_value v;
    int result = section_value(s, own, name, &v, e);
    *out = v.text;
    return result;
}

static int take_number(int64_t *out, const struct section *s, const struct option *own, const char *name,
                       struct error *e)
{
    struct option_value v;
    int result = section_value(s, own, name, &v, e);
    if (result > 0 || (result == 0 && v.number != 0))
        *out = v.number;
    return result;
}

static int build_plugin(struct config_instance *instance, const struct section *s, const struct option *own,
                        struct error *e)
{
    if (take_text(&instance->plugin, s, own, "plugin", e) < 0)
        return -1;
    if (text_is_name(instance->plugin))
        return 0;
    error_set(e, ERROR_CONFIG, "'plugin': '%.80s' is no name", instance->plugin);
    error_hint(e, "write the plugin's name alone, such as directory; plugin_dir in [engine] says where plugins are");
    return section_error_at_key(section_find(s, "plugin"), e);
}

static int build_instance(struct config_instance *instance, enum plugin_role role, struct section *s, struct error *e)
{
    const struct option *own = config_role_options(role);
    instance->file = s->file;
    instance->line = s->line;
    instance->name = text_copy(s->name);
    instance->role = role;
    if (!instance->name)
        return error_memory(e);
    if (s->fault) {
        instance->fault = s->fault;
        s->fault = NULL;
        return 0;
    }
    if (check_reserved(s, own, e) < 0 || build_plugin(instance, s, own, e) < 0 ||
        take_text(&instance->run_as, s, own, "run_as", e) < 0 ||
        take_number(&instance->timeout, s, own, "timeout", e) < 0 ||
        take_number(&instance->stall_timeout, s, own, "stall_timeout", e) < 0 ||
        take_number(&instance->retry_for, s, own, "retry_for", e) < 0)
        return -1;
    if (role == PLUGIN_SOURCE &&
        (take_number(&instance->wait, s, own, "wait", e) < 0 || config_gate_shrink(&instance->shrink, s, own, e) < 0 ||
         take_number(&instance->min_size, s, own, "min_size", e) < 0 ||
         take_number(&instance->min_entries, s, own, "min_entries", e) < 0))
        return -1;
    if (role == PLUGIN_SINK && config_sink_build(instance, s, e) < 0)
        return -1;
    if (role == PLUGIN_NOTIFIER && config_notify_build(instance, s, e) < 0)
        return -1;
    return move_keys(instance, s, own, e);
}

static int build_instances(struct config_instance **out, size_t *count, struct sections *all, enum plugin_role role,
                           struct error *e)
{
    static const enum section_kind kinds[] = {
        [PLUGIN_SOURCE] = SECTION_SOURCE, [PLUGIN_SINK] = SECTION_SINK, [PLUGIN_NOTIFIER] = SECTION_NOTIFY};
    enum section_kind kind = kinds[role];
    *out = allocate(count_kind(all, kind), sizeof **out, e);
    if (!*out)
        return -1;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].kind == kind && build_instance(&(*out)[(*count)++], role, &all->items[i], e) < 0)
            return -1;
    return 0;
}

/* ---- jobs ---- */

static const struct config_instance *find_instance(const struct config_instance *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static int suggest_instance(const char *word, const char *what, const struct config_instance *list, size_t count,
                            struct error *e)
{
    const char **names = allocate(count, sizeof *names, e);
    if (!names)
        return -1;
    for (size_t i = 0; i < count; i++)
        names[i] = list[i].name;
    section_suggest(word, what, names, count, e);
    free(names);
    return -1;
}

/* Names of a job's list to the instances of one kind; other is the other kind, for those who mix them up. */
struct lookup {
    const char *key, *what;
    const struct config_instance *list, *other;
    size_t count, other_count;
};

static int unknown_instance(const struct lookup *l, const struct section *s, const char *name, struct error *e)
{
    error_set(e, ERROR_CONFIG, "[job %s]: there is no [%s %.80s]", s->name, l->what, name);
    if (find_instance(l->other, l->other_count, name))
        error_hint(e, "'%s' is a %s", name, strcmp(l->what, "source") == 0 ? "sink" : "source");
    else
        suggest_instance(name, l->key, l->list, l->count, e);
    return section_error_at_key(section_find(s, l->key), e);
}

static int resolve(const struct lookup *l, const struct section *s, char **names, size_t count,
                   const struct config_instance **out, size_t *out_count, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        const struct config_instance *found = find_instance(l->list, l->count, names[i]);
        if (!found)
            return unknown_instance(l, s, names[i], e);
        for (size_t k = 0; k < *out_count; k++)
            if (out[k] == found) {
                error_set(e, ERROR_CONFIG, "[job %s] names the %s '%s' twice", s->name, l->what, names[i]);
                return section_error_at_key(section_find(s, l->key), e);
            }
        out[(*out_count)++] = found;
    }
    return 0;
}

static int build_list(const struct lookup *l, const struct section *s, const struct config_instance ***out,
                      size_t *out_count, struct error *e)
{
    struct option_value v;
    if (section_value(s, config_job_options, l->key, &v, e) < 0)
        return -1;
    *out = allocate(v.count, sizeof **out, e);
    int result = *out ? resolve(l, s, v.items, v.count, *out, out_count, e) : -1;
    option_value_free(&v);
    return result;
}

static int build_schedule(struct config_job *job, const struct section *s, struct error *e)
{
    struct schedule schedule;
    if (take_text(&job->schedule, s, config_job_options, "schedule", e) < 0)
        return -1;
    if (!job->schedule || schedule_parse(job->schedule, &schedule, e) == 0)
        return 0;
    error_context(e, "'schedule': ");
    return section_error_at_key(section_find(s, "schedule"), e);
}

static bool is_among(const struct config_instance *const *list, size_t count, const struct config_instance *instance)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == instance)
            return true;
    return false;
}

static int check_order(const struct config_job *job, const struct section *s, struct error *e)
{
    for (size_t i = 0; i < job->restore_order_count; i++) {
        const struct config_instance *source = job->restore_order[i];
        if (is_among(job->sources, job->source_count, source))
            continue;
        error_set(e, ERROR_CONFIG, "[job %s]: 'restore_order': '%s' is not among the job's sources", s->name,
                  source->name);
        error_hint(e, "name it in sources, too, or take it out of restore_order");
        return section_error_at_key(section_find(s, "restore_order"), e);
    }
    return 0;
}

static int build_restore(struct config *c, struct config_job *job, const struct section *s, struct error *e)
{
    const struct lookup order = {"restore_order", "source", c->sources, c->sinks, c->source_count, c->sink_count};
    if (take_text(&job->restore_stop, s, config_job_options, "restore_stop", e) < 0 ||
        build_list(&order, s, &job->restore_order, &job->restore_order_count, e) < 0)
        return -1;
    return check_order(job, s, e);
}

static int build_job(struct config *c, struct config_job *job, const struct section *s, struct error *e)
{
    const struct lookup sources = {"sources", "source", c->sources, c->sinks, c->source_count, c->sink_count};
    const struct lookup sinks = {"sinks", "sink", c->sinks, c->sources, c->sink_count, c->source_count};
    job->file = s->file;
    job->line = s->line;
    job->name = text_copy(s->name);
    if (!job->name)
        return error_memory(e);
    if (section_check_keys(s, config_job_options, e) < 0 ||
        build_list(&sources, s, &job->sources, &job->source_count, e) < 0 ||
        build_list(&sinks, s, &job->sinks, &job->sink_count, e) < 0 || build_schedule(job, s, e) < 0 ||
        take_number(&job->verify_every, s, config_job_options, "verify_every", e) < 0 ||
        take_number(&job->max_age, s, config_job_options, "max_age", e) < 0 ||
        take_number(&job->max_duration, s, config_job_options, "max_duration", e) < 0 ||
        config_gate_shrink(&job->shrink, s, config_job_options, e) < 0 ||
        config_retention_build(&job->retention, &job->retention, s, config_override_options, e) < 0)
        return -1;
    if (take_number(&job->hook_timeout, s, config_job_options, "hook_timeout", e) < 0 ||
        config_hook_build(job->hooks, s, e) < 0 ||
        config_notify_list(c, &c->notify, &job->notify, s, config_job_options, e) < 0)
        return -1;
    return build_restore(c, job, s, e);
}

static int build_jobs(struct config *c, const struct sections *all, struct error *e)
{
    c->jobs = allocate(count_kind(all, SECTION_JOB), sizeof *c->jobs, e);
    if (!c->jobs)
        return -1;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].kind == SECTION_JOB && build_job(c, &c->jobs[c->job_count++], &all->items[i], e) < 0)
            return -1;
    return 0;
}

/* ---- overrides ---- */

static struct config_job *find_job(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->job_count; i++)
        if (strcmp(c->jobs[i].name, name) == 0)
            return &c->jobs[i];
    return NULL;
}

static int unknown_job(const struct config *c, const struct section *s, struct error *e)
{
    const char **names = allocate(c->job_count, sizeof *names, e);
    if (!names)
        return -1;
    for (size_t i = 0; i < c->job_count; i++)
        names[i] = c->jobs[i].name;
    error_set(e, ERROR_CONFIG, "[job %s on %s]: there is no [job %s]", s->name, s->sink, s->name);
    section_suggest(s->name, "jobs", names, c->job_count, e);
    free(names);
    return section_error_at(s, e);
}

static int foreign_sink(const struct config_job *job, const struct section *s, struct error *e)
{
    const char **names = allocate(job->sink_count, sizeof *names, e);
    if (!names)
        return -1;
    for (size_t i = 0; i < job->sink_count; i++)
        names[i] = job->sinks[i]->name;
    error_set(e, ERROR_CONFIG, "[job %s on %s]: '%s' is not among the job's sinks", s->name, s->sink, s->sink);
    section_suggest(s->sink, "its sinks", names, job->sink_count, e);
    free(names);
    return section_error_at(s, e);
}

static int build_override(struct config *c, const struct section *s, struct error *e)
{
    struct config_job *job = find_job(c, s->name);
    if (!job)
        return unknown_job(c, s, e);
    struct config_override o = {.sink = NULL};
    for (size_t i = 0; i < job->sink_count; i++)
        if (strcmp(job->sinks[i]->name, s->sink) == 0)
            o.sink = job->sinks[i];
    if (!o.sink)
        return foreign_sink(job, s, e);
    if (section_check_keys(s, config_override_options, e) < 0 ||
        config_retention_build(&o.retention, &job->retention, s, config_override_options, e) < 0)
        return -1;
    struct config_override *overrides = reallocarray(job->overrides, job->override_count + 1, sizeof *overrides);
    if (!overrides)
        return error_memory(e);
    job->overrides = overrides;
    overrides[job->override_count++] = o;
    return 0;
}

/* [engine] first: env_file stands in it. */
static int expand_all(struct sections *all, struct section *engine, struct error *e)
{
    environment_forget();
    if (engine && (section_expand(engine, e) < 0 || config_engine_environment(engine, e) < 0))
        return -1;
    for (size_t i = 0; i < all->count; i++)
        if (&all->items[i] != engine && section_expand(&all->items[i], e) < 0)
            return -1;
    return 0;
}

int config_build_all(struct config *c, struct sections *all, struct error *e)
{
    struct section *engine = NULL;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].kind == SECTION_ENGINE)
            engine = &all->items[i];
    if (expand_all(all, engine, e) < 0 || config_engine_build(c, engine, e) < 0 ||
        build_instances(&c->notifiers, &c->notifier_count, all, PLUGIN_NOTIFIER, e) < 0 ||
        (engine && config_notify_list(c, NULL, &c->notify, engine, config_engine_options, e) < 0) ||
        build_instances(&c->sources, &c->source_count, all, PLUGIN_SOURCE, e) < 0 ||
        build_instances(&c->sinks, &c->sink_count, all, PLUGIN_SINK, e) < 0 || build_jobs(c, all, e) < 0)
        return -1;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].kind == SECTION_OVERRIDE && build_override(c, &all->items[i], e) < 0)
            return -1;
    return 0;
}
