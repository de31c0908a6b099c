#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "operation/stored.h"

#define SHOWN 1000 /* bytes of an error */

static struct problem_subject of_row(const struct stored_row *row)
{
    return (struct problem_subject){.host = row->host, .job = row->job, .sink = row->sink->name};
}

static int judge_age(struct stored *stored, struct stored_row *row, struct error *e)
{
    char old[TEXT_AGE_MAX], most[TEXT_AGE_MAX];
    int64_t age = row->good == INT64_MIN ? 0 : (stored->now - row->good) / 1000000;
    row->stale = row->max_age > 0 && (row->good == INT64_MIN || age > row->max_age);
    text_age(row->max_age, most);
    if (row->good == INT64_MIN && row->stale)
        return problem_add(&stored->problems, PROBLEM_STALE, of_row(row), e,
                           "no complete snapshot is there, and max_age is %s", most);
    if (row->good == INT64_MIN)
        return problem_add(&stored->problems, PROBLEM_WARNING, of_row(row), e, "no complete snapshot is there");
    if (!row->stale)
        return 0;
    return problem_add(&stored->problems, PROBLEM_STALE, of_row(row), e,
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
    return problem_add(&stored->problems, PROBLEM_WARNING, of_row(row), e, "the newest snapshot, %s, %s old, %s",
                       row->last_id, text_age((stored->now - row->last) / 1000000, old), what[row->last_state]);
}

static int judge_objects(struct stored *stored, struct stored_row *row, struct error *e)
{
    if (row->future > 0 &&
        problem_add(&stored->problems, PROBLEM_WARNING, of_row(row), e,
                    "%zu snapshot%s of the future: is this machine's clock right? Otherwise somebody lies, "
                    "or had a wrong clock",
                    row->future, row->future == 1 ? " is" : "s are") < 0)
        return -1;
    if (row->unreadable == 0)
        return 0;
    return problem_add(&stored->problems, row->damaged ? PROBLEM_DAMAGED : PROBLEM_WARNING, of_row(row), e,
                       "%zu snapshot%s cannot be read, such as %.*s", row->unreadable, row->unreadable == 1 ? "" : "s",
                       SHOWN, row->why);
}

static struct problem_subject of_sink(const struct stored_sink *sink)
{
    return (struct problem_subject){.sink = sink->sink->name};
}

static int judge_sink(struct stored *stored, const struct stored_sink *sink, struct error *e)
{
    if (!sink->reached)
        return problem_add(&stored->problems, PROBLEM_UNKNOWN, of_sink(sink), e, "it cannot be looked at: %.*s", SHOWN,
                           sink->why);
    if (sink->more > 0 &&
        problem_add(&stored->problems, PROBLEM_DAMAGED, of_sink(sink), e,
                    "there are more than %u hosts and jobs, and nothing is said of the %zu snapshot%s of the others: "
                    "somebody may have made names",
                    STORED_ROWS_MAX, sink->more, sink->more == 1 ? "" : "s") < 0)
        return -1;
    if (sink->unreadable == 0)
        return 0;
    return problem_add(&stored->problems, PROBLEM_DAMAGED, of_sink(sink), e,
                       "%zu snapshot%s of nobody knows which host cannot be read, such as %.*s", sink->unreadable,
                       sink->unreadable == 1 ? "" : "s", SHOWN, sink->why);
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
    problem_sort(&stored->problems);
    return 0;
}
