/* Events: what somebody is to be told of, from what the records (attempt/records.h) and the status (operation/status.h)
 * say, and from what was told before. Nothing is read or written here but memory.
 *
 * One notifier's memory is an object of JSON:
 *
 *   read    the id of the last record that was taken, by place: {"jobs/nightly": "cofre-..."}
 *   states  what is not as it should be: {"run job nightly": {event, identity, since, told, known, object}}. It stays,
 *           told or not, until a record or the status says that it is over. told: when, last, as it is, or when it came
 *           into the queue; null after it has changed. known: it was told in some form, so its end is news
 *   queue   what is to be told and was not yet, oldest first: objects as programs get them, with "queued"
 *   dropped how many were taken out of the queue, untold, since something was told last
 *
 * failure, incomplete and suspect follow the records: of each command at each job or sink the last one counts. stale
 * and space follow the status. success and removed are no states: each record that says so is told once. start is in no
 * memory: it is told at once, or never.
 */
#ifndef COFRE_OPERATION_EVENTS_H
#define COFRE_OPERATION_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "config/config.h"

struct error;
struct status;

#define EVENTS_QUEUE_MAX 100
#define EVENTS_KEPT (INT64_C(7) * 24 * 3600 * 1000000000) /* ns that one waits in the queue at most */
#define EVENTS_TITLE_MAX 255                              /* bytes */
#define EVENTS_TEXT_MAX 8192
#define EVENTS_JSON_MAX 65000

/* Who is told. */
struct events_listener {
    unsigned on;    /* 1 << enum config_event */
    int64_t remind; /* ns; 0 = never */
    int64_t now;    /* ns */
    const char *host;
    /* How long what goes wrong with the job (NULL: the sink) must last until it is told, ns; -1 = it is no concern of
     * theirs. Only whom it is 0 for hears of what is no state, too. */
    int64_t (*delay)(void *context, const char *job, const char *sink);
    void *context;
};

/* NULL = out of memory. */
json_t *events_new(void);
/* Is it such an object? */
bool events_valid(const json_t *memory);

/* The next record, as they are in their file. */
int events_take_record(json_t *memory, const struct events_listener *listener, const json_t *record, struct error *e);
/* Of all jobs, as it is now. */
int events_take_status(json_t *memory, const struct events_listener *listener, const struct status *status,
                       struct error *e);
/* At last: what has lasted long enough, and is told again; what is no concern any more, or waits for too long, goes. */
int events_settle(json_t *memory, const struct events_listener *listener, struct error *e);

/* The next to be told, without those whose ids are keys of passed; NULL = none. Lent. */
const json_t *events_next(const json_t *memory, const json_t *passed);
/* It was told, at that time (ns). */
int events_told(json_t *memory, const char *id, int64_t now, struct error *e);

/* ---- the object (job/events_text.c) ---- */

/* What all of them have; time ns. record: NULL = none. members of it that are not there are null. NULL = out of memory.
 */
struct events_about {
    const char *event; /* config_event_name, or "test" */
    int level;         /* LOG_ERROR to LOG_INFO */
    const char *host, *job, *sink, *command;
    int64_t time;
    const char *title, *text; /* cut where they are too long */
    const json_t *record;
};
json_t *events_object(const struct events_about *about);
/* enum log_level of such an object. */
int events_level(const json_t *object);
/* The object of what a record says. */
json_t *events_of_record(const char *host, enum config_event event, const json_t *record);
/* Of a job that begins, whose record has no end yet. */
json_t *events_of_start(const char *host, const json_t *record);
/* Of a sink of a job that is stale (over: no longer), and of one that is full, or will be soon. */
struct status_job;
struct status_place;
struct status_sink;
json_t *events_of_stale(const char *host, int64_t now, const struct status_job *job, const struct status_sink *sink,
                        bool over);
/* Of what a run has said will fail in the sink one day. */
json_t *events_of_expiry(const char *host, const json_t *record, const char *sink, const char *warning);
json_t *events_of_space(const char *host, int64_t now, const struct status_place *place);
/* A copy that says that it is still so, since then. */
json_t *events_reminder(const json_t *object, int64_t since, int64_t now);

#endif
