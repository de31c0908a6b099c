#include "job/saver.h"

#include "archive/bundle.h"
#include "base/cancel.h"
#include "base/log.h"
#include "repository/recorder.h"
#include "snapshot/manifest.h"

/* ---- a repository's ---- */

static int recorder_takes_entry(void *context, const struct snapshot_entry *entry, struct error *e)
{
    return recorder_entry(context, entry, e);
}

static int recorder_takes_data(void *context, const void *p, size_t n, struct error *e)
{
    return recorder_data(context, p, n, e);
}

static int recorder_takes_hole(void *context, uint64_t n, struct error *e)
{
    return recorder_hole(context, n, e);
}

static int recorder_begins_again(void *context, struct error *e)
{
    return recorder_restart(context, e);
}

static int recorder_ends(void *context, enum record_status status, const char *why, struct error *e)
{
    return recorder_end(context, status, why, e);
}

static int recorder_takes_over(void *context, const void *records, size_t n, uint64_t size, struct error *e)
{
    return recorder_unchanged(context, records, n, size, e);
}

static int recorder_finishes(void *context, struct manifest_source *row, struct error *e)
{
    return recorder_finish(context, row, e);
}

const struct saver_calls saver_recorder = {
    .entry = recorder_takes_entry,
    .data = recorder_takes_data,
    .hole = recorder_takes_hole,
    .restart = recorder_begins_again,
    .end = recorder_ends,
    .unchanged = recorder_takes_over,
    .finish = recorder_finishes,
};

/* ---- an archive's ---- */

static int bundle_takes_entry(void *context, const struct snapshot_entry *entry, struct error *e)
{
    return bundle_entry(context, entry, e);
}

static int bundle_takes_data(void *context, const void *p, size_t n, struct error *e)
{
    return bundle_data(context, p, n, e);
}

static int bundle_takes_hole(void *context, uint64_t n, struct error *e)
{
    return bundle_hole(context, n, e);
}

static int bundle_begins_again(void *context, struct error *e)
{
    return bundle_restart(context, e);
}

static int bundle_ends(void *context, enum record_status status, const char *why, struct error *e)
{
    return bundle_end(context, status, why, e);
}

/* An archive holds everything by itself, so with one among the sinks no baseline is given to the source. */
static int bundle_takes_over(void *context, const void *records, size_t n, uint64_t size, struct error *e)
{
    (void)context;
    (void)records;
    (void)n;
    (void)size;
    return error_set(e, ERROR_BUG, "an archive was given an entry without its content");
}

/* A repository's counts go first: it is filled in before. */
static int bundle_finishes(void *context, struct manifest_source *row, struct error *e)
{
    uint64_t entries, bytes;
    if (bundle_finish(context, &entries, &bytes, e) < 0)
        return -1;
    if (row->chunk_count > 0)
        return 0;
    row->entries = entries;
    row->bytes = bytes;
    return 0;
}

const struct saver_calls saver_bundle = {
    .entry = bundle_takes_entry,
    .data = bundle_takes_data,
    .hole = bundle_takes_hole,
    .restart = bundle_begins_again,
    .end = bundle_ends,
    .unchanged = bundle_takes_over,
    .finish = bundle_finishes,
};

/* ---- all together ---- */

void saver_fail(struct saver *saver, const struct error *why)
{
    if (saver->failed)
        return;
    saver->failed = true;
    saver->error = *why;
    if (saver->sink)
        error_subject(&saver->error, "sink", saver->sink);
    log_error(LOG_ERROR, &saver->error);
}

static bool any_left(const struct savers *savers)
{
    for (size_t i = 0; i < savers->count; i++)
        if (!savers->items[i]->failed)
            return true;
    return savers->count == 0;
}

/* What came of it for one of them: can the run go on? The failure of the last is that of the run, and said with it. */
static bool go_on(const struct savers *savers, struct saver *saver, int result, const struct error *e)
{
    if (result == 0)
        return true;
    if (cancel_requested())
        return false;
    saver->failed = true;
    bool others = any_left(savers);
    saver->failed = !others;
    if (others)
        saver_fail(saver, e);
    return others;
}

#define EACH(savers, e, call)                                                                                          \
    for (size_t i = 0; i < (savers)->count; i++) {                                                                     \
        struct saver *s = (savers)->items[i];                                                                          \
        if (!s->failed && !go_on(savers, s, s->calls->call, e))                                                        \
            return -1;                                                                                                 \
    }                                                                                                                  \
    return 0

int saver_entry(struct savers *savers, const struct snapshot_entry *entry, struct error *e)
{
    EACH(savers, e, entry(s->context, entry, e));
}

int saver_data(struct savers *savers, const void *p, size_t n, struct error *e)
{
    EACH(savers, e, data(s->context, p, n, e));
}

int saver_hole(struct savers *savers, uint64_t n, struct error *e)
{
    EACH(savers, e, hole(s->context, n, e));
}

int saver_restart(struct savers *savers, struct error *e)
{
    EACH(savers, e, restart(s->context, e));
}

int saver_end(struct savers *savers, enum record_status status, const char *why, struct error *e)
{
    EACH(savers, e, end(s->context, status, why, e));
}

int saver_unchanged(struct savers *savers, const void *records, size_t n, uint64_t size, struct error *e)
{
    EACH(savers, e, unchanged(s->context, records, n, size, e));
}

int saver_finish(struct savers *savers, struct manifest_source *row, struct error *e)
{
    EACH(savers, e, finish(s->context, row, e));
}
