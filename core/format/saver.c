#include "format/saver.h"

#include "base/cancel.h"
#include "base/log.h"
#include "format/vault.h"
#include "worker/sink.h"

void saver_fail(struct saver *saver, const struct error *why, bool say)
{
    if (saver->failed)
        return;
    saver->failed = true;
    saver->error = *why;
    if (!saver->calls->together)
        error_subject(&saver->error, "sink", sink_name(saver->vaults[0]->sink));
    if (say)
        log_error(LOG_ERROR, &saver->error);
}

const struct error *saver_failure(const struct saver *saver, size_t k)
{
    if (saver->failed)
        return &saver->error;
    return saver->calls->failure ? saver->calls->failure(saver, k) : NULL;
}

static bool any_left(const struct savers *savers)
{
    for (size_t i = 0; i < savers->count; i++)
        if (!savers->items[i].failed)
            return true;
    return false;
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
    saver->failed = false;
    if (others)
        saver_fail(saver, e, true);
    return others;
}

/* Of each that has not failed: call, with the saver as s. */
#define EACH(savers, e, call)                                                                                          \
    for (size_t at = 0; at < (savers)->count; at++) {                                                                  \
        struct saver *s = &(savers)->items[at];                                                                        \
        if (!s->failed && !go_on(savers, s, s->calls->call, e))                                                        \
            return -1;                                                                                                 \
    }                                                                                                                  \
    return 0

/* The same, where something is stored. */
#define EACH_STORING(savers, e, call)                                                                                  \
    if ((savers)->items[0].run->dry)                                                                                   \
        return 0;                                                                                                      \
    EACH(savers, e, call)

int saver_begin(struct savers *savers, size_t i, const char *source, const struct plugin_info *plugin,
                struct baseline **baseline, struct error *e)
{
    EACH(savers, e, begin(s, i, source, plugin, baseline, e));
}

int saver_entry(struct savers *savers, const struct snapshot_entry *entry, struct error *e)
{
    EACH_STORING(savers, e, entry(s, entry, e));
}

int saver_data(struct savers *savers, const void *p, size_t n, struct error *e)
{
    EACH_STORING(savers, e, data(s, p, n, e));
}

int saver_hole(struct savers *savers, uint64_t n, struct error *e)
{
    EACH_STORING(savers, e, hole(s, n, e));
}

int saver_restart(struct savers *savers, struct error *e)
{
    EACH_STORING(savers, e, restart(s, e));
}

int saver_end(struct savers *savers, enum record_status status, const char *why, struct error *e)
{
    EACH_STORING(savers, e, end(s, status, why, e));
}

int saver_unchanged(struct savers *savers, const void *records, size_t n, uint64_t size, struct error *e)
{
    EACH_STORING(savers, e, unchanged(s, records, n, size, e));
}

int saver_finish(struct savers *savers, struct manifest_source *row, struct error *e)
{
    EACH_STORING(savers, e, finish(s, row, e));
}

void saver_leave(struct savers *savers, bool failed)
{
    for (size_t i = 0; i < savers->count; i++)
        savers->items[i].calls->leave(&savers->items[i], failed);
}

int saver_store(struct savers *savers, struct manifest *manifest, struct error *e)
{
    EACH_STORING(savers, e, store ? s->calls->store(s, manifest, e) : 0);
}
