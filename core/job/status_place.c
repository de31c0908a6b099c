/* Of status: how full the places of the sinks are, and when they will be. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "config/config.h"
#include "job/records.h"
#include "job/status.h"

#define DAY (INT64_C(86400) * 1000000000) /* ns */
#define APART 7             /* days between two measures that are compared: a week has its ups and downs */
#define RATES 3             /* so many comparisons are a trend */
#define OLD (7 * DAY)       /* what was measured longer ago has no trend */
#define FAR (2 * 365 * DAY) /* nothing goes on as it does for so long */

/* ---- the trend: pure ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The newest of those at least APART days older, and less than twice that; NULL = there is none. */
static const struct status_measure *before(const struct status_measure *days, size_t at)
{
    for (size_t i = at + APART; i < STATUS_TREND && i < at + 2 * APART; i++)
        if (days[i].when != INT64_MIN)
            return &days[i];
    return NULL;
}

double status_growth(const struct status_measure days[STATUS_TREND])
{
    double rates[STATUS_TREND];
    size_t count = 0;
    for (size_t i = 0; i + APART < STATUS_TREND; i++) {
        const struct status_measure *old = before(days, i);
        if (days[i].when == INT64_MIN || !old || days[i].when <= old->when)
            continue;
        double took = (double)(days[i].when - old->when) / (double)DAY;
        rates[count++] = ((double)days[i].used - (double)old->used) / took;
    }
    if (count < RATES)
        return 0;
    qsort(rates, count, sizeof *rates, by_value);
    return (rates[(count - 1) / 2] + rates[count / 2]) / 2;
}

int64_t status_full(const struct status_place *place, int64_t now)
{
    if (place->space == 0 || place->growth <= 0 || now - place->measured > OLD)
        return INT64_MIN;
    double left = (double)place->available / place->growth * (double)DAY;
    return left < (double)FAR ? place->measured + (int64_t)left : INT64_MIN;
}

bool status_is_full(const struct status_place *place)
{
    return place->sink->warn_space > 0 && place->space > 0 && status_percent(place) >= (double)place->sink->warn_space;
}

bool status_is_filling(const struct status_place *place, int64_t now)
{
    return place->sink->warn_full > 0 && place->full != INT64_MIN &&
           (place->full - now) / 1000000 < place->sink->warn_full;
}

/* ---- words ---- */

double status_percent(const struct status_place *place)
{
    return 100 * (double)(place->space - place->available) / (double)place->space;
}

const char *status_full_text(const struct status_place *place, int64_t now, char *out)
{
    char when[CLOCK_TEXT_MAX];
    long long days = place->full - now < DAY ? 0 : (place->full - now + DAY / 2) / DAY;
    out[0] = '\0';
    if (place->full == INT64_MIN)
        return out;
    clock_format_shown(place->full, when);
    if (days < 1)
        snprintf(out, STATUS_FULL_TEXT, "full within a day");
    else if (days < 21)
        snprintf(out, STATUS_FULL_TEXT, "full about %.10s (in %lld day%s)", when, days, days == 1 ? "" : "s");
    else
        snprintf(out, STATUS_FULL_TEXT, "full about %.10s (in %lld weeks)", when, (days + 3) / 7);
    return out;
}

/* ---- what the records say ---- */

void status_place_begin(struct status_place *place, const struct config_instance *sink)
{
    *place = (struct status_place){.sink = sink, .measured = INT64_MIN, .full = INT64_MIN};
    for (size_t i = 0; i < STATUS_TREND; i++)
        place->days[i].when = INT64_MIN;
}

void status_place_take(struct status_place *place, int64_t now, const json_t *record)
{
    const json_t *row = records_row(record, "sinks", place->sink->name);
    int64_t when = records_time(record, "ended");
    int64_t space = records_number(row, "space"), available = records_number(row, "available");
    if (when == INT64_MIN || space <= 0 || available < 0 || available > space)
        return;
    if (when > place->measured) {
        place->measured = when;
        place->space = (uint64_t)space;
        place->available = (uint64_t)available;
    }
    int64_t ago = now / DAY - when / DAY;
    if (ago >= 0 && ago < STATUS_TREND && when > place->days[ago].when)
        place->days[ago] = (struct status_measure){.when = when, .used = (uint64_t)(space - available)};
}

void status_place_level(struct status_place *place, int64_t when, uint64_t bytes)
{
    for (size_t i = 0; i < STATUS_TREND; i++)
        if (place->days[i].when != INT64_MIN && place->days[i].when <= when)
            place->days[i].used += bytes;
}

void status_place_forecast(struct status_place *place, int64_t now)
{
    place->growth = status_growth(place->days);
    place->full = status_full(place, now);
}
