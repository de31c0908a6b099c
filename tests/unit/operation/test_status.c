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

#include <limits.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
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

/* ---- all of it, hour after hour ---- */

struct machine {
    char state[64], directory[128];
    struct config *config;
};

static void append(const struct machine *m, int64_t when, const char *error)
{
    char ended[CLOCK_TEXT_MAX], began[CLOCK_TEXT_MAX], id[CLOCK_TEXT_MAX];
    struct error e;
    bool good = !error;
    clock_format_exact(when, ended);
    clock_format_exact(when - DAY / 24, began);
    json_t *row = json_pack("{s:s, s:b, s:s?}", "name", "nas", "committed", good, "error", error);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:[o]}", "id",
                               clock_format_compact(when, id), "command", "run", "started", began, "ended", ended,
                               "status", good ? "complete" : "incomplete", "snapshot", "20270101T000000Z-ab12cd",
                               "snapshot_status", "complete", "snapshot_started", began, "elapsed", 60.0, "sinks", row);
    assert_int_equal(records_append(m->directory, record, &e), 0);
    json_decref(record);
}

static int begin(void **state)
{
    struct machine *m = calloc(1, sizeof *m);
    char text[512], directory[PATH_MAX];
    struct error e;
    assert_non_null(m);
    snprintf(m->state, sizeof m->state, "/tmp/cofre-status-XXXXXX");
    assert_non_null(mkdtemp(m->state));
    snprintf(text, sizeof text,
             "[engine]\nhost = web\nstate_dir = %s\ncache_dir = /c\n[source s]\nplugin = directory\n[sink nas]\n"
             "plugin = local\nencryption = none\n[job j]\nsources = s\nsinks = nas\n",
             m->state);
    if (config_parse("x.conf", text, strlen(text), true, &m->config, &e) < 0 ||
        records_directory(m->config, "j", NULL, directory, &e) < 0 || file_make_trusted(directory, &e) < 0)
        fail_msg("%s", e.message);
    snprintf(m->directory, sizeof m->directory, "%.100s", directory);
    *state = m;
    return 0;
}

static int end(void **state)
{
    struct machine *m = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", m->state);
    assert_int_equal(system(command), 0);
    config_free(m->config);
    free(m);
    clock_release();
    return 0;
}

/* How many problems of the machine, of the sink and of the job are said at that time? */
static void expect(const struct machine *m, int64_t now, size_t of_machine, size_t of_sink, size_t of_job)
{
    struct status status;
    struct error e;
    size_t found[3] = {0};
    clock_set(now);
    assert_int_equal(status_read(m->config, NULL, &status, &e), 0);
    for (size_t i = 0; i < status.problems.count; i++)
        found[status.problems.items[i].of.job ? 2 : status.problems.items[i].of.sink ? 1 : 0]++;
    if (found[0] != of_machine || found[1] != of_sink || found[2] != of_job)
        fail_msg("%lld hours: %zu of the machine, %zu of the sink, %zu of the job, first: %s",
                 (long long)((now - NOW) / (DAY / 24)), found[0], found[1], found[2],
                 status.problems.count ? status.problems.items[0].text : "");
    status_free(&status);
}

static void test_a_sink_goes_out_of_reach(void **state)
{
    const struct machine *m = *state;
    clock_set(NOW);
    for (int day = 10; day > 0; day--)
        append(m, NOW - day * DAY, NULL);
    expect(m, NOW, 0, 0, 0);
    append(m, NOW, "it is not there");
    expect(m, NOW, 0, 0, 1);
    append(m, NOW + DAY, "it is not there");
    append(m, NOW + 2 * DAY, "it is not there");
    expect(m, NOW + 2 * DAY, 0, 0, 1);
    /* three days since the last that worked, and a try that failed */
    expect(m, NOW + 2 * DAY + DAY / 24, 0, 1, 1);
    append(m, NOW + 3 * DAY, NULL);
    expect(m, NOW + 3 * DAY, 0, 0, 0);
}

static void test_a_clock_is_put_back(void **state)
{
    const struct machine *m = *state;
    clock_set(NOW);
    for (int day = 10; day >= 0; day--)
        append(m, NOW - day * DAY, NULL);
    expect(m, NOW, 0, 0, 0);
    expect(m, NOW - 299 * (DAY / 86400), 0, 0, 0);
    expect(m, NOW - 301 * (DAY / 86400), 1, 0, 0);
    expect(m, NOW - DAY / 2, 1, 0, 1);
    /* as far back as there was nothing, nothing is known */
    expect(m, NOW - 400 * DAY, 1, 0, 2);
    expect(m, NOW + DAY, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_sink_goes_out_of_reach, begin, end),
        cmocka_unit_test_setup_teardown(test_a_clock_is_put_back, begin, end),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_first_snapshots_are_no_growth),
        cmocka_unit_test(test_what_a_record_may_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
