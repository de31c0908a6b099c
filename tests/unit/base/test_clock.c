#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/clock.h"

#define SECOND INT64_C(1000000000)

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text, *compact;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z", "19700101T000000Z"},
        {-1, "1969-12-31T23:59:59Z", "19691231T235959Z"},
        {-SECOND, "1969-12-31T23:59:59Z", "19691231T235959Z"},
        {INT64_C(1795140000) * SECOND + 999999999, "2026-11-20T02:00:00Z", "20261120T020000Z"},
        {INT64_C(951782400) * SECOND, "2000-02-29T00:00:00Z", "20000229T000000Z"},
        {INT64_MAX, "2262-04-11T23:47:16Z", "22620411T234716Z"},
        {INT64_MIN, "1677-09-21T00:12:43Z", "16770921T001243Z"},
    };
    char out[CLOCK_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(clock_format(cases[i].ns, out), cases[i].text);
        assert_string_equal(clock_format_compact(cases[i].ns, out), cases[i].compact);
    }
}

static void test_shown(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t ns;
        const char *text;
    } cases[] = {
        {"<-03>3", INT64_C(1795140000) * SECOND, "2026-11-19T23:00:00-03:00"},
        {"<+0530>-5:30", INT64_C(1795140000) * SECOND, "2026-11-20T07:30:00+05:30"},
        {"CET-1CEST,M3.5.0,M10.5.0/3", INT64_C(1782000000) * SECOND, "2026-06-21T02:00:00+02:00"},
        {"UTC0", INT64_C(1795140000) * SECOND, "2026-11-20T02:00:00Z"},
    };
    char out[CLOCK_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("TZ", cases[i].zone, 1);
        tzset();
        assert_string_equal(clock_format_shown(cases[i].ns, out), cases[i].text);
    }
    setenv("TZ", cases[0].zone, 1);
    tzset();
    clock_show_utc();
    assert_string_equal(clock_format_shown(cases[0].ns, out), "2026-11-20T02:00:00Z");
}

static void test_exact(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000000Z"},
        {1, "1970-01-01T00:00:00.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {INT64_C(1795898495079174943), "2026-11-28T20:41:35.079174943Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
        {INT64_MIN + 1, "1677-09-21T00:12:43.145224193Z"},
    };
    static const char *const wrong[] = {"",
                                        "?",
                                        "2026-11-28T20:41:35Z",
                                        "2026-11-28T20:41:35.07917494Z",
                                        "2026-11-28T20:41:35.0791749430Z",
                                        "2026-11-28T20:41:35.079174943",
                                        "2026-11-28T20:41:35.079174943Z ",
                                        " 2026-11-28T20:41:35.079174943Z",
                                        "2026-02-30T20:41:35.079174943Z",
                                        "2026-11-28T20:41:60.079174943Z",
                                        "2026-11-28T20:41:35.-79174943Z",
                                        "2262-04-11T23:47:16.854775808Z",
                                        "1677-09-21T00:12:43.145224191Z",
                                        "9999-04-11T23:47:16.854775808Z"};
    char text[CLOCK_TEXT_MAX];
    int64_t ns;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(clock_format_exact(rows[i].ns, text), rows[i].text);
        assert_true(clock_parse_exact(rows[i].text, &ns));
        assert_int_equal(ns, rows[i].ns);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(clock_parse_exact(wrong[i], &ns));
}

static void test_what_people_write(void **state)
{
    (void)state;
    int64_t ns;
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"2026-11-20", 1795125600},  {"2026-11-20T02:00", 1795132800},       {"2026-11-20T02:00:05Z", 1795140005},
        {"2026-11-20Z", 1795132800}, {"2026-11-20T02:00-03:00", 1795150800}, {"2024-02-29T23:59:59+05:30", 1709231399}};
    static const char *const wrong[] = {"",
                                        "yesterday",
                                        "2026-11",
                                        "2026-02-30",
                                        "2026-13-01",
                                        "2026-11-20T25:00",
                                        "2026-11-20 02:00",
                                        "2026-11-20T02:00+3",
                                        "2026-11-20T02:00X",
                                        "2026-11-20T02:00+15:00",
                                        "20261120"};
    setenv("TZ", "XXX-2", 1); /* two hours east */
    tzset();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!clock_parse_shown(rows[i].text, &ns))
            fail_msg("%s", rows[i].text);
        assert_int_equal(ns, rows[i].seconds * SECOND);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (clock_parse_shown(wrong[i], &ns))
            fail_msg("'%s' was taken", wrong[i]);
    setenv("TZ", "UTC", 1);
    tzset();
}

static void test_now(void **state)
{
    (void)state;
    assert_true(clock_now() > INT64_C(1500000000) * SECOND);
    int64_t before = clock_monotonic();
    assert_true(clock_monotonic() >= before);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signum)
{
    (void)signum;
    alarms = alarms + 1;
}

static void test_sleep_outlives_signals(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_alarm}, old;
    const struct itimerval timer = {.it_interval = {.tv_usec = 10000}, .it_value = {.tv_usec = 10000}};
    const struct itimerval off = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, &old);
    int64_t before = clock_monotonic();
    setitimer(ITIMER_REAL, &timer, NULL);
    clock_sleep(60);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &old, NULL);
    assert_true(clock_monotonic() - before >= 59);
    assert_true(alarms > 0);
    clock_sleep(0);
    clock_sleep(-5);
}

static void test_set_clock(void **state)
{
    (void)state;
    int64_t then = INT64_C(1700000000) * SECOND, real = clock_monotonic();
    clock_set(then);
    int64_t start = clock_monotonic();
    assert_true(start >= real);
    assert_true(clock_now() == then && clock_monotonic() == start);
    clock_sleep(86400000);
    assert_true(clock_now() == then + 86400 * SECOND && clock_monotonic() == start + 86400000);
    clock_advance(1);
    assert_true(clock_now() == then + 86400 * SECOND + SECOND / 1000 && clock_monotonic() == start + 86400001);
    clock_sleep(0);
    clock_sleep(-5);
    assert_true(clock_monotonic() == start + 86400001);
    clock_set(then);
    assert_true(clock_now() == then);
    clock_release();
    assert_true(clock_now() != then && clock_monotonic() < start + 86400000);
}

static void test_ahead(void **state)
{
    (void)state;
    assert_false(clock_is_ahead(CLOCK_APART, 0, CLOCK_APART));
    assert_true(clock_is_ahead(CLOCK_APART + 1, 0, CLOCK_APART));
    assert_false(clock_is_ahead(-CLOCK_APART - 1, 0, CLOCK_APART));
    assert_true(clock_is_ahead(INT64_MAX, INT64_MIN, CLOCK_APART));
    assert_false(clock_is_ahead(INT64_MIN, INT64_MAX, CLOCK_APART));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_what_people_write),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_now),
        cmocka_unit_test(test_sleep_outlives_signals),
        cmocka_unit_test(test_set_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
