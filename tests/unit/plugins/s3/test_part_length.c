/* 10,000 parts always suffice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "s3/part_length.h"

#define MIB ((int64_t)1 << 20)

static void test_unknown_length(void **state)
{
    (void)state;
    static const int64_t sizes[] = {5 * MIB, 16 * MIB, 1024 * MIB};
    for (size_t i = 0; i < 3; i++) {
        int64_t sum = 0, before = 0;
        for (int64_t n = 1; n <= PART_LENGTH_PARTS; n++) {
            int64_t length = part_length(sizes[i], -1, n);
            assert_true(length >= sizes[i] && length >= before && length <= 5 * 1024 * MIB);
            before = length;
            sum += length;
        }
        assert_true(sum >= (int64_t)5 << 40);
    }
}

static void test_known_length(void **state)
{
    (void)state;
    static const int64_t sizes[] = {65 * MIB, 1024 * MIB, (int64_t)1 << 40, (int64_t)5 << 40, ((int64_t)5 << 40) - 1};
    for (size_t i = 0; i < 5; i++) {
        int64_t length = part_length(16 * MIB, sizes[i], 1);
        assert_true(length >= 16 * MIB && length * PART_LENGTH_PARTS >= sizes[i]);
        assert_int_equal(part_length(16 * MIB, sizes[i], PART_LENGTH_PARTS), length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_length),
        cmocka_unit_test(test_known_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
