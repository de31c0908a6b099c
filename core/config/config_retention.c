/* Retention: the rules that a section sets, and which hold where several do. */
#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "config/config_build.h"
#include "config/section.h"

#define KEEP_MIN 3
#define KEEP_INCOMPLETE (INT64_C(7) * 24 * 3600 * 1000) /* ms */

/* The rules first: as long as none is set, nothing is removed. */
static const struct {
    const char *key;
    size_t offset;
    int64_t fallback;
} fields[] = {
    {"keep_last", offsetof(struct config_retention, keep_last), -1},
    {"keep_hourly", offsetof(struct config_retention, keep_hourly), -1},
    {"keep_daily", offsetof(struct config_retention, keep_daily), -1},
    {"keep_weekly", offsetof(struct config_retention, keep_weekly), -1},
    {"keep_monthly", offsetof(struct config_retention, keep_monthly), -1},
    {"keep_yearly", offsetof(struct config_retention, keep_yearly), -1},
    {"keep_within", offsetof(struct config_retention, keep_within), -1},
    {"keep_min", offsetof(struct config_retention, keep_min), KEEP_MIN},
    {"keep_incomplete", offsetof(struct config_retention, keep_incomplete), KEEP_INCOMPLETE},
    {"prune", offsetof(struct config_retention, prune), CONFIG_AFTER_RUN},
};
#define FIELDS (sizeof fields / sizeof fields[0])
#define RULES 7

static int64_t *field(struct config_retention *r, size_t i)
{
    return (int64_t *)(void *)((char *)r + fields[i].offset);
}

static bool in_table(const struct option *options, const char *name)
{
    while (options->name && strcmp(options->name, name) != 0)
        options++;
    return options->name != NULL;
}

/* Where over says nothing, what base says. */
static void merge(struct config_retention *over, const struct config_retention *base)
{
    struct config_retention copy = *base;
    for (size_t i = 0; i < FIELDS; i++)
        if (*field(over, i) < 0)
            *field(over, i) = *field(&copy, i);
}

static void set_fallbacks(struct config_retention *r)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (*field(r, i) < 0)
            *field(r, i) = fields[i].fallback;
}

bool config_retention_rules(const struct config_retention *retention)
{
    struct config_retention copy = *retention;
    for (size_t i = 0; i < RULES; i++)
        if (*field(&copy, i) > 0)
            return true;
    return false;
}

/* Rules that keep nothing at all are a slip that would cost nearly every snapshot. No rules keep everything. */
static int check(const struct config_retention *r, const struct section *s, struct error *e)
{
    struct config_retention copy = *r;
    bool any = false;
    for (size_t i = 0; i < RULES; i++)
        any = any || *field(&copy, i) == 0;
    if (!any || config_retention_rules(r))
        return 0;
    char title[160];
    error_set(e, ERROR_CONFIG, "%s keeps no snapshot at all", section_title(s, title, sizeof title));
    error_hint(e, "set one of the keep_ rules to 1 or more, or take them out to keep everything");
    return section_error_at(s, e);
}

int config_retention_build(struct config_retention *retention, const struct config_retention *base,
                           const struct section *section, const struct option *options, struct error *e)
{
    for (size_t i = 0; i < FIELDS; i++) {
        struct option_value v;
        *field(retention, i) = -1;
        if (!in_table(options, fields[i].key))
            continue;
        int written = section_value(section, options, fields[i].key, &v, e);
        if (written < 0)
            return -1;
        if (written)
            *field(retention, i) = v.number;
    }
    struct config_retention whole = *retention;
    merge(&whole, base);
    return check(&whole, section, e);
}

void config_retention_of(const struct config_job *job, const struct config_instance *sink,
                         struct config_retention *retention)
{
    *retention = job->retention;
    for (size_t i = 0; i < job->override_count; i++)
        if (job->overrides[i].sink == sink) {
            *retention = job->overrides[i].retention;
            merge(retention, &job->retention);
        }
    set_fallbacks(retention);
}

void config_retention_of_others(const struct config_instance *sink, struct config_retention *retention)
{
    *retention = sink->retention;
    set_fallbacks(retention);
}

bool config_retention_elsewhere(const struct config *config, const struct config_instance *sink)
{
    struct config_retention retention;
    for (size_t i = 0; i < config->job_count; i++) {
        config_retention_of(&config->jobs[i], sink, &retention);
        if (config_job_uses(&config->jobs[i], sink) && retention.prune == CONFIG_ELSEWHERE)
            return true;
    }
    return false;
}
