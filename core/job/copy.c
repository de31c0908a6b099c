#include "job/copy.h"

#include <limits.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/commit.h"
#include "job/history.h"
#include "job/state.h"
#include "snapshot/manifest.h"
#include "worker/engine.h"
#include "worker/sink.h"

static int note_in_history(const struct vault *to, const struct manifest *m, struct error *e)
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
    if (strcmp(manifest->host, to->engine->config->host) == 0 && note_in_history(to, manifest, &e) < 0)
        log_line(LOG_WARNING, "the snapshot is copied, but this machine could not note it: %s", error_text(&e, text));
}

struct hearing {
    const struct manifest *manifest;
    struct vault_annotation acceptance;
    bool heard;
};

static int hear(void *context, const struct vault_annotation *a, struct error *e)
{
    struct hearing *h = context;
    (void)e;
    if (a->unreadable || a->kind != VAULT_ACCEPTED || strcmp(a->name.id, h->manifest->id) != 0 ||
        memcmp(a->hash, h->manifest->hash, sizeof a->hash) != 0)
        return 0;
    h->acceptance = *a;
    h->heard = true;
    return 0;
}

/* What somebody has accepted in the one sink is accepted in the other, where the manifest is the same. */
static void copy_acceptance(struct vault *from, struct vault *to, const struct manifest *manifest)
{
    struct hearing h = {.manifest = manifest};
    struct error e;
    if (!manifest_is_suspect(manifest) || (vault_annotations(from, manifest->host, manifest->job, hear, &h, &e) == 0 &&
                                           (!h.heard || vault_annotate(to, &h.acceptance, &e) == 0)))
        return;
    error_context(&e, "the snapshot is copied, but not that it was accepted: ");
    log_error(LOG_WARNING, &e);
}

int copy_run(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
             struct error *e)
{
    if (from->format != to->format) {
        error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' hold different formats", sink_name(from->sink),
                  sink_name(to->sink));
        return error_hint(e,
                          "a snapshot can be copied between sinks of one format; otherwise restore it and run a job");
    }
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    char key[201];
    *result = (struct copy_result){0};
    vault_sweep(to);
    if (from->format->copy(from, to, manifest, result, &object, key, e) < 0)
        return -1;
    if (object.length > 0 && commit_manifest(to->sink, key, &object, e) < 0)
        return -1;
    note_copy(to, manifest);
    copy_acceptance(from, to, manifest);
    return 0;
}
