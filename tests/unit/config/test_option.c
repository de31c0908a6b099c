#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "config/option.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct option options[] = {
    [OPTION_STRING] = {"o", OPTION_STRING, 0, NULL, 0, 0, NULL, "help"},
    [OPTION_PATH] = {"o", OPTION_PATH, 0, NULL, 0, 0, NULL, "help"},
    [OPTION_INTEGER] = {"o", OPTION_INTEGER, 0, NULL, -5, 10, NULL, "help"},
    [OPTION_BOOLEAN] = {"o", OPTION_BOOLEAN, 0, NULL, 0, 0, NULL, "help"},
    [OPTION_SIZE] = {"o", OPTION_SIZE, 0, NULL, 1024, 4096, NULL, "help"},
    [OPTION_DURATION] = {"o", OPTION_DURATION, 0, NULL, 1000, 60000, NULL, "help"},
    [OPTION_CHOICE] = {"o", OPTION_CHOICE, 0, NULL, 0, 0, "never|always|sometimes", "help"},
    [OPTION_LIST] = {"o", OPTION_LIST, 0, NULL, 0, 0, NULL, "help"},
    [OPTION_SECRET] = {"o", OPTION_SECRET, 0, NULL, 0, 0, NULL, "help"},
};

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        enum option_type type;
        const char *text;
        int64_t number;
    } cases[] = {
        {OPTION_INTEGER, "-5", -5},       {OPTION_INTEGER, "10", 10},  {OPTION_BOOLEAN, "yes", 1},
        {OPTION_BOOLEAN, "no", 0},        {OPTION_SIZE, "1KiB", 1024}, {OPTION_SIZE, "4096", 4096},
        {OPTION_DURATION, "1min", 60000}, {OPTION_CHOICE, "never", 0}, {OPTION_CHOICE, "sometimes", 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct option_value v;
        struct error e = {0};
        if (option_parse(&options[cases[i].type], cases[i].text, &v, &e) < 0)
            fail_msg("%s", e.message);
        assert_int_equal(v.number, cases[i].number);
        option_value_free(&v);
    }
}

static void test_texts(void **state)
{
    (void)state;
    struct option_value v;
    struct error e;
    assert_int_equal(option_parse(&options[OPTION_STRING], "a  b", &v, &e), 0);
    assert_string_equal(v.text, "a  b");
    option_value_free(&v);
    assert_int_equal(option_parse(&options[OPTION_PATH], "/srv/a b", &v, &e), 0);
    assert_string_equal(v.text, "/srv/a b");
    option_value_free(&v);
    assert_int_equal(option_parse(&options[OPTION_SECRET], "@file:/x", &v, &e), 0);
    assert_int_equal(v.secret_length, 8);
    assert_memory_equal(v.secret, "@file:/x", 9);
    option_value_free(&v);
    assert_null(v.secret);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *items[4];
    } cases[] = {
        {"", 0, {NULL}},
        {"a", 1, {"a"}},
        {"*.tmp, cache/", 2, {"*.tmp", "cache/"}},
        {"  a b ,\tc\t", 2, {"a b", "c"}},
        {"a\\,b,c\\d", 2, {"a,b", "c\\d"}},
        {"\\,", 1, {","}},
        {"a\\", 1, {"a\\"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct option_value v;
        struct error e;
        assert_int_equal(option_parse(&options[OPTION_LIST], cases[i].text, &v, &e), 0);
        assert_int_equal(v.count, cases[i].count);
        for (size_t k = 0; k < v.count; k++)
            assert_string_equal(v.items[k], cases[i].items[k]);
        option_value_free(&v);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        enum option_type type;
        const char *text, *message, *hint;
    } cases[] = {
        {OPTION_PATH, "srv", "'srv' is no absolute path: it must begin with '/'", ""},
        {OPTION_PATH, "", "'' is no absolute path: it must begin with '/'", ""},
        {OPTION_INTEGER, "11", "'11' is not between -5 and 10", ""},
        {OPTION_INTEGER, "-6", "'-6' is not between -5 and 10", ""},
        {OPTION_INTEGER, "7 # seven", "'7 # seven' is no whole number", "a comment behind a value begins with ' ;'"},
        {OPTION_SIZE, "1023", "'1023' is not between 1024 and 4096 bytes", ""},
        {OPTION_SIZE, "1G", "'1G' is no size: write 512, 64MiB, 10GB, ...", ""},
        {OPTION_DURATION, "2min", "'2min' is not between 1000 and 60000 milliseconds", ""},
        {OPTION_DURATION, "7x", "'7x' is no duration: write 90s, 15min, 6h, 7d, 4w, 6mo or 1y", ""},
        {OPTION_BOOLEAN, "true", "'true' is neither yes nor no", ""},
        {OPTION_CHOICE, "alway", "'alway' is none of never, always, sometimes", "did you mean 'always'?"},
        {OPTION_CHOICE, "", "'' is none of never, always, sometimes", ""},
        {OPTION_LIST, "a,,b", "item 2 of the list is empty: write 'a, b', and '\\,' for a comma in an item", ""},
        {OPTION_LIST, "a,", "item 2 of the list is empty: write 'a, b', and '\\,' for a comma in an item", ""},
        {OPTION_LIST, " , a", "item 1 of the list is empty: write 'a, b', and '\\,' for a comma in an item", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct option_value v;
        struct error e = {0};
        if (option_parse(&options[cases[i].type], cases[i].text, &v, &e) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        assert_int_equal(e.class, ERROR_CONFIG);
        assert_string_equal(e.message, cases[i].message);
        assert_string_equal(e.hint, cases[i].hint);
        assert_null(v.items);
    }
}

static void test_types(void **state)
{
    (void)state;
    struct option_value v;
    struct error e = {0};
    const struct option unknown = {"o", (enum option_type)77, 0, NULL, 0, 0, NULL, "help"};
    assert_int_equal(option_parse(&unknown, "x", &v, &e), -1);
    assert_string_equal(option_type_name(OPTION_PATH), "path");
    assert_string_equal(option_type_name(OPTION_LIST), "list of strings");
    assert_string_equal(option_type_name((enum option_type)0), "unknown");
    assert_string_equal(option_type_name((enum option_type)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
