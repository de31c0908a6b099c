#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "flow/pipe.h"
#include "flow/task.h"

#define TOTAL 1000003u
#define SIZE 4096

static bool cancelled;

static bool is_cancelled(void)
{
    return cancelled;
}

static struct pipe *make(void)
{
    struct pipe_spec spec = {.size = SIZE, .cancelled = is_cancelled};
    struct pipe *pipe;
    struct error e;
    cancelled = false;
    assert_int_equal(pipe_new(&spec, &pipe, &e), 0);
    return pipe;
}

/* Byte i is i * 7, in pieces of all sizes. */
static int produce(void *context, struct error *e)
{
    uint8_t piece[3 * SIZE];
    for (uint32_t at = 0, n = 1; at < TOTAL; at += n, n = n * 5 % sizeof piece + 1) {
        n = n < TOTAL - at ? n : TOTAL - at;
        for (uint32_t i = 0; i < n; i++)
            piece[i] = (uint8_t)((at + i) * 7);
        if (pipe_write(context, piece, n, 0, e) < 0)
            return -1;
    }
    pipe_end(context);
    return 0;
}

static void test_bytes_come_in_order(void **state)
{
    (void)state;
    struct pipe *pipe = make();
    struct task *task;
    struct error e;
    uint8_t piece[1000];
    uint32_t at = 0;
    assert_int_equal(task_start(&task, produce, pipe, &e), 0);
    for (size_t got = 1; got > 0;) {
        assert_int_equal(pipe_read(pipe, piece, 1 + at % sizeof piece, &got, 0, &e), 0);
        for (size_t i = 0; i < got; i++, at++)
            assert_int_equal(piece[i], (uint8_t)(at * 7));
    }
    assert_int_equal(at, TOTAL);
    assert_int_equal(task_join(task, &e), 0);
    pipe_free(pipe);
}

static void test_a_failure_wakes_the_other_side(void **state)
{
    (void)state;
    struct pipe *pipe = make();
    struct task *task;
    struct error e, why;
    assert_int_equal(task_start(&task, produce, pipe, &e), 0);
    error_set(&why, ERROR_NO_SPACE, "the reader gave up");
    pipe_fail(pipe, &why);
    assert_int_equal(task_join(task, &e), -1);
    assert_int_equal(e.class, ERROR_NO_SPACE);
    assert_string_equal(e.message, "the reader gave up");
    pipe_free(pipe);
}

static void test_patience_and_cancellation_end(void **state)
{
    (void)state;
    struct pipe *pipe = make();
    struct error e;
    uint8_t piece[SIZE] = {0};
    size_t got;
    assert_int_equal(pipe_write(pipe, piece, sizeof piece, 0, &e), 0);
    assert_int_equal(pipe_write(pipe, piece, 1, 200, &e), -1);
    assert_int_equal(e.class, ERROR_TIMEOUT);
    pipe_free(pipe);
    pipe = make();
    cancelled = true;
    assert_int_equal(pipe_read(pipe, piece, 1, &got, 0, &e), -1);
    assert_int_equal(e.class, ERROR_CANCELLED);
    pipe_free(pipe);
}

static void test_a_failure_after_the_end_is_forgotten(void **state)
{
    (void)state;
    struct pipe *pipe = make();
    struct error e, why;
    uint8_t byte = 1;
    size_t got;
    pipe_end(pipe);
    error_set(&why, ERROR_PERMANENT, "too late");
    pipe_fail(pipe, &why);
    assert_int_equal(pipe_read(pipe, &byte, 1, &got, 0, &e), 0);
    assert_int_equal(got, 0);
    pipe_free(pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_in_order),
        cmocka_unit_test(test_a_failure_wakes_the_other_side),
        cmocka_unit_test(test_patience_and_cancellation_end),
        cmocka_unit_test(test_a_failure_after_the_end_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
