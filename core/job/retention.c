#include "job/retention.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "format/vault.h"
#include "snapshot/manifest.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define DAY 86400 /* s */

/* One snapshot with what is decided of it. */
struct item {
    const struct vault_standing *standing;
    struct retention_decision *decision;
};

/* All of them, newest first, and those of them that are candidates. */
struct retention {
    const struct config_retention *rules;
    int64_t now;
    struct item *items, *candidates;
    size_t count, candidate_count;
};

void retention_add_reason(struct retention_decision *decision, const char *format, ...)
{
    va_list arguments;
    if (decision->reason_count == RETENTION_REASONS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(decision->reasons[decision->reason_count++], RETENTION_REASON_SIZE, format, arguments);
    va_end(arguments);
}

/* later - earlier, ns; the nearest that there is. */
static int64_t between(int64_t earlier, int64_t later)
{
    int64_t difference;
    if (!__builtin_sub_overflow(later, earlier, &difference))
        return difference;
    return later > earlier ? INT64_MAX : INT64_MIN;
}

/* "7d", "36h", "90s", ...: the largest unit of which it is a multiple. */
static const char *duration(int64_t ms, char out[24])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms != 0)
        i++;
    snprintf(out, 24, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
    return out;
}

bool retention_is_ahead(const struct vault_standing *standing, int64_t now)
{
    int64_t time = standing->ended > standing->started ? standing->ended : standing->started;
    return clock_is_ahead(time, now, CLOCK_APART) || manifest_is_future(standing->name.id, now);
}

/* ---- periods ---- */

/* Which one, in local time: equal numbers are the same period. */
typedef int64_t period(int64_t started);

static void local(int64_t ns, struct tm *tm)
{
    time_t when = ns / NS_PER_SECOND - (ns % NS_PER_SECOND < 0 ? 1 : 0);
    ASSERT(localtime_r(&when, tm)); /* the years are 1677 to 2262 */
}

/* Its date, as days since 1970 began. */
static int64_t day_number(const struct tm *tm)
{
    struct tm date = {.tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday};
    return timegm(&date) / DAY;
}

/* When its hour begins by this clock: where clocks go back, there are two of a name, at different times. */
static int64_t hour_of(int64_t started)
{
    struct tm tm;
    local(started, &tm);
    return day_number(&tm) * DAY + tm.tm_hour * 3600 - tm.tm_gmtoff;
}

static int64_t day_of(int64_t started)
{
    struct tm tm;
    local(started, &tm);
    return day_number(&tm);
}

/* Its Monday. */
static int64_t week_of(int64_t started)
{
    struct tm tm;
    local(started, &tm);
    return day_number(&tm) - (tm.tm_wday + 6) % 7;
}

static int64_t month_of(int64_t started)
{
    struct tm tm;
    local(started, &tm);
    return (int64_t)tm.tm_year * 12 + tm.tm_mon;
}

static int64_t year_of(int64_t started)
{
    struct tm tm;
    local(started, &tm);
    return tm.tm_year;
}

/* ---- rules ---- */

static void keep_last(struct retention *r)
{
    int64_t n = r->rules->keep_last;
    for (size_t i = 0; i < r->candidate_count && (int64_t)i < n; i++)
        retention_add_reason(r->candidates[i].decision, "last %zu of %lld", i + 1, (long long)n);
}

static void keep_periods(struct retention *r, const char *name, int64_t n, period *of)
{
    int64_t kept = 0, before = 0;
    for (size_t i = 0; i < r->candidate_count && kept < n; i++) {
        int64_t its = of(r->candidates[i].standing->started);
        if (kept == 0 || its != before)
            retention_add_reason(r->candidates[i].decision, "%s %lld of %lld", name, (long long)++kept, (long long)n);
        else if (i == r->candidate_count - 1)
            retention_add_reason(r->candidates[i].decision, "%s %lld of %lld, the oldest", name, (long long)kept + 1,
                                 (long long)n);
        before = its;
    }
}

static void keep_within(struct retention *r)
{
    char text[24];
    int64_t most = r->rules->keep_within;
    for (size_t i = 0; most > 0 && i < r->candidate_count; i++)
        if (between(r->candidates[i].standing->started, r->candidates[0].standing->started) <= most * NS_PER_MS)
            retention_add_reason(r->candidates[i].decision, "within %s of the newest", duration(most, text));
}

static void keep_min(struct retention *r)
{
    int64_t n = r->rules->keep_min > 1 ? r->rules->keep_min : 1;
    for (size_t i = 0; i < r->candidate_count && (int64_t)i < n; i++) {
        if (i == 0)
            retention_add_reason(r->candidates[i].decision, "newest complete");
        else
            retention_add_reason(r->candidates[i].decision, "one of the newest %lld", (long long)n);
    }
}

/* ---- what stays besides ---- */

/* What the record left: its manifest is gone. */
static bool is_rest(const struct vault_standing *s)
{
    return s->removed && s->sequence == 0;
}

static void keep_newest(struct retention *r)
{
    struct item *last = NULL;
    size_t first = 0;
    while (first < r->count && is_rest(r->items[first].standing))
        first++;
    for (size_t i = first; i < r->count; i++)
        if (!is_rest(r->items[i].standing) && (!last || r->items[i].standing->sequence > last->standing->sequence))
            last = &r->items[i];
    if (!last)
        return;
    retention_add_reason(r->items[first].decision, "newest");
    if (last != &r->items[first])
        retention_add_reason(last->decision, "last of its chain");
}

static void keep_shown(struct retention *r)
{
    bool verified = false, proven = false;
    for (size_t i = 0; i < r->count; i++) {
        const struct vault_standing *s = r->items[i].standing;
        if (retention_is_ahead(s, r->now))
            continue;
        if (s->verified && !verified)
            retention_add_reason(r->items[i].decision, "newest verified");
        if (s->proven && !proven)
            retention_add_reason(r->items[i].decision, "newest proven");
        verified = verified || s->verified;
        proven = proven || s->proven;
    }
}

/* By a clock that was wrong: what it is newer than, nobody knows. */
static void keep_ahead(struct retention *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->items[i].standing->removed && retention_is_ahead(r->items[i].standing, r->now))
            retention_add_reason(r->items[i].decision, "lies in the future");
}

static void keep_pinned(struct retention *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct vault_standing *s = r->items[i].standing;
        char until[CLOCK_TEXT_MAX];
        if (s->pinned && s->pinned_until == INT64_MAX)
            retention_add_reason(r->items[i].decision, "pinned");
        else if (s->pinned && s->pinned_until > r->now)
            retention_add_reason(r->items[i].decision, "pinned until %s", clock_format_shown(s->pinned_until, until));
    }
}

static const char *flaw(const struct vault_standing *s)
{
    return s->suspect ? "suspect" : !s->complete ? "incomplete" : s->partial ? "partial" : NULL;
}

/* A complete one is newer, and so long has passed since the first such began. */
static void keep_flawed(struct retention *r)
{
    const struct vault_standing *newer = NULL;
    size_t at = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct vault_standing *s = r->items[i].standing;
        char text[24];
        if (at < r->candidate_count && r->candidates[at].standing == s)
            newer = r->candidates[at++].standing;
        else if (s->unknown)
            retention_add_reason(r->items[i].decision, "its status is unknown to this version");
        else if (s->removed || !flaw(s))
            continue;
        else if (!newer)
            retention_add_reason(r->items[i].decision, "%s, and no complete one is newer", flaw(s));
        else if (between(newer->started, r->now) <= r->rules->keep_incomplete * NS_PER_MS)
            retention_add_reason(r->items[i].decision, "%s, and the complete one after it is not older than %s",
                                 flaw(s), duration(r->rules->keep_incomplete, text));
    }
}

/* ---- all ---- */

static int newest_first(const void *a, const void *b)
{
    const struct vault_standing *x = ((const struct item *)a)->standing, *y = ((const struct item *)b)->standing;
    int order = strcmp(y->name.id, x->name.id);
    order = order ? order : (y->sequence > x->sequence) - (y->sequence < x->sequence);
    return order ? order : memcmp(y->hash, x->hash, sizeof x->hash);
}

static bool is_candidate(const struct retention *r, const struct vault_standing *s)
{
    return !flaw(s) && !s->unknown && !s->removed && !retention_is_ahead(s, r->now);
}

static void apply(struct retention *r)
{
    const struct config_retention *rules = r->rules;
    keep_newest(r);
    keep_min(r);
    keep_last(r);
    keep_periods(r, "hourly", rules->keep_hourly, hour_of);
    keep_periods(r, "daily", rules->keep_daily, day_of);
    keep_periods(r, "weekly", rules->keep_weekly, week_of);
    keep_periods(r, "monthly", rules->keep_monthly, month_of);
    keep_periods(r, "yearly", rules->keep_yearly, year_of);
    keep_within(r);
    keep_shown(r);
    keep_ahead(r);
    keep_pinned(r);
    keep_flawed(r);
}

static void conclude(struct item *item)
{
    const struct vault_standing *s = item->standing;
    item->decision->keep = item->decision->reason_count > 0;
    if (item->decision->keep)
        return;
    if (s->removed)
        retention_add_reason(item->decision, "a removal record names it: an earlier prune was interrupted");
    else if (flaw(s))
        retention_add_reason(item->decision, "%s, and a complete one is newer", flaw(s));
    else
        retention_add_reason(item->decision, "no rule keeps it");
}

int retention_decide(const struct vault_standing *standings, size_t count, const struct config_retention *rules,
                     int64_t now, struct retention_decision *decisions, struct error *e)
{
    struct retention r = {.rules = rules, .now = now, .count = count};
    r.items = calloc(2 * count + 1, sizeof *r.items);
    if (!r.items)
        return error_memory(e);
    r.candidates = r.items + count;
    for (size_t i = 0; i < count; i++) {
        decisions[i] = (struct retention_decision){.keep = false};
        r.items[i] = (struct item){&standings[i], &decisions[i]};
    }
    if (count > 0)
        qsort(r.items, count, sizeof *r.items, newest_first);
    for (size_t i = 0; i < count; i++)
        if (is_candidate(&r, r.items[i].standing))
            r.candidates[r.candidate_count++] = r.items[i];
    tzset(); /* localtime_r need not */
    if (config_retention_rules(rules))
        apply(&r);
    for (size_t i = 0; i < count; i++) {
        if (!config_retention_rules(rules))
            retention_add_reason(r.items[i].decision, "there is no rule");
        conclude(&r.items[i]);
    }
    free(r.items);
    return 0;
}

bool retention_is_much(const struct vault_standing *standings, const struct retention_decision *decisions, size_t count)
{
    size_t all = 0, going = 0;
    for (size_t i = 0; i < count; i++) {
        all += !standings[i].removed;
        going += !standings[i].removed && !decisions[i].keep;
    }
    return 2 * going > all;
}
