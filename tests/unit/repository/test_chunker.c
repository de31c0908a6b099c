#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "repository/chunker.h"

#define SIZE (24u << 20)
#define CUTS_MAX 64

static uint8_t *data;
static struct chunker_table table;

/* xorshift64*, so that the test's data are the same everywhere. */
static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        p[i] = (uint8_t)((seed * UINT64_C(2685821657736338717)) >> 56);
    }
}

static int set_up(void **state)
{
    (void)state;
    uint8_t seed[32];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    chunker_table_init(&table, seed);
    data = malloc(SIZE);
    if (!data)
        return -1;
    fill(data, SIZE, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(data);
    return 0;
}

/* The ends of the chunks of [p, p + n), fed in pieces of the given size; the last one is n. */
static size_t cut_all(const uint8_t *p, size_t n, size_t piece, size_t *ends)
{
    struct chunker chunker = {0};
    size_t count = 0, at = 0;
    while (at < n) {
        size_t left = n - at < piece ? n - at : piece;
        while (left > 0) {
            bool cut;
            size_t taken = chunker_feed(&chunker, &table, p + at, left, &cut);
            assert_in_range(taken, 1, left);
            at += taken;
            left -= taken;
            if (!cut)
                assert_int_equal(left, 0);
            if (cut && count < CUTS_MAX)
                ends[count++] = at;
        }
    }
    if (count == 0 || ends[count - 1] != n)
        ends[count++] = n;
    return count;
}

/* ChaCha20 with key 00 .. 1f, nonce 0, counter 0 begins 39fd2b7dd9c5196a (independently: the cipher in Python). */
static void test_table(void **state)
{
    (void)state;
    assert_true(table.gear[0] == UINT64_C(0x6a19c5d97d2bfd39));
}

/* As the header says it, without any of the shortcuts. */
static size_t slow_cut(const uint8_t *p, size_t n)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < n; i++) {
        hash = (hash << 1) + table.gear[p[i]];
        size_t length = i + 1;
        unsigned bits = length <= CHUNKER_AVERAGE ? CHUNKER_STRICT_BITS : CHUNKER_LOOSE_BITS;
        if (length >= CHUNKER_MINIMUM && (hash >> (64 - bits) == 0 || length == CHUNKER_MAXIMUM))
            return length;
    }
    return n;
}

static void test_definition(void **state)
{
    (void)state;
    size_t ends[CUTS_MAX + 1], at = 0, count = cut_all(data, SIZE, SIZE, ends);
    for (size_t i = 0; i < count; i++) {
        at += slow_cut(data + at, SIZE - at);
        assert_int_equal(at, ends[i]);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 3, 63, 64, 65, 4096, 65536, CHUNKER_MINIMUM - 64, CHUNKER_MINIMUM, 1000003};
    size_t expected[CUTS_MAX + 1], ends[CUTS_MAX + 1], n = 8u << 20;
    size_t count = cut_all(data, n, n, expected);
    assert_in_range(count, 5, 14);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(cut_all(data, n, pieces[i], ends), count);
        assert_memory_equal(ends, expected, count * sizeof ends[0]);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    size_t ends[CUTS_MAX + 1], count = cut_all(data, SIZE, SIZE, ends), start = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        assert_in_range(ends[i] - start, CHUNKER_MINIMUM, CHUNKER_MAXIMUM);
        start = ends[i];
    }
    assert_in_range(SIZE / count, 900000, 1250000);
}

/* Zeros, and whatever else has no structure, end at one of the two bounds. */
static void test_constant(void **state)
{
    (void)state;
    size_t n = 8u << 20, ends[CUTS_MAX + 1];
    uint8_t *zeros = calloc(1, n);
    assert_non_null(zeros);
    size_t count = cut_all(zeros, n, n, ends);
    assert_true(count == n / CHUNKER_MAXIMUM || count == n / CHUNKER_MINIMUM);
    free(zeros);
}

/* Cuts behind an insertion become the old ones again. */
static void test_insertion(void **state)
{
    (void)state;
    size_t before[CUTS_MAX + 1], after[CUTS_MAX + 1], common = 0;
    uint8_t *longer = malloc(SIZE + 7);
    assert_non_null(longer);
    memcpy(longer, data, 3000000);
    fill(longer + 3000000, 7, 99);
    memcpy(longer + 3000007, data + 3000000, SIZE - 3000000);
    size_t n = cut_all(data, SIZE, SIZE, before), m = cut_all(longer, SIZE + 7, SIZE, after);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            common += before[i] + 7 == after[k];
    assert_true(common >= n - 12);
    assert_true(before[0] == after[0]);
    free(longer);
}

static void test_keyed(void **state)
{
    (void)state;
    struct chunker_table kept = table;
    uint8_t seed[32] = {1};
    size_t one[CUTS_MAX + 1], two[CUTS_MAX + 1];
    size_t n = cut_all(data, SIZE, SIZE, one);
    chunker_table_init(&table, seed);
    size_t m = cut_all(data, SIZE, SIZE, two);
    assert_false(n == m && memcmp(one, two, n * sizeof one[0]) == 0);
    table = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_definition), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_sizes), cmocka_unit_test(test_constant),   cmocka_unit_test(test_insertion),
        cmocka_unit_test(test_keyed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
