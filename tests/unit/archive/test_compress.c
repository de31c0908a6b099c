#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive/compress.h"
#include "base/bytes.h"
#include "base/error.h"

#define SIZE 700001u

static int take(void *context, const void *p, size_t n, struct error *e)
{
    (void)e;
    bytes_put(context, p, n);
    return 0;
}

static int convert(enum compress_kind kind, bool expand, const uint8_t *p, size_t n, size_t piece, struct bytes *out,
                   struct error *e)
{
    struct compress_spec spec = {.kind = kind, .threads = 2, .expand = expand, .take = take, .context = out};
    struct compress *c;
    assert_int_equal(compress_new(&spec, &c, e), 0);
    int result = 0;
    for (size_t at = 0; result == 0 && at < n; at += piece)
        result = compress_write(c, p + at, piece < n - at ? piece : n - at, e);
    if (result == 0)
        result = compress_end(c, e);
    compress_free(c);
    return result;
}

static uint8_t *sample(void)
{
    uint8_t *p = malloc(SIZE);
    for (uint32_t i = 0, x = 1; i < SIZE; i++, x = x * 1103515245 + 12345)
        p[i] = i % 3 == 0 ? (uint8_t)(x >> 16) : 'a';
    return p;
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint8_t *p = sample();
    const size_t sizes[] = {0, 1, 1000, SIZE};
    for (int kind = 0; kind < COMPRESS_KINDS; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            AUTO_BYTES struct bytes packed = {.maximum = 2 * SIZE}, plain = {.maximum = 2 * SIZE};
            struct error e;
            assert_int_equal(convert((enum compress_kind)kind, false, p, sizes[i], 4099, &packed, &e), 0);
            assert_int_equal(convert((enum compress_kind)kind, true, packed.data, packed.length, 777, &plain, &e), 0);
            assert_int_equal(plain.length, sizes[i]);
            assert_true(sizes[i] == 0 || memcmp(plain.data, p, sizes[i]) == 0);
        }
    free(p);
}

static void test_cut_or_followed_by_something(void **state)
{
    (void)state;
    uint8_t *p = sample();
    for (int kind = COMPRESS_ZSTD; kind <= COMPRESS_GZIP; kind++) {
        AUTO_BYTES struct bytes packed = {.maximum = 4 * SIZE};
        struct error e;
        assert_int_equal(convert((enum compress_kind)kind, false, p, 5000, 5000, &packed, &e), 0);
        for (size_t n = 0; n < packed.length; n++) {
            AUTO_BYTES struct bytes plain = {.maximum = 2 * SIZE};
            assert_int_equal(convert((enum compress_kind)kind, true, packed.data, n, 100000, &plain, &e), -1);
            assert_int_equal(e.class, ERROR_INTEGRITY);
        }
        /* The same once more, or one byte: not by themselves what was stored. */
        size_t length = packed.length;
        AUTO_BYTES struct bytes twice = {.maximum = 4 * SIZE};
        bytes_put(&twice, packed.data, length);
        bytes_put(&twice, packed.data, length);
        for (size_t more = 1; more <= length; more += length - 1) {
            AUTO_BYTES struct bytes plain = {.maximum = 2 * SIZE};
            assert_int_equal(convert((enum compress_kind)kind, true, twice.data, length + more, 100000, &plain, &e),
                             -1);
            assert_int_equal(e.class, ERROR_INTEGRITY);
        }
    }
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_cut_or_followed_by_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
