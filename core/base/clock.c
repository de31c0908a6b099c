#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

#define NS_PER_SECOND 1000000000
#define NS_PER_MS 1000000

/* Of a test: what clock_set said, and how far time has been moved on since, in ms. */
static _Atomic bool is_set;
static _Atomic int64_t set_to, set_monotonic, advanced;

static int64_t read_clock(clockid_t id)
{
    struct timespec now = {0, 0};
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

int64_t clock_now(void)
{
    return is_set ? set_to + advanced * NS_PER_MS : read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic(void)
{
    return is_set ? set_monotonic + advanced : read_clock(CLOCK_BOOTTIME) / NS_PER_MS;
}

void clock_sleep(int64_t milliseconds)
{
    if (milliseconds <= 0)
        return;
    if (is_set) {
        clock_advance(milliseconds);
        sched_yield();
        return;
    }
    struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * NS_PER_MS};
    /* A signal must not cut a backoff short: what is left is slept too. */
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

void clock_set(int64_t now)
{
    set_to = now;
    set_monotonic = read_clock(CLOCK_BOOTTIME) / NS_PER_MS;
    advanced = 0;
    is_set = true;
}

void clock_advance(int64_t milliseconds)
{
    advanced += milliseconds;
}

void clock_release(void)
{
    is_set = false;
}

static bool show_utc;

/* False when the year has not four digits. */
static bool break_down(int64_t ns, struct tm *(*how)(const time_t *, struct tm *), struct tm *tm)
{
    time_t when = ns / NS_PER_SECOND - (ns % NS_PER_SECOND < 0 ? 1 : 0);
    return how(&when, tm) && tm->tm_year + 1900 >= 1 && tm->tm_year + 1900 <= 9999;
}

const char *clock_format(int64_t ns, char *out)
{
    struct tm tm;
    if (!break_down(ns, gmtime_r, &tm) || strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        memcpy(out, "?", 2);
    return out;
}

void clock_show_utc(void)
{
    show_utc = true;
}

const char *clock_format_shown(int64_t ns, char *out)
{
    struct tm tm;
    if (show_utc || !break_down(ns, localtime_r, &tm) || tm.tm_gmtoff == 0)
        return clock_format(ns, out);
    /* "-0300": the colon comes between its hours and minutes. */
    size_t n = strftime(out, CLOCK_TEXT_MAX - 1, "%Y-%m-%dT%H:%M:%S%z", &tm);
    memmove(out + n - 1, out + n - 2, 3);
    out[n - 2] = ':';
    return out;
}

const char *clock_format_compact(int64_t ns, char *out)
{
    struct tm tm;
    if (!break_down(ns, gmtime_r, &tm) || strftime(out, CLOCK_TEXT_MAX, "%Y%m%dT%H%M%SZ", &tm) == 0)
        memcpy(out, "?", 2);
    return out;
}

const char *clock_format_exact(int64_t ns, char *out)
{
    int64_t rest = ns % NS_PER_SECOND;
    struct tm tm;
    /* The years are 1677 to 2262. */
    ASSERT(break_down(ns, gmtime_r, &tm));
    size_t n = strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_TEXT_MAX - n, ".%09dZ", (int)(rest < 0 ? rest + NS_PER_SECOND : rest));
    return out;
}

bool clock_parse_exact(const char *text, int64_t *ns)
{
    char again[CLOCK_TEXT_MAX];
    struct tm tm = {0};
    int rest;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%9dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &rest) != 7)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    int64_t seconds = timegm(&tm);
    /* The first second that there is begins before the first ns. */
    bool early = seconds == INT64_MIN / NS_PER_SECOND - 1;
    if (__builtin_mul_overflow(seconds + early, NS_PER_SECOND, ns) ||
        __builtin_add_overflow(*ns, rest - (early ? NS_PER_SECOND : 0), ns))
        return false;
    return strcmp(clock_format_exact(*ns, again), text) == 0;
}

/* "", "Z", or "-03:00" as seconds east of Greenwich. */
static bool parse_zone(const char *text, bool *local, long *east)
{
    int hours, minutes, end = 0;
    char sign[2];
    *local = *text == '\0' && !show_utc;
    *east = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0)
        return true;
    if (sscanf(text, "%1[+-]%2d:%2d%n", sign, &hours, &minutes, &end) != 3 || text[end] || hours > 14 || minutes > 59)
        return false;
    *east = (sign[0] == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
    return true;
}

/* A date that there is: the 30th of February is not the 2nd of March. */
static bool seconds_of(struct tm *tm, bool local, int64_t *seconds)
{
    struct tm given = *tm;
    tm->tm_isdst = -1;
    *seconds = local ? mktime(tm) : timegm(tm);
    return tm->tm_mday == given.tm_mday && tm->tm_mon == given.tm_mon && given.tm_hour < 24 && given.tm_min < 60 &&
           given.tm_sec < 60;
}

bool clock_parse_shown(const char *text, int64_t *ns)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        int64_t seconds;
        bool local;
        long east;
        const char *rest = strptime(text, forms[i], &tm);
        if (rest && parse_zone(rest, &local, &east))
            return seconds_of(&tm, local, &seconds) && !__builtin_mul_overflow(seconds - east, NS_PER_SECOND, ns);
    }
    return false;
}

bool clock_is_ahead(int64_t when, int64_t now, int64_t by)
{
    int64_t difference;
    return when > now && (__builtin_sub_overflow(when, now, &difference) || difference > by);
}
