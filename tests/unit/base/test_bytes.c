#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"

static void test_integers(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 1000};
    bytes_put_u8(&b, 0x01);
    bytes_put_u16(&b, 0x0203);
    bytes_put_u32(&b, 0x04050607);
    bytes_put_u64(&b, UINT64_C(0x08090a0b0c0d0e0f));
    static const uint8_t expected[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8};
    assert_int_equal(b.length, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    struct cursor c = cursor_of(b.data, b.length);
    assert_int_equal(cursor_u8(&c), 0x01);
    assert_int_equal(cursor_u16(&c), 0x0203);
    assert_int_equal(cursor_u32(&c), 0x04050607);
    assert_true(cursor_u64(&c) == UINT64_C(0x08090a0b0c0d0e0f));
    assert_true(cursor_done(&c));
    assert_int_equal(cursor_u8(&c), 0);
    assert_true(c.failed);
    bytes_free(&b);
    bytes_free(&b);
    uint8_t raw[8];
    bytes_set_u64(raw, UINT64_C(0x8877665544332211));
    assert_true(bytes_get_u64(raw) == UINT64_C(0x8877665544332211));
    bytes_set_u32(raw, 0xf1f2f3f4);
    assert_true(bytes_get_u32(raw) == 0xf1f2f3f4);
}

static void test_blobs(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 1000};
    bytes_put_blob(&b, "a\0b", 3);
    bytes_put_text(&b, "word");
    bytes_put_text(&b, NULL);
    assert_int_equal(bytes_check(&b, "x", &(struct error){0}), 0);
    struct cursor c = cursor_of(b.data, b.length);
    size_t n;
    const uint8_t *p = cursor_blob(&c, 3, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(p, "a\0b", 3);
    char text[5];
    cursor_text(&c, text, sizeof text);
    assert_string_equal(text, "word");
    cursor_text(&c, text, sizeof text);
    assert_string_equal(text, "");
    assert_true(cursor_done(&c));
    bytes_free(&b);
}

static void test_hostile_blobs(void **state)
{
    (void)state;
    static const uint8_t nul[] = {2, 0, 0, 0, 'a', 0}, longer[] = {5, 0, 0, 0, 'a'},
                         endless[] = {255, 255, 255, 255, 1};
    char text[4];
    size_t n;
    struct cursor c = cursor_of(nul, sizeof nul);
    cursor_text(&c, text, sizeof text);
    assert_true(c.failed);
    c = cursor_of(longer, sizeof longer);
    assert_null(cursor_blob(&c, 100, &n));
    assert_int_equal(n, 0);
    assert_true(c.failed);
    c = cursor_of(endless, sizeof endless);
    cursor_text(&c, text, sizeof text);
    assert_true(c.failed);
    assert_string_equal(text, "");
    c = cursor_of(longer, 3);
    assert_null(cursor_blob(&c, 100, &n));
    c = cursor_of(NULL, 0);
    assert_false(c.failed);
    cursor_bytes(&c, 0);
    assert_true(cursor_done(&c));
}

static void test_maximum(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 10};
    struct error e;
    bytes_put(&b, "0123456789", 10);
    assert_int_equal(bytes_check(&b, "thing", &e), 0);
    bytes_put_u8(&b, 1);
    assert_true(b.failed);
    assert_int_equal(b.length, 10);
    assert_int_equal(bytes_check(&b, "thing", &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    assert_string_equal(e.message, "thing is larger than 10 bytes");
    assert_null(bytes_reserve(&b, 1));
    bytes_reset(&b);
    assert_false(b.failed);
    assert_int_equal(b.length, 0);
    /* One append that is far too large is no lack of memory either. */
    assert_null(bytes_reserve(&b, SIZE_MAX));
    assert_int_equal(bytes_check(&b, "thing", &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    bytes_free(&b);
    struct bytes none = {0};
    bytes_put(&none, "x", 1);
    assert_true(none.failed);
    bytes_free(&none);
}

static void test_print(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 5000};
    bytes_print(&b, "%s-%d", "a", 7);
    for (int i = 0; i < 100; i++)
        bytes_print(&b, "%03d", i);
    assert_int_equal(b.length, 303);
    assert_memory_equal(b.data, "a-7000001", 9);
    bytes_print(&b, "%6000d", 1);
    assert_true(b.failed);
    assert_int_equal(b.length, 303);
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_blobs), cmocka_unit_test(test_hostile_blobs),
        cmocka_unit_test(test_maximum),  cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
