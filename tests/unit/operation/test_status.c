/* Where a sink is going, from how full it was; and what is said of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/config.h"
#include "operation/status.h"

#define DAY (INT64_C(86400) * 1000000000)
#define NOW (INT64_C(1800000000) * 1000000000)
#define GIB ((uint64_t)1 << 30)

static char name[] = "nas";
static const struct config_instance sink = {.name = name, .warn_full = INT64_C(14) * 86400000};

/* ---- growth ---- */

/* GiB in use on a day of a history; -1: nobody has measured it. */
typedef int used_on(int day);

static int steady(int day)
{
    return 100 + 10 * day;
}
static int full_on_sundays(int day)
{
    return 100 + 70 * (day / 7);
}
static int collected_on_sundays(int day)
{
    return 100 + 10 * (day % 7);
}
static int grows_and_is_collected(int day)
{
    return 100 + 3 * day + 10 * (day % 7);
}
static int one_day_unlike_others(int day)
{
    return steady(day) + (day >= 20 ? 5000 : 0);
}
static int emptied_once(int day)
{
    return 1000 + 10 * day - (day >= 25 ? 900 : 0);
}
static int measured_once_a_week(int day)
{
    return day % 7 == 0 ? steady(day) : -1;
}
static int measured_when_it_is_on(int day)
{
    return day % 5 < 2 ? steady(day) : -1;
}
static int shrinks(int day)
{
    return 1000 - 10 * day;
}
static int stays(int day)
{
    (void)day;
    return 500;
}

static const struct {
    const char *what;
    used_on *used;
    int days;      /* of history, the last is today */
    double growth; /* GiB a day */
} histories[] = {
    {"steady", steady, 36, 10},
    {"steady for ten days", steady, 10, 10},
    {"too short a time", steady, 9, 0},
    {"one day", steady, 1, 0},
    {"nothing", steady, 0, 0},
    {"all comes on one day of the week", full_on_sundays, 36, 10},
    {"what comes in a week goes in that week", collected_on_sundays, 36, 0},
    {"ups and downs, and growth", grows_and_is_collected, 36, 3},
    {"one day that is unlike the others", one_day_unlike_others, 36, 10},
    {"somebody has made room", emptied_once, 36, 10},
    {"a run a week", measured_once_a_week, 36, 10},
    {"a run a week, for four weeks", measured_once_a_week, 22, 10},
    {"now and then", measured_when_it_is_on, 36, 10},
    {"it shrinks", shrinks, 36, -10},
    {"it stays", stays, 36, 0},
};

static void make(struct status_place *place, used_on *used, int days)
{
    status_place_begin(place, &sink);
    for (int day = 0; day < days; day++)
        if (used(day) >= 0)
            place->days[days - 1 - day] = (struct status_measure){
                .when = NOW - (days - 1 - day) * DAY + day % 3 * (DAY / 24), .used = (uint64_t)used(day) * GIB};
}

static void test_growth(void **state)
{
    struct status_place place;
    (void)state;
    for (size_t i = 0; i < sizeof histories / sizeof histories[0]; i++) {
        make(&place, histories[i].used, histories[i].days);
        double growth = status_growth(place.days) / (double)GIB;
        if (fabs(growth - histories[i].growth) > 0.15 + 0.05 * fabs(histories[i].growth))
            fail_msg("%s: %.2f instead of %.2f", histories[i].what, growth, histories[i].growth);
    }
}

/* ---- records ---- */

static json_t *run(int64_t when, uint64_t used, uint64_t space)
{
    char text[CLOCK_TEXT_MAX];
    return json_pack("{s:s, s:s, s:[{s:s, s:b, s:I, s:I}]}", "command", "run", "ended", clock_format_exact(when, text),
                     "sinks", "name", "nas", "committed", 1, "space", (json_int_t)(space * GIB), "available",
                     (json_int_t)((space - used) * GIB));
}

/* A history as records, in the order in which a status reads them, or another. */
static void take(struct status_place *place, used_on *used, int days, uint64_t space, bool backwards)
{
    status_place_begin(place, &sink);
    for (int i = 0; i < 2 * days; i++) {
        int half = backwards ? 2 * days - 1 - i : i, day = half / 2;
        int64_t when = NOW - (days - 1 - day) * DAY - (half % 2 ? 0 : DAY / 2);
        json_t *record = run(when, (uint64_t)used(day) - (half % 2 ? 0 : 3), space);
        status_place_take(place, NOW, record);
        json_decref(record);
    }
}

static void test_forecast(void **state)
{
    struct status_place place;
    char text[STATUS_FULL_TEXT];
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        take(&place, steady, 36, 1000, backwards);
        status_place_forecast(&place, NOW);
        assert_int_equal(place.measured, NOW);
        assert_int_equal(place.space, 1000 * GIB);
        assert_int_equal(place.available, 550 * GIB);
        assert_true(place.full > NOW + 53 * DAY && place.full < NOW + 57 * DAY);
        assert_false(status_is_filling(&place, NOW));
        assert_non_null(strstr(status_full_text(&place, NOW, text), "weeks)"));
        take(&place, steady, 36, 500, backwards);
        status_place_forecast(&place, NOW);
        assert_true(status_is_filling(&place, NOW) && place.full > NOW + 4 * DAY && place.full < NOW + 6 * DAY);
        assert_non_null(strstr(status_full_text(&place, NOW, text), "days)"));
    }
    take(&place, steady, 36, 450, true);
    status_place_forecast(&place, NOW);
    assert_int_equal(place.full, NOW);
    assert_string_equal(status_full_text(&place, NOW, text), "full within a day");
    /* what goes nowhere, is too far away to be told, or is old */
    take(&place, stays, 36, 501, true);
    status_place_forecast(&place, NOW);
    assert_true(place.full == INT64_MIN);
    assert_string_equal(status_full_text(&place, NOW, text), "");
    take(&place, steady, 36, 100000, true);
    status_place_forecast(&place, NOW);
    assert_true(place.full == INT64_MIN);
    take(&place, steady, 36, 500, true);
    status_place_forecast(&place, NOW + 8 * DAY);
    assert_true(place.full == INT64_MIN);
}

/* A job that began five days ago to store a lot there, beside one that has been there for long. */
static int joined(int day)
{
    return 100 + day + (day >= 6 ? 4000 : 0);
}

static void test_first_snapshots_are_no_growth(void **state)
{
    struct status_place place;
    (void)state;
    take(&place, joined, 11, 5000, true);
    assert_true(status_growth(place.days) > 500 * (double)GIB);
    status_place_level(&place, NOW - 4 * DAY - DAY / 2 - 1, 4000 * GIB);
    status_place_forecast(&place, NOW);
    assert_true(fabs(place.growth / (double)GIB - 1) < 0.5);
    assert_false(status_is_filling(&place, NOW));
}

static void test_what_a_record_may_say(void **state)
{
    struct status_place place;
    static const char *const records[] = {
        "{}",
        "{\"ended\":\"2026-11-30T02:00:00.000000000Z\",\"sinks\":[{\"name\":\"nas\",\"space\":0,\"available\":0}]}",
        "{\"ended\":\"2026-11-30T02:00:00.000000000Z\",\"sinks\":[{\"name\":\"nas\",\"space\":5,\"available\":6}]}",
        "{\"ended\":\"2026-11-30T02:00:00.000000000Z\",\"sinks\":[{\"name\":\"nas\",\"space\":5,\"available\":-1}]}",
        "{\"ended\":\"2026-11-30T02:00:00.000000000Z\",\"sinks\":[{\"name\":\"nas\",\"space\":null}]}",
        "{\"ended\":\"2026-11-30T02:00:00.000000000Z\",\"sinks\":[{\"name\":\"usb\",\"space\":5,\"available\":5}]}",
        "{\"ended\":\"yesterday\",\"sinks\":[{\"name\":\"nas\",\"space\":5,\"available\":5}]}",
    };
    (void)state;
    status_place_begin(&place, &sink);
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        json_t *record = json_loads(records[i], 0, NULL);
        assert_non_null(record);
        status_place_take(&place, NOW, record);
        json_decref(record);
        assert_true(place.space == 0 && place.measured == INT64_MIN);
    }
    for (int days = -400; days <= 400; days += 100) {
        json_t *record = run(NOW + days * DAY, 5, 10);
        status_place_take(&place, NOW, record);
        json_decref(record);
    }
    assert_int_equal(place.days[0].when, NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_first_snapshots_are_no_growth),
        cmocka_unit_test(test_what_a_record_may_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
