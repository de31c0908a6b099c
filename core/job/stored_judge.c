#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "job/stored.h"

#define SHOWN 1000 /* bytes of an error */

static int add(struct stored *stored, enum status_level level, const struct config_instance *sink,
               struct stored_row *row, struct error *e, const char *format, ...) __attribute__((format(printf, 6, 7)));

static int add(struct stored *stored, enum status_level level, const struct config_instance *sink,
               struct stored_row *row, struct error *e, const char *format, ...)
{
    struct stored_problem *grown = reallocarray(stored->problems, stored->problem_count + 1, sizeof *grown);
    va_list arguments;
    if (!grown)
        return error_memory(e);
    stored->problems = grown;
    struct stored_problem *p = &grown[stored->problem_count++];
    *p = (struct stored_problem){.level = level, .row = row, .sink = sink};
    va_start(arguments, format);
    vsnprintf(p->text, sizeof p->text, format, arguments);
    va_end(arguments);
    if (row && level > row->level)
        row->level = level;
    if (level > stored->level)
        stored->level = level;
    return 0;
}

static int judge_age(struct stored *stored, struct stored_row *row, struct error *e)
{
    char old[TEXT_AGE_MAX], most[TEXT_AGE_MAX];
    int64_t age = row->good == INT64_MIN ? 0 : (stored->now - row->good) / 1000000;
    row->stale = row->max_age > 0 && (row->good == INT64_MIN || age > row->max_age);
    text_age(row->max_age, most);
    if (row->good == INT64_MIN && row->stale)
        return add(stored, STATUS_STALE, row->sink, row, e, "no complete snapshot is there, and max_age is %s", most);
    if (row->good == INT64_MIN)
        return add(stored, STATUS_WARNING, row->sink, row, e, "no complete snapshot is there");
    if (!row->stale)
        return 0;
    return add(stored, STATUS_STALE, row->sink, row, e,
               "the newest complete snapshot is %s old, older than max_age (%s)", text_age(age, old), most);
}

static int judge_last(struct stored *stored, struct stored_row *row, struct error *e)
{
    static const char *const what[STORED_STATES] = {
        [STORED_INCOMPLETE] = "is incomplete",
        [STORED_SUSPECT] = "is suspect",
        [STORED_UNKNOWN] = "says something that this version does not know",
    };
    char old[TEXT_AGE_MAX];
    if (row->last == INT64_MIN || !what[row->last_state])
        return 0;
    return add(stored, STATUS_WARNING, row->sink, row, e, "the newest snapshot, %s, %s old, %s", row->last_id,
               text_age((stored->now - row->last) / 1000000, old), what[row->last_state]);
}

static int judge_objects(struct stored *stored, struct stored_row *row, struct error *e)
{
    if (row->future > 0 && add(stored, STATUS_WARNING, row->sink, row, e,
                               "%zu snapshot%s of the future: is this machine's clock right? Otherwise somebody lies, "
                               "or had a wrong clock",
                               row->future, row->future == 1 ? " is" : "s are") < 0)
        return -1;
    if (row->unreadable == 0)
        return 0;
    return add(stored, row->damaged ? STATUS_DAMAGED : STATUS_WARNING, row->sink, row, e,
               "%zu snapshot%s cannot be read, such as %.*s", row->unreadable, row->unreadable == 1 ? "" : "s", SHOWN,
               row->why);
}

static int judge_sink(struct stored *stored, const struct stored_sink *sink, struct error *e)
{
    if (!sink->reached)
        return add(stored, STATUS_UNKNOWN, sink->sink, NULL, e, "it cannot be looked at: %.*s", SHOWN, sink->why);
    if (sink->more > 0 && add(stored, STATUS_DAMAGED, sink->sink, NULL, e,
                              "there are more than %u hosts and jobs, and nothing is said of the %zu snapshot%s of the "
                              "others: somebody may have made names",
                              STORED_ROWS_MAX, sink->more, sink->more == 1 ? "" : "s") < 0)
        return -1;
    if (sink->unreadable == 0)
        return 0;
    return add(stored, STATUS_DAMAGED, sink->sink, NULL, e,
               "%zu snapshot%s of nobody knows which host cannot be read, such as %.*s", sink->unreadable,
               sink->unreadable == 1 ? "" : "s", SHOWN, sink->why);
}

static int worst_first(const void *a, const void *b)
{
    const struct stored_problem *x = a, *y = b;
    if (x->level != y->level)
        return x->level > y->level ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return strcmp(x->text, y->text);
}

int stored_judge(struct stored *stored, struct error *e)
{
    for (size_t i = 0; i < stored->sink_count; i++)
        if (judge_sink(stored, &stored->sinks[i], e) < 0)
            return -1;
    for (size_t i = 0; i < stored->row_count; i++) {
        struct stored_row *row = &stored->rows[i];
        if (judge_age(stored, row, e) < 0 || judge_last(stored, row, e) < 0 || judge_objects(stored, row, e) < 0)
            return -1;
    }
    if (stored->problem_count > 0)
        qsort(stored->problems, stored->problem_count, sizeof *stored->problems, worst_first);
    return 0;
}
