#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        {"plain", "plain"},
        {"a\nb\\c", "a\\nb\\\\c"},
        {"\x1b[31m", "\\x1b[31m"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff", "\\xff"},
        {"\xc3", "\\xc3"},
        {"\xc2\x9b", "\\xc2\\x9b"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xc0\xaf", "\\xc0\\xaf"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\x7f\t", "\\x7f\\x09"},
        /* reversed, of no width, a mark of order, a line's end, private, assigned to nobody, a filler, a tag */
        {"a\u202eb", "a\\xe2\\x80\\xaeb"},
        {"\u200b", "\\xe2\\x80\\x8b"},
        {"\ufeff", "\\xef\\xbb\\xbf"},
        {"\u2028", "\\xe2\\x80\\xa8"},
        {"\ue000", "\\xee\\x80\\x80"},
        {"\u0378", "\\xcd\\xb8"},
        {"\u3164", "\\xe3\\x85\\xa4"},
        {"\U000e0041", "\\xf3\\xa0\\x81\\x81"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(log_escape(cases[i].text, strlen(cases[i].text), out, sizeof out), cases[i].escaped);
    assert_string_equal(log_escape_bytes("a\u202e\x1b", 5, out, sizeof out), "a\u202e\\x1b");
    assert_string_equal(log_escape("abcdefghij", 10, out, 8), "abcd...");
    assert_string_equal(log_escape("abcdef\u200b", 9, out, 18), "abcdef...");
    assert_string_equal(log_escape("a\0b", 3, out, sizeof out), "a\\x00b");
}

/* What write_some sends to stderr. */
static void capture(void (*write_some)(void), char *out, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    write_some();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t n = read(ends[0], out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    close(ends[0]);
}

static void write_lines(void)
{
    struct error e;
    errno = EXDEV;
    log_set_timestamps(0);
    log_line(LOG_DEBUG, "not shown");
    log_line(LOG_NOTICE, "one\n%s", "forged");
    error_set(&e, ERROR_CONFIG, "it failed");
    error_hint(&e, "mend it");
    log_error(LOG_ERROR, &e);
    assert_int_equal(errno, EXDEV);
}

static void test_lines(void **state)
{
    (void)state;
    char out[1000];
    capture(write_lines, out, sizeof out);
    assert_string_equal(out, "one\\nforged\nerror: it failed\n  hint: mend it\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escape), cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
