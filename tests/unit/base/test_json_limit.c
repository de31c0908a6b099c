#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json_limit.h"

static int check(const char *text, struct error *e)
{
    return json_limit_check(text, strlen(text), "it", e);
}

/* count times the text, in a list. */
static int check_many(const char *text, size_t count, struct error *e)
{
    AUTO_BYTES struct bytes b = {.maximum = (size_t)64 << 20};
    bytes_put(&b, "[", 1);
    for (size_t i = 0; i < count; i++)
        bytes_put(&b, text, strlen(text));
    bytes_put(&b, "]", 1);
    assert_false(b.failed);
    return json_limit_check(b.data, b.length, "it", e);
}

static void test_ordinary(void **state)
{
    (void)state;
    struct error e;
    static const char *const texts[] = {
        "",      "{}", "[]",   "null", "{\"a\":1}", "{\"a\":[1,-2.5e+3,true,null,\"\\\"]]]\"]}",
        "]]]}}", "\"", "\"\\", "[",    "\xff\x80",  "{\"a\"\n:\t[ ] }"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(check(texts[i], &e), 0);
}

/* What is allowed, and one more. */
static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t tokens;
    } rows[] = {{"[],", JSON_LIMIT_NESTED}, {"{},", JSON_LIMIT_NESTED}, {"\"[{\\\"\",", 1}, {"17,", 1}, {"null ,", 1}};
    struct error e;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t most = (JSON_LIMIT_TOKENS - JSON_LIMIT_NESTED) / rows[i].tokens;
        assert_int_equal(check_many(rows[i].text, most, &e), 0);
        assert_int_equal(check_many(rows[i].text, most + 1, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
        assert_string_equal(e.message, "read 'it': it has more than 750000 values");
    }
}

static void test_depth(void **state)
{
    (void)state;
    struct error e;
    char text[JSON_LIMIT_DEPTH + 2];
    memset(text, '[', sizeof text);
    assert_int_equal(json_limit_check(text, JSON_LIMIT_DEPTH, "it", &e), 0);
    assert_int_equal(json_limit_check(text, JSON_LIMIT_DEPTH + 1, "it", &e), -1);
    assert_string_equal(e.message, "read 'it': it is nested more than 32 deep");
    memset(text, '{', sizeof text);
    assert_int_equal(json_limit_check(text, sizeof text, "it", &e), -1);
    assert_int_equal(check("[[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]][[]]", &e), 0);
    assert_int_equal(check("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"", &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
