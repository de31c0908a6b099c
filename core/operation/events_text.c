/* Events in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "operation/events.h"
#include "operation/status.h"
#include "worker/id.h"

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info"};

int events_level(const json_t *object)
{
    int level = LOG_ERROR;
    while (level < LOG_INFO && !records_is(object, "level", level_names[level]))
        level++;
    return level;
}

static const int levels[CONFIG_EVENTS] = {
    [CONFIG_FAILURE] = LOG_ERROR, [CONFIG_INCOMPLETE] = LOG_WARNING, [CONFIG_SUSPECT] = LOG_WARNING,
    [CONFIG_STALE] = LOG_ERROR,   [CONFIG_RECOVERED] = LOG_NOTICE,   [CONFIG_SUCCESS] = LOG_INFO,
    [CONFIG_SPACE] = LOG_WARNING, [CONFIG_KEY_EXPIRY] = LOG_WARNING, [CONFIG_REMOVED] = LOG_NOTICE,
    [CONFIG_START] = LOG_INFO,
};

/* The longest beginning of at most `most` bytes that is no part of a character. */
static json_t *cut_text(const char *text, size_t most)
{
    size_t n = strlen(text);
    if (n > most)
        for (n = most; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
            ;
    return json_stringn(text, n);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *time_json(int64_t ns)
{
    char text[CLOCK_TEXT_MAX];
    return ns == INT64_MIN ? json_null() : json_string(clock_format_exact(ns, text));
}

/* A record is of no fixed size: one that is too large stays out. */
static int add_record(json_t *object, const json_t *record)
{
    if (!record)
        return json_object_set_new(object, "record", json_null());
    AUTO_FREE char *text = json_dumps(record, JSON_COMPACT);
    if (!text)
        return -1;
    return json_object_set_new(object, "record",
                               strlen(text) < EVENTS_JSON_MAX / 2 ? json_deep_copy(record) : json_null());
}

json_t *events_object(const struct events_about *a)
{
    char id[ID_MAX];
    id_make(id);
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "type", "event",
                               "id", id, "event", a->event, "level", level_names[a->level], "host", a->host, "job",
                               text_or_null(a->job), "sink", text_or_null(a->sink), "command", text_or_null(a->command),
                               "time", time_json(a->time), "since", json_null(), "reminder", 0, "title",
                               cut_text(a->title, EVENTS_TITLE_MAX), "text", cut_text(a->text, EVENTS_TEXT_MAX / 2));
    if (object && add_record(object, a->record) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* ---- of a record ---- */

/* "job 'nightly'", "sink 'nas'" */
static const char *subject(const char *job, const char *sink, char out[96])
{
    snprintf(out, 96, "%s '%.64s'", job ? "job" : "sink", job ? job : sink ? sink : "");
    return out;
}

static const char *outcome(enum config_event event, const json_t *record)
{
    const char *word = records_text(record, "status");
    switch (event) {
    case CONFIG_FAILURE:
        return strcmp(word, "killed") == 0 ? "was killed" : strcmp(word, "damaged") == 0 ? "found damage" : "failed";
    case CONFIG_INCOMPLETE:
        return "was incomplete";
    case CONFIG_SUSPECT:
        return "is suspect";
    case CONFIG_RECOVERED:
        return "is well again";
    case CONFIG_REMOVED:
        return "removed snapshots";
    default:
        return "is complete";
    }
}

/* "db: the server is away", of each source and sink that has an error. */
static void put_parts(struct bytes *b, const json_t *record)
{
    static const struct {
        const char *list, *what;
    } lists[] = {{"sources", "source"}, {"sinks", "sink"}};
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        const json_t *rows = json_object_get(record, lists[k].list);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            const char *error = records_text(row, "error"), *name = records_text(row, "name");
            if (error)
                bytes_print(b, "%s '%s': %s\n", lists[k].what, name ? name : "", error);
        }
    }
}

/* A prune has a row for each job and sink, a run for each sink. */
static void put_removed(struct bytes *b, const json_t *record)
{
    const json_t *rows = json_object_get(record, "sinks");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *job = records_text(row, "job"), *sink = records_text(row, "sink");
        if (!job)
            job = records_text(record, "job");
        if (!sink)
            sink = records_text(row, "name");
        if (records_number(row, "removed") > 0)
            bytes_print(b, "job '%s' in sink '%s': removed snapshots %lld, left %lld\n", job ? job : "",
                        sink ? sink : "", (long long)records_number(row, "removed"),
                        (long long)(records_number(row, "kept") + records_number(row, "held")));
    }
}

static void put_facts(struct bytes *b, const json_t *record)
{
    char began[CLOCK_TEXT_MAX], ended[CLOCK_TEXT_MAX], size[TEXT_SIZE_MAX], added[TEXT_SIZE_MAX];
    const char *snapshot = records_text(record, "snapshot"), *status = records_text(record, "snapshot_status");
    if (snapshot)
        bytes_print(b, "snapshot %s%s%s\n", snapshot, status ? ", " : "", status ? status : "");
    if (json_object_get(record, "added"))
        bytes_print(b, "%lld entries, %s, of which %s were added\n", (long long)records_number(record, "entries"),
                    text_size((uint64_t)records_number(record, "bytes"), size),
                    text_size((uint64_t)records_number(record, "added"), added));
    bytes_print(b, "begun %s, ended %s\n", clock_format_shown(records_time(record, "started"), began),
                clock_format_shown(records_time(record, "ended"), ended));
}

json_t *events_of_record(const char *host, enum config_event event, const json_t *record)
{
    AUTO_BYTES struct bytes b = {.maximum = 1 << 20};
    char title[EVENTS_TITLE_MAX + 1], of[96];
    const char *job = records_text(record, "job"), *sink = records_text(record, "sink");
    const char *command = records_text(record, "command"), *error = records_text(record, "error");
    snprintf(title, sizeof title, "%.63s: %.20s of %s %s", host, command, subject(job, sink, of),
             outcome(event, record));
    bytes_print(&b, "%s\n", title);
    if (error)
        bytes_print(&b, "%s\n", error);
    put_parts(&b, record);
    if (event == CONFIG_REMOVED)
        put_removed(&b, record);
    put_facts(&b, record);
    bytes_print(&b, "more on %s: cofre log %s%s\n", host, job ? "" : "--sink ", job ? job : sink ? sink : "");
    bytes_put_u8(&b, 0);
    if (b.failed)
        return NULL;
    const struct events_about about = {.event = config_event_name(event),
                                       .level = levels[event],
                                       .host = host,
                                       .job = job,
                                       .sink = sink,
                                       .command = command,
                                       .time = records_time(record, "ended"),
                                       .title = title,
                                       .text = (const char *)b.data,
                                       .record = record};
    return events_object(&about);
}

json_t *events_of_start(const char *host, const json_t *record)
{
    char title[EVENTS_TITLE_MAX + 1], text[1024], began[CLOCK_TEXT_MAX];
    const char *job = records_text(record, "job"), *command = records_text(record, "command");
    snprintf(title, sizeof title, "%.63s: %.20s of job '%.64s' has begun", host, command ? command : "",
             job ? job : "");
    snprintf(text, sizeof text, "%s\nbegun %s\nmore on %s: cofre status %.64s\n", title,
             clock_format_shown(records_time(record, "started"), began), host, job ? job : "");
    const struct events_about about = {.event = config_event_name(CONFIG_START),
                                       .level = levels[CONFIG_START],
                                       .host = host,
                                       .job = job,
                                       .command = command,
                                       .time = records_time(record, "started"),
                                       .title = title,
                                       .text = text,
                                       .record = record};
    return events_object(&about);
}

/* ---- of the status ---- */

json_t *events_of_stale(const char *host, int64_t now, const struct status_job *job, const struct status_sink *s,
                        bool over)
{
    char title[EVENTS_TITLE_MAX + 1], text[1024], age[TEXT_AGE_MAX], most[TEXT_AGE_MAX];
    enum config_event event = over ? CONFIG_RECOVERED : CONFIG_STALE;
    snprintf(title, sizeof title, "%.63s: job '%.63s' is %s in sink '%.63s'", host, job->job->name,
             over ? "no longer stale" : "stale", s->sink->name);
    if (s->good == INT64_MIN)
        snprintf(text, sizeof text, "%s\nno complete snapshot is known to be there, and max_age is %s\n", title,
                 text_age(job->job->max_age, most));
    else
        snprintf(text, sizeof text,
                 "%s\nthe newest complete snapshot, %s, is %s old, and max_age is %s\nmore on %s: cofre status %s\n",
                 title, s->good_id, text_age((now - s->good) / 1000000, age), text_age(job->job->max_age, most), host,
                 job->job->name);
    const struct events_about about = {.event = config_event_name(event),
                                       .level = levels[event],
                                       .host = host,
                                       .job = job->job->name,
                                       .sink = s->sink->name,
                                       .time = now,
                                       .title = title,
                                       .text = text};
    return events_object(&about);
}

json_t *events_of_space(const char *host, int64_t now, const struct status_place *p)
{
    char title[EVENTS_TITLE_MAX + 1], text[1024], size[TEXT_SIZE_MAX], left[TEXT_SIZE_MAX], when[CLOCK_TEXT_MAX];
    char full[STATUS_FULL_TEXT], limit[64] = "", grown[TEXT_SIZE_MAX];
    status_full_text(p, now, full);
    if (status_is_full(p)) {
        snprintf(title, sizeof title, "%.63s: sink '%.63s' is %.0f %% full", host, p->sink->name, status_percent(p));
        snprintf(limit, sizeof limit, ", and warn_space is %lld%%", (long long)p->sink->warn_space);
    } else {
        snprintf(title, sizeof title, "%.63s: sink '%.63s' is going to be %s", host, p->sink->name, full);
    }
    int n = snprintf(text, sizeof text, "%s\n%s of %s were left at %s%s\n", title, text_size(p->available, left),
                     text_size(p->space, size), clock_format_shown(p->measured, when), limit);
    if (full[0])
        snprintf(text + n, sizeof text - (size_t)n, "it grows by %s a day, and will be %s\n",
                 text_size((uint64_t)p->growth, grown), full);
    const struct events_about about = {.event = config_event_name(CONFIG_SPACE),
                                       .level = levels[CONFIG_SPACE],
                                       .host = host,
                                       .sink = p->sink->name,
                                       .time = now,
                                       .title = title,
                                       .text = text};
    return events_object(&about);
}

json_t *events_of_expiry(const char *host, const json_t *record, const char *sink, const char *warning)
{
    char title[EVENTS_TITLE_MAX + 1], text[2048];
    snprintf(title, sizeof title, "%.63s: a key of sink '%.63s' expires", host, sink);
    snprintf(text, sizeof text, "%s\n%.1000s\nmore on %s: cofre check %s\n", title, warning, host, sink);
    const struct events_about about = {.event = config_event_name(CONFIG_KEY_EXPIRY),
                                       .level = levels[CONFIG_KEY_EXPIRY],
                                       .host = host,
                                       .sink = sink,
                                       .time = records_time(record, "ended"),
                                       .title = title,
                                       .text = text};
    return events_object(&about);
}

/* ---- again ---- */

json_t *events_reminder(const json_t *object, int64_t since, int64_t now)
{
    char id[ID_MAX], when[CLOCK_TEXT_MAX], *text;
    const char *before = records_text(object, "text");
    id_make(id);
    if (asprintf(&text, "still so, since %s\n%s", clock_format_shown(since, when), before ? before : "") < 0)
        return NULL;
    json_t *copy = json_deep_copy(object);
    json_t *changed = json_pack("{s:s, s:o, s:o, s:b, s:o}", "id", id, "time", time_json(now), "since",
                                time_json(since), "reminder", 1, "text", cut_text(text, EVENTS_TEXT_MAX / 2));
    int result = copy && changed ? json_object_update(copy, changed) : -1;
    json_decref(changed);
    free(text);
    if (result == 0)
        return copy;
    json_decref(copy);
    return NULL;
}
