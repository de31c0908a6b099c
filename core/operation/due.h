/* Due: what has to be done on this machine now, and when the next of each thing is.
 *
 * A thing is the run of a job (schedule), its verification (verify_every), the prune of what other hosts store in a
 * sink (prune_every), or its gc (gc_every). Each has a rule, which says of every moment when the next time after it is.
 * What is due is decided by the records alone (attempt/records.h), whoever made them, and by a mark for each thing,
 * which due itself keeps (due_marks): since when it is looked after, or when it was begun last.
 *
 *   - A thing is due once the first time after its last attempt, or its mark, has come; so what was missed several
 *     times is caught up once, and what was never done waits for its first time.
 *   - When the last attempt was the first since a time of the rule, and failed in passing, it is due once more,
 *     DUE_PATIENCE later.
 *   - Moments more than DUE_AHEAD in the future are those of a clock that was wrong, and count for nothing.
 *   - While an attempt of any kind at the job (or the sink) is at work, nothing of it is begun.
 */
#ifndef COFRE_OPERATION_DUE_H
#define COFRE_OPERATION_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "config/schedule.h"

struct config;
struct config_instance;
struct config_job;
struct error;

/* ns */
#define DUE_SECOND INT64_C(1000000000)
#define DUE_PATIENCE (15 * 60 * DUE_SECOND) /* from the end of what failed in passing to its second try */
#define DUE_AHEAD (3600 * DUE_SECOND)       /* that a clock may have been put back by */
#define DUE_LATE (3600 * DUE_SECOND)        /* what is later is called missed */
#define DUE_UNSEEN (2 * 3600 * DUE_SECOND)  /* nobody looks, when nobody has for so long */

/* ---- deciding: pure ---- */

/* Times of the schedule, so much later each; or, when every > 0, so long after what was done last. */
struct due_rule {
    struct schedule schedule;
    int64_t delay, every; /* ns */
};
/* The first time after `after`; false: there is none. */
bool due_next(const struct due_rule *rule, int64_t after, int64_t *next);
/* That of a job's runs; false: it has no schedule. */
bool due_rule_of(const struct config *config, const struct config_job *job, struct due_rule *rule);

/* One attempt. began INT64_MIN: there was none. */
struct due_attempt {
    int64_t began, ended;
    bool passing; /* it failed, for a reason that may be gone in a while */
};

struct due_known {
    int64_t since;                   /* the mark */
    struct due_attempt last, before; /* the newest, and the one before */
};

enum due_why {
    DUE_NEVER,   /* the rule has no time any more */
    DUE_IN_TIME, /* the rule says so */
    DUE_MISSED,  /* it did, longer than DUE_LATE ago */
    DUE_AGAIN    /* the last attempt failed in passing */
};

struct due_decision {
    bool now;
    enum due_why why;
    int64_t when; /* it is or was due; INT64_MAX with DUE_NEVER */
};
struct due_decision due_decide(const struct due_rule *rule, const struct due_known *known, int64_t now);

/* ---- looking ---- */

enum due_what { DUE_RUN, DUE_VERIFY, DUE_PRUNE, DUE_GC };

struct due_thing {
    enum due_what what;
    const struct config_job *job;       /* NULL: prune, gc */
    const struct config_instance *sink; /* of prune and gc, else NULL */
    struct due_rule rule;
    struct due_known known;
    bool busy; /* something of the job, or of the sink, is at work */
    struct due_decision decision;
};

struct due_list {
    struct due_thing *items;
    size_t count;
};

/* The marks: STATE/due, whole or not there. */
struct due_marks {
    char *path;
    json_t *things;  /* by due_name: "rule", "since" */
    int64_t looked;  /* when somebody who does what is due looked last, ns; INT64_MIN = nobody did */
    int64_t written; /* what the file says of that */
    bool changed;    /* otherwise than by looking */
};
/* None there: none. What cannot be understood is a warning, and none. To be freed also after an error. */
int due_marks_load(const struct config *config, struct due_marks *marks, struct error *e);
/* Durably, when something has changed, or nobody has said for a while that somebody looks. */
int due_marks_save(struct due_marks *marks, struct error *e);
void due_marks_free(struct due_marks *marks);
/* When somebody who does what is due looked last, as far as the file says; INT64_MIN: never, or it cannot be read. */
int64_t due_looked(const struct config *config);

/* The command that does it: "run", "verify", "prune", "gc". */
const char *due_command(enum due_what what);
/* "run nightly", "verify nightly", "gc nas" into out[DUE_NAME_MAX]. Returns out. */
#define DUE_NAME_MAX 80
const char *due_name(const struct due_thing *thing, char *out);

/* All things of the configuration, as they stand: what is due now first, runs before verifications before prune before
 * gc, and of those the longest due; then the others, the next first. Things that have no mark get one, of now; the
 * marks of things that there are no more go. */
int due_look(const struct config *config, struct due_marks *marks, int64_t now, struct due_list *list, struct error *e);
void due_list_free(struct due_list *list);

/* The thing of that name is going to be begun (since: now), or was not begun after all (since: what was known before).
 * So what can leave no record of itself is not begun over and over; after an error it must not be begun. One that there
 * is no more: 0. */
int due_mark(struct due_marks *marks, const char *name, int64_t since, struct error *e);

#endif
