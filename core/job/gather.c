#include "job/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "format/saver.h"
#include "job/row.h"
#include "repository/baseline.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"
#include "worker/engine.h"
#include "worker/source.h"
#include "worker/worker.h"

#define REPORT_INTERVAL 100 /* ms */

struct state {
    struct gather *gather;
    char path[4096]; /* of the entry at hand, for messages; cut when longer */
    size_t path_length;
    uint64_t entries, bytes;
    uint64_t content;           /* bytes of the entry at hand so far */
    struct manifest_part *part; /* in which it is; NULL = in none */
    bool rooted;                /* the first entry is the source's own root */
    int64_t reported;
    char stage[96];
};

static int begin_part(struct state *s, const char *path, size_t n, struct error *e)
{
    s->content = 0;
    s->part = NULL;
    if (!(worker_plugin(s->gather->worker)->capabilities & COFRE_SOURCE_PARTS))
        return 0;
    if (row_part(s->gather->source, path, n, &s->part, e) < 0)
        return -1;
    if (s->part)
        s->part->entries++;
    return 0;
}

static void add_content(struct state *s, uint64_t n)
{
    s->bytes += n;
    s->content += n;
    if (s->part)
        s->part->bytes += n;
}

static void drop_content(struct state *s)
{
    s->bytes -= s->content;
    if (s->part)
        s->part->bytes -= s->content;
    s->content = 0;
}

static int on_entry(struct state *s, const struct source_event *event, struct error *e)
{
    const struct snapshot_entry *entry = &event->entry;
    s->rooted = s->rooted || entry->path_length == 0;
    s->entries++;
    s->path_length = entry->path_length < sizeof s->path ? entry->path_length : sizeof s->path - 1;
    memcpy(s->path, entry->path, s->path_length);
    if (begin_part(s, entry->path, entry->path_length, e) < 0)
        return -1;
    return saver_entry(s->gather->savers, entry, e);
}

static int on_data(struct state *s, const struct source_event *event, struct error *e)
{
    add_content(s, event->length);
    return saver_data(s->gather->savers, event->bytes, event->length, e);
}

static int on_hole(struct state *s, const struct source_event *event, struct error *e)
{
    add_content(s, event->length);
    return saver_hole(s->gather->savers, event->length, e);
}

static int on_restart(struct state *s, const struct source_event *event, struct error *e)
{
    (void)event;
    drop_content(s);
    return saver_restart(s->gather->savers, e);
}

static int on_end(struct state *s, const struct source_event *event, struct error *e)
{
    const struct error *result = &event->result;
    enum record_status status = result->class == ERROR_NONE      ? RECORD_WHOLE
                                : result->class == ERROR_CHANGED ? RECORD_CHANGED
                                                                 : RECORD_UNREADABLE;
    const char *why = status == RECORD_WHOLE ? NULL : result->message;
    if (why && row_problem(s->gather->source, s->path, s->path_length, why, result->hint, e) < 0)
        return -1;
    if (status == RECORD_UNREADABLE)
        drop_content(s);
    return saver_end(s->gather->savers, status, why, e);
}

static int on_unchanged(struct state *s, const struct source_event *event, struct error *e)
{
    struct gather *g = s->gather;
    struct baseline_entry entry;
    if (baseline_take(g->baseline, event->ordinal, &entry, e) < 0 ||
        source_taken_over(g->worker, entry.path, entry.path_length, entry.kind, e) < 0 ||
        begin_part(s, entry.path, entry.path_length, e) < 0)
        return -1;
    s->rooted = s->rooted || entry.path_length == 0;
    s->entries++;
    add_content(s, entry.size);
    g->unchanged++;
    return saver_unchanged(g->savers, entry.records, entry.records_length, entry.size, e);
}

static int on_missing(struct state *s, const struct source_event *event, struct error *e)
{
    if (event->result.class == ERROR_NOT_FOUND) {
        s->gather->source->vanished++;
        return 0;
    }
    return row_problem(s->gather->source, event->path, event->path_length, event->result.message, event->result.hint,
                       e);
}

static int on_fact(struct state *s, const struct source_event *event, struct error *e)
{
    return row_fact(s->gather->source, event->key, event->value, event->flags, e);
}

static int on_left_out(struct state *s, const struct source_event *event, struct error *e)
{
    return row_left_out(s->gather->source, event->path, event->path_length, event->value, e);
}

static int (*const handlers[])(struct state *, const struct source_event *, struct error *) = {
    [SOURCE_ENTRY] = on_entry,     [SOURCE_DATA] = on_data, [SOURCE_HOLE] = on_hole,
    [SOURCE_RESTART] = on_restart, [SOURCE_END] = on_end,   [SOURCE_UNCHANGED] = on_unchanged,
    [SOURCE_MISSING] = on_missing, [SOURCE_FACT] = on_fact, [SOURCE_LEFT_OUT] = on_left_out,
};

static void report(struct state *s)
{
    int64_t now = clock_monotonic();
    if (now - s->reported < REPORT_INTERVAL)
        return;
    s->reported = now;
    uint64_t done, total;
    worker_progress(s->gather->worker, &done, &total);
    engine_report(s->gather->engine, s->stage, s->entries, s->bytes, total);
}

static int take_events(struct state *s, bool *source_failed, struct error *e)
{
    unsigned since = 0;
    for (;;) {
        struct source_event event;
        *source_failed = true;
        if (source_event(s->gather->worker, &event, e) < 0)
            return -1;
        *source_failed = false;
        s->gather->begun = true;
        if (event.type == SOURCE_FINISHED)
            return 0;
        if (handlers[event.type](s, &event, e) < 0) {
            *source_failed = worker_failed(s->gather->worker);
            return -1;
        }
        if (++since % 64 == 0)
            report(s);
    }
}

int gather_run(struct gather *gather, bool *source_failed, struct error *e)
{
    struct state *s = calloc(1, sizeof *s);
    *source_failed = false;
    if (!s)
        return error_memory(e);
    s->gather = gather;
    snprintf(s->stage, sizeof s->stage, "reading %s", gather->source->name);
    *source_failed = true;
    int result = source_backup_begin(gather->worker, baseline_table(gather->baseline), e);
    if (result == 0)
        result = take_events(s, source_failed, e);
    gather->source->entries = s->entries;
    gather->source->bytes = s->bytes;
    gather->below = s->entries - s->rooted;
    if (result == 0)
        result = saver_finish(gather->savers, gather->source, e);
    free(s);
    return result;
}
