/* A sink with several connections: side by side, as many as are needed and can be had, and all of them where it
 * matters. */
#include "memory.h"

#include <stdatomic.h>

#include "base/bytes.h"
#include "flow/task.h"

#define THREADS 8

/* ---- many threads ---- */

struct putter {
    struct sink *sink;
    int number, times;
};

static int put_some(void *context, struct error *e)
{
    const struct putter *p = context;
    for (int i = 0; i < p->times; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d/%d", p->number, i);
        if (sink_put(p->sink, key, key, strlen(key), true, e) < 0)
            return -1;
    }
    return 0;
}

/* Each of so many threads puts so many objects. */
static void start_putting(struct sink *sink, int threads, int times, struct putter *putters, struct task **tasks)
{
    struct error e;
    for (int i = 0; i < threads; i++) {
        putters[i] = (struct putter){sink, i, times};
        assert_int_equal(task_start(&tasks[i], put_some, &putters[i], &e), 0);
    }
}

static void end_putting(int threads, struct task **tasks)
{
    struct error e;
    for (int i = 0; i < threads; i++)
        if (task_join(tasks[i], &e) < 0)
            fail_msg("%s", e.message);
}

static void put_from(struct sink *sink, int threads, int times)
{
    struct putter putters[THREADS];
    struct task *tasks[THREADS];
    start_putting(sink, threads, times, putters, tasks);
    end_putting(threads, tasks);
}

static int count_there(struct sink *sink, int threads, int times)
{
    int there = 0;
    for (int i = 0; i < threads * times; i++) {
        struct error e;
        char key[32];
        struct bytes out = {.maximum = 100};
        snprintf(key, sizeof key, "k%d/%d", i / times, i % times);
        if (sink_get(sink, key, 100, &out, &e) == 0) {
            there++;
            assert_int_equal(out.length, strlen(key));
            assert_memory_equal(out.data, key, out.length);
        } else {
            assert_int_equal(e.class, ERROR_NOT_FOUND);
        }
        bytes_free(&out);
    }
    return there;
}

/* No put ends before four are under way. */
static void test_side_by_side(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {.options = "place=beside;meet=4", .parallel = 4};
    struct sink *sink = memory_sink(&pool);
    put_from(sink, 4, 1);
    assert_int_equal(memory_counts("beside").most, 4);
    assert_int_equal(memory_calls("beside", MEMORY_OPEN), 4);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(count_there(sink, 4, 1), 4);
    sink_free(sink);
    assert_int_equal(memory_counts("beside").closed, 4);
}

static void test_started_when_needed(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {.options = "place=needed", .parallel = 3};
    struct sink *sink = memory_sink(&pool);
    assert_int_equal(sink_parallel(sink), 3);
    put_from(sink, 1, 50);
    assert_int_equal(memory_calls("needed", MEMORY_OPEN), 1);
    struct sink_put *put;
    assert_int_equal(sink_put_begin(sink, "stream", true, &put, &e), 0);
    assert_int_equal(memory_calls("needed", MEMORY_OPEN), 1);
    assert_int_equal(sink_put(sink, "beside", "x", 1, true, &e), 0);
    assert_int_equal(memory_calls("needed", MEMORY_OPEN), 2);
    assert_int_equal(sink_put_end(put, &e), 0);
    sink_free(sink);
    /* Never more than parallel, however many ask. */
    struct memory_pool most = {.options = "place=most", .parallel = 3};
    sink = memory_sink(&most);
    put_from(sink, THREADS, 50);
    assert_in_range(memory_calls("most", MEMORY_OPEN), 1, 3);
    assert_in_range(memory_counts("most").most, 1, 3);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(count_there(sink, THREADS, 50), THREADS * 50);
    sink_free(sink);
    assert_int_equal(memory_counts("most").closed, memory_calls("most", MEMORY_OPEN));
}

/* ---- connections that cannot be started ---- */

static int count_in(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* The two that there are do not end before a third one was tried: it is said once, and what waits uses the two. */
static void test_fewer(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct error e;
        char options[32];
        snprintf(options, sizeof options, "place=fewer%d", round);
        struct memory_pool pool = {
            .options = options, .parallel = THREADS, .least = 1, .startable = 2, .failure = ERROR_AUTH};
        struct sink *sink = memory_sink(&pool);
        struct putter putters[THREADS];
        struct task *tasks[THREADS];
        struct sink_put *puts[2];
        harness_log();
        assert_int_equal(sink_put_begin(sink, "first", true, &puts[0], &e), 0);
        assert_int_equal(sink_put_begin(sink, "second", true, &puts[1], &e), 0);
        start_putting(sink, THREADS, 5, putters, tasks);
        while (atomic_load(&pool.refused) == 0)
            clock_sleep(1);
        assert_int_equal(sink_put_end(puts[0], &e), 0);
        assert_int_equal(sink_put_end(puts[1], &e), 0);
        end_putting(THREADS, tasks);
        assert_int_equal(sink_parallel(sink), 2);
        assert_int_equal(pool.refused, 1);
        assert_int_equal(count_in(harness_log(), "used with fewer connections: the place takes no more connections"),
                         1);
        assert_int_equal(memory_calls(options + strlen("place="), MEMORY_OPEN), 2);
        assert_int_equal(sink_sync(sink, &e), 0);
        assert_int_equal(count_there(sink, THREADS, 5), THREADS * 5);
        sink_free(sink);
    }
}

static void test_the_first_are_needed(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {
        .options = "place=least", .parallel = 5, .least = 3, .startable = 2, .failure = ERROR_AUTH};
    struct sink *sink = memory_sink(&pool);
    struct sink_put *puts[3];
    harness_log();
    assert_int_equal(sink_put_begin(sink, "a", true, &puts[0], &e), 0);
    assert_int_equal(sink_put_begin(sink, "b", true, &puts[1], &e), 0);
    assert_int_equal(sink_put_begin(sink, "c", true, &puts[2], &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    assert_string_equal(e.message, "the place takes no more connections");
    assert_string_equal(harness_log(), "");
    assert_int_equal(sink_parallel(sink), 5);
    /* The next call tries again. */
    pool.startable = 2;
    assert_int_equal(sink_put_begin(sink, "c", true, &puts[2], &e), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sink_put_end(puts[i], &e), 0);
    sink_free(sink);
}

static void test_cancelled_is_no_reason_for_fewer(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {
        .options = "place=cancelled", .parallel = 5, .least = 1, .startable = 1, .failure = ERROR_CANCELLED};
    struct sink *sink = memory_sink(&pool);
    struct sink_put *put;
    assert_int_equal(sink_put_begin(sink, "a", true, &put, &e), 0);
    assert_int_equal(sink_put(sink, "b", "x", 1, true, &e), -1);
    assert_int_equal(e.class, ERROR_CANCELLED);
    assert_int_equal(sink_parallel(sink), 5);
    assert_int_equal(sink_put_end(put, &e), 0);
    sink_free(sink);
}

/* ---- each ---- */

struct visits {
    struct sink *sink;
    atomic_int count[500], all, under_way;
    size_t bad; /* the index that fails */
};

static int visit(void *context, size_t i, struct error *e)
{
    struct visits *v = context;
    uint64_t size;
    atomic_fetch_add(&v->under_way, 1);
    atomic_fetch_add(&v->count[i], 1);
    atomic_fetch_add(&v->all, 1);
    int result = sink_stat(v->sink, "object", &size, e);
    if (result == 0 && i == v->bad)
        result = error_set(e, ERROR_NO_SPACE, "number %zu", i);
    atomic_fetch_sub(&v->under_way, 1);
    return result;
}

static void test_each(void **state)
{
    (void)state;
    for (unsigned parallel = 1; parallel < 6; parallel += 2) {
        struct error e;
        struct memory_pool pool = {.options = "place=each", .parallel = parallel};
        struct sink *sink = memory_sink(&pool);
        assert_int_equal(sink_put(sink, "object", "x", 1, false, &e), 0);
        assert_int_equal(sink_sync(sink, &e), 0);
        struct visits visits = {.sink = sink, .bad = SIZE_MAX};
        assert_int_equal(sink_each(sink, 500, visit, &visits, &e), 0);
        for (size_t i = 0; i < 500; i++)
            assert_int_equal(visits.count[i], 1);
        visits = (struct visits){.sink = sink, .bad = 2};
        assert_int_equal(sink_each(sink, 2, visit, &visits, &e), 0);
        assert_int_equal(visits.all, 2);
        assert_int_equal(sink_each(sink, 0, visit, &visits, &e), 0);
        assert_int_equal(visits.all, 2);
        /* What is under way is waited for, nothing is visited twice, and the rest is left out. */
        visits = (struct visits){.sink = sink, .bad = 10};
        assert_int_equal(sink_each(sink, 500, visit, &visits, &e), -1);
        assert_int_equal(e.class, ERROR_NO_SPACE);
        assert_string_equal(e.message, "number 10");
        assert_int_equal(visits.under_way, 0);
        for (size_t i = 0; i < 500; i++)
            assert_in_range(visits.count[i], i <= 10, 1);
        if (parallel == 1)
            assert_int_equal(visits.all, 11);
        sink_free(sink);
    }
}

/* ---- many objects, in order ---- */

struct given {
    struct sink *sink;
    size_t count, stop_at;
};

/* Of 40 keys every seventh is missing, and number 5 is too large. */
static int take_object(void *context, const char *key, const struct bytes *object, const struct error *why,
                       struct error *e)
{
    struct given *g = context;
    char expected[16];
    uint64_t size;
    snprintf(expected, sizeof expected, "n%zu", g->count);
    assert_string_equal(key, expected);
    if (g->count % 7 == 0) {
        assert_null(object);
        assert_int_equal(why->class, ERROR_NOT_FOUND);
    } else if (g->count == 5) {
        assert_null(object);
        assert_int_equal(why->class, ERROR_INTEGRITY);
    } else {
        assert_int_equal(object->length, g->count);
        for (size_t i = 0; i < object->length; i++)
            assert_int_equal(object->data[i], 'x');
    }
    /* The sink may be called meanwhile. */
    assert_int_equal(sink_stat(g->sink, "n5", &size, e), 0);
    return ++g->count == g->stop_at ? error_set(e, ERROR_NO_SPACE, "enough") : 0;
}

static void test_get_each(void **state)
{
    (void)state;
    for (unsigned parallel = 1; parallel < 8; parallel += 3) {
        struct error e;
        char keys[400], xs[200];
        size_t n = 0;
        struct memory_pool pool = {.options = "place=get", .parallel = parallel};
        struct sink *sink = memory_sink(&pool);
        memset(xs, 'x', sizeof xs);
        for (size_t i = 0; i < 40; i++) {
            char *key = keys + n;
            n += (size_t)snprintf(key, sizeof keys - n, "n%zu", i) + 1;
            if (i % 7 != 0)
                assert_int_equal(sink_put(sink, key, xs, i == 5 ? 101 : i, false, &e), 0);
        }
        assert_int_equal(sink_sync(sink, &e), 0);
        struct given given = {.sink = sink};
        assert_int_equal(sink_get_each(sink, keys, n, 100, take_object, &given, &e), 0);
        assert_int_equal(given.count, 40);
        given = (struct given){.sink = sink, .stop_at = 9};
        assert_int_equal(sink_get_each(sink, keys, n, 100, take_object, &given, &e), -1);
        assert_string_equal(e.message, "enough");
        assert_int_equal(given.count, 9);
        given = (struct given){.sink = sink};
        assert_int_equal(sink_get_each(sink, keys, 0, 100, take_object, &given, &e), 0);
        assert_int_equal(given.count, 0);
        sink_free(sink);
    }
}

/* ---- what all connections are for ---- */

/* Three puts, each held by a connection of its own until the sync. */
static void test_sync(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {.options = "place=sync;meet=3", .parallel = 3};
    struct sink *sink = memory_sink(&pool);
    put_from(sink, 3, 1);
    assert_int_equal(count_there(sink, 3, 1), 1);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(memory_calls("sync", MEMORY_SYNC), 3);
    assert_int_equal(count_there(sink, 3, 1), 3);
    sink_free(sink);
    /* All that there are, and not those that were never started. */
    struct memory_pool alone = {.options = "place=alone", .parallel = 3};
    sink = memory_sink(&alone);
    put_from(sink, 1, 3);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(memory_calls("alone", MEMORY_SYNC), 1);
    sink_free(sink);
}

/* The second connection's sync fails: nobody is told that all is durable. */
static void test_sync_that_fails(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {.options = "place=failing;meet=3;fail=sync;fail_at=2;fail_times=1", .parallel = 3};
    struct sink *sink = memory_sink(&pool);
    put_from(sink, 3, 1);
    assert_int_equal(sink_sync(sink, &e), -1);
    assert_int_equal(e.class, ERROR_PERMANENT);
    assert_true(count_there(sink, 3, 1) < 3);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(count_there(sink, 3, 1), 3);
    sink_free(sink);
}

static void test_remove(void **state)
{
    (void)state;
    struct error e;
    struct memory_pool pool = {.options = "place=remove;meet=3", .parallel = 3};
    struct sink *sink = memory_sink(&pool);
    put_from(sink, 3, 1);
    for (int i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d/0", i);
        assert_int_equal(sink_remove(sink, key, &e), 0);
    }
    assert_int_equal(memory_calls("remove", MEMORY_REMOVE), 9);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(count_there(sink, 3, 1), 0);
    sink_free(sink);
}

/* ---- streams ---- */

struct behind {
    struct sink *sink;
    atomic_bool ended;
    bool was_ended; /* when the put was done */
};

static int put_behind(void *context, struct error *e)
{
    struct behind *b = context;
    int result = sink_put(b->sink, "behind", "x", 1, true, e);
    b->was_ended = atomic_load(&b->ended);
    return result;
}

/* With one connection everybody else waits for the end of the stream, however it ends. */
static void test_stream_holds_its_connection(void **state)
{
    (void)state;
    for (int aborted = 0; aborted < 2; aborted++) {
        struct error e;
        struct memory_pool pool = {.options = aborted ? "place=abort" : "place=stream", .parallel = 1};
        struct sink *sink = memory_sink(&pool);
        struct behind behind = {.sink = sink};
        struct sink_put *put;
        struct task *task;
        uint64_t size;
        assert_int_equal(sink_put_begin(sink, "stream", true, &put, &e), 0);
        assert_int_equal(task_start(&task, put_behind, &behind, &e), 0);
        assert_int_equal(sink_put_write(put, "abc", 3, &e), 0);
        assert_int_equal(sink_put_write(put, "defg", 4, &e), 0);
        atomic_store(&behind.ended, true);
        if (aborted)
            sink_put_abort(put);
        else
            assert_int_equal(sink_put_end(put, &e), 0);
        assert_int_equal(task_join(task, &e), 0);
        assert_true(behind.was_ended);
        assert_int_equal(sink_stat(sink, "stream", &size, &e), aborted ? -1 : 0);
        if (!aborted)
            assert_int_equal(size, 7);
        assert_int_equal(sink_stat(sink, "behind", &size, &e), 0);
        sink_free(sink);
    }
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_started_when_needed),
        cmocka_unit_test(test_fewer),
        cmocka_unit_test(test_the_first_are_needed),
        cmocka_unit_test(test_cancelled_is_no_reason_for_fewer),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_get_each),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_sync_that_fails),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_stream_holds_its_connection),
    };
    return cmocka_run_group_tests_name("worker/sink_pool", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
