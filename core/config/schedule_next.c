#include <time.h>

#include "config/schedule.h"

#define SECOND INT64_C(1000000000) /* ns */
#define MINUTE 60
#define HOUR 3600
#define SHIFT_MAX (3 * HOUR)                  /* that a clock is put on or back by */
#define LATEST (INT64_C(9) * 366 * 24 * HOUR) /* 29 February comes within eight years */
#define EVERY_HOUR ((UINT64_C(1) << 24) - 1)

static long offset_at(time_t when)
{
    struct tm tm;
    return localtime_r(&when, &tm) ? tm.tm_gmtoff : 0;
}

static bool on_day(const struct schedule *s, const struct tm *tm)
{
    bool day = s->days >> tm->tm_mday & 1, weekday = s->weekdays >> tm->tm_wday & 1;
    return (s->months >> (tm->tm_mon + 1) & 1) && (s->either_day ? day || weekday : day && weekday);
}

static bool matches(const struct schedule *s, const struct tm *tm)
{
    return on_day(s, tm) && (s->hours >> tm->tm_hour & 1) && (s->minutes >> tm->tm_min & 1);
}

/* Did the clock show this time before, until it was put back? */
static bool is_repeated(time_t when, const struct tm *tm)
{
    long back = offset_at(when - SHIFT_MAX) - tm->tm_gmtoff;
    return back > 0 && offset_at(when - back) == tm->tm_gmtoff + back;
}

/* Was it put on at this minute, over a time that is in the schedule? */
static bool was_left_out(const struct schedule *s, time_t when, const struct tm *tm)
{
    long before = offset_at(when - MINUTE);
    for (time_t wall = when + before; wall < when + tm->tm_gmtoff; wall += MINUTE) {
        struct tm skipped;
        if (gmtime_r(&wall, &skipped) && matches(s, &skipped))
            return true;
    }
    return false;
}

static bool is_due(const struct schedule *s, time_t when, const struct tm *tm)
{
    bool hourly = s->hours == EVERY_HOUR;
    if (matches(s, tm))
        return hourly || !is_repeated(when, tm);
    return !hourly && was_left_out(s, when, tm);
}

/* As far as nothing can be due: to the next hour where this one is none, else a minute. Clocks are put on and back at
 * full hours. */
static time_t step(const struct schedule *s, const struct tm *tm)
{
    bool hour = on_day(s, tm) && (s->hours >> tm->tm_hour & 1);
    return hour ? MINUTE : (60 - tm->tm_min) * MINUTE;
}

bool schedule_next(const struct schedule *schedule, int64_t after, int64_t *next)
{
    struct tm tm;
    time_t seconds = after / SECOND - (after % SECOND < 0), when = seconds - seconds % MINUTE + MINUTE;
    for (time_t end = when + LATEST; when < end; when += step(schedule, &tm)) {
        if (!localtime_r(&when, &tm))
            return false;
        if (is_due(schedule, when, &tm)) {
            *next = when * SECOND;
            return true;
        }
    }
    return false;
}
