#include "operation/due.h"

#include "base/error.h"
#include "config/config.h"

/* The same for this host and job each time, spread evenly over hosts and jobs: FNV-1a, its bits mixed. */
static int64_t delay_of(const struct config *config, const struct config_job *job)
{
    const char *const words[] = {config->host, job->name};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int64_t seconds = config->jitter / 1000;
    if (seconds == 0)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        for (const char *p = words[i]; *p; p++)
            hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
        hash *= UINT64_C(0x100000001b3);
    }
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return (int64_t)((hash ^ hash >> 33) % (uint64_t)seconds) * DUE_SECOND;
}

bool due_rule_of(const struct config *config, const struct config_job *job, struct due_rule *rule)
{
    struct error ignored;
    *rule = (struct due_rule){.delay = delay_of(config, job)};
    return job->schedule && schedule_parse(job->schedule, &rule->schedule, &ignored) == 0;
}

bool due_next(const struct due_rule *rule, int64_t after, int64_t *next)
{
    if (rule->every > 0)
        return !__builtin_add_overflow(after, rule->every, next);
    if (!schedule_next(&rule->schedule, after - rule->delay, next))
        return false;
    *next += rule->delay;
    return true;
}

static bool counts(int64_t when, int64_t now)
{
    return when != INT64_MIN && when <= now + DUE_AHEAD;
}

/* Was the last attempt the one for a time of the rule, and not a second try, or one that somebody made besides? */
static bool is_first(const struct due_rule *rule, const struct due_known *known)
{
    int64_t next;
    if (known->before.began == INT64_MIN)
        return true;
    return due_next(rule, known->before.began, &next) && next <= known->last.began;
}

struct due_decision due_decide(const struct due_rule *rule, const struct due_known *known, int64_t now)
{
    const struct due_attempt *last = &known->last;
    int64_t base = counts(known->since, now) ? known->since : now, when, again;
    bool recorded = counts(last->began, now) && last->began >= base;
    if (recorded)
        base = last->began;
    if (!due_next(rule, base, &when))
        when = INT64_MAX;
    struct due_decision d = {.when = when};
    again = (last->ended < now ? last->ended : now) + DUE_PATIENCE;
    if (recorded && last->passing && is_first(rule, known) && again < when)
        d = (struct due_decision){.when = again, .why = DUE_AGAIN};
    else
        d.why = when == INT64_MAX ? DUE_NEVER : when + DUE_LATE < now ? DUE_MISSED : DUE_IN_TIME;
    d.now = d.when <= now;
    return d;
}
