#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "base/error.h"
#include "flow/line.h"
#include "flow/task.h"

#define SLOTS 6
#define NEVER UINT64_MAX

struct item {
    uint64_t number, square;
};

struct world {
    struct item items[SLOTS];
    void *slots[SLOTS];
    uint64_t consumed;
    uint64_t fail_work_at, fail_consume_at;
    atomic_int at_work, most_at_work;
    atomic_int working_nice, consuming_nice;
};

static int work(void *context, size_t worker, void *slot, struct error *e)
{
    struct world *w = context;
    struct item *item = slot;
    (void)worker;
    int now = atomic_fetch_add(&w->at_work, 1) + 1;
    if (now > atomic_load(&w->most_at_work))
        atomic_store(&w->most_at_work, now);
    for (uint64_t i = 0; i < item->number % 7; i++)
        sched_yield(); /* so that items are ready out of order */
    item->square = item->number * item->number;
    atomic_store(&w->working_nice, getpriority(PRIO_PROCESS, 0));
    atomic_fetch_sub(&w->at_work, 1);
    if (item->number == w->fail_work_at)
        return error_set(e, ERROR_INTEGRITY, "work on %llu failed", (unsigned long long)item->number);
    return 0;
}

static int consume(void *context, void *slot, struct error *e)
{
    struct world *w = context;
    const struct item *item = slot;
    if (item->number != w->consumed || item->square != item->number * item->number)
        return error_set(e, ERROR_BUG, "item %llu came as number %llu", (unsigned long long)item->number,
                         (unsigned long long)w->consumed);
    if (item->number == w->fail_consume_at)
        return error_set(e, ERROR_NO_SPACE, "consuming %llu failed", (unsigned long long)item->number);
    atomic_store(&w->consuming_nice, getpriority(PRIO_PROCESS, 0));
    w->consumed++;
    return 0;
}

static struct line *start(struct world *w, size_t workers)
{
    struct error e;
    struct line *line;
    *w = (struct world){.fail_work_at = NEVER, .fail_consume_at = NEVER};
    for (size_t i = 0; i < SLOTS; i++)
        w->slots[i] = &w->items[i];
    struct line_spec spec = {
        .slots = SLOTS, .workers = workers, .items = w->slots, .work = work, .consume = consume, .context = w};
    assert_int_equal(line_new(&spec, &line, &e), 0);
    return line;
}

static int push(struct line *line, uint64_t number, struct error *e)
{
    void *slot;
    if (line_slot(line, &slot, e) < 0)
        return -1;
    ((struct item *)slot)->number = number;
    return line_submit(line, e);
}

static void test_order(void **state)
{
    (void)state;
    for (size_t workers = 0; workers <= 4; workers++) {
        struct world w;
        struct error e;
        struct line *line = start(&w, workers);
        for (uint64_t i = 0; i < 3000; i++)
            assert_int_equal(push(line, i, &e), 0);
        assert_int_equal(line_drain(line, &e), 0);
        assert_int_equal(w.consumed, 3000);
        /* It can be used on after a drain. */
        for (uint64_t i = 3000; i < 3010; i++)
            assert_int_equal(push(line, i, &e), 0);
        assert_int_equal(line_drain(line, &e), 0);
        assert_int_equal(w.consumed, 3010);
        line_free(line);
    }
}

static void test_workers_give_way(void **state)
{
    (void)state;
    struct world w;
    struct error e;
    int here = getpriority(PRIO_PROCESS, 0);
    struct line *line = start(&w, 2);
    assert_int_equal(push(line, 0, &e), 0);
    assert_int_equal(line_drain(line, &e), 0);
    assert_int_equal(w.consuming_nice, here);
    assert_int_equal(w.working_nice, here + 10 < 19 ? here + 10 : 19);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), here);
    line_free(line);
}

static void test_slot_is_the_same_until_submitted(void **state)
{
    (void)state;
    struct world w;
    struct error e;
    struct line *line = start(&w, 2);
    void *a, *b;
    assert_int_equal(line_slot(line, &a, &e), 0);
    assert_int_equal(line_slot(line, &b, &e), 0);
    assert_ptr_equal(a, b);
    line_free(line);
}

/* Feed until it fails; the error is the first one, and stays. */
static void expect_failure(struct line *line, enum error_class class)
{
    struct error e;
    int result = 0;
    for (uint64_t i = 0; i < 2000 && result == 0; i++)
        result = push(line, i, &e);
    if (result == 0)
        result = line_drain(line, &e);
    assert_int_equal(result, -1);
    assert_int_equal(e.class, class);
    assert_int_equal(line_drain(line, &e), -1);
    assert_int_equal(e.class, class);
    void *slot;
    assert_int_equal(line_slot(line, &slot, &e), -1);
}

static void test_failures(void **state)
{
    (void)state;
    for (size_t workers = 0; workers <= 3; workers++) {
        struct world w;
        struct line *line = start(&w, workers);
        w.fail_work_at = 500;
        expect_failure(line, ERROR_INTEGRITY);
        assert_true(w.consumed <= 500);
        line_free(line);
        line = start(&w, workers);
        w.fail_consume_at = 500;
        expect_failure(line, ERROR_NO_SPACE);
        assert_int_equal(w.consumed, 500);
        line_free(line);
    }
}

static void test_free_in_flight(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct world w;
        struct error e;
        struct line *line = start(&w, 3);
        for (uint64_t i = 0; i < (uint64_t)round; i++)
            assert_int_equal(push(line, i, &e), 0);
        line_free(line);
    }
    line_free(NULL);
}

static int answer(void *context, struct error *e)
{
    return *(int *)context == 0 ? 0 : error_set(e, ERROR_BUSY, "not now");
}

static void test_task(void **state)
{
    (void)state;
    struct task *task;
    struct error e;
    int how = 0;
    assert_int_equal(task_start(&task, answer, &how, &e), 0);
    assert_int_equal(task_join(task, &e), 0);
    how = 1;
    assert_int_equal(task_start(&task, answer, &how, &e), 0);
    assert_int_equal(task_join(task, &e), -1);
    assert_int_equal(e.class, ERROR_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_workers_give_way),
        cmocka_unit_test(test_failures),       cmocka_unit_test(test_slot_is_the_same_until_submitted),
        cmocka_unit_test(test_free_in_flight), cmocka_unit_test(test_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
