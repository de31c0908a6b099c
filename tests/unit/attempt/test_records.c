/* Records: lines that come back in both directions, whatever their length, and a chain that tells of changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"

#define NOW INT64_C(1795000000000000000)

struct place {
    char directory[64], path[96];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    snprintf(p->directory, sizeof p->directory, "/tmp/cofre-records-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(p->path, sizeof p->path, "%s/records", p->directory);
    clock_set(NOW);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    unlink(p->path);
    rmdir(p->directory);
    free(p);
    clock_release();
    return 0;
}

/* Number n, with so many bytes of ballast. */
static void append(const struct place *p, unsigned n, size_t ballast)
{
    char id[32], when[CLOCK_TEXT_MAX], *text = calloc(1, ballast + 1);
    struct error e;
    assert_non_null(text);
    memset(text, 'x', ballast);
    snprintf(id, sizeof id, "id-%u", n);
    clock_format_exact(NOW + n, when);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "command", "run", "status", "complete",
                               "started", when, "ended", when, "ballast", text);
    if (records_append(p->directory, record, &e) < 0)
        fail_msg("%s", e.message);
    json_decref(record);
    free(text);
}

struct walk {
    unsigned next, stop;
};

static bool expect_next(void *context, const char *line, size_t length)
{
    struct walk *w = context;
    char id[32];
    json_t *record = records_parse(line, length);
    assert_non_null(record);
    snprintf(id, sizeof id, "id-%u", --w->next);
    assert_string_equal(records_text(record, "id"), id);
    json_decref(record);
    return w->next > w->stop;
}

static void no_flaw(void *context, size_t line, const char *what)
{
    (void)context;
    fail_msg("line %zu: %s", line, what);
}

static void count_flaw(void *context, size_t line, const char *what)
{
    size_t *at = context;
    assert_non_null(what);
    *at = *at ? *at : line;
}

static void expect_whole(const struct place *p, unsigned count)
{
    struct walk walk = {count, 0}, part = {count, count / 2};
    struct records_reader reader;
    struct records_chain chain;
    struct error e;
    assert_int_equal(records_back(p->directory, expect_next, &walk, &e), 0);
    assert_int_equal(walk.next, 0);
    assert_int_equal(records_back(p->directory, expect_next, &part, &e), 0);
    assert_int_equal(part.next, count / 2);
    assert_int_equal(records_open(p->directory, &reader, &e), 0);
    for (unsigned i = 1; i <= count; i++) {
        assert_int_equal(records_next(&reader, &e), 1);
        assert_int_equal(reader.number, i);
    }
    assert_int_equal(records_next(&reader, &e), 0);
    records_close(&reader);
    assert_int_equal(records_check(p->directory, no_flaw, NULL, &chain, &e), 0);
    assert_int_equal(chain.count, count);
    assert_false(chain.cut);
}

static void test_none(void **state)
{
    struct place *p = *state;
    struct walk walk = {0, 0};
    struct records_chain chain;
    struct error e;
    assert_int_equal(records_back(p->directory, expect_next, &walk, &e), 0);
    assert_int_equal(records_check(p->directory, no_flaw, NULL, &chain, &e), 0);
    assert_int_equal(chain.count, 0);
}

/* Lines that end at, before and behind the blocks in which the file is read. */
static void test_lines_of_any_length(void **state)
{
    struct place *p = *state;
    static const size_t ballast[] = {0, 1, 65000, 65536, 70000, 3, 200000, 65300, 131072, 9, 900000, 4};
    for (unsigned i = 0; i < sizeof ballast / sizeof ballast[0]; i++) {
        append(p, i, ballast[i]);
        expect_whole(p, i + 1);
    }
}

static void test_a_line_that_is_too_long(void **state)
{
    struct place *p = *state;
    struct error e;
    append(p, 0, 0);
    char *text = calloc(1, RECORDS_LINE_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', RECORDS_LINE_MAX);
    json_t *record = json_pack("{s:s}", "id", text);
    assert_int_equal(records_append(p->directory, record, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    json_decref(record);
    free(text);
    append(p, 1, 0);
    expect_whole(p, 2);
}

static void spoil(const struct place *p, const char *text, size_t n)
{
    int fd = open(p->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    close(fd);
}

static void test_half_a_line(void **state)
{
    struct place *p = *state;
    static const char zeros[70000];
    struct walk walk = {1, 0};
    struct error e;
    spoil(p, "{\"id\":", 6);
    append(p, 0, 0);
    expect_whole(p, 1);
    spoil(p, zeros, sizeof zeros);
    assert_int_equal(records_back(p->directory, expect_next, &walk, &e), 0);
    assert_int_equal(walk.next, 0);
    append(p, 1, 0);
    expect_whole(p, 2);
}

/* Whatever byte is changed before the last line, it shows: in its line, or in the one behind. */
static void test_any_byte_that_changes(void **state)
{
    struct place *p = *state;
    struct stat st;
    append(p, 0, 0);
    append(p, 1, 0);
    assert_int_equal(stat(p->path, &st), 0);
    append(p, 2, 0);
    int fd = open(p->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 0; at < st.st_size; at++) {
        struct records_chain chain;
        struct error e;
        size_t first = 0;
        char byte, other;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        other = byte ^ 1;
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        assert_int_equal(records_check(p->directory, count_flaw, &first, &chain, &e), 0);
        assert_true(chain.flaws > 0 && first > 0 && first <= 3);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    expect_whole(p, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_of_any_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_line_that_is_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_half_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_byte_that_changes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
