/* The table of the previous snapshot, as the worker searches it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "host/previous.h"
#include "snapshot/path.h"

static int make_table(const char *const *paths, size_t count)
{
    struct bytes b = {.maximum = 64u << 20};
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        size_t shared = 0, n = strlen(paths[i]);
        while (last[shared] && last[shared] == paths[i][shared])
            shared++;
        uint8_t fingerprint[16] = {(uint8_t)(i + 1)};
        if (i == 1)
            fingerprint[0] = 0;
        bytes_put_u16(&b, (uint16_t)shared);
        bytes_put_u16(&b, (uint16_t)(n - shared));
        bytes_put(&b, paths[i] + shared, n - shared);
        bytes_put(&b, fingerprint, 16);
        last = paths[i];
    }
    int fd = memfd_create("table", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.length), (ssize_t)b.length);
    bytes_free(&b);
    return fd;
}

static bool finds(struct previous *p, const char *path, uint8_t first, uint64_t *ordinal)
{
    struct error e;
    bool found;
    uint8_t fingerprint[16] = {first};
    if (previous_find(p, path, strlen(path), fingerprint, &found, ordinal, &e) < 0)
        fail_msg("%s", e.message);
    return found;
}

static void test_previous(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "a", "a/b", "a/bcd", "long/path/to/something", "long/path/to/thing", "z"};
    struct previous *p;
    struct error e;
    uint64_t ordinal = 99;
    assert_int_equal(previous_open(make_table(paths, 7), &p, &e), 0);
    assert_true(finds(p, "", 1, &ordinal));
    assert_int_equal(ordinal, 0);
    assert_false(finds(p, "a", 0, &ordinal)); /* an all-zero fingerprint never matches */
    assert_false(finds(p, "a/a", 2, &ordinal));
    assert_true(finds(p, "a/b", 3, &ordinal));
    assert_int_equal(ordinal, 2);
    assert_false(finds(p, "a/bcd", 77, &ordinal));
    assert_false(finds(p, "a/bce", 4, &ordinal));
    assert_true(finds(p, "long/path/to/thing", 6, &ordinal));
    assert_int_equal(ordinal, 5);
    assert_true(finds(p, "z", 7, &ordinal));
    assert_false(finds(p, "zz", 7, &ordinal));
    previous_close(p);
    assert_int_equal(previous_open(make_table(paths, 0), &p, &e), 0);
    assert_false(finds(p, "a", 1, &ordinal));
    previous_close(p);
}

static void test_previous_large(void **state)
{
    (void)state;
    /* More than a window, with records up to the largest there are. */
    enum { COUNT = 40 };
    static char text[COUNT][PATH_LONGEST + 1];
    const char *paths[COUNT];
    for (int i = 0; i < COUNT; i++) {
        size_t n = i % 2 ? PATH_LONGEST : 10;
        memset(text[i], 'x', n);
        snprintf(text[i], 5, "%04d", i);
        text[i][4] = 'x';
        paths[i] = text[i];
    }
    struct previous *p;
    struct error e;
    uint64_t ordinal;
    assert_int_equal(previous_open(make_table(paths, COUNT), &p, &e), 0);
    for (int i = 2; i < COUNT; i++) {
        assert_true(finds(p, paths[i], (uint8_t)(i + 1), &ordinal));
        assert_int_equal(ordinal, i);
    }
    previous_close(p);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_previous),
        cmocka_unit_test(test_previous_large),
    };
    return cmocka_run_group_tests_name("host/previous", all, NULL, NULL);
}
