#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/schedule.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define BIT(n) (UINT64_C(1) << (n))

static void test_fields(void **state)
{
    (void)state;
    struct schedule s;
    struct error e;
    assert_int_equal(schedule_parse("0,30 2-4 */10 jan,mar-may 1-5", &s, &e), 0);
    assert_true(s.minutes == (BIT(0) | BIT(30)));
    assert_true(s.hours == (BIT(2) | BIT(3) | BIT(4)));
    assert_true(s.days == (BIT(1) | BIT(11) | BIT(21) | BIT(31)));
    assert_true(s.months == (BIT(1) | BIT(3) | BIT(4) | BIT(5)));
    assert_true(s.weekdays == 0x3e);
    assert_false(s.either_day);
    assert_int_equal(schedule_parse("10-50/20 * 1 * MON", &s, &e), 0);
    assert_true(s.minutes == (BIT(10) | BIT(30) | BIT(50)));
    assert_true(s.weekdays == BIT(1));
    assert_true(s.either_day);
    assert_int_equal(schedule_parse(" 0\t0  * * 7 ", &s, &e), 0);
    assert_true(s.weekdays == BIT(0));
    assert_int_equal(schedule_parse("* * * * *", &s, &e), 0);
    assert_true(s.minutes == BIT(60) - 1 && s.hours == BIT(24) - 1 && s.days == BIT(32) - 2);
    assert_true(s.months == BIT(13) - 2 && s.weekdays == 0x7f);
    assert_int_equal(schedule_parse("@weekly", &s, &e), 0);
    assert_true(s.minutes == 1 && s.hours == 1 && s.weekdays == 1);
}

static void test_good(void **state)
{
    (void)state;
    static const char *const good[] = {"@hourly",    "@daily",       "@midnight",      "@weekly",
                                       "@monthly",   "@yearly",      "@annually",      "0 0 29 2 *",
                                       "0 0 31 2 1", "0 0 31 1,2 *", "5-5 0 * * fri-6"};
    struct schedule s;
    struct error e;
    for (size_t i = 0; i < COUNT(good); i++)
        if (schedule_parse(good[i], &s, &e) < 0)
            fail_msg("%s", e.message);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cause;
    } bad[] = {
        {"", "it has 0 fields, not 5"},
        {"0", "it has 1 field, not 5"},
        {"0 2 * *", "it has 4 fields, not 5"},
        {"0 2 * * * root", "it has 6 fields, not 5"},
        {"60 2 * * *", "minute '60' is not made of 0 to 59"},
        {"0 24 * * *", "hour '24' is not made of 0 to 23"},
        {"0 0 0 * *", "day '0' is not made of 1 to 31"},
        {"0 0 32 * *", "day '32' is not made of 1 to 31"},
        {"0 0 * 13 *", "month '13' is not made of 1 to 12"},
        {"0 0 * * 8", "weekday '8' is not made of 0 to 7"},
        {"5-1 * * * *", "minute '5-1'"},
        {"1, * * * *", "minute '1,'"},
        {",1 * * * *", "minute ',1'"},
        {"5/2 * * * *", "minute '5/2'"},
        {"*/0 * * * *", "minute '*/0'"},
        {"*/ * * * *", "minute '*/'"},
        {"**  * * * *", "minute '**'"},
        {"-1 * * * *", "minute '-1'"},
        {"1000 * * * *", "minute '1000'"},
        {"jan * * * *", "minute 'jan'"},
        {"0 0 * january *", "month 'january'"},
        {"@reboot", "it is none of @hourly"},
        {"@Daily", "it is none of @hourly"},
        {"0 0 31 2 *", "no chosen month has such a day"},
        {"0 0 31 4,6,9,11 *", "no chosen month has such a day"},
        {"0 0 30 feb *", "no chosen month has such a day"},
    };
    struct schedule s;
    struct error e;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (schedule_parse(bad[i].text, &s, &e) == 0)
            fail_msg("'%s' was taken", bad[i].text);
        assert_int_equal(e.class, ERROR_CONFIG);
        if (!strstr(e.message, bad[i].cause) || !strstr(e.message, "' is no schedule: "))
            fail_msg("'%s': %s", bad[i].text, e.message);
        assert_true(e.hint[0]);
    }
    char endless[1000];
    memset(endless, '1', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(schedule_parse(endless, &s, &e), -1);
}

/* In zones whose rules stand in TZ: the clock is put on at 2:00 on 29 March 2026, and back at 3:00 on 25 October; in
 * the last one by half an hour, at 2:00 on 4 October and 5 April. */
static void test_next(void **state)
{
    (void)state;
    static const char madrid[] = "CET-1CEST,M3.5.0,M10.5.0/3", howe[] = "LHST-10:30LHDT-11,M10.1.0,M4.1.0";
    static const struct {
        const char *zone, *text, *after, *next;
    } cases[] = {
        {"UTC0", "0 2 * * *", "2026-11-30T01:59:59", "2026-11-30T02:00:00Z"},
        {"UTC0", "0 2 * * *", "2026-11-30T02:00:00", "2026-12-01T02:00:00Z"},
        {"UTC0", "0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00Z"},
        {"UTC0", "0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00Z"},
        {"UTC0", "0 3 13 * 5", "2026-11-30T00:00:00", "2026-12-04T03:00:00Z"},
        {madrid, "30 2 * * *", "2026-03-28T12:00:00", "2026-03-29T01:00:00Z"}, /* 3:00, when 2:30 is left out */
        {madrid, "30 2 * * *", "2026-03-29T03:00:00", "2026-03-30T00:30:00Z"},
        {madrid, "30 * * * *", "2026-03-29T01:30:00", "2026-03-29T01:30:00Z"},
        {madrid, "30 2 * * *", "2026-10-24T12:00:00", "2026-10-25T00:30:00Z"},
        {madrid, "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}, /* not the second time */
        {madrid, "30 * * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
        {howe, "15 2 * * *", "2026-10-03T12:00:00", "2026-10-03T15:30:00Z"},
        {howe, "45 1 * * *", "2026-04-04T12:00:00", "2026-04-04T14:45:00Z"},
        {howe, "45 1 * * *", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct schedule s;
        struct error e;
        int64_t after, next;
        char text[CLOCK_TEXT_MAX];
        setenv("TZ", cases[i].zone, 1);
        tzset();
        assert_true(clock_parse_shown(cases[i].after, &after));
        assert_int_equal(schedule_parse(cases[i].text, &s, &e), 0);
        assert_true(schedule_next(&s, after, &next));
        if (strcmp(clock_format(next, text), cases[i].next) != 0)
            fail_msg("%s after %s: %s, not %s", cases[i].text, cases[i].after, text, cases[i].next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields), cmocka_unit_test(test_good),
                                       cmocka_unit_test(test_bad), cmocka_unit_test(test_next)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
