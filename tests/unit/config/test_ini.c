#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/ini.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int on_section(void *user, unsigned line, const char *header, struct error *e)
{
    (void)e;
    bytes_print(user, "%u[%s]", line, header);
    return 0;
}

static int on_key(void *user, unsigned line, const char *name, const char *value, struct error *e)
{
    if (strcmp(name, "stop") == 0)
        return error_set(e, ERROR_RANGE, "stopped");
    bytes_print(user, "%u<%s|%s>", line, name, value);
    return 0;
}

/* What was read, as text; NULL with the error. */
static char *scan(const void *text, size_t length, unsigned *line, struct error *e)
{
    struct bytes seen = {.maximum = 1 << 22};
    const struct ini_events events = {on_section, on_key, &seen};
    int result = ini_scan(text, length, &events, line, e);
    bytes_put_u8(&seen, 0);
    assert_false(seen.failed);
    char *out = result == 0 ? strdup((char *)seen.data) : NULL;
    bytes_free(&seen);
    return out;
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *seen;
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {"; c\n# c\n  ; c\n\t# c\n   \n", ""},
        {"[a]\nb=c", "1[a]2<b|c>"},
        {"[a b on c] ; comment\n", "1[a b on c]"},
        {"[a] # comment\r\nb = c d \r\n", "1[a]2<b|c d>"},
        {"\xef\xbb\xbf[a]\n", "1[a]"},
        {"a = 0 2 * * *   ; nightly", "1<a|0 2 * * *>"},
        {"a = b;c", "1<a|b;c>"},
        {"a = #recycle, x #y", "1<a|#recycle, x #y>"},
        {"a = b = c : d", "1<a|b = c : d>"},
        {"a =\nb =   ; none\n", "1<a|>2<b|>"},
        {"a\t=\tb\t; c\n", "1<a|b>"},
        {"a = \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n", "1<a|\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80>"},
        {"a = [b]\n[c]", "1<a|[b]>2[c]"},
        {"a b = c", "1<a b|c>"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned line;
        struct error e;
        char *seen = scan(cases[i].text, strlen(cases[i].text), &line, &e);
        if (!seen)
            fail_msg("%zu: %u: %s", i, line, e.message);
        assert_string_equal(seen, cases[i].seen);
        free(seen);
    }
}

/* Every length around inih's limit and far beyond, with blanks and ';' at every place where a slice may end. */
static void test_long_lines(void **state)
{
    (void)state;
    static const char *const patterns[] = {"x", "ab ", "a; b", "a b    ", "#;", ":=[]", "\xc3\xa4 "};
    for (size_t p = 0; p < COUNT(patterns); p++)
        for (size_t length = 150; length < 700; length++) {
            char text[4000], expected[1500];
            size_t n = strlen(patterns[p]), whole = length / n * n;
            for (size_t i = 0; i < whole; i++)
                expected[i] = patterns[p][i % n];
            memcpy(expected + whole, "end", 4);
            snprintf(text, sizeof text, "name  =   %s   ; a comment = [x] ; ; %s\nnext = 1", expected, expected);
            unsigned line;
            struct error e;
            char *seen = scan(text, strlen(text), &line, &e);
            assert_non_null(seen);
            char all[1600];
            snprintf(all, sizeof all, "1<name|%s>2<next|1>", expected);
            assert_string_equal(seen, all);
            free(seen);
        }
}

static void test_longest_line(void **state)
{
    (void)state;
    char *text = malloc(INI_LINE_MAX + 2);
    memset(text, 'v', INI_LINE_MAX + 2);
    memcpy(text, "k=", 2);
    unsigned line;
    struct error e;
    char *seen = scan(text, INI_LINE_MAX, &line, &e);
    assert_non_null(seen);
    assert_int_equal(strlen(seen), strlen("1<k|>") + INI_LINE_MAX - 2);
    free(seen);
    assert_null(scan(text, INI_LINE_MAX + 1, &line, &e));
    assert_string_equal(e.message, "the line is longer than 65536 bytes");
    memset(text, ' ', INI_LINE_MAX);
    memcpy(text, "k=", 2);
    text[INI_LINE_MAX - 1] = 'v';
    seen = scan(text, INI_LINE_MAX, &line, &e);
    assert_string_equal(seen, "1<k|v>");
    free(seen);
    memset(text, 'k', INI_LINE_MAX);
    text[INI_LINE_MAX - 1] = '=';
    assert_null(scan(text, INI_LINE_MAX, &line, &e));
    assert_non_null(strstr(e.message, "the key is longer than"));
    free(text);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length; /* 0 = strlen */
        unsigned line;
        const char *message;
    } cases[] = {
        {"[a]\nb", 0, 2, "this line is neither '[section]' nor 'key = value'"},
        {"a ; b = c", 0, 1, "this line is neither '[section]' nor 'key = value'"},
        {"[a]\n\nb : c", 0, 3, "':' behind a key: write 'key = value'"},
        {"a = b\n  more", 0, 2, "the line is indented"},
        {"a = b\n\tc = d", 0, 2, "the line is indented"},
        {" [a]", 0, 1, "the line is indented"},
        {"[a\nb = c", 0, 1, "the section has no closing ']'"},
        {"[a] b", 0, 1, "there is text behind the section's ']'"},
        {"[a]]", 0, 1, "there is text behind the section's ']'"},
        {"a = b\0c", 7, 1, "byte 6 of this line is the control character 0x00"},
        {"\n\n\0", 3, 3, "byte 1 of this line is the control character 0x00"},
        {"a = b\rc = d\r", 0, 1, "byte 6 of this line is the control character 0x0d"},
        {"a = \x1b[31m", 0, 1, "byte 5 of this line is the control character 0x1b"},
        {"a = \x01", 0, 1, "byte 5 of this line is the control character 0x01"},
        {"a = \x7f", 0, 1, "byte 5 of this line is the control character 0x7f"},
        {"a = b\n; gr\xfc\xdf", 0, 2, "byte 5 of this line is not UTF-8"},
        {"a = \xc3", 0, 1, "byte 5 of this line is not UTF-8"},
        {"a = \xc0\xaf", 0, 1, "byte 5 of this line is not UTF-8"},
        {"a = \xe0\x80\x80", 0, 1, "byte 5 of this line is not UTF-8"},
        {"a = \xed\xa0\x80", 0, 1, "byte 5 of this line is not UTF-8"},
        {"a = \xf5\x80\x80\x80", 0, 1, "byte 5 of this line is not UTF-8"},
        {"\xff\xfe[\0a\0]\0", 8, 1, "the file is UTF-16"},
        {"\xfe\xff\0[\0a\0]", 8, 1, "the file is UTF-16"},
        {"a = b\nstop = 1\nc", 0, 2, "stopped"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned line;
        struct error e;
        char *seen = scan(cases[i].text, cases[i].length ? cases[i].length : strlen(cases[i].text), &line, &e);
        if (seen)
            fail_msg("%zu was taken: %s", i, seen);
        assert_string_equal(e.message, cases[i].message);
        assert_int_equal(line, cases[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
