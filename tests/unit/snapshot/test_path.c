/* Paths: their syntax and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "snapshot/path.h"

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "a/b", ".a", "..a", "a..", "...", "a b\n\xff"};
    static const char *const bad[] = {"/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(path_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(path_valid(bad[i], strlen(bad[i])));
    assert_false(path_valid("a\0b", 3));
    /* In order: a directory, what is in it, and only then its longer neighbours. */
    static const char *const order[] = {"",    "a",   "a/b", "a/b/c", "a/z", "a\x01",
                                        "a b", "a-b", "a.b", "ab",    "b",   "\xff"};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
            int sign = path_compare(order[i], strlen(order[i]), order[k], strlen(order[k]));
            assert_int_equal((sign > 0) - (sign < 0), (i > k) - (i < k));
        }
    assert_true(path_compare("same-start-123/a", 16, "same-start-123-a", 16) < 0);
    assert_true(path_is_key("packs/ab/0123", 13));
    assert_false(path_is_key("packs/ä", 8));
    assert_false(path_is_key("", 0));
    assert_false(path_is_key("a/../b", 6));
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests_name("snapshot/path", all, NULL, NULL);
}
