/* Slots: the lowest first, each for one thread at a time, and fewer when it is said. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "flow/slots.h"
#include "flow/task.h"

#define THREADS 8

static void test_the_lowest_first(void **state)
{
    (void)state;
    struct error e;
    struct slots *slots;
    assert_int_equal(slots_new(3, &slots, &e), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(slots_take(slots), i);
    slots_give(slots, 1);
    assert_int_equal(slots_take(slots), 1);
    slots_give(slots, 2);
    slots_give(slots, 0);
    assert_int_equal(slots_take(slots), 0);
    assert_int_equal(slots_take(slots), 2);
    for (size_t i = 0; i < 3; i++)
        slots_give(slots, i);
    slots_take_one(slots, 1);
    assert_int_equal(slots_take(slots), 0);
    assert_int_equal(slots_take(slots), 2);
    for (size_t i = 0; i < 3; i++)
        slots_give(slots, i);
    slots_free(slots);
    slots_free(NULL);
}

static void test_most(void **state)
{
    (void)state;
    struct error e;
    struct slots *slots;
    assert_int_equal(slots_new(SLOTS_MAX, &slots, &e), 0);
    for (size_t i = 0; i < SLOTS_MAX; i++)
        assert_int_equal(slots_take(slots), i);
    for (size_t i = 0; i < SLOTS_MAX; i++)
        slots_give(slots, i);
    slots_free(slots);
}

struct waiter {
    struct slots *slots;
    bool one; /* waits for the slot 0, else for any */
    atomic_bool given;
    bool was_given; /* when it got its slot */
    size_t slot;
};

static int take_one(void *context, struct error *e)
{
    struct waiter *w = context;
    (void)e;
    if (w->one)
        slots_take_one(w->slots, 0);
    else
        w->slot = slots_take(w->slots);
    w->was_given = atomic_load(&w->given);
    slots_give(w->slots, w->slot);
    return 0;
}

static void test_waits_until_one_is_given(void **state)
{
    (void)state;
    struct error e;
    for (int one = 0; one < 2; one++) {
        struct waiter w = {.one = one};
        struct task *task;
        assert_int_equal(slots_new(1, &w.slots, &e), 0);
        assert_int_equal(slots_take(w.slots), 0);
        assert_int_equal(task_start(&task, take_one, &w, &e), 0);
        atomic_store(&w.given, true);
        slots_give(w.slots, 0);
        assert_int_equal(task_join(task, &e), 0);
        assert_true(w.was_given);
        assert_int_equal(w.slot, 0);
        slots_free(w.slots);
    }
}

static void test_fewer(void **state)
{
    (void)state;
    struct error e;
    struct slots *slots;
    assert_int_equal(slots_new(4, &slots, &e), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(slots_take(slots), i);
    slots_limit(slots, 2);
    slots_limit(slots, 3); /* never more again */
    for (size_t i = 0; i < 4; i++)
        slots_give(slots, i);
    assert_int_equal(slots_take(slots), 0);
    assert_int_equal(slots_take(slots), 1);
    struct waiter w = {.slots = slots};
    struct task *task;
    assert_int_equal(task_start(&task, take_one, &w, &e), 0);
    atomic_store(&w.given, true);
    slots_give(slots, 1);
    assert_int_equal(task_join(task, &e), 0);
    assert_true(w.was_given);
    assert_int_equal(w.slot, 1);
    /* One beyond them can still be had by its number: whoever closes all of them asks so. */
    slots_take_one(slots, 3);
    slots_give(slots, 3);
    slots_give(slots, 0);
    slots_free(slots);
}

struct crowd {
    struct slots *slots;
    int users[3];
    atomic_int now, most;
};

static int use_often(void *context, struct error *e)
{
    struct crowd *c = context;
    for (int i = 0; i < 2000; i++) {
        size_t slot = slots_take(c->slots);
        int now = atomic_fetch_add(&c->now, 1) + 1;
        if (now > atomic_load(&c->most))
            atomic_store(&c->most, now);
        /* Not atomic: a slot is one thread's alone. */
        if (slot >= 3 || c->users[slot]++ != 0)
            return error_set(e, ERROR_BUG, "slot %zu is used by two", slot);
        c->users[slot]--;
        atomic_fetch_sub(&c->now, 1);
        slots_give(c->slots, slot);
    }
    return 0;
}

static void test_one_thread_at_a_time(void **state)
{
    (void)state;
    struct error e;
    struct crowd crowd = {.users = {0}};
    struct task *tasks[THREADS];
    assert_int_equal(slots_new(3, &crowd.slots, &e), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(task_start(&tasks[i], use_often, &crowd, &e), 0);
    for (size_t i = 0; i < THREADS; i++)
        if (task_join(tasks[i], &e) < 0)
            fail_msg("%s", e.message);
    assert_in_range(crowd.most, 1, 3);
    slots_free(crowd.slots);
}

/* Who has one and would have to wait for another might wait for himself. */
static void test_waiting_for_oneself_is_a_bug(void **state)
{
    (void)state;
    struct error e;
    struct slots *slots;
    assert_int_equal(slots_new(1, &slots, &e), 0);
    assert_int_equal(slots_take(slots), 0);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        slots_take(slots);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    slots_give(slots, 0);
    slots_free(slots);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_the_lowest_first),         cmocka_unit_test(test_most),
        cmocka_unit_test(test_waits_until_one_is_given), cmocka_unit_test(test_fewer),
        cmocka_unit_test(test_one_thread_at_a_time),     cmocka_unit_test(test_waiting_for_oneself_is_a_bug),
    };
    return cmocka_run_group_tests_name("flow/slots", all, NULL, NULL);
}
