#include "job/space.h"

#include <limits.h>

#include "attempt/records.h"
#include "base/error.h"
#include "config/config.h"
#include "worker/sink.h"

/* What is known of how much a sink holds, from the records. */
struct known {
    const char *sink;
    int64_t when; /* ns; INT64_MIN = nothing is */
    int64_t used; /* bytes */
};

static bool knows(const struct known *k, const json_t *record, int64_t *used)
{
    const json_t *row = records_row(record, "sinks", k->sink);
    if (json_is_integer(json_object_get(record, "stored"))) {
        *used = records_number(record, "stored");
        return true;
    }
    *used = records_number(row, "space") - records_number(row, "available");
    return records_number(row, "space") > 0;
}

/* Of those of one job, or of the sink, the newest that knows. */
static bool visit(void *context, const char *line, size_t length)
{
    struct known *k = context;
    int64_t used;
    json_t *record = records_parse(line, length);
    int64_t when = record ? records_time(record, "ended") : INT64_MIN;
    bool found = record && knows(k, record, &used), newer = when > k->when;
    json_decref(record);
    if (found && newer) {
        k->when = when;
        k->used = used;
    }
    return !found && (newer || when == INT64_MIN);
}

static void read_records(struct known *k, const struct config *config, const char *job)
{
    char directory[PATH_MAX];
    struct error ignored;
    if (records_directory(config, job, k->sink, directory, &ignored) == 0)
        (void)records_back(directory, visit, k, &ignored);
}

static struct space reckon(const struct config *config, const struct config_instance *section, uint64_t added)
{
    struct known k = {.sink = section->name, .when = INT64_MIN};
    read_records(&k, config, NULL);
    for (size_t i = 0; i < config->job_count; i++)
        if (config_job_uses(&config->jobs[i], section))
            read_records(&k, config, config->jobs[i].name);
    if (k.when == INT64_MIN)
        return (struct space){0};
    int64_t used = k.used + (int64_t)added;
    return (struct space){.total = section->quota, .available = used < section->quota ? section->quota - used : 0};
}

struct space space_measure(const struct config *config, const struct config_instance *section, struct sink *sink,
                           uint64_t added)
{
    struct space space;
    struct error ignored;
    if (sink_space(sink, &space.total, &space.available, &ignored) == 0 && space.total > 0 && space.available >= 0)
        return space;
    return section->quota > 0 ? reckon(config, section, added) : (struct space){0};
}
