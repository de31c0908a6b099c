#include "job/hold.h"

#include <stdlib.h>

#include "base/error.h"
#include "config/config.h"
#include "job/engine.h"

int hold_open(const struct engine *engine, const struct config_instance *sink, struct hold **hold, struct error *e)
{
    static const struct hold_format *const formats[] = {
        [CONFIG_REPOSITORY] = &hold_repository, [CONFIG_ARCHIVE] = &hold_archive};
    struct hold *h = calloc(1, sizeof *h);
    if (!h)
        return error_memory(e);
    *h = (struct hold){.format = formats[sink->format], .engine = engine, .config = sink, .sink = sink->name};
    if (h->format->open(h, e) < 0) {
        free(h);
        return -1;
    }
    *hold = h;
    return 0;
}

void hold_close(struct hold *hold)
{
    if (!hold)
        return;
    hold->format->close(hold);
    free(hold);
}

int hold_list(struct hold *hold, const char *host, const char *job, hold_snapshot *found, void *context,
              struct error *e)
{
    return hold->format->list(hold, host, job, found, context, e);
}

int hold_read(struct hold *hold, const struct hold_name *name, struct manifest **manifest, struct error *e)
{
    return hold->format->read(hold, name, manifest, e);
}

int hold_peek(struct hold *hold, const struct hold_name *name, bool *ours, struct chain_link *link, struct error *e)
{
    return hold->format->peek(hold, name, ours, link, e);
}

int hold_prepare(struct hold *hold, struct error *e)
{
    return hold->format->prepare ? hold->format->prepare(hold, e) : 0;
}

int hold_entries(struct hold *hold, const struct manifest *manifest, const struct manifest_source *source,
                 const char *path, hold_entry *entry, void *context, struct error *e)
{
    return hold->format->entries(hold, manifest, source, path, entry, context, e);
}

int hold_play(struct hold *hold, const struct manifest *manifest, const struct manifest_source *source,
              const char *path, const struct player_audience *audience, uint64_t *entries, struct error *e)
{
    return hold->format->play(hold, manifest, source, path, audience, entries, e);
}

int hold_verify(struct hold *hold, const struct verify_request *request, hold_damage *damage, void *context,
                struct verify_result *result, struct error *e)
{
    return hold->format->verify(hold, request, damage, context, result, e);
}

int hold_copy(struct hold *from, struct hold *to, const struct manifest *manifest, struct copy_result *result,
              struct error *e)
{
    if (from->format == to->format)
        return from->format->copy(from, to, manifest, result, e);
    error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' hold different formats", from->sink, to->sink);
    return error_hint(e, "a snapshot can be copied between sinks of one format; otherwise restore it and run a job");
}
