/* Trying again: for as long as it is told, and no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "worker/retry.h"

#define TRIES 200

struct tries {
    int count, until; /* succeeds with the try of this number; 0 = never */
    enum error_class class;
    unsigned retry_after;
    int64_t at[TRIES], last; /* when the first ones were, and the last one */
};

static int attempt(void *context, struct error *e)
{
    struct tries *t = context;
    t->last = clock_monotonic();
    if (t->count < TRIES)
        t->at[t->count] = t->last;
    if (++t->count == t->until)
        return 0;
    error_set(e, t->class, "sink 'nas': put 'key': refused");
    e->retry_after = t->retry_after;
    return -1;
}

static int set_clock(void **state)
{
    (void)state;
    clock_set(INT64_C(1700000000000000000));
    return 0;
}

static int release_clock(void **state)
{
    (void)state;
    clock_release();
    return 0;
}

/* The last try is at the end of the time, however the waiting before it had grown. */
static void test_as_long_as_told(void **state)
{
    (void)state;
    static const int64_t patiences[] = {1, 100, 1500, 60000, 300000, 3600000};
    for (size_t i = 0; i < sizeof patiences / sizeof patiences[0]; i++) {
        struct error e;
        struct tries t = {.class = ERROR_RETRY};
        int64_t start = clock_monotonic();
        assert_int_equal(retry_run(patiences[i], attempt, &t, &e), -1);
        assert_int_equal(e.class, ERROR_RETRY);
        assert_int_equal(t.last - start, patiences[i]);
        assert_int_equal(clock_monotonic(), t.last);
        /* The subject stays in front. */
        assert_int_equal(strncmp(e.message, "sink 'nas': put 'key': refused; given up after ", 47), 0);
    }
}

/* Between half and the whole of 0.2 s, 0.4 s, 0.8 s ... 15 s. */
static void test_longer_each_time(void **state)
{
    (void)state;
    struct error e;
    struct tries t = {.class = ERROR_RETRY};
    assert_int_equal(retry_run(600000, attempt, &t, &e), -1);
    int64_t whole = 200;
    for (int i = 1; i < t.count - 1; i++) {
        assert_in_range(t.at[i] - t.at[i - 1], whole / 2, whole);
        whole = whole * 2 < 15000 ? whole * 2 : 15000;
    }
    assert_in_range(t.count, 600000 / 15000, 600000 / 7500 + 8);
}

static void test_success(void **state)
{
    (void)state;
    struct error e;
    struct tries t = {.class = ERROR_RETRY, .until = 3};
    assert_int_equal(retry_run(60000, attempt, &t, &e), 0);
    assert_int_equal(t.count, 3);
}

static void test_no_other_try(void **state)
{
    (void)state;
    struct error e;
    static const enum error_class others[] = {ERROR_PERMANENT, ERROR_AUTH, ERROR_TIMEOUT, ERROR_CANCELLED,
                                              ERROR_PLUGIN};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct tries t = {.class = others[i]};
        assert_int_equal(retry_run(60000, attempt, &t, &e), -1);
        assert_int_equal(t.count, 1);
        assert_int_equal(e.class, others[i]);
        assert_string_equal(e.message, "sink 'nas': put 'key': refused");
    }
    struct tries none = {.class = ERROR_RETRY};
    assert_int_equal(retry_run(0, attempt, &none, &e), -1);
    assert_int_equal(none.count, 1);
    /* The failure itself says that it would be too early. */
    struct tries late = {.class = ERROR_RETRY, .retry_after = 50000};
    assert_int_equal(retry_run(10000, attempt, &late, &e), -1);
    assert_int_equal(late.count, 1);
}

static void test_when_asked_to_wait(void **state)
{
    (void)state;
    struct error e;
    struct tries t = {.class = ERROR_RETRY, .until = 2, .retry_after = 700};
    int64_t start = clock_monotonic();
    assert_int_equal(retry_run(60000, attempt, &t, &e), 0);
    assert_int_equal(t.last - start, 700);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_as_long_as_told),
        cmocka_unit_test(test_longer_each_time),
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_no_other_try),
        cmocka_unit_test(test_when_asked_to_wait),
    };
    return cmocka_run_group_tests_name("worker/retry", all, set_clock, release_clock);
}
