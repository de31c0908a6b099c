/* progress: the line fits the terminal and says no more than is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/progress.h"
#include "worker/engine.h"

static void test_known_total(void **unused)
{
    const struct engine_progress p = {"reading uploads", 12, 50 << 20, 100 << 20};
    char line[200];
    (void)unused;
    progress_format(&p, 5000, 150, line, sizeof line);
    assert_string_equal(line,
                        "reading uploads  [##########..........]  50%  50.0 MiB of 100.0 MiB  12 entries  10.0 MiB/s"
                        "  0:05 left");
}

static void test_unknown_total(void **unused)
{
    const struct engine_progress p = {"reading gymdb", 0, 1 << 20, 0};
    char line[200];
    (void)unused;
    assert_string_equal(progress_format(&p, 10, 150, line, sizeof line), "reading gymdb  1.0 MiB");
}

static void test_more_than_promised(void **unused)
{
    const struct engine_progress p = {"x", 0, 3 << 20, 1 << 20};
    char line[200];
    (void)unused;
    progress_format(&p, 0, 150, line, sizeof line);
    assert_string_equal(line, "x  [####################] 100%  3.0 MiB of 1.0 MiB");
}

static void test_cut_between_characters(void **unused)
{
    const struct engine_progress p = {"\xc3\xa4\xc3\xb6\n", 0, 0, 0};
    char line[200];
    (void)unused;
    assert_string_equal(progress_format(&p, 0, 3, line, sizeof line), "\xc3\xa4");
    assert_string_equal(progress_format(&p, 0, 6, line, sizeof line), "\xc3\xa4\xc3\xb6\\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_total),
        cmocka_unit_test(test_unknown_total),
        cmocka_unit_test(test_more_than_promised),
        cmocka_unit_test(test_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
