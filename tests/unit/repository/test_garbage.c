#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/garbage.h"
#include "repository/needs.h"
#include "repository/plan.h"

#define DAY (INT64_C(86400) * 1000000000)
#define NOW (INT64_C(20000) * DAY)

/* A name of which the first two bytes differ, so that prefixes do. */
static void name_of(unsigned n, uint8_t name[SEAL_HASH_SIZE])
{
    memset(name, 7, SEAL_HASH_SIZE);
    name[0] = (uint8_t)(n >> 8);
    name[1] = (uint8_t)n;
}

static void list(struct garbage *g, unsigned n, int64_t mtime)
{
    struct error e;
    uint8_t name[SEAL_HASH_SIZE];
    name_of(n, name);
    assert_int_equal(garbage_list(g, name, n + 1, mtime, &e), 0);
}

/* Packs 0 to count - 1, all old, listed from the last. */
static void begin(struct garbage *g, unsigned count)
{
    struct error e;
    garbage_begin(g, NOW);
    for (unsigned i = count; i-- > 0;)
        list(g, i, NOW - DAY);
    assert_int_equal(garbage_sort(g, &e), 0);
}

static size_t need(struct garbage *g, const unsigned *packs, size_t count)
{
    struct bytes prefixes = {.maximum = 1 << 20};
    uint8_t name[SEAL_HASH_SIZE];
    for (size_t i = 0; i < count; i++) {
        name_of(packs[i], name);
        bytes_put(&prefixes, name, NEEDS_NAME_SIZE);
    }
    size_t missing = garbage_need(g, prefixes.data, count, GARBAGE_NEEDED);
    bytes_free(&prefixes);
    return missing;
}

static void test_sorting(void **state)
{
    (void)state;
    struct garbage g;
    struct error e;
    for (unsigned count = 0; count < 40; count++) {
        begin(&g, count);
        assert_int_equal(g.count, count);
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(garbage_packs(&g)[i].size, i + 1);
        if (count > 0) {
            list(&g, count / 2, NOW);
            assert_int_equal(garbage_sort(&g, &e), -1);
            assert_int_equal(e.class, ERROR_INTEGRITY);
        }
        garbage_free(&g);
    }
}

static void test_sorting_many(void **state)
{
    (void)state;
    struct garbage g;
    struct error e;
    uint64_t random = 1;
    garbage_begin(&g, NOW);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t name[SEAL_HASH_SIZE] = {0};
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes_set_u64(name, i % 10 == 0 ? random & UINT64_C(0xffffffff00000000) : random); /* some groups are large */
        bytes_set_u32(name + 8, i);
        assert_int_equal(garbage_list(&g, name, 1, NOW, &e), 0);
    }
    assert_int_equal(garbage_sort(&g, &e), 0);
    assert_int_equal(g.count, 100000);
    for (size_t i = 1; i < g.count; i++)
        assert_true(memcmp(garbage_packs(&g)[i - 1].name, garbage_packs(&g)[i].name, SEAL_HASH_SIZE) < 0);
    garbage_free(&g);
}

/* Every set of needs over few packs, and beside them: what is marked is what was named. */
static void test_needs(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 1u << 10; set++) {
        struct garbage g;
        unsigned packs[10], count = 0;
        begin(&g, 8);
        for (unsigned i = 0; i < 10; i++)
            if (set >> i & 1)
                packs[count++] = i;
        assert_int_equal(need(&g, packs, count), (set >> 8 & 1) + (set >> 9 & 1));
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(g.marks[i], set >> i & 1 ? GARBAGE_NEEDED : 0);
        garbage_free(&g);
    }
}

/* Two packs with the same beginning: both are kept. */
static void test_twins(void **state)
{
    (void)state;
    struct garbage g;
    struct error e;
    uint8_t name[SEAL_HASH_SIZE];
    garbage_begin(&g, NOW);
    list(&g, 5, NOW - DAY);
    name_of(5, name);
    name[NEEDS_NAME_SIZE]++;
    assert_int_equal(garbage_list(&g, name, 1, NOW - DAY, &e), 0);
    assert_int_equal(garbage_sort(&g, &e), 0);
    assert_int_equal(need(&g, (unsigned[]){5}, 1), 0);
    assert_int_equal(g.marks[0] & g.marks[1] & GARBAGE_NEEDED, GARBAGE_NEEDED);
    garbage_free(&g);
}

static void test_age(void **state)
{
    (void)state;
    static const struct {
        int64_t mtime;
        bool old;
    } rows[] = {{NOW - DAY, true},
                {NOW - DAY + 1, false},
                {NOW, false},
                {NOW + DAY, false},
                {INT64_MIN, true /* any */},
                {NOW + DAY + 1, true /* it tells nothing */},
                {INT64_MAX, true},
                {0, true},
                {-1, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct garbage g;
        struct plan plan;
        struct error e;
        garbage_begin(&g, NOW);
        list(&g, 1, rows[i].mtime);
        assert_int_equal(garbage_sort(&g, &e), 0);
        assert_int_equal(garbage_plan(&g, NOW, DAY, &plan, &e), 0);
        assert_int_equal(plan.count, rows[i].old);
        plan_free(&plan);
        garbage_free(&g);
    }
}

static void test_plan_and_sweep(void **state)
{
    (void)state;
    struct garbage g;
    struct plan plan, second;
    struct error e;
    struct bytes names = {.maximum = 1 << 20};
    uint64_t packs;
    begin(&g, 6);
    need(&g, (unsigned[]){1, 4}, 2);
    assert_int_equal(garbage_plan(&g, NOW, DAY, &plan, &e), 0);
    assert_int_equal(plan.count, 4); /* 0 2 3 5 */
    assert_int_equal(garbage_bytes(&g, GARBAGE_NEEDED, GARBAGE_NEEDED, &packs), 2 + 5);
    assert_int_equal(packs, 2);
    assert_int_equal(garbage_mark(&g, &plan, GARBAGE_PLANNED), 4);
    assert_int_equal(garbage_plan(&g, NOW, DAY, &second, &e), 0);
    assert_int_equal(second.count, 0);
    garbage_free(&g);
    begin(&g, 5); /* by now 5 is gone, and 2 is needed */
    need(&g, (unsigned[]){1, 2}, 2);
    assert_int_equal(garbage_mark(&g, &plan, GARBAGE_PLANNED), 3);
    assert_int_equal(garbage_sweep(&g, &plan, &names, &e), 0);
    assert_int_equal(names.length, 2 * SEAL_HASH_SIZE);
    assert_int_equal(names.data[1], 0);
    assert_int_equal(names.data[SEAL_HASH_SIZE + 1], 3);
    assert_int_equal(garbage_sweep(&g, &plan, &names, &e), 0); /* as if another plan named them as well */
    assert_int_equal(names.length, 2 * SEAL_HASH_SIZE);
    bytes_free(&names);
    plan_free(&plan);
    plan_free(&second);
    garbage_free(&g);
}

static void test_due(void **state)
{
    (void)state;
    const struct plan plan = {.created = NOW, .grace = DAY};
    assert_false(garbage_is_due(&plan, NOW, NOW + DAY - 1));
    assert_true(garbage_is_due(&plan, NOW, NOW + DAY));
    assert_false(garbage_is_due(&plan, NOW + 3 * DAY, NOW + DAY)); /* what its maker's clock says is nothing */
    assert_true(garbage_is_due(&plan, NOW - 2 * DAY, NOW));
    assert_false(garbage_is_due(&plan, INT64_MIN, NOW + 2 * DAY - 1));
    assert_true(garbage_is_due(&plan, INT64_MIN, NOW + 2 * DAY));
}

static void test_grace(void **state)
{
    (void)state;
    assert_int_equal(garbage_grace(0), DAY);
    assert_int_equal(garbage_grace(-5), DAY);
    assert_int_equal(garbage_grace(DAY / 2), DAY);
    assert_int_equal(garbage_grace(DAY), 2 * DAY);
    assert_int_equal(garbage_grace(365 * DAY), 730 * DAY);
    assert_int_equal(garbage_grace(366 * DAY), DAY); /* a clock was set */
    assert_int_equal(garbage_grace(INT64_MAX), DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorting), cmocka_unit_test(test_sorting_many), cmocka_unit_test(test_needs),
        cmocka_unit_test(test_twins),   cmocka_unit_test(test_age),          cmocka_unit_test(test_plan_and_sweep),
        cmocka_unit_test(test_due),     cmocka_unit_test(test_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
