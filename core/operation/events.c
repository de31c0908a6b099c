#include "operation/events.h"

#include <stdio.h>
#include <string.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "operation/status.h"

#define KEY_MAX 200

json_t *events_new(void)
{
    return json_pack("{s:{}, s:{}, s:[], s:i}", "read", "states", "queue", "dropped", 0);
}

bool events_valid(const json_t *m)
{
    return json_is_object(json_object_get(m, "read")) && json_is_object(json_object_get(m, "states")) &&
           json_is_array(json_object_get(m, "queue")) && json_is_integer(json_object_get(m, "dropped"));
}

static json_t *time_json(int64_t ns)
{
    char text[CLOCK_TEXT_MAX];
    return json_string(clock_format_exact(ns, text));
}

/* ---- the queue ---- */

static int drop_oldest(json_t *memory, struct error *e)
{
    json_int_t dropped = json_integer_value(json_object_get(memory, "dropped"));
    if (json_object_set_new(memory, "dropped", json_integer(dropped + 1)) < 0)
        return error_memory(e);
    json_array_remove(json_object_get(memory, "queue"), 0);
    return 0;
}

/* Takes the object; NULL counts as out of memory. */
static int enqueue(json_t *memory, const struct events_listener *l, json_t *object, struct error *e)
{
    json_t *queue = json_object_get(memory, "queue");
    if (!object || json_object_set_new(object, "queued", time_json(l->now)) < 0 ||
        json_array_append(queue, object) < 0) {
        json_decref(object);
        return error_memory(e);
    }
    json_decref(object);
    return json_array_size(queue) > EVENTS_QUEUE_MAX ? drop_oldest(memory, e) : 0;
}

static bool is_on(const struct events_listener *l, enum config_event event)
{
    return l->on & 1u << event;
}

const json_t *events_next(const json_t *memory, const json_t *passed)
{
    const json_t *queue = json_object_get(memory, "queue");
    for (size_t i = 0; i < json_array_size(queue); i++) {
        const json_t *object = json_array_get(queue, i);
        const char *id = records_text(object, "id");
        if (id && !json_object_get(passed, id))
            return object;
    }
    return NULL;
}

/* Of the same state? */
static bool is_alike(const json_t *a, const json_t *b)
{
    static const char *const members[] = {"event", "job", "sink", "command"};
    bool same = true;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        same = same && json_equal(json_object_get(a, members[i]), json_object_get(b, members[i]));
    return same;
}

/* What waited for long is not told again soon after. */
static int note_time(json_t *memory, const json_t *object, int64_t now, struct error *e)
{
    const char *key;
    json_t *state;
    json_object_foreach(json_object_get(memory, "states"), key, state)
    {
        if (records_text(state, "told") && is_alike(json_object_get(state, "object"), object) &&
            json_object_set_new(state, "told", time_json(now)) < 0)
            return error_memory(e);
    }
    return 0;
}

int events_told(json_t *memory, const char *id, int64_t now, struct error *e)
{
    json_t *queue = json_object_get(memory, "queue");
    for (size_t i = 0; i < json_array_size(queue); i++) {
        const json_t *object = json_array_get(queue, i);
        const char *other = records_text(object, "id");
        if (!other || strcmp(other, id) != 0)
            continue;
        if (note_time(memory, object, now, e) < 0)
            return -1;
        json_array_remove(queue, i);
        break; /* id may have been of it */
    }
    return json_object_set_new(memory, "dropped", json_integer(0)) < 0 ? error_memory(e) : 0;
}

/* ---- states ---- */

static enum config_event event_of(const json_t *state)
{
    const char *name = records_text(state, "event");
    for (int i = 0; i < CONFIG_EVENTS; i++)
        if (name && strcmp(name, config_event_name((enum config_event)i)) == 0)
            return (enum config_event)i;
    return CONFIG_EVENTS;
}

static int64_t delay_of(const struct events_listener *l, const json_t *state)
{
    const json_t *object = json_object_get(state, "object");
    const char *job = records_text(object, "job");
    return l->delay(l->context, job, job ? NULL : records_text(object, "sink"));
}

static int tell(json_t *memory, const struct events_listener *l, json_t *state, json_t *object, struct error *e)
{
    if (enqueue(memory, l, object, e) < 0)
        return -1;
    if (json_object_set_new(state, "told", time_json(l->now)) < 0 ||
        json_object_set_new(state, "known", json_true()) < 0)
        return error_memory(e);
    return 0;
}

/* For the first time as it is, when it has lasted long enough at that moment. */
static int tell_when_due(json_t *memory, const struct events_listener *l, json_t *state, int64_t at, struct error *e)
{
    int64_t delay = delay_of(l, state);
    bool due = delay >= 0 && at - records_time(state, "since") >= delay;
    if (!due || records_text(state, "told") || !is_on(l, event_of(state)))
        return 0;
    return tell(memory, l, state, json_deep_copy(json_object_get(state, "object")), e);
}

/* It is so at that moment. Takes the object. What it was before, in whatever form, goes on. */
static int set_state(json_t *memory, const struct events_listener *l, const char *key, const char *identity, int64_t at,
                     json_t *object, struct error *e)
{
    json_t *states = json_object_get(memory, "states"), *old = json_object_get(states, key);
    const char *event = records_text(object, "event");
    bool same = event && records_is(old, "identity", identity) && records_is(old, "event", event);
    json_t *since = old ? json_incref(json_object_get(old, "since")) : time_json(at);
    json_t *told = same ? json_incref(json_object_get(old, "told")) : json_null();
    json_t *state =
        json_pack("{s:s, s:s, s:o, s:o, s:b, s:o}", "event", event ? event : "", "identity", identity, "since", since,
                  "told", told, "known", json_is_true(json_object_get(old, "known")), "object", object);
    if (!state || json_object_set_new(states, key, state) < 0)
        return error_memory(e);
    return tell_when_due(memory, l, state, at, e);
}

/* It is over. recovered: the object of that, taken; NULL = nobody is told. */
static int end_state(json_t *memory, const struct events_listener *l, const char *key, json_t *recovered,
                     struct error *e)
{
    json_t *states = json_object_get(memory, "states");
    bool known = json_is_true(json_object_get(json_object_get(states, key), "known"));
    json_object_del(states, key);
    if (recovered && known && is_on(l, CONFIG_RECOVERED))
        return enqueue(memory, l, recovered, e);
    json_decref(recovered);
    return 0;
}

/* ---- records ---- */

enum verdict { GOOD, BAD, INCOMPLETE, SUSPECT, SAYS_NOTHING };

static const struct {
    const char *status;
    enum verdict verdict;
} words[] = {
    {"complete", GOOD},        {"verified", GOOD}, {"done", GOOD},   {"collected", GOOD}, {"incomplete", INCOMPLETE},
    {"suspect", SUSPECT},      {"failed", BAD},    {"damaged", BAD}, {"killed", BAD},     {"partial", SAYS_NOTHING},
    {"skipped", SAYS_NOTHING},
};

/* What finds one snapshot whole, or looks at half of it, does not take back that there was damage. */
static bool looked_at_all(const json_t *record)
{
    return !records_is(record, "command", "verify") ||
           (!records_text(record, "snapshot") && !json_is_true(json_object_get(record, "quick")));
}

static enum verdict judge(const json_t *record)
{
    enum verdict verdict =
        records_number(record, "exit") == 0 && json_is_integer(json_object_get(record, "exit")) ? SAYS_NOTHING : BAD;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (records_is(record, "status", words[i].status))
            verdict = words[i].verdict;
    if (records_is(record, "snapshot_status", "partial") && verdict != BAD)
        return SAYS_NOTHING; /* of some sources alone */
    if (records_is(record, "snapshot_status", "suspect") && verdict != BAD)
        return SUSPECT;
    return verdict == GOOD && !looked_at_all(record) ? SAYS_NOTHING : verdict;
}

/* Somebody has typed it, and sees what comes of it: told once, and no state. */
static bool is_by_hand(const json_t *record)
{
    return records_is(record, "command", "restore") || records_is(record, "command", "copy");
}

static bool has_removed(const json_t *record)
{
    const json_t *rows = json_object_get(record, "sinks");
    int64_t removed = 0;
    for (size_t i = 0; i < json_array_size(rows); i++)
        removed += records_number(json_array_get(rows, i), "removed");
    return removed > 0;
}

/* What tells one failure from another: not the times, sizes, ids and names of objects in it. */
static void identify(const json_t *record, char out[KEY_MAX])
{
    const char *class = records_text(record, "class"), *error = records_text(record, "error");
    const char *status = records_text(record, "status");
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t k = 0; k < 2; k++) {
        const json_t *rows = json_object_get(record, k == 0 ? "sources" : "sinks");
        for (size_t i = 0; i < json_array_size(rows); i++)
            if (records_text(json_array_get(rows, i), "error"))
                for (const char *p = records_text(json_array_get(rows, i), "name"); p && *p; p++)
                    hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    }
    for (const char *p = error; p && *p; p++)
        if (!strchr("0123456789abcdef", *p))
            hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    snprintf(out, KEY_MAX, "%.40s %.40s %016llx", status, class ? class : "", (unsigned long long)hash);
}

static int tell_once(json_t *memory, const struct events_listener *l, enum config_event event, const json_t *record,
                     struct error *e)
{
    const char *job = records_text(record, "job"), *sink = records_text(record, "sink");
    if (!is_on(l, event) || l->delay(l->context, job, sink) != 0)
        return 0;
    return enqueue(memory, l, events_of_record(l->host, event, record), e);
}

static int take_bad(json_t *memory, const struct events_listener *l, const char *key, enum verdict verdict,
                    const json_t *record, struct error *e)
{
    enum config_event event = verdict == BAD          ? CONFIG_FAILURE
                              : verdict == INCOMPLETE ? CONFIG_INCOMPLETE
                                                      : CONFIG_SUSPECT;
    char identity[KEY_MAX];
    if (is_by_hand(record))
        return tell_once(memory, l, event, record, e);
    identify(record, identity);
    json_t *object = events_of_record(l->host, event, record);
    if (!object)
        return error_memory(e);
    return set_state(memory, l, key, identity, records_time(record, "ended"), object, e);
}

static int take_good(json_t *memory, const struct events_listener *l, const char *key, const json_t *record,
                     struct error *e)
{
    json_t *recovered = events_of_record(l->host, CONFIG_RECOVERED, record);
    if (!recovered)
        return error_memory(e);
    if (end_state(memory, l, key, recovered, e) < 0)
        return -1;
    return records_is(record, "command", "run") && records_is(record, "status", "complete")
               ? tell_once(memory, l, CONFIG_SUCCESS, record, e)
               : 0;
}

/* What each sink of a run said of its keys; one that was not reached says nothing. */
static int take_expiry(json_t *memory, const struct events_listener *l, const json_t *record, struct error *e)
{
    const json_t *rows = json_object_get(record, "sinks");
    char key[KEY_MAX];
    int result = 0;
    for (size_t i = 0; i < json_array_size(rows) && result == 0; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *name = records_text(row, "name"), *warning = records_text(row, "warning");
        if (!name || (!warning && !json_is_true(json_object_get(row, "committed"))))
            continue;
        snprintf(key, sizeof key, "key_expiry %.63s", name);
        json_t *object = warning ? events_of_expiry(l->host, record, name, warning) : NULL;
        if (warning && !object)
            return error_memory(e);
        result = warning ? set_state(memory, l, key, "expires", records_time(record, "ended"), object, e)
                         : end_state(memory, l, key, NULL, e);
    }
    return result;
}

int events_take_record(json_t *memory, const struct events_listener *l, const json_t *record, struct error *e)
{
    char key[KEY_MAX];
    const char *job = records_text(record, "job"), *sink = records_text(record, "sink");
    enum verdict verdict = judge(record);
    if (l->delay(l->context, job, sink) < 0)
        return 0;
    snprintf(key, sizeof key, "%.40s %s %.63s", records_text(record, "command"), job ? "job" : "sink",
             job    ? job
             : sink ? sink
                    : "");
    if (has_removed(record) && tell_once(memory, l, CONFIG_REMOVED, record, e) < 0)
        return -1;
    if (records_is(record, "command", "run") && take_expiry(memory, l, record, e) < 0)
        return -1;
    if (verdict == SAYS_NOTHING)
        return 0;
    return verdict == GOOD ? take_good(memory, l, key, record, e) : take_bad(memory, l, key, verdict, record, e);
}

/* ---- the status ---- */

static int take_stale(json_t *memory, const struct events_listener *l, const struct status_job *job,
                      const struct status_sink *s, struct error *e)
{
    char key[KEY_MAX];
    snprintf(key, sizeof key, "stale %.63s %.63s", job->job->name, s->sink->name);
    if (l->delay(l->context, job->job->name, NULL) < 0 ||
        (!s->stale && !json_object_get(json_object_get(memory, "states"), key)))
        return 0;
    json_t *object = events_of_stale(l->host, l->now, job, s, !s->stale);
    if (!object)
        return error_memory(e);
    return s->stale ? set_state(memory, l, key, "stale", l->now, object, e) : end_state(memory, l, key, object, e);
}

static int take_space(json_t *memory, const struct events_listener *l, const struct status_place *place,
                      struct error *e)
{
    char key[KEY_MAX];
    bool full = status_is_full(place);
    snprintf(key, sizeof key, "space %.63s", place->sink->name);
    if (!full && status_is_nearly_full(place, l->now) && json_object_get(json_object_get(memory, "states"), key))
        return 0;
    if (!full && !status_is_filling(place, l->now))
        return end_state(memory, l, key, NULL, e);
    if (l->delay(l->context, NULL, place->sink->name) < 0)
        return 0;
    json_t *object = events_of_space(l->host, l->now, place);
    return object ? set_state(memory, l, key, full ? "full" : "filling", l->now, object, e) : error_memory(e);
}

int events_take_status(json_t *memory, const struct events_listener *l, const struct status *status, struct error *e)
{
    for (size_t i = 0; i < status->job_count; i++)
        for (size_t k = 0; k < status->jobs[i].job->sink_count; k++)
            if (take_stale(memory, l, &status->jobs[i], &status->jobs[i].sinks[k], e) < 0)
                return -1;
    for (size_t i = 0; i < status->place_count; i++)
        if (take_space(memory, l, &status->places[i], e) < 0)
            return -1;
    return 0;
}

/* ---- what time does ---- */

/* Is something of this state in the queue? Then another word of it would say nothing new. */
static bool is_waiting(const json_t *memory, const json_t *state)
{
    const json_t *queue = json_object_get(memory, "queue"), *object = json_object_get(state, "object");
    for (size_t i = 0; i < json_array_size(queue); i++)
        if (is_alike(json_array_get(queue, i), object))
            return true;
    return false;
}

static int settle_state(json_t *memory, const struct events_listener *l, json_t *state, struct error *e)
{
    int64_t told = records_time(state, "told");
    if (told == INT64_MIN)
        return tell_when_due(memory, l, state, l->now, e);
    if (l->remind <= 0 || l->now - told < l->remind || !is_on(l, event_of(state)) || is_waiting(memory, state))
        return 0;
    json_t *again = events_reminder(json_object_get(state, "object"), records_time(state, "since"), l->now);
    return tell(memory, l, state, again, e);
}

static int expire(json_t *memory, int64_t now, struct error *e)
{
    const json_t *queue = json_object_get(memory, "queue");
    while (json_array_size(queue) > 0 && now - records_time(json_array_get(queue, 0), "queued") > EVENTS_KEPT)
        if (drop_oldest(memory, e) < 0)
            return -1;
    return 0;
}

int events_settle(json_t *memory, const struct events_listener *l, struct error *e)
{
    json_t *states = json_object_get(memory, "states"), *state;
    const char *key;
    void *next;
    json_object_foreach_safe(states, next, key, state)
    {
        if (event_of(state) == CONFIG_EVENTS || delay_of(l, state) < 0)
            json_object_del(states, key);
        else if (settle_state(memory, l, state, e) < 0)
            return -1;
    }
    return expire(memory, l->now, e);
}
