#include "operation/notify.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/bytes.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "operation/events.h"
#include "operation/status.h"
#include "worker/engine.h"
#include "worker/notifier.h"

#define MEMORY_MAX ((size_t)64 << 20) /* bytes */
#define CAUGHT_UP 1000                /* records at a place that are taken at once; what is older is passed over */
#define REFUSALS 10                   /* events that are refused before it is enough for one command */
#define LOCK_PATIENCE 30000           /* ms: who holds it reads some records, or writes a file */
#define LOCK_LOOK 20                  /* ms */
#define MILLISECOND INT64_C(1000000)  /* ns */

/* One notifier, while it is told. */
struct telling {
    const struct engine *engine;
    const struct config_instance *notifier;
    const struct status *status;
    char path[PATH_MAX]; /* of its memory; also of its locks, with another ending */
    int turn;            /* the lock of who tells; -1 = another process does */
    json_t *passed;      /* ids of events that were refused */
};

/* ---- who is concerned ---- */

static int64_t delay_in(const struct config_notify *notify, const struct config_instance *notifier)
{
    for (size_t i = 0; i < notify->count; i++)
        if (notify->to[i] == notifier)
            return 0;
    return notify->later == notifier ? notify->after * MILLISECOND : -1;
}

static bool uses(const struct config_job *job, const char *sink)
{
    for (size_t i = 0; i < job->sink_count; i++)
        if (strcmp(job->sinks[i]->name, sink) == 0)
            return true;
    return false;
}

/* Of a sink: as soon as it is for any job that uses it, or for all jobs. */
static int64_t delay_of(void *context, const char *job, const char *sink)
{
    const struct telling *t = context;
    const struct config *config = t->engine->config;
    int64_t shortest = job ? -1 : delay_in(&config->notify, t->notifier);
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *j = &config->jobs[i];
        if (job ? strcmp(j->name, job) != 0 : !sink || !uses(j, sink))
            continue;
        int64_t delay = delay_in(&j->notify, t->notifier);
        if (delay >= 0 && (shortest < 0 || delay < shortest))
            shortest = delay;
    }
    return shortest;
}

/* ---- memory ---- */

static int lock(const struct telling *t, int *fd, struct error *e)
{
    char path[PATH_MAX];
    long holder;
    snprintf(path, sizeof path, "%.*s.lock", PATH_MAX - 8, t->path);
    int64_t until = clock_monotonic() + LOCK_PATIENCE;
    while (file_lock(path, fd, &holder, e) < 0) {
        if (e->class != ERROR_BUSY || clock_monotonic() >= until)
            return -1;
        clock_sleep(LOCK_LOOK);
    }
    return 0;
}

/* NULL with the error set. What is none any more is begun anew: better twice than never. */
static json_t *load(const struct telling *t, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = MEMORY_MAX};
    json_t *memory = NULL;
    if (file_read_own(t->path, MEMORY_MAX, &text, e) == 0) {
        memory = json_loadb((const char *)text.data, text.length, 0, NULL);
        if (!memory || !events_valid(memory)) {
            log_line(LOG_WARNING,
                     "notifier '%s': what it was told before cannot be read in '%s', and may be told again",
                     t->notifier->name, t->path);
            json_decref(memory);
            memory = NULL;
        }
    } else if (e->class != ERROR_NOT_FOUND) {
        return NULL;
    }
    if (!memory && !(memory = events_new()))
        error_memory(e);
    return memory;
}

static int save(const struct telling *t, const json_t *memory, struct error *e)
{
    AUTO_FREE char *text = json_dumps(memory, JSON_COMPACT);
    return text ? file_write(t->path, text, strlen(text), FILE_REPLACE, e) : error_memory(e);
}

/* ---- what is new ---- */

struct catching {
    const char *last;
    json_t *found; /* newest first */
    bool reached, no_memory;
};

static bool visit(void *context, const char *line, size_t length)
{
    struct catching *c = context;
    json_t *record = records_parse(line, length);
    const char *id = record ? records_text(record, "id") : NULL;
    c->reached = id && c->last && strcmp(id, c->last) == 0;
    if (id && !c->reached && json_array_append(c->found, record) < 0)
        c->no_memory = true;
    json_decref(record);
    return !c->reached && !c->no_memory && json_array_size(c->found) < (c->last ? CAUGHT_UP : 1);
}

/* Where nothing is known of what was told, only the last record is news. */
static int take_found(json_t *memory, const struct events_listener *l, const char *place, const struct catching *c,
                      struct error *e)
{
    size_t count = json_array_size(c->found);
    if (c->last && !c->reached && count < CAUGHT_UP && count > 1)
        count = 1;
    for (size_t i = count; i > 0; i--)
        if (events_take_record(memory, l, json_array_get(c->found, i - 1), e) < 0)
            return -1;
    if (count == 0)
        return 0;
    json_t *id = json_incref(json_object_get(json_array_get(c->found, 0), "id"));
    return json_object_set_new(json_object_get(memory, "read"), place, id) < 0 ? error_memory(e) : 0;
}

static int take_place(const struct telling *t, json_t *memory, const struct events_listener *l, const char *job,
                      const char *sink, struct error *e)
{
    char directory[PATH_MAX], place[96];
    if (delay_of(l->context, job, sink) < 0)
        return 0;
    snprintf(place, sizeof place, "%s/%.80s", job ? "jobs" : "sinks", job ? job : sink);
    struct catching c = {.last = records_text(json_object_get(memory, "read"), place), .found = json_array()};
    if (!c.found)
        return error_memory(e);
    int result = records_directory(t->engine->config, job, sink, directory, e);
    if (result == 0)
        result = records_back(directory, visit, &c, e);
    if (result == 0 && c.no_memory)
        result = error_memory(e);
    if (result == 0)
        result = take_found(memory, l, place, &c, e);
    json_decref(c.found);
    return result;
}

static int take_news(struct telling *t, json_t *memory, struct error *e)
{
    const struct config *config = t->engine->config;
    const struct events_listener l = {.on = t->notifier->on,
                                      .remind = t->notifier->remind * MILLISECOND,
                                      .now = t->status->now,
                                      .host = config->host,
                                      .delay = delay_of,
                                      .context = t};
    for (size_t i = 0; i < config->job_count; i++)
        if (take_place(t, memory, &l, config->jobs[i].name, NULL, e) < 0)
            return -1;
    for (size_t i = 0; i < config->sink_count; i++)
        if (take_place(t, memory, &l, NULL, config->sinks[i].name, e) < 0)
            return -1;
    return events_take_status(memory, &l, t->status, e) < 0 ? -1 : events_settle(memory, &l, e);
}

/* Take the turn to tell, if there is something, unless another process has it: that one looks again, with the lock of
 * the memory, before it gives it up. */
static int take_turn(struct telling *t, const json_t *memory, struct error *e)
{
    char path[PATH_MAX];
    long holder;
    if (!events_next(memory, NULL) || cancel_requested())
        return 0;
    snprintf(path, sizeof path, "%.*s.turn", PATH_MAX - 8, t->path);
    return file_lock(path, &t->turn, &holder, e) < 0 && e->class != ERROR_BUSY ? -1 : 0;
}

static int look(struct telling *t, struct error *e)
{
    AUTO_CLOSE int fd = -1;
    if (lock(t, &fd, e) < 0)
        return -1;
    json_t *memory = load(t, e), *before = memory ? json_deep_copy(memory) : NULL;
    int result = before ? take_news(t, memory, e) : memory ? error_memory(e) : -1;
    if (result == 0 && !json_equal(memory, before))
        result = save(t, memory, e);
    if (result == 0)
        result = take_turn(t, memory, e);
    json_decref(before);
    json_decref(memory);
    return result;
}

/* ---- telling ---- */

/* As a program is to see it; dropped: events that nobody will be told. */
static json_t *as_told(const json_t *object, json_int_t dropped)
{
    json_t *copy = json_deep_copy(object);
    char *text = NULL;
    const char *before = records_text(object, "text");
    json_object_del(copy, "queued");
    int result = copy ? json_object_set_new(copy, "dropped", json_integer(dropped)) : -1;
    if (result == 0 && dropped > 0) {
        result = asprintf(&text, "%s%lld earlier events could not be told, and are not going to be\n",
                          before ? before : "", (long long)dropped) < 0
                     ? -1
                     : json_object_set_new(copy, "text", json_string(text));
        free(text);
    }
    if (result == 0)
        return copy;
    json_decref(copy);
    return NULL;
}

static int notify_object(const struct config_instance *notifier, struct worker *worker, const json_t *object,
                         struct error *e)
{
    AUTO_FREE char *json = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (!json)
        return error_memory(e);
    const struct notifier_event event = {.level = events_level(object),
                                         .time = records_time(object, "time"),
                                         .id = records_text(object, "id"),
                                         .event = records_text(object, "event"),
                                         .host = records_text(object, "host"),
                                         .job = records_text(object, "job"),
                                         .sink = records_text(object, "sink"),
                                         .title = records_text(object, "title"),
                                         .text = records_text(object, "text"),
                                         .json = json};
    return notifier_notify(worker, &event, notifier->retry_for, e);
}

/* The next event, a copy; NULL = there is none, and the turn is given up. */
static int next(struct telling *t, json_t **object, struct error *e)
{
    AUTO_CLOSE int fd = -1;
    *object = NULL;
    if (lock(t, &fd, e) < 0)
        return -1;
    json_t *memory = load(t, e);
    const json_t *found = memory ? events_next(memory, t->passed) : NULL;
    int result = memory ? 0 : -1;
    if (found && !(*object = as_told(found, json_integer_value(json_object_get(memory, "dropped")))))
        result = error_memory(e);
    if (!*object)
        file_close_pointer(&t->turn);
    json_decref(memory);
    return result;
}

static int remember(const struct telling *t, const char *id, struct error *e)
{
    AUTO_CLOSE int fd = -1;
    if (lock(t, &fd, e) < 0)
        return -1;
    json_t *memory = load(t, e);
    if (!memory)
        return -1;
    int result = events_told(memory, id, clock_now(), e);
    if (result == 0)
        result = save(t, memory, e);
    json_decref(memory);
    return result;
}

/* Is it only about this event? */
static bool is_refusal(const struct error *e)
{
    return e->class == ERROR_PERMANENT || e->class == ERROR_RANGE;
}

static void say(const struct config_instance *notifier, const json_t *object, const struct error *e)
{
    struct error why = *e;
    const char *title = records_text(object, "title");
    error_consequence(&why, "'%s' was not told, and will be told later: ", title ? title : "");
    if (!why.subject[0])
        error_subject(&why, "notifier", notifier->name);
    log_error(LOG_WARNING, &why);
}

/* 1: go on. 0: it is enough. */
static int tell_one(struct telling *t, struct worker **worker, const json_t *object)
{
    struct error e;
    const char *id = records_text(object, "id");
    int result = *worker ? 0 : engine_open(t->engine, t->notifier, PLUGIN_NOTIFIER, NULL, 0, worker, &e);
    bool opened = result == 0;
    if (opened)
        result = notify_object(t->notifier, *worker, object, &e);
    bool told = result == 0;
    if (told && remember(t, id, &e) < 0) {
        log_error(LOG_WARNING, &e);
        return 0;
    }
    if (told)
        return 1;
    if (!cancel_requested())
        say(t->notifier, object, &e);
    return opened && is_refusal(&e) && json_object_set_new(t->passed, id, json_true()) == 0 &&
           json_object_size(t->passed) < REFUSALS;
}

static void tell(struct telling *t)
{
    struct worker *worker = NULL;
    struct error e;
    json_t *object;
    int result, more = 1;
    t->passed = json_object();
    while ((result = next(t, &object, &e)) == 0 && object && more > 0) {
        more = tell_one(t, &worker, object);
        json_decref(object);
        object = NULL;
    }
    json_decref(object);
    if (result < 0)
        log_error(LOG_WARNING, &e);
    worker_stop(worker);
    file_close_pointer(&t->turn);
    json_decref(t->passed);
}

/* ---- all of them ---- */

static int begin(struct telling *t, struct error *e)
{
    char directory[PATH_MAX];
    if (snprintf(directory, sizeof directory, "%s/notify", t->engine->config->state_dir) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", t->engine->config->state_dir);
    snprintf(t->path, sizeof t->path, "%.*s/%.64s", PATH_MAX - 80, directory, t->notifier->name);
    return file_make_trusted(directory, e) < 0 ? -1 : look(t, e);
}

static void notify_one(struct telling *t)
{
    struct error e;
    if (begin(t, &e) < 0) {
        error_consequence(&e, "notifier '%s' is told later: ", t->notifier->name);
        log_error(LOG_WARNING, &e);
    } else if (t->turn >= 0) {
        tell(t);
    }
    file_close_pointer(&t->turn);
}

void notify_all(const struct engine *engine)
{
    const struct config *config = engine->config;
    struct status status;
    struct error e;
    if (!config || config->notifier_count == 0 || !config->state_dir)
        return;
    if (status_read(config, NULL, &status, &e) < 0) {
        error_consequence(&e, "nobody is told what happened: ");
        log_error(LOG_WARNING, &e);
        status_free(&status);
        return;
    }
    for (size_t i = 0; i < config->notifier_count; i++) {
        struct telling t = {.engine = engine, .notifier = &config->notifiers[i], .status = &status, .turn = -1};
        notify_one(&t);
    }
    status_free(&status);
}

/* ---- a start ---- */

/* A copy of the section has the patience that a run has for it. */
static int tell_start(const struct engine *engine, const struct config_instance *notifier, int64_t patience,
                      const json_t *object, struct error *e)
{
    struct config_instance hasty = *notifier;
    struct worker *worker = NULL;
    hasty.timeout = notifier->timeout > 0 && notifier->timeout < patience ? notifier->timeout : patience;
    hasty.retry_for = 0;
    int result = engine_open(engine, &hasty, PLUGIN_NOTIFIER, NULL, 0, &worker, e);
    if (result == 0)
        result = notify_object(&hasty, worker, object, e);
    worker_stop(worker);
    return result;
}

static bool wants_start(const struct config_job *job, const struct config_instance *notifier)
{
    return (notifier->on & 1u << CONFIG_START) && delay_in(&job->notify, notifier) == 0;
}

void notify_start(const struct engine *engine, const struct config_job *job, json_t *record)
{
    const struct config *config = engine->config;
    json_t *object = record ? events_of_start(config->host, record) : NULL;
    int64_t until = clock_monotonic() + NOTIFY_START_ALL;
    for (size_t i = 0; i < config->notifier_count && !cancel_requested(); i++) {
        const struct config_instance *notifier = &config->notifiers[i];
        int64_t left = until - clock_monotonic();
        struct error e;
        if (!wants_start(job, notifier))
            continue;
        int result = left > 0
                         ? tell_start(engine, notifier, left < NOTIFY_START_EACH ? left : NOTIFY_START_EACH, object, &e)
                         : error_set(&e, ERROR_TIMEOUT, "the others took all the time that there is for it");
        if (result == 0 || cancel_requested())
            continue;
        error_consequence(&e, "the start of job '%s' was not told: ", job->name);
        if (!e.subject[0])
            error_subject(&e, "notifier", notifier->name);
        log_error(LOG_WARNING, &e);
    }
    json_decref(object);
    json_decref(record);
}

int notify_test(const struct engine *engine, const struct config_instance *notifier, struct error *e)
{
    char title[EVENTS_TITLE_MAX + 1], text[EVENTS_TITLE_MAX + 200];
    struct worker *worker;
    snprintf(title, sizeof title, "%.63s: a test of notifier '%.63s'", engine->config->host, notifier->name);
    snprintf(text, sizeof text, "%s\nwho reads this is told what happens to the backups of %s\n", title,
             engine->config->host);
    const struct events_about about = {.event = "test",
                                       .level = LOG_NOTICE,
                                       .host = engine->config->host,
                                       .time = clock_now(),
                                       .title = title,
                                       .text = text};
    if (engine_open(engine, notifier, PLUGIN_NOTIFIER, NULL, 0, &worker, e) < 0)
        return -1;
    json_t *object = events_object(&about);
    int result = notify_object(notifier, worker, object, e);
    json_decref(object);
    worker_stop(worker);
    return result;
}
