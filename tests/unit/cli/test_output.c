/* output: the first line, escaping, times, and writes that fail. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/view.h"

static int saved_stdout = -1;

static void divert(const char *path)
{
    fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    close(fd);
}

static void restore(void)
{
    fflush(stdout);
    clearerr(stdout);
    dup2(saved_stdout, STDOUT_FILENO);
    close(saved_stdout);
}

/* What was printed since divert, into text. */
static void collect(char *text, size_t size)
{
    fflush(stdout);
    ssize_t n = pread(STDOUT_FILENO, text, size - 1, 0);
    restore();
    assert_true(n >= 0);
    text[n] = '\0';
}

static void test_first_line_and_escaping(void **unused)
{
    struct output out = {.json = true, .command = "ls"};
    struct error e;
    char text[1024];
    char path[] = "/tmp/test-output-XXXXXX";
    (void)unused;
    close(mkstemp(path));
    divert(path);
    output_print(&out, "text is not for JSON\n");
    output_object(
        &out, "entry",
        json_pack("{s:o, s:o}", "path", output_bytes(&out, "a\xff\nb\\", 5), "link", output_text(&out, NULL)));
    int result = output_finish(&out, &e);
    collect(text, sizeof text);
    unlink(path);
    output_free(&out);
    assert_int_equal(result, 0);
    assert_string_equal(text, "{\"type\":\"cofre\",\"schema\":1,\"version\":\"" COFRE_VERSION "\",\"command\":\"ls\"}\n"
                              "{\"type\":\"entry\",\"path\":\"a\\\\xff\\\\nb\\\\\\\\\",\"link\":null}\n");
}

static void test_failed_write_is_said_once(void **unused)
{
    struct output out = {0};
    struct error e;
    (void)unused;
    divert("/dev/full");
    output_print(&out, "a line\n");
    output_flush(&out);
    output_print(&out, "another\n");
    int result = output_finish(&out, &e);
    restore();
    assert_int_equal(result, -1);
    assert_int_equal(e.class, ERROR_NO_SPACE);
}

static void test_times(void **unused)
{
    (void)unused;
    json_t *before = output_time(-1), *none = output_time(INT64_MIN);
    assert_string_equal(json_string_value(before), "1969-12-31T23:59:59.999999999Z");
    assert_true(json_is_null(none));
    json_decref(before);
    json_decref(none);
}

static void test_table(void **unused)
{
    static const struct table_column columns[] = {{"NAME", 0}, {"SIZE", 1}, {"END", 0}};
    static const char *const cells[] = {"a", "12", "x", "long\n", "1", "\xc3\xa4"};
    char path[] = "/tmp/test-output-XXXXXX", text[256];
    struct output out = {0};
    struct table table;
    struct error e;
    (void)unused;
    table_init(&table, columns, 3);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(table_add(&table, cells[i], &e), 0);
    close(mkstemp(path));
    divert(path);
    table_print(&table, &out);
    collect(text, sizeof text);
    unlink(path);
    table_free(&table);
    assert_string_equal(text, "NAME    SIZE  END\na         12  x\nlong\\n     1  \xc3\xa4\n");
}

static void test_counts(void **unused)
{
    char text[VIEW_COUNT_MAX];
    (void)unused;
    assert_string_equal(view_count(0, text), "0");
    assert_string_equal(view_count(999, text), "999");
    assert_string_equal(view_count(1000, text), "1,000");
    assert_string_equal(view_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_line_and_escaping),
        cmocka_unit_test(test_failed_write_is_said_once),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
