/* What is encoded comes back; what is cut or changed is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "cofre/plugin.h"
#include "snapshot/entry.h"
#include "wire/wire.h"

static const struct snapshot_attribute attributes[] = {
    {.name = "user.one", .value = "1", .length = 1},
    {.name = "system.posix_acl_access", .value = "\0\1\2", .length = 3}};

static struct snapshot_entry sample(void)
{
    return (struct snapshot_entry){.kind = COFRE_SYMLINK,
                                   .flags = 1,
                                   .path = "a/b",
                                   .path_length = 3,
                                   .size = -1,
                                   .mtime = COFRE_NO_TIME,
                                   .mode = 0777,
                                   .uid = 1,
                                   .gid = 2,
                                   .device_major = 3,
                                   .device_minor = 4,
                                   .user = "root",
                                   .link = "../x",
                                   .link_length = 4,
                                   .attributes = attributes,
                                   .attribute_count = 2,
                                   .fingerprint = {1, 2, 3},
                                   .has_fingerprint = 1};
}

static void test_entry(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 1 << 20};
    struct snapshot_attribute *array = NULL;
    struct snapshot_entry from = sample(), to;
    wire_put_entry(&b, &from);
    struct cursor c = cursor_of(b.data, b.length);
    assert_true(wire_entry(&c, &to, &array));
    assert_string_equal(to.path, "a/b");
    assert_string_equal(to.link, "../x");
    assert_string_equal(to.user, "root");
    assert_null(to.group);
    assert_int_equal(to.mtime, COFRE_NO_TIME);
    assert_int_equal(to.attribute_count, 2);
    assert_string_equal(to.attributes[1].name, "system.posix_acl_access");
    assert_memory_equal(to.attributes[1].value, "\0\1\2", 3);
    assert_memory_equal(to.fingerprint, from.fingerprint, 16);
    /* Every shorter form is refused, and read from memory of exactly that size. */
    for (size_t n = 0; n < b.length; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, b.data, n);
        c = cursor_of(cut, n);
        assert_false(wire_entry(&c, &to, &array));
        free(cut);
    }
    /* No single changed byte makes it read elsewhere; the sanitizers watch. */
    for (size_t i = 0; i < b.length; i++)
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] ^= (uint8_t)(1 << bit);
            c = cursor_of(b.data, b.length);
            (void)wire_entry(&c, &to, &array);
            b.data[i] ^= (uint8_t)(1 << bit);
        }
    free(array);
    bytes_free(&b);
}

static void test_error(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 1 << 20};
    struct error from, to;
    error_system(&from, 28, "write 'x'");
    error_hint(&from, "make room");
    from.retry_after = 7;
    wire_put_error(&b, &from);
    struct cursor c = cursor_of(b.data, b.length);
    assert_true(wire_error(&c, &to));
    assert_true(cursor_done(&c));
    assert_int_equal(to.class, ERROR_NO_SPACE);
    assert_string_equal(to.message, from.message);
    assert_string_equal(to.hint, "make room");
    assert_int_equal(to.retry_after, 7);
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_error),
    };
    return cmocka_run_group_tests_name("wire/wire", all, NULL, NULL);
}
