#include "format/vault.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "format/audience.h"
#include "worker/sink.h"

#define SWEEP_AGE (INT64_C(24) * 3600 * 1000000000) /* ns */

int vault_open(const struct vault_format *format, const struct engine *engine, const struct config_instance *section,
               struct sink *sink, struct vault **vault, struct error *e)
{
    struct vault *v = calloc(1, sizeof *v);
    if (!v) {
        sink_free(sink);
        return error_memory(e);
    }
    *v = (struct vault){.format = format, .engine = engine, .config = section, .sink = sink};
    if (v->format->open(v, e) < 0) {
        free(v);
        return -1;
    }
    *vault = v;
    return 0;
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

int vault_peek(struct vault *vault, const struct vault_name *name, bool *ours, uint64_t *sequence,
               struct bytes *manifest, struct error *e)
{
    return vault->format->peek(vault, name, ours, sequence, manifest, e);
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

int vault_prepare(struct vault *vault, enum vault_purpose purpose, struct error *e)
{
    return vault->format->prepare ? vault->format->prepare(vault, purpose, e) : 0;
}

int vault_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                  const char *path, vault_entry *entry, void *context, struct error *e)
{
    return vault->format->entries(vault, manifest, source, path, entry, context, e);
}

int vault_play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
               const char *path, const struct audience *audience, uint64_t *entries, struct error *e)
{
    return vault->format->play(vault, manifest, source, path, audience, entries, e);
}

int vault_standings(struct vault *vault, const char *host, const char *job, vault_stands *stands, void *context,
                    struct error *e)
{
    return vault->format->standings(vault, host, job, stands, context, e);
}

int vault_remove(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                 void *context, struct error *e)
{
    return vault->format->remove(vault, removals, count, gone, context, e);
}

int vault_removals(struct vault *vault, const char *host, const char *job, vault_removed *removed, void *context,
                   struct error *e)
{
    return vault->format->removals(vault, host, job, removed, context, e);
}

int vault_records(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e)
{
    return vault->format->records(vault, host, job, keys, e);
}

bool vault_may_remove(struct vault *vault, const char *host)
{
    return vault->format->may_remove(vault, host);
}

int vault_annotate(struct vault *vault, const struct vault_annotation *annotation, struct error *e)
{
    return vault->format->annotate(vault, annotation, e);
}

int vault_unpin(struct vault *vault, const struct vault_name *name, bool *was, struct error *e)
{
    return vault->format->unpin(vault, name, was, e);
}

int vault_pinned(struct vault *vault, const struct vault_name *names, size_t count, bool *are, struct error *e)
{
    return vault->format->pinned(vault, names, count, are, e);
}

int vault_annotations(struct vault *vault, const char *host, const char *job, vault_annotated *annotated, void *context,
                      struct error *e)
{
    return vault->format->annotations(vault, host, job, annotated, context, e);
}

int vault_collect(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
                  struct vault_gc_result *result, struct error *e)
{
    *result = (struct vault_gc_result){.doubt = {.class = ERROR_NONE}};
    return vault->format->gc(vault, request, told, context, result, e);
}

void vault_sweep(const struct vault *vault)
{
    struct error e;
    if (sink_sweep(vault->sink, clock_now() - SWEEP_AGE, &e) < 0)
        log_line(LOG_WARNING, "sink '%s': left-overs of interrupted runs stay: %s", sink_name(vault->sink), e.message);
}
