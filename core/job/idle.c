#include "job/idle.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

static void put(char *out, size_t size, const char *key)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used ? ", " : "", key);
}

/* Is a rule set for the job, or for one of its sinks? rule: its offset in struct config_retention. */
static bool keeps(const struct config_job *job, size_t rule)
{
    int64_t value;
    memcpy(&value, (const char *)&job->retention + rule, sizeof value);
    for (size_t i = 0; i < job->override_count && value < 0; i++)
        memcpy(&value, (const char *)&job->overrides[i].retention + rule, sizeof value);
    return value >= 0;
}

bool idle_keys(const struct config_job *job, char *out, size_t size)
{
    static const struct {
        const char *key;
        size_t offset;
    } rules[] = {{"keep_last", offsetof(struct config_retention, keep_last)},
                 {"keep_hourly", offsetof(struct config_retention, keep_hourly)},
                 {"keep_daily", offsetof(struct config_retention, keep_daily)},
                 {"keep_weekly", offsetof(struct config_retention, keep_weekly)},
                 {"keep_monthly", offsetof(struct config_retention, keep_monthly)},
                 {"keep_yearly", offsetof(struct config_retention, keep_yearly)}};
    out[0] = '\0';
    if (job->schedule)
        put(out, size, "schedule");
    if (job->max_age > 0)
        put(out, size, "max_age");
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (keeps(job, rules[i].offset))
            put(out, size, rules[i].key);
    return out[0] != '\0';
}
