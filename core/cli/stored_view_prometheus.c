#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "cli/stored_view.h"
#include "config/config.h"
#include "operation/stored.h"

#define SECONDS(ns) ((double)((ns) / 1000000) / 1000)

/* Where the value of a metric stands in a row. */
static const struct metric {
    const char *name, *help;
    enum { TIME, COUNT, AGE, STALE } kind;
    size_t offset;
} metrics[] = {
    {"cofre_stored_snapshot_timestamp_seconds", "When the newest complete snapshot in the sink was begun.", TIME,
     offsetof(struct stored_row, good)},
    {"cofre_stored_snapshot_stale", "1 when that is older than max_age, or there is none.", STALE,
     offsetof(struct stored_row, stale)},
    {"cofre_stored_snapshot_max_age_seconds", "max_age that this is held against.", AGE,
     offsetof(struct stored_row, max_age)},
    {"cofre_stored_newest_timestamp_seconds", "When the newest snapshot of any kind was begun.", TIME,
     offsetof(struct stored_row, last)},
    {"cofre_stored_verified_timestamp_seconds", "When the newest snapshot that was verified was begun.", TIME,
     offsetof(struct stored_row, verified)},
    {"cofre_stored_proven_timestamp_seconds", "When the newest snapshot that was restored as a proof was begun.", TIME,
     offsetof(struct stored_row, proven)},
    {"cofre_stored_snapshots_complete", "Complete snapshots that are there.", COUNT,
     offsetof(struct stored_row, states) + STORED_COMPLETE * sizeof(size_t)},
    {"cofre_stored_snapshots_incomplete", "Those that are incomplete.", COUNT,
     offsetof(struct stored_row, states) + STORED_INCOMPLETE * sizeof(size_t)},
    {"cofre_stored_snapshots_suspect", "Those that are suspect, and that nobody has accepted.", COUNT,
     offsetof(struct stored_row, states) + STORED_SUSPECT * sizeof(size_t)},
    {"cofre_stored_snapshots_unreadable", "Those that cannot be read.", COUNT, offsetof(struct stored_row, unreadable)},
};

static bool value_of(const struct metric *m, const struct stored_row *row, double *value)
{
    const void *at = (const char *)row + m->offset;
    if (m->kind == COUNT)
        *value = (double)*(const size_t *)at;
    else if (m->kind == STALE)
        *value = *(const bool *)at;
    else if (m->kind == AGE)
        *value = (double)*(const int64_t *)at / 1000;
    else
        *value = SECONDS(*(const int64_t *)at);
    return m->kind == TIME ? *(const int64_t *)at != INT64_MIN : m->kind == COUNT || row->max_age > 0;
}

/* Names of hosts, jobs and sinks have no character that would have to be escaped. */
static void print_metric(struct bytes *out, const struct metric *m, const struct stored *stored)
{
    double value;
    bytes_print(out, "# HELP %s %s\n# TYPE %s gauge\n", m->name, m->help, m->name);
    for (size_t i = 0; i < stored->row_count; i++) {
        const struct stored_row *row = &stored->rows[i];
        if (value_of(m, row, &value))
            bytes_print(out, "%s{host=\"%s\",backup=\"%s\",sink=\"%s\"} %.15g\n", m->name, row->host, row->job,
                        row->sink->name, value);
    }
}

void stored_view_prometheus(struct bytes *text, const struct stored *stored)
{
    bytes_print(text,
                "# HELP cofre_stored_timestamp_seconds When the sinks were looked at.\n"
                "# TYPE cofre_stored_timestamp_seconds gauge\ncofre_stored_timestamp_seconds %.15g\n"
                "# HELP cofre_stored_reachable 1 when the sink could be looked at.\n"
                "# TYPE cofre_stored_reachable gauge\n",
                SECONDS(stored->now));
    for (size_t i = 0; i < stored->sink_count; i++)
        bytes_print(text, "cofre_stored_reachable{sink=\"%s\"} %d\n", stored->sinks[i].sink->name,
                    stored->sinks[i].reached);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        print_metric(text, &metrics[i], stored);
}
