/* Retention: each rule and protection alone. All together are compared with an oracle by tests/system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/retention.h"

#define NS INT64_C(1000000000)
#define DAY (86400 * NS)
#define MOST 12

static const struct config_retention unset = {-1, -1, -1, -1, -1, -1, -1, 3, 7 * 86400 * INT64_C(1000), 0};

struct fixture {
    struct vault_standing standings[MOST];
    struct retention_decision decisions[MOST];
    size_t count;
};

/* A complete snapshot of that time, RFC 3339 in UTC. */
static struct vault_standing *add(struct fixture *f, const char *time)
{
    struct vault_standing *s = &f->standings[f->count++];
    char compact[CLOCK_TEXT_MAX];
    *s = (struct vault_standing){.complete = true, .sequence = f->count};
    assert_true(clock_parse_shown(time, &s->started));
    snprintf(s->name.id, sizeof s->name.id, "%s-%06zx", clock_format_compact(s->started, compact), f->count);
    return s;
}

/* Days of January 2026, from the first on. */
static void add_days(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char time[48];
        snprintf(time, sizeof time, "2026-01-%02zuT12:00:00Z", i + 1);
        add(f, time);
    }
}

/* One digit for each, in order: 1 stays. */
static void expect(struct fixture *f, const struct config_retention *rules, const char *wanted)
{
    struct error e;
    char got[MOST + 1] = "";
    int64_t now = f->standings[f->count - 1].started + 30 * DAY;
    assert_int_equal(retention_decide(f->standings, f->count, rules, now, f->decisions, &e), 0);
    for (size_t i = 0; i < f->count; i++) {
        assert_true(f->decisions[i].reason_count >= 1);
        got[i] = f->decisions[i].keep ? '1' : '0';
    }
    assert_string_equal(got, wanted);
}

static void test_no_rule_keeps_all(void **state)
{
    (void)state;
    struct fixture f = {.count = 0};
    struct config_retention zero = unset;
    zero.keep_last = zero.keep_daily = zero.keep_within = 0;
    add_days(&f, 6);
    f.standings[0].complete = false;
    f.standings[1].removed = true;
    expect(&f, &unset, "111111");
    assert_string_equal(f.decisions[0].reasons[0], "there is no rule");
    expect(&f, &zero, "111111");
}

static void test_each_rule(void **state)
{
    (void)state;
    struct fixture f = {.count = 0};
    struct config_retention rules = unset;
    rules.keep_min = 1;
    add_days(&f, 10); /* the fifth is a Monday */
    rules.keep_last = 2;
    expect(&f, &rules, "0000000011");
    rules.keep_last = -1;
    rules.keep_daily = 3;
    expect(&f, &rules, "0000000111");
    rules.keep_daily = -1;
    rules.keep_weekly = 5;
    expect(&f, &rules, "1001000001");
    assert_string_equal(f.decisions[0].reasons[0], "weekly 3 of 5, the oldest");
    rules.keep_weekly = -1;
    rules.keep_monthly = 1;
    expect(&f, &rules, "0000000001");
    rules.keep_monthly = -1;
    rules.keep_within = 2 * 86400 * INT64_C(1000);
    expect(&f, &rules, "0000000111");
    rules.keep_min = 5;
    expect(&f, &rules, "0000011111");
}

static void test_hour_that_comes_twice(void **state)
{
    (void)state;
    struct fixture f = {.count = 0};
    struct config_retention rules = unset;
    rules.keep_min = 1;
    rules.keep_hourly = 3;
    setenv("TZ", "Europe/Berlin", 1);
    add(&f, "2026-10-24T23:10:00Z"); /* 01:10 */
    add(&f, "2026-10-25T00:10:00Z"); /* 02:10 */
    add(&f, "2026-10-25T00:50:00Z"); /* 02:50 */
    add(&f, "2026-10-25T01:10:00Z"); /* 02:10 again, an hour later */
    add(&f, "2026-10-25T02:10:00Z"); /* 03:10 */
    expect(&f, &rules, "00111");
    setenv("TZ", "UTC", 1);
}

static void test_protected(void **state)
{
    (void)state;
    struct fixture f = {.count = 0};
    struct config_retention rules = unset;
    rules.keep_min = 1;
    rules.keep_last = 1;
    add_days(&f, 9);
    f.standings[0].pinned = true;
    f.standings[0].pinned_until = INT64_MAX;
    f.standings[1].pinned = true; /* and was until its own start */
    f.standings[1].pinned_until = f.standings[1].started;
    f.standings[2].verified = f.standings[3].verified = true;
    f.standings[4].proven = true;
    f.standings[5].unknown = true;
    f.standings[6].sequence = 100;
    expect(&f, &rules, "100111101");
    assert_string_equal(f.decisions[0].reasons[0], "pinned");
    assert_string_equal(f.decisions[1].reasons[0], "no rule keeps it");
    assert_string_equal(f.decisions[3].reasons[0], "newest verified");
    assert_string_equal(f.decisions[6].reasons[0], "last of its chain");
    assert_string_equal(f.decisions[8].reasons[0], "newest");
}

/* They stay until a complete one is newer, and has been so for as long as is said; and count for nothing. */
static void test_not_complete(void **state)
{
    (void)state;
    struct fixture f = {.count = 0};
    struct config_retention rules = unset;
    rules.keep_min = 1;
    rules.keep_last = 1;
    add_days(&f, 6);
    f.standings[0].complete = false;
    f.standings[1].partial = true;
    f.standings[2].suspect = true;
    f.standings[5].complete = false;
    expect(&f, &rules, "000011");
    assert_string_equal(f.decisions[2].reasons[0], "suspect, and a complete one is newer");
    rules.keep_incomplete = (32 * 86400 - 1) * INT64_C(1000); /* the complete one after them began 32 days ago */
    expect(&f, &rules, "000011");
    rules.keep_incomplete = 32 * 86400 * INT64_C(1000);
    expect(&f, &rules, "111011");
    assert_string_equal(f.decisions[0].reasons[0], "incomplete, and the complete one after it is not older than 32d");
}

static void test_interrupted(void **state)
{
    (void)state;
    struct fixture f = {.count = 0};
    struct config_retention rules = unset;
    rules.keep_min = 2;
    rules.keep_last = 2;
    add_days(&f, 5);
    f.standings[2].removed = f.standings[3].removed = true;
    f.standings[3].sequence = 0;
    f.standings[3].complete = false;
    expect(&f, &rules, "01001");
    assert_string_equal(f.decisions[2].reasons[0], "a removal record names it: an earlier prune was interrupted");
    assert_false(retention_is_much(f.standings, f.decisions, f.count)); /* one of three */
    f.standings[4].removed = true;
    assert_true(retention_is_much(f.standings, f.decisions, 2) == false);
    f.decisions[1].keep = false;
    assert_true(retention_is_much(f.standings, f.decisions, f.count)); /* both of two */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rule_keeps_all),     cmocka_unit_test(test_each_rule),
        cmocka_unit_test(test_hour_that_comes_twice), cmocka_unit_test(test_protected),
        cmocka_unit_test(test_not_complete),          cmocka_unit_test(test_interrupted),
    };
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
