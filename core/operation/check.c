#include "operation/check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/undo.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/secret.h"
#include "format/vault.h"
#include "job/formats.h"
#include "job/leftover.h"
#include "job/prune.h"
#include "job/services.h"
#include "openpgp/openpgp.h"
#include "operation/status.h"
#include "worker/engine.h"
#include "worker/process.h"
#include "worker/retry.h"
#include "worker/worker.h"

struct check {
    const struct engine *engine;
    bool offline;
    void (*found)(void *context, const struct check_finding *);
    void *context;
    char subject[96];
    unsigned errors;
    uint64_t said; /* findings, of whatever level */
    const struct config_instance **looked_at;
    size_t looked_at_count;
    struct configured *configured; /* NULL = not asked for yet */
};

static void report(struct check *c, int level, const char *text, const char *hint, int error_class)
{
    c->errors += level <= LOG_ERROR;
    c->said++;
    struct check_finding finding = {
        .subject = c->subject, .level = level, .text = text, .hint = hint ? hint : "", .error_class = error_class};
    c->found(c->context, &finding);
}

/* A finding has its subject apart, as an error has. */
static void report_error(struct check *c, const struct error *e)
{
    char text[ERROR_TEXT_MAX];
    bool same = strcmp(e->subject, c->subject) == 0;
    report(c, LOG_ERROR, same ? e->message : error_text(e, text), e->hint, (int)e->class);
}

static void on_finding(void *context, const struct worker_finding *finding)
{
    const struct check *c = context;
    /* Where nothing was looked at but the options, it is they that are wrong. */
    report(context, finding->level, finding->text, finding->hint, c->offline ? ERROR_CONFIG : ERROR_PERMANENT);
}

/* ---- secrets ---- */

/* Where a secret comes from, for messages; a command may hold more than one should see. */
static const char *origin(const char *text)
{
    if (text[0] != '@' || text[1] == '@')
        return "in the configuration";
    return strncmp(text, "@cmd:", 5) == 0 ? "from @cmd" : text;
}

/* text: as it was written. */
static void check_secret(struct check *c, const char *key, const char *text, const void *bytes, size_t length)
{
    const char *suspicion = bytes ? secret_suspicion(bytes, length) : NULL;
    if (!suspicion)
        return;
    char said[512];
    snprintf(said, sizeof said, "'%s', %.300s, %s", key, origin(text), suspicion);
    report(c, LOG_WARNING, said,
           "unless it belongs to the secret, take it off: an editor or a mail program put it there", 0);
}

/* Those of the plugin, as they were resolved for it. */
static void check_secrets(struct check *c, const struct config_instance *instance, const struct worker *worker)
{
    const struct plugin_info *plugin = worker_plugin(worker);
    const struct config_value *values = worker_values(worker);
    for (size_t i = 0; i < instance->key_count; i++)
        for (size_t k = 0; k < plugin->option_count; k++)
            if (plugin->options[k].type == OPTION_SECRET &&
                strcmp(plugin->options[k].name, instance->keys[i].name) == 0)
                check_secret(c, instance->keys[i].name, instance->keys[i].value, values[k].text, values[k].length);
}

/* One of the section's own. One that cannot be had is said by whoever needs it. */
static void check_own_secret(struct check *c, const char *key, const struct config_secret *secret)
{
    uint8_t *bytes;
    size_t length;
    struct error e;
    if (!secret->text || secret_resolve(secret->text, secret->private_file, &bytes, &length, &e) < 0)
        return;
    check_secret(c, key, secret->text, bytes, length);
    secret_free(bytes);
}

static void check_own_secrets(struct check *c, const struct config_instance *sink)
{
    check_own_secret(c, sink->openpgp.passphrase_key, &sink->openpgp.passphrase);
    check_own_secret(c, "key_passphrase", &sink->openpgp.key_passphrase);
}

/* ---- sources and sinks ---- */

/* What no section can help. */
static void check_kernel(struct check *c)
{
    const char *missing = process_unconfined();
    snprintf(c->subject, sizeof c->subject, "workers");
    if (missing)
        report(c, LOG_INFO, missing, NULL, 0);
}

/* Both a job and its source may have the name that was given, and jobs share sinks: each is looked at once. */
static bool first_look(struct check *c, const struct config_instance *instance)
{
    for (size_t i = 0; i < c->looked_at_count; i++)
        if (c->looked_at[i] == instance)
            return false;
    c->looked_at[c->looked_at_count++] = instance;
    return true;
}

/* An instance being looked at, as often as it takes. */
struct look {
    struct check *check;
    const struct config_instance *instance;
    int role;
    bool again;            /* not the first time */
    unsigned errors;       /* that were found before */
    struct worker *worker; /* of a sink that is fine: what is stored there is looked at with it */
};

static int open_worker(struct look *look, struct worker **worker, struct error *e)
{
    const struct engine *engine = look->check->engine;
    if (look->check->offline)
        return engine_open_offline(engine, look->instance, look->role, worker, e);
    if (engine_start(engine, look->instance, look->role, worker, e) < 0)
        return -1;
    if (!look->again)
        check_secrets(look->check, look->instance, *worker);
    look->again = true;
    if (engine_try_worker(look->instance, *worker, NULL, 0, e) == 0)
        return 0;
    worker_stop(*worker);
    return -1;
}

static void say_user(struct check *c, const struct config_instance *instance)
{
    char text[128];
    snprintf(text, sizeof text, "its worker runs as user '%.80s'", instance->run_as);
    report(c, LOG_INFO, text, NULL, 0);
}

/* Where something was wrong it may not have seen all of them. */
static void note_leftovers(const struct look *look, const struct worker *worker, int64_t begun, bool done)
{
    const struct config *config = look->check->engine->config;
    if (done && look->check->errors == look->errors)
        leftover_replace(config, look->instance->name, worker, begun);
    else
        leftover_add(config, look->instance->name, worker);
}

/* Once. What was found cannot be taken back: then it is not tried again. */
static int try_look(void *context, struct error *e)
{
    struct look *look = context;
    struct check *c = look->check;
    struct worker *worker;
    if (look->role == PLUGIN_SOURCE && !c->configured && engine_configured(c->engine, &c->configured, e) < 0)
        return -1;
    if (open_worker(look, &worker, e) < 0)
        return -1;
    worker_tell(worker, c->configured);
    uint64_t before = c->said;
    int64_t begun = clock_now();
    int result = worker_check(worker, !c->offline, on_finding, c, e);
    if (result < 0 && c->said > before && e->class == ERROR_RETRY)
        e->class = ERROR_PERMANENT;
    if (!c->offline && look->role == PLUGIN_SOURCE)
        note_leftovers(look, worker, begun, result == 0);
    if (result == 0 && look->instance->run_as)
        say_user(c, look->instance);
    if (result == 0 && !c->offline && look->role == PLUGIN_SINK)
        look->worker = worker;
    else
        worker_stop(worker);
    return result;
}

/* The plugin loads, its options are right, and it finds what it needs. A check tells how things are now: it waits only
 * for what the section says may be starting. The worker of a sink, open, or NULL. */
static struct worker *check_instance(struct check *c, const struct config_instance *instance, int role)
{
    struct look look = {.check = c, .instance = instance, .role = role, .errors = c->errors};
    struct error e;
    unsigned before = c->errors;
    snprintf(c->subject, sizeof c->subject, "%s '%s'", config_role_name(instance->role), instance->name);
    if (retry_run(c->offline ? 0 : instance->wait, try_look, &look, &e) < 0)
        report_error(c, &e);
    else if (c->offline && c->errors == before)
        report(c, LOG_INFO, "plugin and options are fine", NULL, 0);
    return look.worker;
}

/* ---- what a sink holds ---- */

static void on_said(void *context, int level, const char *text, const char *hint)
{
    report(context, level, text, hint, 0);
}

static void on_wrong(void *context, const struct error *e)
{
    report_error(context, e);
}

static void on_secret(void *context, const char *key, const char *text, const void *bytes, size_t length)
{
    check_secret(context, key, text, bytes, length);
}

/* Each run would say it, and remove nothing. */
static void check_may_prune(struct check *c, struct vault *vault)
{
    const struct config *config = c->engine->config;
    struct error why;
    for (size_t i = 0; i < config->job_count; i++)
        for (size_t k = 0; k < config->jobs[i].sink_count; k++)
            if (config->jobs[i].sinks[k] == vault->config && prune_is_denied(vault, &config->jobs[i], &why))
                report(c, LOG_WARNING, why.message, why.hint, 0);
}

/* It is there, and what opens and seals it works. Takes the worker. */
static void check_held(struct check *c, const struct config_instance *section, struct worker *worker)
{
    struct vault_reporter reporter = {.say = on_said, .wrong = on_wrong, .secret = on_secret, .context = c};
    const struct vault_format *format = formats_of(section);
    struct vault *vault;
    struct sink *sink;
    struct error e;
    if (engine_make_sink(c->engine, section, worker, format->connections, &sink, &e) < 0 ||
        vault_open(format, c->engine, section, sink, &vault, &e) < 0) {
        report_error(c, &e);
        check_own_secrets(c, section);
        return;
    }
    format->check(vault, &reporter);
    check_may_prune(c, vault);
    vault_close(vault);
}

/* What can be looked at without reaching anything. */
static void check_at_hand(struct check *c, const struct config_instance *sink)
{
    struct vault_reporter reporter = {.say = on_said, .wrong = on_wrong, .secret = on_secret, .context = c};
    const struct vault_format *format = formats_of(sink);
    struct error e;
    if (openpgp_check_home(sink, &e) < 0)
        report_error(c, &e);
    if (format->check_offline)
        format->check_offline(sink, &reporter);
}

static void check_source(struct check *c, const struct config_instance *source)
{
    if (first_look(c, source))
        check_instance(c, source, PLUGIN_SOURCE);
}

static void check_sink(struct check *c, const struct config_instance *sink)
{
    unsigned before = c->errors;
    if (!first_look(c, sink))
        return;
    struct worker *worker = check_instance(c, sink, PLUGIN_SINK);
    if (c->offline && !sink->fault)
        check_at_hand(c, sink);
    else if (worker && c->errors == before)
        check_held(c, sink, worker);
    else {
        /* Where nothing can be reached, there is nothing to be opened. */
        worker_stop(worker);
        if (!c->offline)
            check_own_secrets(c, sink);
    }
}

static void check_notifier(struct check *c, const struct config_instance *notifier)
{
    if (first_look(c, notifier))
        worker_stop(check_instance(c, notifier, PLUGIN_NOTIFIER));
}

static void check_notify(struct check *c, const struct config_notify *notify)
{
    for (size_t i = 0; i < notify->count; i++)
        check_notifier(c, notify->to[i]);
    if (notify->later)
        check_notifier(c, notify->later);
}

/* Who writes schedule believes that something runs. */
static void check_schedule(struct check *c, const struct config_job *job)
{
    struct status status;
    struct error e;
    if (!job->schedule)
        return;
    snprintf(c->subject, sizeof c->subject, "job '%s'", job->name);
    if (status_read(c->engine->config, job, &status, &e) < 0)
        report_error(c, &e);
    else if (status.jobs[0].unattended)
        report(c, LOG_WARNING, "nobody looks after its schedule",
               "let cron or a timer call 'cofre due' every five minutes, or run 'cofre daemon'", 0);
    status_free(&status);
}

/* What restore_stop names, in the words of the plugin that is going to stop it. */
static void check_services(struct check *c, const struct config_job *job)
{
    struct services *services;
    struct error e;
    snprintf(c->subject, sizeof c->subject, "job '%s'", job->name);
    if (services_find(c->engine, job, &services, &e) < 0) {
        report_error(c, &e);
        return;
    }
    if (services && !c->offline && services_say(services, on_finding, c, &e) < 0) {
        error_consequence(&e, "'restore_stop': ");
        report_error(c, &e);
    }
    services_free(services);
}

/* Each is there, and nobody else can change it. */
static void check_hooks(struct check *c, const struct config_job *job)
{
    snprintf(c->subject, sizeof c->subject, "job '%s'", job->name);
    for (enum config_hook_kind kind = 0; kind < CONFIG_HOOKS; kind++) {
        struct error e;
        char text[PATH_MAX + 64];
        if (job->hooks[kind].word_count == 0)
            continue;
        char *program = config_hook_program(job->hooks[kind].words[0], &e);
        if (program) {
            snprintf(text, sizeof text, "hook '%s' is %s", config_hook_names[kind], program);
            report(c, LOG_INFO, text, NULL, 0);
        } else {
            error_context(&e, "hook '%s': ", config_hook_names[kind]);
            report_error(c, &e);
        }
        free(program);
    }
}

static void check_job(struct check *c, const struct config_job *job)
{
    check_schedule(c, job);
    for (size_t i = 0; i < job->source_count; i++)
        check_source(c, job->sources[i]);
    for (size_t i = 0; i < job->sink_count; i++)
        check_sink(c, job->sinks[i]);
    check_notify(c, &job->notify);
    check_services(c, job);
    check_hooks(c, job);
}

static int unknown(const struct config *config, const char *name, struct error *e)
{
    size_t n = 0;
    const char **names = calloc(
        config->job_count + config->source_count + config->sink_count + config->notifier_count + 1, sizeof *names);
    if (!names)
        return error_memory(e);
    for (size_t i = 0; i < config->job_count; i++)
        names[n++] = config->jobs[i].name;
    for (size_t i = 0; i < config->source_count; i++)
        names[n++] = config->sources[i].name;
    for (size_t i = 0; i < config->sink_count; i++)
        names[n++] = config->sinks[i].name;
    for (size_t i = 0; i < config->notifier_count; i++)
        names[n++] = config->notifiers[i].name;
    const char *nearest = text_nearest(name, names);
    free(names);
    error_set(e, ERROR_USAGE, "no job, source, sink or notifier '%.80s' is configured in '%s'", name,
              config->directory);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest) : -1;
}

/* A name may be that of a job, a source, a sink, a notifier, or several of them. */
static int check_name(struct check *c, const char *name, struct error *e)
{
    const struct config *config = c->engine->config;
    bool known = false;
    for (size_t i = 0; i < config->job_count; i++)
        if (strcmp(config->jobs[i].name, name) == 0) {
            check_job(c, &config->jobs[i]);
            known = true;
        }
    for (size_t i = 0; i < config->source_count; i++)
        if (strcmp(config->sources[i].name, name) == 0) {
            check_source(c, &config->sources[i]);
            known = true;
        }
    for (size_t i = 0; i < config->sink_count; i++)
        if (strcmp(config->sinks[i].name, name) == 0) {
            check_sink(c, &config->sinks[i]);
            known = true;
        }
    for (size_t i = 0; i < config->notifier_count; i++)
        if (strcmp(config->notifiers[i].name, name) == 0) {
            check_notifier(c, &config->notifiers[i]);
            known = true;
        }
    return known ? 0 : unknown(config, name, e);
}

/* What killed runs left is undone here too; what cannot be undone stands in the way of a run. */
static void check_holds(struct check *c)
{
    char text[128];
    size_t left = undo_recover(c->engine);
    if (left == 0)
        return;
    snprintf(c->subject, sizeof c->subject, "holds");
    snprintf(text, sizeof text, "%zu of killed runs could not be undone, or failed; each is named above", left);
    report(c, LOG_ERROR, text, NULL, ERROR_PERMANENT);
}

/* Somebody may think that these count. */
static void check_files(struct check *c)
{
    const struct config *config = c->engine->config;
    snprintf(c->subject, sizeof c->subject, "configuration");
    for (size_t i = 0; i < config->unread_count; i++) {
        char text[512];
        snprintf(text, sizeof text, "'%.400s' is not read", config->unread[i]);
        report(c, LOG_WARNING, text, "only names that end in .conf are read: rename it, or take it away", 0);
    }
}

static void check_everything(struct check *c)
{
    const struct config *config = c->engine->config;
    check_files(c);
    for (size_t i = 0; i < config->source_count; i++)
        check_source(c, &config->sources[i]);
    for (size_t i = 0; i < config->sink_count; i++)
        check_sink(c, &config->sinks[i]);
    for (size_t i = 0; i < config->notifier_count; i++)
        check_notifier(c, &config->notifiers[i]);
    for (size_t i = 0; i < config->job_count; i++)
        check_job(c, &config->jobs[i]);
}

int check_run(const struct engine *engine, char *const *names, size_t name_count, bool offline,
              void (*found)(void *context, const struct check_finding *), void *context, struct error *e)
{
    struct check c = {.engine = engine, .offline = offline, .found = found, .context = context};
    int result = 0;
    c.looked_at = calloc(engine->config->source_count + engine->config->sink_count + engine->config->notifier_count + 1,
                         sizeof *c.looked_at);
    if (!c.looked_at)
        return error_memory(e);
    if (!offline)
        check_holds(&c);
    check_kernel(&c);
    for (size_t i = 0; i < name_count && result == 0; i++)
        result = check_name(&c, names[i], e);
    if (name_count == 0)
        check_everything(&c);
    engine_configured_free(c.configured);
    free(c.looked_at);
    return result;
}
