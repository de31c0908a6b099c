/* Loading, opening, checking, ending; and what becomes of a plugin that crashes, hangs, floods, or tells secrets. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "flow/task.h"
#include "host/host.h"
#include "worker/sink.h"
#include "worker/source.h"

/* ---- loading ---- */

static const struct {
    const char *plugin;
    enum error_class class;
    const char *text;
    bool process_only;
} loads[] = {
    {"absent", ERROR_CONFIG, "there is no plugin 'absent'", false},
    {"../etc", ERROR_CONFIG, "is no name of a plugin", false},
    {"", ERROR_CONFIG, "is no name of a plugin", false},
    {"no-symbol", ERROR_CONFIG, "no symbol 'cofre_plugin_v1'", false},
    {"wrong-abi", ERROR_CONFIG, "needs a host of level 1000 or newer, this cofre is of level 2", false},
    {"old-abi", ERROR_CONFIG, "was written for level 1, this cofre takes 2 to 2", false},
    {"wrong-name", ERROR_CONFIG, "calls itself 'right-name'", false},
    {"bad-table", ERROR_CONFIG, "option 'path' lies outside of the plugin's struct", false},
    {"critical", ERROR_CONFIG, "a capability that this version of cofre does not know", false},
    {"two-roles", ERROR_CONFIG, "exactly one of source, sink and notifier", false},
    {"crash-at-load", ERROR_PLUGIN, "in the middle of load", true},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        if (harness_in_process && loads[i].process_only)
            continue;
        struct worker *w;
        struct error e = {.class = ERROR_NONE};
        assert_int_equal(harness_start(loads[i].plugin, &w, &e), -1);
        if (e.class != loads[i].class || !strstr(e.message, loads[i].text))
            fail_msg("%s: class %s, '%s'", loads[i].plugin, error_class_name(e.class), e.message);
    }
}

static int start_from(char *const *directories, size_t count, struct error *e)
{
    struct worker *w;
    const struct worker_spec spec = {.instance = "test",
                                     .plugin = "memory-source",
                                     .plugin_dirs = directories,
                                     .plugin_dir_count = count,
                                     .role = PLUGIN_SOURCE,
                                     .in_process = harness_in_process ? host_run : NULL};
    int result = worker_start(&spec, &w, e);
    if (result == 0)
        worker_stop(w);
    return result;
}

static void test_places(void **state)
{
    (void)state;
    struct error e;
    char directory[] = "/tmp/cofre-plugins-XXXXXX", good[] = TEST_PLUGINS, from[300], to[100];
    assert_non_null(mkdtemp(directory));
    snprintf(from, sizeof from, "cp '%s/memory-source.so' %s", TEST_PLUGINS, directory);
    assert_int_equal(system(from), 0);
    char *const one[] = {directory}, *const two[] = {directory, good};
    assert_int_equal(start_from(one, 1, &e), 0);
    assert_int_equal(start_from(two, 2, &e), -1);
    assert_non_null(strstr(e.message, "is there twice"));
    snprintf(to, sizeof to, "%s/memory-source.so", directory);
    assert_int_equal(chmod(to, 0777), 0);
    assert_int_equal(start_from(one, 1, &e), -1);
    assert_int_equal(e.class, ERROR_DENIED);
    assert_non_null(strstr(e.message, to));
    assert_int_equal(chmod(to, 0755), 0);
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(start_from(one, 1, &e), -1);
    assert_int_equal(e.class, ERROR_DENIED);
    unlink(to);
    assert_int_equal(mkfifo(to, 0600), 0);
    assert_int_equal(chmod(directory, 0700), 0);
    assert_int_equal(start_from(one, 1, &e), -1);
    unlink(to);
    rmdir(directory);
}

static void test_description(void **state)
{
    (void)state;
    struct error e;
    struct worker *w;
    assert_int_equal(harness_start("faulty-sink", &w, &e), 0);
    const struct plugin_info *p = worker_plugin(w);
    assert_int_equal(p->role, PLUGIN_SINK);
    assert_string_equal(p->name, "faulty-sink");
    assert_string_equal(p->license, "MIT");
    assert_int_equal(p->offers, PLUGIN_OFFERS_SPACE | PLUGIN_OFFERS_REMOVE_MANY);
    assert_true(p->option_count > 4);
    assert_string_equal(p->options[4].name, "page");
    assert_int_equal(p->options[4].maximum, 1000000);
    assert_null(p->options[3].fallback);
    assert_non_null(strstr(p->path, "/faulty-sink.so"));
    /* A value that the plugin's table does not allow is refused before the plugin sees it. */
    assert_int_equal(harness_open(w, "page=0", &e), -1);
    assert_int_equal(e.class, ERROR_CONFIG);
    assert_non_null(strstr(e.message, "option 'page'"));
    assert_int_equal(harness_open(w, "page=5", &e), 0);
    worker_stop(w);
    worker_stop(NULL);
}

/* ---- checks and secrets ---- */

static char found_text[4][400];
static int found_level[4], found_count;

static void found(void *context, const struct worker_finding *finding)
{
    (void)context;
    found_level[found_count & 3] = finding->level;
    snprintf(found_text[found_count++ & 3], sizeof found_text[0], "%s", finding->text);
}

static void test_check(void **state)
{
    (void)state;
    struct error e;
    struct worker *w = harness_worker("faulty-sink", "password=" SECRET);
    found_count = 0;
    assert_int_equal(worker_check(w, true, found, NULL, &e), 0);
    assert_int_equal(found_count, 2);
    assert_string_equal(found_text[0], "connected");
    assert_string_equal(found_text[1], "password '***' was tried");
    worker_stop(w);
}

/* What is none of the three levels must not pass for fine. */
static void test_odd_findings(void **state)
{
    (void)state;
    struct error e;
    struct worker *w = harness_worker("faulty-source", "habit=odd_levels");
    found_count = 0;
    assert_int_equal(worker_check(w, true, found, NULL, &e), 0);
    assert_int_equal(found_count, 3);
    assert_int_equal(found_level[0], LOG_INFO);
    assert_int_equal(found_level[1], LOG_ERROR);
    assert_int_equal(found_level[2], LOG_ERROR);
    worker_stop(w);
    w = harness_worker("faulty-source", "habit=null_finding");
    assert_int_equal(worker_check(w, true, found, NULL, &e), -1);
    assert_int_equal(e.class, ERROR_PLUGIN);
    assert_non_null(strstr(e.message, "had a finding without text"));
    worker_stop(w);
}

static void test_secrets(void **state)
{
    (void)state;
    struct error e;
    uint64_t size;
    harness_log();
    struct sink *sink = harness_sink("faulty-sink", "habit=tell_secret;at=stat;password=" SECRET);
    assert_int_equal(sink_stat(sink, "key", &size, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    assert_non_null(strstr(e.message, "log in with '***': refused"));
    sink_free(sink);
    const char *log = harness_log();
    assert_non_null(strstr(log, "password is ***"));
    /* What a plugin writes past the host can be hidden only when it is another process. */
    if (!harness_in_process) {
        assert_null(strstr(log, SECRET));
        assert_non_null(strstr(log, "the plugin wrote: password is ***"));
    }
}

/* ---- every call ---- */

static const struct source_previous no_previous = {.fd = -1};

static int sink_call(const char *at, const char *options, struct harness_times times, struct error *e)
{
    struct worker *w;
    uint64_t size;
    if (harness_start("faulty-sink", &w, e) < 0)
        return -1;
    if (strcmp(at, "open") == 0)
        harness_hurry(w, times);
    int result = harness_open(w, options, e);
    harness_hurry(w, times);
    if (result == 0 && strcmp(at, "check") == 0)
        result = worker_check(w, true, found, NULL, e);
    struct sink *sink = harness_sink_of(w);
    if (result == 0 && strcmp(at, "put") == 0)
        result = sink_put(sink, "key", "x", 1, false, e);
    if (result == 0 && strcmp(at, "stat") == 0)
        result = sink_stat(sink, "key", &size, e);
    sink_free(sink);
    return result;
}

static const struct {
    const char *habit, *at;
    enum error_class class;
    const char *text;
} deadly[] = {
    {"crash", "open", ERROR_PLUGIN, "in the middle of open"},
    {"crash", "check", ERROR_PLUGIN, "in the middle of check"},
    {"exit", "open", ERROR_PLUGIN, "called exit(0) in the middle of open"},
    {"hang_deaf", "open", ERROR_PLUGIN, "moved no byte for"},
    {"hang_deaf", "put", ERROR_PLUGIN, "ignored its cancellation and was killed"},
    {"hang_stubborn", "stat", ERROR_PLUGIN, "ignored its cancellation and was killed"},
    {"hang", "stat", ERROR_TIMEOUT, "moved no byte for"},
    {"hang", "check", ERROR_TIMEOUT, "moved no byte for"},
    {"pause", "check", ERROR_TIMEOUT, "moved no byte for"},
};

static void test_deadly(void **state)
{
    (void)state;
    /* Who obeys has time for it. */
    static const struct harness_times obeys = {.stall = 300, .grace = 60000}, deaf = {.stall = 300, .grace = 300},
                                      usual = {.grace = 10000};
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        char options[100];
        struct error e = {.class = ERROR_NONE};
        bool polite = strcmp(deadly[i].habit, "hang") == 0 || strcmp(deadly[i].habit, "pause") == 0;
        if (harness_in_process && !polite)
            continue;
        snprintf(options, sizeof options, "habit=%s;at=%s", deadly[i].habit, deadly[i].at);
        /* Dying may take its time, under a sanitizer a second. */
        const struct harness_times *times = polite                                      ? &obeys
                                            : strncmp(deadly[i].habit, "hang_", 5) == 0 ? &deaf
                                                                                        : &usual;
        assert_int_equal(sink_call(deadly[i].at, options, *times, &e), -1);
        if (e.class != deadly[i].class || !strstr(e.message, deadly[i].text) ||
            !strstr(e.message, "plugin 'faulty-sink'"))
            fail_msg("%s at %s: class %s, '%s'", deadly[i].habit, deadly[i].at, error_class_name(e.class), e.message);
    }
}

/* It is no sign of life, however much of it there is; and each is kept once. */
static void test_naming_without_end(void **state)
{
    (void)state;
    static const struct harness_times deaf = {.stall = 300, .grace = 300};
    struct error e = {.class = ERROR_NONE};
    size_t count;
    if (harness_in_process)
        skip();
    struct worker *w = harness_timed("leaving-source", "place=/nonexistent;habit=endless;at=check", deaf);
    assert_int_equal(worker_check(w, true, found, NULL, &e), -1);
    assert_int_equal(e.class, ERROR_PLUGIN);
    assert_non_null(strstr(e.message, "hung in check"));
    assert_string_equal(worker_leftovers(w, &count)->what, "endless");
    assert_int_equal(count, 1);
    worker_stop(w);
}

/* It ends by itself, and not before. */
static void test_pause(void **state)
{
    (void)state;
    static const struct harness_times usual = {0};
    struct error e = {.class = ERROR_NONE};
    int64_t start = clock_monotonic();
    if (sink_call("check", "habit=nap;at=check", usual, &e) < 0)
        fail_msg("%s", e.message);
    assert_true(clock_monotonic() - start >= 50);
}

/* A cancelled call has its whole grace; a close, which cannot be told anything, half of it and no more. */
static void test_grace(void **state)
{
    (void)state;
    static const struct harness_times times = {.stall = 300, .grace = 2000};
    struct error e;
    struct worker *w;
    if (harness_in_process)
        return;
    int64_t start = clock_monotonic();
    assert_int_equal(sink_call("put", "habit=hang_stubborn;at=put", times, &e), -1);
    int64_t killed = clock_monotonic() - start;
    assert_true(killed >= times.stall + times.grace);
    w = harness_timed("faulty-source", "habit=hang_stubborn;at=close", times);
    harness_log();
    start = clock_monotonic();
    worker_stop(w);
    assert_true(clock_monotonic() - start >= 300);
    const char *log = harness_log();
    assert_non_null(strstr(log, "close"));
    assert_non_null(strstr(log, "; it was killed"));
}

static void test_signal_is_named(void **state)
{
    (void)state;
    struct error e;
    if (harness_in_process)
        return;
    struct worker *w = harness_worker("faulty-source", "habit=abort");
    struct source_event event;
    assert_int_equal(source_backup_begin(w, &no_previous, &e), 0);
    while (source_event(w, &event, &e) == 0)
        ;
    assert_int_equal(e.class, ERROR_PLUGIN);
    assert_non_null(strstr(e.message, "in the middle of backup"));
#ifndef COFRE_SANITIZED
    assert_non_null(strstr(e.message, "was killed by signal 6 (Aborted)"));
#endif
    /* Every later call says the same. */
    struct error again;
    assert_int_equal(source_backup_begin(w, &no_previous, &again), -1);
    assert_string_equal(again.message, e.message);
    worker_stop(w);
}

static void test_timeout(void **state)
{
    (void)state;
    struct error e;
    uint64_t size;
    struct worker *w =
        harness_timed("faulty-sink", "habit=hang;at=stat;times=1", (struct harness_times){500, 0, 60000});
    struct sink *sink = harness_sink_of(w);
    assert_int_equal(sink_stat(sink, "key", &size, &e), -1);
    assert_int_equal(e.class, ERROR_TIMEOUT);
    assert_non_null(strstr(e.message, "stat took longer than it may"));
    /* It obeyed: the worker can be used on. */
    harness_hurry(w, (struct harness_times){0, 60000, 1000});
    assert_int_equal(sink_put(sink, "key", "x", 1, false, &e), 0);
    assert_int_equal(sink_stat(sink, "key", &size, &e), 0);
    sink_free(sink);
}

/* With each sign of life that it sees, a second goes by. */
struct life {
    struct worker *worker;
    atomic_bool over;
    int64_t gone; /* ms */
};

static int live(void *context, struct error *e)
{
    struct life *life = context;
    uint64_t before = 0, done, total;
    (void)e;
    while (!atomic_load(&life->over)) {
        worker_progress(life->worker, &done, &total);
        if (done != before) {
            clock_advance(1000);
            life->gone += 1000;
        }
        before = done;
        usleep(1000);
    }
    return 0;
}

/* Says that it is alive for longer than the watchdog waits. */
static void test_progress(void **state)
{
    (void)state;
    static const struct harness_times times = {.stall = 20000, .grace = 60000};
    struct error e;
    uint64_t size, done, total;
    struct worker *w = harness_timed("faulty-sink", "habit=progress;at=stat", times);
    struct sink *sink = harness_sink_of(w);
    struct life life = {.worker = w};
    struct task *task;
    assert_int_equal(sink_put(sink, "key", "x", 1, false, &e), 0);
    clock_set(clock_now());
    assert_int_equal(task_start(&task, live, &life, &e), 0);
    int result = sink_stat(sink, "key", &size, &e);
    atomic_store(&life.over, true);
    assert_int_equal(task_join(task, &e), 0);
    clock_release();
    assert_int_equal(result, 0);
    /* Of a hundred signs so many are seen on any machine. */
    assert_in_range(life.gone, times.stall, 100000);
    worker_progress(w, &done, &total);
    assert_int_equal(done, 99);
    assert_int_equal(total, 100);
    sink_free(sink);
}

static int lines_with(const char *log, const char *text)
{
    int count = 0;
    for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
        count++;
    return count;
}

static void test_flood(void **state)
{
    (void)state;
    struct error e;
    harness_log();
    assert_int_equal(sink_call("put", "habit=flood;at=put", (struct harness_times){0, 100000, 1000}, &e), 0);
    const char *log = harness_log();
    assert_int_equal(lines_with(log, ": line "), 1000);
    assert_non_null(strstr(log, "19000 further lines were dropped"));
}

static void test_output(void **state)
{
    (void)state;
    struct error e;
    harness_log();
    if (harness_in_process)
        return;
    assert_int_equal(sink_call("put", "habit=write;at=put", (struct harness_times){0, 100000, 1000}, &e), 0);
    const char *log = harness_log();
    assert_non_null(strstr(log, "test 'faulty-sink': the plugin wrote: hello"));
    assert_non_null(strstr(log, "test 'faulty-sink': the plugin wrote: there"));
}

static void test_memory(void **state)
{
    (void)state;
    struct error e;
#ifdef COFRE_SANITIZED
    return;
#endif
    if (harness_in_process)
        return;
    assert_int_equal(sink_call("put", "habit=allocate;at=put", (struct harness_times){0, 100000, 1000}, &e), -1);
    assert_int_equal(e.class, ERROR_MEMORY);
}

static void test_bad_close(void **state)
{
    (void)state;
    struct error e;
    if (harness_in_process)
        return;
    harness_log();
    assert_int_equal(sink_call("put", "habit=crash;at=close", (struct harness_times){0, 100000, 60000}, &e), 0);
    assert_int_equal(sink_call("put", "habit=hang_stubborn;at=close", (struct harness_times){0, 100000, 300}, &e), 0);
    assert_non_null(strstr(harness_log(), "in the middle of close"));
}

/* ---- the process ---- */

/* The worker has none of our descriptors and nothing of our environment. */
static void test_isolation(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    char name[] = "/tmp/cofre-look-XXXXXX";
    if (harness_in_process)
        return;
    setenv("COFRE_TEST_SECRET", "very secret", 1);
    int leaky = mkstemp(name);
    assert_int_equal(dup2(leaky, 200), 200);
    if (sink_call("put", "habit=look;at=put", (struct harness_times){0, 100000, 1000}, &e) < 0)
        fail_msg("%s", e.message);
    close(200);
    close(leaky);
    unlink(name);
    unsetenv("COFRE_TEST_SECRET");
}

/* The state letter in /proc/PID/stat; 'X' when there is no such process. */
static char state_of(int pid)
{
    char name[64], text[512] = "";
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    FILE *file = fopen(name, "re");
    if (!file)
        return 'X';
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const char *end = n ? strrchr(text, ')') : NULL;
    return end ? end[2] : 'X';
}

static int first_child_of(pid_t pid)
{
    char name[64];
    int child = 0;
    snprintf(name, sizeof name, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(name, "re");
    if (file && fscanf(file, "%d", &child) != 1)
        child = 0;
    if (file)
        fclose(file);
    return child;
}

/* When the engine is killed, a worker that hangs and ignores SIGTERM goes too. */
static void test_engine_killed(void **state)
{
    (void)state;
    struct error e;
    if (harness_in_process)
        return;
    pid_t engine = fork();
    if (engine == 0) {
        sink_call("stat", "habit=hang_stubborn;at=stat", (struct harness_times){0, 0, 1000}, &e);
        _exit(0);
    }
    int worker = 0;
    for (int i = 0; i < 3000 && !(worker = first_child_of(engine)); i++)
        clock_sleep(10);
    assert_true(worker > 0);
    clock_sleep(300);
    assert_int_equal(kill(engine, SIGKILL), 0);
    assert_int_equal(waitpid(engine, NULL, 0), engine);
    char now = 'S';
    for (int i = 0; i < 3000 && (now = state_of(worker)) != 'X' && now != 'Z'; i++)
        clock_sleep(10);
    assert_true(now == 'X' || now == 'Z');
}

/* Must be the last: it holds for the rest of the process. */
static void test_cancel_all(void **state)
{
    (void)state;
    struct error e;
    struct sink *sink = harness_sink("faulty-sink", "habit=hang;at=stat");
    struct worker *x;
    uint64_t size;
    cancel_request();
    assert_true(cancel_requested());
    assert_int_equal(sink_stat(sink, "key", &size, &e), -1);
    assert_int_equal(e.class, ERROR_CANCELLED);
    assert_int_equal(harness_start("faulty-sink", &x, &e), -1);
    assert_int_equal(e.class, ERROR_CANCELLED);
    sink_free(sink);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_places),
        cmocka_unit_test(test_description),  cmocka_unit_test(test_check),
        cmocka_unit_test(test_odd_findings), cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_deadly),       cmocka_unit_test(test_grace),
        cmocka_unit_test(test_naming_without_end),
        cmocka_unit_test(test_pause),        cmocka_unit_test(test_signal_is_named),
        cmocka_unit_test(test_timeout),      cmocka_unit_test(test_progress),
        cmocka_unit_test(test_flood),        cmocka_unit_test(test_output),
        cmocka_unit_test(test_memory),       cmocka_unit_test(test_bad_close),
        cmocka_unit_test(test_isolation),    cmocka_unit_test(test_engine_killed),
        cmocka_unit_test(test_cancel_all),
    };
    return cmocka_run_group_tests_name("worker/worker", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
