/* Of status: how full the places of the sinks are, and when they will be. */
#include <stdio.h>
#include <stdlib.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "config/config.h"
#include "operation/status.h"

#define DAY (INT64_C(86400) * 1000000000) /* ns */
#define APART 7             /* days between two measures that are compared: a week has its ups and downs */
#define RATES 3             /* so many comparisons are a trend */
#define OLD (7 * DAY)       /* what was measured longer ago has no trend */
#define AWAY (3 * DAY)      /* so long a sink may be out of reach */
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

static bool is_above(const struct status_place *place, double percent)
{
    return place->sink->warn_space > 0 && place->space > 0 && status_percent(place) >= percent;
}

static bool is_full_within(const struct status_place *place, int64_t now, int64_t ms)
{
    return place->sink->warn_full > 0 && place->full != INT64_MIN && (place->full - now) / 1000000 < ms;
}

bool status_is_full(const struct status_place *place)
{
    return is_above(place, (double)place->sink->warn_space);
}

bool status_is_filling(const struct status_place *place, int64_t now)
{
    return is_full_within(place, now, place->sink->warn_full);
}

bool status_is_nearly_full(const struct status_place *place, int64_t now)
{
    return is_above(place, (double)place->sink->warn_space * 49 / 50) ||
           is_full_within(place, now, place->sink->warn_full + place->sink->warn_full / 4);
}

bool status_is_away(const struct status_place *place, int64_t now)
{
    return place->reached != INT64_MIN && place->failed > place->reached && now - place->reached > AWAY;
}

/* ---- words ---- */

double status_percent(const struct status_place *place)
{
    return 100 * (double)(place->space - place->available) / (double)place->space;
}

const char *status_full_text(const struct status_place *place, int64_t now, char *out)
{
    char when[CLOCK_TEXT_MAX];
    out[0] = '\0';
    if (place->full == INT64_MIN)
        return out;
    long long days = place->full - now < DAY ? 0 : (place->full - now + DAY / 2) / DAY;
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
    *place = (struct status_place){.sink = sink,
                                   .measured = INT64_MIN,
                                   .full = INT64_MIN,
                                   .reached = INT64_MIN,
                                   .failed = INT64_MIN,
                                   .told = INT64_MIN};
    for (size_t i = 0; i < STATUS_TREND; i++)
        place->days[i].when = INT64_MIN;
}

/* What a record says of the sink: its row, or all of it; NULL = nothing. */
static const json_t *row_of(const struct status_place *place, const json_t *record)
{
    const char *name = place->sink->name;
    const json_t *rows = json_object_get(record, "sinks"), *row = records_row(record, "sinks", name);
    for (size_t i = 0; i < json_array_size(rows) && !row; i++)
        if (records_is(json_array_get(rows, i), "sink", name)) /* of prune, which has one for each host and job */
            row = json_array_get(rows, i);
    return row || rows || !records_is(record, "sink", name) ? row : record;
}

enum verdict { WORKED, FAILED, SAYS_NOTHING };

static enum verdict verdict_of(const json_t *record, const json_t *row)
{
    const json_t *committed = json_object_get(row, "committed");
    if (records_text(row, "error") || records_is(row, "status", "failed"))
        return FAILED;
    if (committed)
        return json_is_true(committed) ? WORKED : SAYS_NOTHING;
    if (records_text(row, "status") && !records_is(row, "status", "killed"))
        return WORKED;
    return records_text(record, "error") || records_is(record, "status", "killed") ? SAYS_NOTHING : WORKED;
}

/* Takes the text for the one that is there, and with it the time. */
static void note(json_t **text, int64_t *at, json_t *new, int64_t when)
{
    json_decref(*text);
    *text = json_is_string(new) ? json_incref(new) : NULL;
    *at = when;
}

static void take_reached(struct status_place *place, const json_t *record, int64_t when)
{
    const json_t *row = row_of(place, record);
    enum verdict verdict = row ? verdict_of(record, row) : SAYS_NOTHING;
    if (verdict == WORKED && when > place->reached)
        place->reached = when;
    if (verdict != FAILED || when <= place->failed)
        return;
    json_t *why = json_object_get(row, "error");
    note(&place->why, &place->failed, json_is_string(why) ? why : json_object_get(record, "error"), when);
}

static void take_expiry(struct status_place *place, const json_t *record, int64_t when)
{
    const json_t *row = records_row(record, "sinks", place->sink->name);
    json_t *warning = json_object_get(row, "warning");
    bool says = records_text(row, "warning") || json_is_true(json_object_get(row, "committed"));
    if (says && records_is(record, "command", "run") && when > place->told)
        note(&place->expiry, &place->told, warning, when);
}

void status_place_take(struct status_place *place, int64_t now, const json_t *record)
{
    const json_t *row = records_row(record, "sinks", place->sink->name);
    int64_t when = records_time(record, "ended");
    if (when == INT64_MIN || clock_is_ahead(when, now, CLOCK_APART))
        return;
    take_reached(place, record, when);
    take_expiry(place, record, when);
    int64_t space = records_number(row, "space"), available = records_number(row, "available");
    if (space <= 0 || available < 0 || available > space)
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

void status_place_free(struct status_place *place)
{
    json_decref(place->why);
    json_decref(place->expiry);
}
