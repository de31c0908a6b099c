#include "job/vault.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "worker/engine.h"
#include "job/history.h"
#include "job/state.h"
#include "worker/sink.h"

#define SWEEP_AGE (INT64_C(24) * 3600 * 1000000000) /* ns */

const struct vault_format *vault_format_of(const struct config_instance *sink)
{
    static const struct vault_format *const formats[] = {
        [CONFIG_REPOSITORY] = &vault_repository, [CONFIG_ARCHIVE] = &vault_archive};
    return formats[sink->format];
}

int vault_open_in(const struct engine *engine, const struct config_instance *section, struct sink *sink,
                  struct vault **vault, struct error *e)
{
    struct vault *v = calloc(1, sizeof *v);
    if (!v) {
        sink_free(sink);
        return error_memory(e);
    }
    *v = (struct vault){.format = vault_format_of(section), .engine = engine, .config = section, .sink = sink};
    if (v->format->open(v, e) < 0) {
        free(v);
        return -1;
    }
    *vault = v;
    return 0;
}

int vault_open(const struct engine *engine, const struct config_instance *sink, struct vault **vault, struct error *e)
{
    struct sink *opened;
    if (engine_open_sink(engine, sink, vault_format_of(sink)->connections, &opened, e) < 0)
        return -1;
    return vault_open_in(engine, sink, opened, vault, e);
}

void vault_close(struct vault *vault)
{
    if (!vault)
        return;
    vault->format->close(vault);
    free(vault);
}

int vault_list(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
               struct error *e)
{
    return vault->format->list(vault, host, job, found, context, e);
}

int vault_names(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e)
{
    return vault->format->names ? vault->format->names(vault, job, found, context, e)
                                : vault->format->list(vault, host, job, found, context, e);
}

int vault_read(struct vault *vault, const struct vault_name *name, struct manifest **manifest, struct error *e)
{
    return vault->format->read(vault, name, manifest, e);
}

int vault_read_all(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                   void *context, struct error *e)
{
    int result = 0;
    if (vault->format->read_all)
        return vault->format->read_all(vault, names, count, found, context, e);
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct manifest *manifest;
        struct error why;
        if (vault_read(vault, &names[i], &manifest, &why) < 0)
            manifest = NULL;
        result = found(context, &names[i], manifest, &why, e);
    }
    return result;
}

int vault_peek(struct vault *vault, const struct vault_name *name, bool *ours, struct history_link *link,
               struct error *e)
{
    return vault->format->peek(vault, name, ours, link, e);
}

int vault_fits(const struct vault *one, const struct vault *other, struct error *e)
{
    return one->format == other->format && one->format->fits ? one->format->fits(one, other, e) : 0;
}

int vault_ready(struct vault *vault, vault_warn *warn, void *context, struct error *e)
{
    return vault->format->ready ? vault->format->ready(vault, warn, context, e) : 0;
}

void vault_reporter_warn(void *reporter, const char *text, const char *hint)
{
    const struct vault_reporter *to = reporter;
    to->say(to->context, LOG_WARNING, text, hint);
}

int vault_prepare(struct vault *vault, struct error *e)
{
    return vault->format->prepare ? vault->format->prepare(vault, e) : 0;
}

int vault_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                  const char *path, vault_entry *entry, void *context, struct error *e)
{
    return vault->format->entries(vault, manifest, source, path, entry, context, e);
}

int vault_play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
               const char *path, const struct player_audience *audience, uint64_t *entries, struct error *e)
{
    return vault->format->play(vault, manifest, source, path, audience, entries, e);
}

int vault_verify(struct vault *vault, const struct verify_request *request, vault_damage *damage, void *context,
                 struct verify_result *result, struct error *e)
{
    return vault->format->verify(vault, request, damage, context, result, e);
}

void vault_sweep(const struct vault *vault)
{
    struct error e;
    if (sink_sweep(vault->sink, clock_now() - SWEEP_AGE, &e) < 0)
        log_line(LOG_WARNING, "sink '%s': left-overs of interrupted runs stay: %s", sink_name(vault->sink), e.message);
}

static int note_in_chain(const struct vault *to, const struct manifest *m, struct error *e)
{
    const struct config *config = to->engine->config;
    char directory[PATH_MAX];
    AUTO_CLOSE int lock = -1;
    if (state_directory(config, m->job, directory, e) < 0 || state_lock(directory, m->job, &lock, e) < 0)
        return -1;
    return history_copied(directory, config->host, m->id, to->id, e);
}

/* So that it shows when somebody removes it there. */
static void note_copy(const struct vault *to, const struct manifest *manifest)
{
    struct error e;
    char text[ERROR_TEXT_MAX];
    if (strcmp(manifest->host, to->engine->config->host) == 0 && note_in_chain(to, manifest, &e) < 0)
        log_line(LOG_WARNING, "the snapshot is copied, but this machine could not note it: %s", error_text(&e, text));
}

int vault_copy(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
               struct error *e)
{
    if (from->format != to->format) {
        error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' hold different formats", sink_name(from->sink),
                  sink_name(to->sink));
        return error_hint(e,
                          "a snapshot can be copied between sinks of one format; otherwise restore it and run a job");
    }
    vault_sweep(to);
    if (from->format->copy(from, to, manifest, result, e) < 0)
        return -1;
    note_copy(to, manifest);
    return 0;
}
