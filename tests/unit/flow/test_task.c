/* Tasks: results, errors, and waiting for whichever ends first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "flow/task.h"

/* Ends when it is released. */
static int wait_for_release(void *context, struct error *e)
{
    (void)e;
    while (!atomic_load((atomic_bool *)context))
        clock_sleep(1);
    return 0;
}

static int refuse(void *context, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "%s", (const char *)context);
}

static void test_error_is_passed_on(void **state)
{
    (void)state;
    struct task *task;
    struct error e;
    char text[] = "as told";
    assert_int_equal(task_start(&task, refuse, text, &e), 0);
    assert_int_equal(task_join(task, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_string_equal(e.message, "as told");
}

static void test_the_first_to_end(void **state)
{
    (void)state;
    struct error e;
    atomic_bool released[3] = {false, true, false};
    struct task *tasks[5] = {NULL};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(task_start(&tasks[2 * i], wait_for_release, &released[i], &e), 0);
    task_wait_any(tasks, 5);
    assert_true(task_ended(tasks[2]));
    assert_false(task_ended(tasks[0]) || task_ended(tasks[4]));
    /* One that has ended already is not waited for. */
    task_wait_any(tasks, 5);
    assert_false(task_ended(tasks[0]) || task_ended(tasks[4]));
    for (size_t i = 0; i < 3; i++)
        atomic_store(&released[i], true);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(task_join(tasks[2 * i], &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_passed_on),
        cmocka_unit_test(test_the_first_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
