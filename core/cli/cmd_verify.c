/* cofre verify: restore into nothing, and look at every byte on the way. */
#include <stdlib.h>
#include <string.h>

#include "attempt/attempt.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "format/vault.h"
#include "job/formats.h"
#include "job/verify.h"

/* What is to be looked at, and what was found so far. */
struct verification {
    struct cli *cli;
    struct verify_request request;
    const struct config_instance **sinks;
    size_t sink_count;
    const char *sink; /* that is being looked at */
    int status;
    struct attempt *of_job; /* NULL: each sink has one of its own */
    uint64_t damages;
    json_t *results; /* one object per sink */
};

static void print_damage(struct output *out, const char *sink, const struct verify_damage *d)
{
    output_print(out, "damage  sink '%s': ", sink);
    if (d->object)
        output_print(out, "%s: ", output_escape(out, d->object, strlen(d->object)));
    output_print(out, "%s", output_escape(out, d->text, strlen(d->text)));
    if (d->snapshot)
        output_print(out, "; in %s", output_escape(out, d->snapshot, strlen(d->snapshot)));
    if (d->source)
        output_print(out, " %s", output_escape(out, d->source, strlen(d->source)));
    if (d->path)
        output_print(out, ":%s", output_escape(out, d->path, strlen(d->path)));
    output_print(out, "\n");
}

static void damage(void *context, const struct verify_damage *d)
{
    struct verification *v = context;
    struct output *out = &v->cli->output;
    if (out->json)
        output_object(out, "damage",
                      json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "sink", v->sink, "object",
                                output_text(out, d->object), "text", output_text(out, d->text), "snapshot",
                                output_text(out, d->snapshot), "source", output_text(out, d->source), "path",
                                output_text(out, d->path)));
    else
        print_damage(out, v->sink, d);
    output_flush(out);
}

static void add_result(struct verification *v, const struct verify_result *r, const struct error *failure)
{
    struct output *out = &v->cli->output;
    char text[ERROR_TEXT_MAX];
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", v->sink, "status",
                  failure      ? "failed"
                  : r->damages ? "damaged"
                               : "verified",
                  "error", output_text(out, failure ? error_text(failure, text) : NULL), "snapshots",
                  output_number(r->snapshots), "snapshots_damaged", output_number(r->snapshots_damaged), "objects",
                  output_number(r->objects), "bytes", output_number(r->bytes), "damages", output_number(r->damages));
    if (json_array_append_new(v->results, object) < 0)
        out->no_memory = true;
}

static void print_result(struct verification *v, const struct verify_result *r)
{
    struct output *out = &v->cli->output;
    char size[TEXT_SIZE_MAX], snapshots[VIEW_COUNT_MAX], objects[VIEW_COUNT_MAX], count[VIEW_COUNT_MAX];
    if (r->damages == 0 && v->cli->quiet)
        return;
    output_print(out, "sink '%s': %s snapshot%s, %s object%s, %s looked at: ", v->sink,
                 view_count(r->snapshots, snapshots), r->snapshots == 1 ? "" : "s", view_count(r->objects, objects),
                 r->objects == 1 ? "" : "s", text_size(r->bytes, size));
    if (r->damages)
        output_print(out, "%s DAMAGED", view_count(r->damages, count));
    else
        output_print(out, "%s", v->request.quick ? "all there (content was not read)" : "all whole");
    if (r->snapshots_damaged)
        output_print(out, ", in %s snapshot%s", view_count(r->snapshots_damaged, count),
                     r->snapshots_damaged == 1 ? "" : "s");
    output_print(out, "\n");
    output_flush(out); /* the next sink may take an hour */
}

static int verify_opened(struct verification *v, const struct config_instance *sink, struct verify_result *result,
                         struct error *e)
{
    struct vault *vault;
    if (formats_open(&v->cli->engine, sink, &vault, e) < 0)
        return -1;
    int done = verify_run(vault, &v->request, damage, v, result, e);
    vault_close(vault);
    return done;
}

/* ---- what is remembered of it ---- */

/* Of a job, one for all of its sinks; else one for each sink. */
static struct attempt *begin_attempt(const struct verification *v, const char *job, const char *sink)
{
    return attempt_begin(&v->cli->engine, "verify", job, sink,
                         json_pack("{s:b, s:b}", "quick", v->request.quick, "all", v->request.everything));
}

static void end_sink(struct verification *v, struct attempt *attempt, const struct verify_result *r,
                     const struct error *why)
{
    json_t *own = json_array_get(v->results, json_array_size(v->results) - 1);
    int status = why ? error_exit_status(why->class) : r->damages ? EXIT_DAMAGED : EXIT_DONE;
    attempt_tell(attempt, json_pack("{s:[O]}", "sinks", own));
    command_attempt_end(attempt, why ? "failed" : r->damages ? "damaged" : "verified", status, why);
}

static void end_job(struct verification *v, int status, const struct error *e)
{
    attempt_tell(v->of_job, json_pack("{s:O}", "sinks", v->results));
    if (v->damages)
        command_attempt_end(v->of_job, "damaged", EXIT_DAMAGED, e);
    else
        command_attempt_result(v->cli, v->of_job, "verified", "incomplete", status, e);
}

/* A sink that cannot be looked at does not keep the others from being looked at. */
static void verify_sink(struct verification *v, const struct config_instance *sink)
{
    struct verify_result result = {0};
    struct error e;
    struct attempt *attempt = v->of_job ? NULL : begin_attempt(v, NULL, sink->name);
    v->sink = sink->name;
    bool failed = verify_opened(v, sink, &result, &e) < 0;
    if (failed) {
        int status = error_exit_status(e.class);
        error_subject(&e, "sink", sink->name);
        command_report(v->cli, &e, status);
        if (v->status == EXIT_DONE)
            v->status = status;
    } else {
        print_result(v, &result);
    }
    v->damages += result.damages;
    add_result(v, &result, failed ? &e : NULL);
    end_sink(v, attempt, &result, failed ? &e : NULL);
}

/* --sink, or the sinks of the job, or of all jobs; with no job at all (a new machine) every configured sink. */
static int choose_sinks(struct verification *v, const char *job_name, struct error *e)
{
    const struct config *config = v->cli->engine.config;
    const struct config_instance *only;
    const struct config_job *job;
    if (command_sink(v->cli, arguments_value(&v->cli->arguments, "sink"), &only, e) < 0 ||
        command_snapshots_of(v->cli, job_name, only, &job, e) < 0)
        return -1;
    v->sinks = calloc(config->sink_count + 1, sizeof *v->sinks);
    if (!v->sinks)
        return error_memory(e);
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_instance *sink = &config->sinks[i];
        bool wanted = only ? sink == only : job ? config_job_uses(job, sink) : config->job_count == 0;
        for (size_t j = 0; j < config->job_count && !only && !job; j++)
            wanted = wanted || config_job_uses(&config->jobs[j], sink);
        if (wanted)
            v->sinks[v->sink_count++] = sink;
    }
    if (v->sink_count == 0)
        return error_set(e, ERROR_CONFIG, "no sink is configured in '%s'", config->directory);
    return 0;
}

/* JOB@ID: the one snapshot, on those of the sinks that hold it. */
static int narrow(struct verification *v, const struct snapshot_selector *selector, const char *id, struct error *e)
{
    const struct config *config = v->cli->engine.config;
    struct snapshot_list list = {0};
    size_t unreachable = 0, kept = 0;
    const struct config_instance *only = v->sink_count == 1 ? v->sinks[0] : NULL;
    if (snapshot_names(&v->cli->engine, selector->job, config->host, only, NULL, &list, &unreachable, e) < 0)
        return -1;
    for (size_t i = 0; i < v->sink_count; i++) {
        bool held = false;
        for (size_t j = 0; j < list.count; j++)
            for (size_t k = 0; k < list.items[j].sink_count && strcmp(list.items[j].id, id) == 0; k++)
                held = held || list.items[j].sinks[k] == v->sinks[i];
        if (held)
            v->sinks[kept++] = v->sinks[i];
        else
            log_line(LOG_WARNING, "sink '%s' does not hold %s, or could not be looked at", v->sinks[i]->name, id);
    }
    if (kept < v->sink_count)
        v->status = EXIT_INCOMPLETE;
    v->sink_count = kept;
    snapshot_list_free(&list);
    return 0;
}

static int verify_sinks(struct verification *v, struct error *e)
{
    struct output *out = &v->cli->output;
    for (size_t i = 0; i < v->sink_count && !cancel_requested(); i++)
        verify_sink(v, v->sinks[i]);
    bool cut = cancel_requested();
    output_object(out, "summary",
                  json_pack("{s:s, s:b, s:o, s:O}", "status",
                            v->damages         ? "damaged"
                            : v->status || cut ? "incomplete"
                                               : "verified",
                            "quick", v->request.quick, "damages", output_number(v->damages), "sinks", v->results));
    if (v->damages)
        return error_set(e, ERROR_INTEGRITY, "verification failed: %llu damaged", (unsigned long long)v->damages);
    return cut ? error_set(e, ERROR_CANCELLED, "verification was not finished") : v->status;
}

static int verify_one(struct verification *v, const struct snapshot_selector *selector, struct error *e)
{
    struct vault *vault;
    struct manifest *manifest;
    char id[MANIFEST_ID_SIZE];
    if (command_open(v->cli, v->cli->arguments.words[0], NULL, &vault, &manifest, e) < 0)
        return -1;
    memcpy(id, manifest->id, sizeof id);
    command_tell_snapshot(v->of_job, manifest);
    manifest_free(manifest);
    vault_close(vault);
    v->request.id = id;
    int status = narrow(v, selector, id, e) < 0 ? -1 : verify_sinks(v, e);
    v->request.id = NULL;
    return status;
}

static int verify_job(struct verification *v, const struct snapshot_selector *selector, struct error *e)
{
    bool one = strchr(v->cli->arguments.words[0], '@') != NULL;
    v->of_job = begin_attempt(v, selector->job, NULL);
    int status = one ? verify_one(v, selector, e) : verify_sinks(v, e);
    end_job(v, status, e);
    return status;
}

static int verify_chosen(struct verification *v, struct error *e)
{
    const struct arguments *a = &v->cli->arguments;
    struct snapshot_selector selector = {0};
    if (a->word_count > 0 && snapshot_parse(a->words[0], &selector, e) < 0)
        return -1;
    const char *job = selector.job[0] ? selector.job : NULL;
    if (job && strchr(a->words[0], '@') && v->request.everything)
        return error_set(e, ERROR_USAGE, "--all means everything in the repository: it does not go with '@ID'");
    if (choose_sinks(v, job, e) < 0)
        return -1;
    if (!v->request.everything) {
        v->request.host = v->cli->engine.config->host;
        v->request.job = job;
    }
    return job ? verify_job(v, &selector, e) : verify_sinks(v, e);
}

static int verify(struct cli *cli, struct error *e)
{
    struct verification v = {.cli = cli, .results = json_array()};
    v.request.everything = arguments_has(&cli->arguments, "all");
    v.request.quick = arguments_has(&cli->arguments, "quick");
    int status = verify_chosen(&v, e);
    free(v.sinks);
    json_decref(v.results);
    return status;
}

static const struct argument_option options[] = {
    {.name = "all", .help = "everything in the repositories: other hosts' snapshots, objects nobody refers to"},
    {.name = "quick", .help = "manifests, catalogues, presence and sizes; content is not read"},
    {.name = "sink", .value = "SINK", .help = "look at this sink only"},
    {0},
};

const struct command cmd_verify = {
    .name = "verify",
    .usage = "verify [JOB[@ID]] [--quick] [--sink SINK]\nverify [JOB] --all [--quick] [--sink SINK]",
    .summary = "is every stored byte there, and the right one?",
    .help = "Re-reads what is stored and checks every byte against hashes, seals and signatures, in each sink:\n"
            "all snapshots of all jobs of this host; with JOB, all of that job; with JOB@ID, that one. With --all,\n"
            "everything that is in the repositories (of the sinks of JOB), whoever stored it. Without the\n"
            "full key (put key) only hashes, signatures and the chain of manifests can be checked.",
    .example =
        "cofre verify\ncofre verify nightly --sink offsite\ncofre verify nightly@latest\ncofre verify --all --quick",
    .statuses =
        "0   all there, all whole\n"
        "3   a sink does not hold the snapshot, or could not be looked at for it, or a newer one cannot be read\n"
        "13  damage was found; each is named with what it affects\n"
        "N   a sink could not be looked at: 1, 10 (no repository), 12 (wrong key or credentials)",
    .options = options,
    .words_min = 0,
    .words_max = 1,
    .flags = COMMAND_TELLS,
    .run = verify,
};
