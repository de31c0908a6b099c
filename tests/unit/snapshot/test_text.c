/* Free text in JSON: one way to write it, and lists of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "snapshot/manifest_text.h"

static char *const texts[] = {(char[]){""}, (char[]){"plain=text"}, (char[]){"\xff%41\"\\"}, (char[]){"two\nlines"}};
#define TEXTS (sizeof texts / sizeof texts[0])

static void test_a_list_there_and_back(void **state)
{
    (void)state;
    char **back = NULL;
    size_t count = 0;
    struct error e = {0};
    for (size_t n = 0; n <= TEXTS; n++) {
        json_t *list = manifest_text_list(texts, n);
        assert_non_null(list);
        assert_int_equal(manifest_text_unlist(list, &back, &count, &e), 0);
        assert_int_equal(count, n);
        assert_null(back[n]);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(back[i], texts[i]);
            free(back[i]);
        }
        free(back);
        json_decref(list);
    }
}

static void test_what_is_not_written_so(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",        "\"a\"",     "[1]",      "[\"a\", null]", "[\"a\", \"%\"]",
                                      "[\"%41\"]", "[\"%ff\"]", "[\"%00\"]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char **back = NULL;
        size_t count = 0;
        struct error e = {0};
        json_t *list = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_non_null(list);
        assert_int_equal(manifest_text_unlist(list, &back, &count, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
        assert_null(back);
        json_decref(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_there_and_back),
        cmocka_unit_test(test_what_is_not_written_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
