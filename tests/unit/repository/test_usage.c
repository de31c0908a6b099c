#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "repository/catalogue.h"
#include "repository/usage.h"
#include "repository/writer.h"
#include "snapshot/record.h"

#define PLAIN 1000000

static struct usage *usage;

static int set_up(void **state)
{
    struct error e;
    (void)state;
    return usage_new(&usage, &e);
}

static int tear_down(void **state)
{
    (void)state;
    usage_free(usage);
    return 0;
}

static const uint8_t *id_of(uint32_t n)
{
    static uint8_t id[SEAL_HASH_SIZE];
    memset(id, 0, sizeof id);
    for (int i = 0; i < 4; i++)
        id[i] = id[8 + i] = (uint8_t)(n >> 8 * i);
    return id;
}

/* A file of so many bytes, all of them in chunk number n. */
static void count(uint32_t n, uint64_t bytes, bool continuation)
{
    struct error e;
    struct catalogue_extent extent = {.length = bytes};
    struct record record = {.continuation = continuation, .extents = &extent, .extent_count = 1};
    record.entry.size = (int64_t)bytes;
    memcpy(extent.id, id_of(n), sizeof extent.id);
    assert_int_equal(usage_count(usage, &record, &e), 0);
}

static void test_three_quarters(void **state)
{
    (void)state;
    for (int i = 0; i < 74; i++)
        count(7, PLAIN / 100, false);
    assert_true(usage_is_low(usage, id_of(7), PLAIN));
    count(7, PLAIN / 100, false);
    assert_false(usage_is_low(usage, id_of(7), PLAIN));
    assert_true(usage_is_low(usage, id_of(7), 2 * PLAIN));
}

/* Of what was not counted nothing is known, and a chunk that the index does not have cannot be judged. */
static void test_unknown(void **state)
{
    (void)state;
    assert_false(usage_is_low(usage, id_of(1), PLAIN));
    count(1, 1, false);
    assert_false(usage_is_low(usage, id_of(1), 0));
    assert_true(usage_is_low(usage, id_of(1), PLAIN));
}

/* Holes, and what has chunks of its own, of which the last record may be short. */
static void test_left_out(void **state)
{
    (void)state;
    count(0, 5, false);
    count(2, WRITER_LARGE_LEAST, false);
    count(3, 1, true);
    for (uint32_t n = 0; n <= 3; n++)
        assert_false(usage_is_low(usage, id_of(n), PLAIN));
    count(4, WRITER_LARGE_LEAST - 1, false);
    assert_true(usage_is_low(usage, id_of(4), PLAIN));
}

/* More than there is room for pass for used, and those before are as they were. */
static void test_many(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 1200000; n++)
        count(n, n % 2 ? 74 : 75, false);
    for (uint32_t n = 1; n <= 1000000; n++)
        assert_int_equal(usage_is_low(usage, id_of(n), 100), n % 2);
    assert_false(usage_is_low(usage, id_of(1199999), 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_three_quarters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("repository/usage", tests, NULL, NULL);
}
