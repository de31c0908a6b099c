#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "archive/dig.h"
#include "base/error.h"

#define SIZE (24 * DIG_BLOCK + 100)

static uint8_t content[SIZE], found[SIZE];
static size_t at, dug;

static int on_data(void *context, const void *p, size_t n, struct error *e)
{
    (void)context;
    (void)e;
    assert_true(n > 0 && n <= SIZE - at);
    memcpy(found + at, p, n);
    at += n;
    return 0;
}

static int on_hole(void *context, uint64_t n, struct error *e)
{
    (void)context;
    (void)e;
    assert_true(n > 0 && n <= SIZE - at);
    assert_int_equal(at % DIG_BLOCK, 0);
    assert_true((at + n) % DIG_BLOCK == 0 || at + n == SIZE);
    memset(found + at, 0, (size_t)n);
    at += (size_t)n;
    dug += (size_t)n;
    return 0;
}

/* The content, in pieces of up to so many bytes. */
static void pass(size_t piece)
{
    struct error e;
    struct untar_audience to = {.data = on_data, .hole = on_hole};
    struct dig dig = {.to = &to};
    memset(found, 0xee, sizeof found);
    at = dug = 0;
    for (size_t from = 0, n; from < SIZE; from += n) {
        n = 1 + (size_t)rand() % piece;
        n = n < SIZE - from ? n : SIZE - from;
        assert_int_equal(dig_data(&dig, content + from, n, &e), 0);
    }
    assert_int_equal(dig_end(&dig, &e), 0);
    assert_int_equal(at, SIZE);
    assert_memory_equal(found, content, SIZE);
}

static void test_whole_blocks(void **state)
{
    (void)state;
    memset(content, 'x', SIZE);
    memset(content + 2 * DIG_BLOCK - 10, 0, 3 * DIG_BLOCK + 20); /* three blocks, and a little on both sides */
    memset(content + 9 * DIG_BLOCK - 100, 0, DIG_BLOCK + 50);    /* no whole one */
    memset(content + 20 * DIG_BLOCK, 0, SIZE - 20 * DIG_BLOCK);  /* to the end, the last block not being full */
    for (size_t piece = 1; piece <= SIZE; piece = piece * 3 + 1) {
        pass(piece);
        assert_int_equal(dug, 3 * DIG_BLOCK + 4 * DIG_BLOCK + 100);
    }
}

static void test_any(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        memset(content, i % 2 ? 'x' : 0, SIZE);
        for (int k = rand() % 8; k > 0; k--) {
            size_t from = (size_t)rand() % SIZE, n = (size_t)rand() % (6 * DIG_BLOCK);
            memset(content + from, k % 2 ? 0 : 'y', n < SIZE - from ? n : SIZE - from);
        }
        pass(1 + (size_t)rand() % (3 * DIG_BLOCK));
    }
}

static void test_holes_that_are_told(void **state)
{
    (void)state;
    struct error e;
    struct untar_audience to = {.data = on_data, .hole = on_hole};
    struct dig dig = {.to = &to};
    at = dug = 0;
    memset(content, 'x', SIZE);
    assert_int_equal(dig_data(&dig, content, DIG_BLOCK, &e), 0);
    assert_int_equal(dig_hole(&dig, 2 * DIG_BLOCK, &e), 0);
    assert_int_equal(dig_data(&dig, content, 5, &e), 0);
    assert_int_equal(dig_end(&dig, &e), 0);
    assert_int_equal(at, 3 * DIG_BLOCK + 5);
    assert_int_equal(dug, 2 * DIG_BLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_blocks),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_holes_that_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
