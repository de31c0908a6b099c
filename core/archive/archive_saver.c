/* Saving into an archive: each has a bundle of its own. */
#include "archive/archive.h"
#include "archive/archive_vault.h"
#include "archive/bundle.h"
#include "base/error.h"
#include "config/config.h"
#include "format/saver.h"
#include "format/vault.h"
#include "snapshot/manifest.h"

static int start(struct saver *saver, const struct manifest *manifest, struct error *e)
{
    struct bundle *bundle;
    if (saver->run->dry)
        return 0;
    if (bundle_new(saver->vaults[0]->own, manifest->job, manifest->id, saver->run->job->source_count, &bundle, e) < 0)
        return -1;
    saver->own = bundle;
    return 0;
}

static void free_own(struct saver *saver)
{
    bundle_free(saver->own);
}

static int begin(struct saver *saver, size_t i, const char *source, const struct plugin_info *plugin,
                 struct baseline **baseline, struct error *e)
{
    (void)plugin;
    (void)baseline;
    (void)e;
    if (saver->own)
        bundle_begin(saver->own, i, source);
    return 0;
}

static int entry(struct saver *saver, const struct snapshot_entry *entry, struct error *e)
{
    return bundle_entry(saver->own, entry, e);
}

static int data(struct saver *saver, const void *p, size_t n, struct error *e)
{
    return bundle_data(saver->own, p, n, e);
}

static int hole(struct saver *saver, uint64_t n, struct error *e)
{
    return bundle_hole(saver->own, n, e);
}

static int restart(struct saver *saver, struct error *e)
{
    return bundle_restart(saver->own, e);
}

static int end(struct saver *saver, enum record_status status, const char *why, struct error *e)
{
    return bundle_end(saver->own, status, why, e);
}

/* An archive holds everything by itself, so with one among the sinks no baseline is given to the source. */
static int unchanged(struct saver *saver, const void *records, size_t n, uint64_t size, struct error *e)
{
    (void)saver;
    (void)records;
    (void)n;
    (void)size;
    return error_set(e, ERROR_BUG, "an archive was given an entry without its content");
}

/* A repository's counts go first: it is filled in before. */
static int finish(struct saver *saver, struct manifest_source *row, struct error *e)
{
    uint64_t entries, bytes;
    if (bundle_finish(saver->own, &entries, &bytes, e) < 0)
        return -1;
    if (row->chunk_count > 0)
        return 0;
    row->entries = entries;
    row->bytes = bytes;
    return 0;
}

static void leave(struct saver *saver, bool failed)
{
    if (failed && saver->own && !saver->failed)
        bundle_drop(saver->own);
}

static uint64_t added(const struct saver *saver, size_t k)
{
    (void)k;
    return bundle_stored(saver->own);
}

static int seal(struct saver *saver, struct manifest *manifest, struct bytes *object, char key[201], struct error *e)
{
    return bundle_seal(saver->own, manifest, object, key, e);
}

static void committed(struct saver *saver, const struct manifest *manifest)
{
    (void)manifest;
    bundle_committed(saver->own);
}

const struct saver_calls archive_saver = {
    .start = start,
    .free = free_own,
    .begin = begin,
    .entry = entry,
    .data = data,
    .hole = hole,
    .restart = restart,
    .end = end,
    .unchanged = unchanged,
    .finish = finish,
    .leave = leave,
    .added = added,
    .seal = seal,
    .committed = committed,
};
