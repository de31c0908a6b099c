/* Calls of a sink: what works, what is tried again, and what a bad sink cannot do. */
#include "harness.h"

#include "base/bytes.h"
#include "worker/sink.h"

static void test_put_and_get(void **state)
{
    (void)state;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "");
    size_t n = 5u << 20;
    uint8_t *data = malloc(n), *back = malloc(n);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)(i * 7 + i / 999);
    assert_int_equal(sink_put(sink, "packs/ab/one", data, n, true, &e), 0);
    assert_int_equal(sink_put(sink, "packs/ab/empty", data, 0, false, &e), 0);
    uint64_t size = 0;
    assert_int_equal(sink_stat(sink, "packs/ab/one", &size, &e), 0);
    assert_int_equal(size, n);
    struct bytes out = {.maximum = n};
    assert_int_equal(sink_get(sink, "packs/ab/one", n, &out, &e), 0);
    assert_int_equal(out.length, n);
    assert_memory_equal(out.data, data, n);
    bytes_reset(&out);
    assert_int_equal(sink_get(sink, "packs/ab/one", n - 1, &out, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_int_equal(sink_get_range(sink, "packs/ab/one", 1000, back, 2000000, &e), 0);
    assert_memory_equal(back, data + 1000, 2000000);
    assert_int_equal(sink_get_range(sink, "packs/ab/one", n - 1, back, 2, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    assert_int_equal(sink_put(sink, "packs/ab/one", data, 3, true, &e), -1);
    assert_int_equal(e.class, ERROR_EXISTS);
    assert_int_equal(sink_remove(sink, "packs/ab/one", &e), 0);
    assert_int_equal(sink_remove(sink, "packs/ab/one", &e), 0);
    assert_int_equal(sink_stat(sink, "packs/ab/one", &size, &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    int64_t total, available;
    assert_int_equal(sink_space(sink, &total, &available, &e), 0);
    assert_int_equal(available, 400);
    assert_int_equal(sink_sync(sink, &e), 0);
    assert_int_equal(sink_create(sink, &e), 0);
    assert_int_equal(sink_retain(sink, "x", 5, &e), -1);
    assert_int_equal(e.class, ERROR_UNSUPPORTED);
    assert_int_equal(sink_put(sink, "../x", data, 1, false, &e), -1);
    sink_free(sink);
    bytes_free(&out);
    free(data);
    free(back);
}

static void test_remove_many(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    char keys[2100 * 16];
    size_t n = 0;
    uint64_t size;
    struct sink *sink = harness_sink("faulty-sink", "habit=retry;at=remove_many;times=1");
    for (int i = 0; i < 2100; i++)
        n += (size_t)snprintf(keys + n, sizeof keys - n, "packs/%04d", i) + 1;
    assert_int_equal(sink_put(sink, "packs/0003", "x", 1, false, &e), 0);
    assert_int_equal(sink_put(sink, "packs/2099", "x", 1, false, &e), 0);
    assert_int_equal(sink_put(sink, "packs/other", "x", 1, false, &e), 0);
    harness_log();
    if (sink_remove_many(sink, keys, n, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(sink_stat(sink, "packs/0003", &size, &e), -1);
    assert_int_equal(sink_stat(sink, "packs/2099", &size, &e), -1);
    assert_int_equal(sink_stat(sink, "packs/other", &size, &e), 0);
    const char *log = harness_log();
    assert_non_null(strstr(log, "trying again"));
    assert_non_null(strstr(log, "removed 1000 at once"));
    assert_non_null(strstr(log, "removed 100 at once"));
    assert_int_equal(sink_remove_many(sink, "a\0../b", 7, &e), -1);
    assert_int_equal(e.class, ERROR_BUG);
    assert_int_equal(sink_remove_many(sink, "", 0, &e), 0);
    sink_free(sink);
}

static void test_streamed_put(void **state)
{
    (void)state;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "");
    static const uint8_t piece[100000] = {1, 2, 3};
    struct sink_put *put;
    assert_int_equal(sink_put_begin(sink, "stream", false, &put, &e), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(sink_put_write(put, piece, sizeof piece, &e), 0);
    assert_int_equal(sink_put_end(put, &e), 0);
    uint64_t size;
    assert_int_equal(sink_stat(sink, "stream", &size, &e), 0);
    assert_int_equal(size, 5000000);
    assert_int_equal(sink_put_begin(sink, "given-up", false, &put, &e), 0);
    assert_int_equal(sink_put_write(put, piece, sizeof piece, &e), 0);
    sink_put_abort(put);
    assert_int_equal(sink_stat(sink, "given-up", &size, &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    sink_free(sink);
}

struct seen {
    int count, stop_at;
    uint64_t bytes;
};

static int count_object(void *context, const struct sink_object *object, struct error *e)
{
    struct seen *seen = context;
    seen->bytes += object->size;
    return ++seen->count == seen->stop_at ? error_set(e, ERROR_NO_SPACE, "stopped by the test") : 0;
}

static void test_list(void **state)
{
    (void)state;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "page=7");
    char key[32];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%s/%d", i % 2 ? "odd" : "even", i);
        assert_int_equal(sink_put(sink, key, "xyz", 3, false, &e), 0);
    }
    struct seen seen = {0};
    assert_int_equal(sink_list(sink, "", count_object, &seen, &e), 0);
    assert_int_equal(seen.count, 50);
    assert_int_equal(seen.bytes, 150);
    seen = (struct seen){0};
    assert_int_equal(sink_list(sink, "odd/", count_object, &seen, &e), 0);
    assert_int_equal(seen.count, 25);
    seen = (struct seen){.stop_at = 3};
    assert_int_equal(sink_list(sink, "", count_object, &seen, &e), -1);
    assert_int_equal(e.class, ERROR_NO_SPACE);
    seen = (struct seen){0};
    assert_int_equal(sink_list(sink, "none", count_object, &seen, &e), 0);
    assert_int_equal(seen.count, 0);
    sink_free(sink);
}

static void test_large_page(void **state)
{
    (void)state;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "page=1000000");
    char key[200];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "packs/%0150d", i);
        assert_int_equal(sink_put(sink, key, "x", 1, false, &e), 0);
    }
    struct seen seen = {0};
    assert_int_equal(sink_list(sink, "packs/", count_object, &seen, &e), 0);
    assert_int_equal(seen.count, 3000);
    sink_free(sink);
}

static void test_retry(void **state)
{
    (void)state;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "habit=retry;at=put;times=2");
    harness_log();
    assert_int_equal(sink_put(sink, "one", "abc", 3, true, &e), 0);
    assert_non_null(strstr(harness_log(), "connection reset; trying again"));
    sink_free(sink);
    sink = harness_sink("faulty-sink", "habit=busy;at=put;times=2");
    assert_int_equal(sink_put(sink, "one", "abc", 3, true, &e), 0);
    assert_non_null(strstr(harness_log(), "somebody else has it; trying again"));
    sink_free(sink);
    sink = harness_sink("faulty-sink", "habit=retry;at=list;times=2");
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(sink_put(sink, key, "abc", 3, true, &e), 0);
    }
    struct seen seen = {0};
    assert_int_equal(sink_list(sink, "", count_object, &seen, &e), 0);
    assert_int_equal(seen.count, 5);
    sink_free(sink);
    /* Stored, and then the answer was lost. */
    sink = harness_sink("faulty-sink", "habit=late_retry;at=put;times=1");
    assert_int_equal(sink_put(sink, "one", "abc", 3, true, &e), 0);
    sink_free(sink);
    sink = harness_sink("faulty-sink", "habit=retry;at=get;times=1");
    struct bytes out = {.maximum = 100};
    assert_int_equal(sink_put(sink, "one", "abc", 3, true, &e), 0);
    assert_int_equal(sink_get(sink, "one", 100, &out, &e), 0);
    assert_int_equal(out.length, 3);
    bytes_free(&out);
    sink_free(sink);
}

/* Each page by itself is right. */
static void test_pages_that_overlap(void **state)
{
    (void)state;
    if (harness_in_process)
        return;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "page=2;habit=overlap;at=list");
    for (int i = 0; i < 9; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(sink_put(sink, key, "abc", 3, true, &e), 0);
    }
    struct seen seen = {0};
    assert_int_equal(sink_list(sink, "", count_object, &seen, &e), -1);
    assert_int_equal(e.class, ERROR_PLUGIN);
    assert_non_null(strstr(e.message, "twice"));
    sink_free(sink);
}

static int any_call(struct sink *sink, const char *call, struct error *e)
{
    uint8_t buffer[16];
    uint64_t size;
    struct seen seen = {0};
    if (strcmp(call, "put") == 0)
        return sink_put(sink, "key", "0123456789", 10, false, e);
    if (strcmp(call, "stat") == 0)
        return sink_stat(sink, "old", &size, e);
    if (strcmp(call, "list") == 0)
        return sink_list(sink, "o", count_object, &seen, e);
    if (strcmp(call, "remove") == 0)
        return sink_remove(sink, "old", e);
    return sink_get_range(sink, "old", 0, buffer, 10, e);
}

/* habit, call, class, text of the message, and whether the worker is still of use afterwards */
static const struct {
    const char *habit, *at;
    enum error_class class;
    const char *text;
    bool lives, process_only;
} bad[] = {
    {"crash", "put", ERROR_PLUGIN, "in the middle of put", false, true},
    {"crash", "get", ERROR_PLUGIN, "in the middle of get", false, true},
    {"crash", "stat", ERROR_PLUGIN, "in the middle of stat", false, true},
    {"crash", "list", ERROR_PLUGIN, "in the middle of list", false, true},
    {"crash", "remove", ERROR_PLUGIN, "in the middle of remove", false, true},
    {"abort", "put", ERROR_PLUGIN, "in the middle of put", false, true},
    {"exit", "put", ERROR_PLUGIN, "called exit(0) in the middle of put", false, true},
    {"fail", "put", ERROR_NO_SPACE, "no space left", true, false},
    {"integrity", "put", ERROR_PERMANENT, "its checksum is wrong", true, false},
    {"integrity", "get", ERROR_INTEGRITY, "its checksum is wrong", true, false},
    {"silent", "stat", ERROR_DENIED, "without saying why", true, false},
    {"odd_class", "stat", ERROR_PLUGIN, "returned 4711, which is neither COFRE_OK nor an error class", false, false},
    {"return_end", "put", ERROR_PLUGIN, "returned 100, which is neither", false, false},
    {"return_unchanged", "get", ERROR_PLUGIN, "returned 101, which is neither", false, false},
    {"return_negative", "list", ERROR_PLUGIN, "returned -1, which is neither", false, false},
    {"null_object", "list", ERROR_PLUGIN, "listed an object without key or size", false, false},
    {"null_cursor", "list", ERROR_PLUGIN, "gave a cursor of 9 bytes at no place", false, false},
    {"early", "put", ERROR_PLUGIN, "before it had taken the whole object", false, false},
    {"short", "get", ERROR_RANGE, "ends 5 bytes early", true, false},
    {"more", "get", ERROR_PLUGIN, "sent more of 'old'", false, true},
    {"lie", "stat", ERROR_PLUGIN, "impossible size", false, true},
    {"foreign", "list", ERROR_PLUGIN, "which does not begin with 'o'", false, true},
    {"twice", "list", ERROR_PLUGIN, "listed 'old' twice", false, true},
    {"repeat", "list", ERROR_PLUGIN, "same cursor twice", false, true},
    {"endless", "list", ERROR_RANGE, "more than 100 pages, with hardly an object in them", true, false},
    {"strangers", "list", ERROR_RANGE, "more than 1000000 objects that are none of cofre's", true, false},
    {"wrong_service", "put", ERROR_PLUGIN, "used the host's 'next'", false, false},
};

static void test_bad_habits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (harness_in_process && bad[i].process_only)
            continue;
        struct error e = {.class = ERROR_NONE};
        char options[100];
        snprintf(options, sizeof options, "habit=%s;at=%s;page=1", bad[i].habit, bad[i].at);
        struct sink *sink = harness_sink("faulty-sink", options);
        if (strcmp(bad[i].at, "put") != 0) {
            assert_int_equal(sink_put(sink, "old", "0123456789", 10, false, &e), 0);
            assert_int_equal(sink_put(sink, "older", "0123456789", 10, false, &e), 0);
            assert_int_equal(sink_put(sink, "oldest", "0123456789", 10, false, &e), 0);
        }
        if (any_call(sink, bad[i].at, &e) != -1)
            fail_msg("%s at %s was a success", bad[i].habit, bad[i].at);
        if (e.class != bad[i].class || !strstr(e.message, bad[i].text) || strcmp(e.subject, "test 'faulty-sink'") != 0)
            fail_msg("%s at %s: class %s, '%s': '%s'", bad[i].habit, bad[i].at, error_class_name(e.class), e.subject,
                     e.message);
        int64_t total, available;
        assert_int_equal(sink_space(sink, &total, &available, &e), bad[i].lives ? 0 : -1);
        sink_free(sink);
    }
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_put_and_get), cmocka_unit_test(test_streamed_put),
        cmocka_unit_test(test_remove_many), cmocka_unit_test(test_list),
        cmocka_unit_test(test_large_page),  cmocka_unit_test(test_retry),
        cmocka_unit_test(test_bad_habits),  cmocka_unit_test(test_pages_that_overlap),
    };
    return cmocka_run_group_tests_name("worker/sink", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
