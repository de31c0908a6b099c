/* Backup and restore through a worker: events, the previous snapshot, grammar. */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cofre/plugin.h"
#include "worker/source.h"

static const struct source_previous no_previous = {.fd = -1, .fingerprint_key = {1, 2, 3}};

struct total {
    uint64_t entries, unchanged, bytes, ended, missing, facts, attributes, last_ordinal;
    uint64_t sum;  /* of the content */
    char runs[24]; /* the fact memory.runs */
    struct bytes table;
};

/* A record of the previous table: nothing shared, for simplicity. */
static void remember(struct total *total, const struct snapshot_entry *entry)
{
    bytes_put_u16(&total->table, 0);
    bytes_put_u16(&total->table, (uint16_t)entry->path_length);
    bytes_put(&total->table, entry->path, entry->path_length);
    bytes_put(&total->table, entry->fingerprint, 16);
}

static int run_backup(struct worker *w, const struct source_previous *previous, struct total *total, struct error *e)
{
    struct source_event event;
    memset(total, 0, sizeof *total);
    total->table.maximum = 256u << 20;
    if (source_backup_begin(w, previous, e) < 0)
        return -1;
    do {
        if (source_event(w, &event, e) < 0)
            return -1;
        total->entries += event.type == SOURCE_ENTRY;
        total->attributes += event.type == SOURCE_ENTRY ? event.entry.attribute_count : 0;
        if (event.type == SOURCE_FACT && strcmp(event.key, "memory.runs") == 0)
            snprintf(total->runs, sizeof total->runs, "%s", event.value);
        total->unchanged += event.type == SOURCE_UNCHANGED;
        total->ended += event.type == SOURCE_END;
        total->missing += event.type == SOURCE_MISSING;
        total->facts += event.type == SOURCE_FACT;
        if (event.type == SOURCE_UNCHANGED)
            total->last_ordinal = event.ordinal;
        if (event.type == SOURCE_ENTRY)
            remember(total, &event.entry);
        if (event.type == SOURCE_DATA) {
            total->bytes += event.length;
            for (size_t i = 0; i < event.length; i += 4096)
                total->sum += ((const uint8_t *)event.bytes)[i];
        }
    } while (event.type != SOURCE_FINISHED);
    return 0;
}

static void test_backup(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    struct total total;
    struct worker *w = harness_worker("memory-source", "files=100;file_size=1000;streams=one,two;size=5MiB;fact=x");
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(total.entries, 102);
    assert_int_equal(total.ended, 102);
    assert_int_equal(total.bytes, 100 * 1000 + 2 * (5 << 20));
    assert_int_equal(total.facts, 1);
    bytes_free(&total.table);
    int64_t entries, bytes;
    assert_int_equal(source_estimate(w, &entries, &bytes, &e), 0);
    assert_int_equal(entries, 102);
    assert_int_equal(source_freeze(w, "id", &e), -1);
    assert_int_equal(e.class, ERROR_UNSUPPORTED);
    worker_stop(w);
}

static void count_fact(void *context, const char *key, const char *value)
{
    assert_string_equal(key, "memory.fact");
    assert_string_equal(value, "17");
    ++*(int *)context;
}

static void test_facts(void **state)
{
    (void)state;
    struct error e;
    int count = 0;
    struct worker *w = harness_worker("memory-source", "fact=17");
    assert_int_equal(source_facts(w, count_fact, &count, &e), 0);
    assert_int_equal(count, 1);
    worker_stop(w);
}

/* A backup goes on from what the snapshot before recorded, once; the next one is told nothing. */
static void test_recall(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    struct total total;
    const struct source_fact facts[] = {{"memory.fact", "x"}, {"memory.runs", "41"}};
    const struct source_past past = {.snapshot = "20261120t020000z-ab12cd", .facts = facts, .fact_count = 2};
    static const char *const runs[] = {"42", "1"};
    struct worker *w = harness_worker("memory-source", "streams=one;counted=yes");
    source_recall(w, &past);
    for (int i = 0; i < 2; i++) {
        if (run_backup(w, &no_previous, &total, &e) < 0)
            fail_msg("%s", e.message);
        assert_string_equal(total.runs, runs[i]);
        bytes_free(&total.table);
    }
    worker_stop(w);
}

static int table_file(const struct bytes *table)
{
    int fd = memfd_create("previous", MFD_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t done = 0; done < table->length;) {
        ssize_t n = write(fd, table->data + done, table->length - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    return fd;
}

static void test_unchanged(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    struct total first, second;
    struct worker *w = harness_worker("memory-source", "files=5000;file_size=10;streams=zz;size=1000");
    assert_int_equal(run_backup(w, &no_previous, &first, &e), 0);
    struct source_previous previous = {.fd = table_file(&first.table), .fingerprint_key = {1, 2, 3}};
    if (run_backup(w, &previous, &second, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(second.unchanged, 5000);
    assert_int_equal(second.last_ordinal, 4999);
    assert_int_equal(second.entries, 1); /* the stream has no fingerprint */
    bytes_free(&second.table);
    /* Another key: nothing matches. */
    previous.fingerprint_key[0] = 9;
    assert_int_equal(run_backup(w, &previous, &second, &e), 0);
    assert_int_equal(second.unchanged, 0);
    bytes_free(&second.table);
    worker_stop(w);
    /* Other content. */
    previous.fingerprint_key[0] = 1;
    w = harness_worker("memory-source", "files=5000;file_size=11");
    assert_int_equal(run_backup(w, &previous, &second, &e), 0);
    assert_int_equal(second.unchanged, 0);
    bytes_free(&second.table);
    worker_stop(w);
    /* With a damaged table the rest is read again, and that is said. */
    w = harness_worker("memory-source", "files=5000;file_size=10");
    assert_int_equal(ftruncate(previous.fd, (off_t)first.table.length - 30), 0);
    harness_log();
    assert_int_equal(run_backup(w, &previous, &second, &e), 0);
    assert_int_equal(second.unchanged, 4999);
    assert_int_equal(second.entries, 1);
    assert_non_null(strstr(harness_log(), "entries of the previous snapshot are damaged"));
    bytes_free(&second.table);
    worker_stop(w);
    close(previous.fd);
    bytes_free(&first.table);
}

static const struct {
    const char *habit, *text;
    bool process_only;
} faults[] = {
    {"early", "ended its stream early", false},
    {"order", "announced 'b' after 'c'", false},
    {"twice", "announced 'a' after 'a'", false},
    {"dotdot", "announced 'b/../../etc/shadow', which is no relative path", false},
    {"absolute", "announced '/etc/shadow'", false},
    {"nested", "announced an entry before the end of 'b'", false},
    {"no_entry", "sent content outside of an entry", false},
    {"directory_content", "of a kind that has none", false},
    {"bad_kind", "of an unknown kind", false},
    {"no_target", "a link without a target", false},
    {"overcommit", "committed 11 bytes after 10 were reserved", false},
    {"no_end", "called end outside of an entry", false},
    {"huge_hole", "more bytes than there can be", false},
    {"scribble", "broke its contract", true},
    {"wrong_service", "used the host's 'next'", false},
    {"below_file", "announced 'b/c' below 'b', which is no directory", false},
    {"below_link", "announced 'b/c/d' below 'b', which is no directory", false},
    {"null_entry", "announced an entry that is NULL", false},
    {"null_path", "announced an entry without a path", false},
    {"null_unchanged", "asked about an entry without a path", false},
    {"null_missing", "named what is no path as missing", false},
    {"null_reserve", "reserved without a place for the buffer", false},
    {"null_error", "used the host's 'end' without an error to fill", false},
    {"null_cancelled", "used the host's 'cancelled' without an error to fill", false},
    {"null_directory", "asked for its directory without a place", false},
    {"null_log", "wrote a line without text to the log", false},
    {"odd_log", "wrote to the log at level 99", false},
    {"end_odd", "ended an entry with 101, which is no result", false},
    {"short_entry", "an entry whose struct_size is smaller than that of its level", false},
    {"entry_flags", "announced an entry with flags that there are not", false},
    {"fact_flags", "said a fact with flags that there are not", false},
    {"fact_both", "said of a fact that it must match, and that it may grow", false},
    {"missing_odd", "named something as missing with -1, which is no result", false},
    {"odd_class", "returned 4711, which is neither", false},
    {"return_end", "returned 100, which is neither", false},
    {"return_unchanged", "returned 101, which is neither", false},
    {"return_negative", "returned -1, which is neither", false},
};

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (harness_in_process && faults[i].process_only)
            continue;
        struct error e = {.class = ERROR_NONE};
        struct total total;
        char options[100];
        snprintf(options, sizeof options, "habit=%s", faults[i].habit);
        struct worker *w = harness_worker("faulty-source", options);
        if (run_backup(w, &no_previous, &total, &e) == 0)
            fail_msg("%s was a success", faults[i].habit);
        if (e.class != ERROR_PLUGIN || !strstr(e.message, faults[i].text) || !strstr(e.message, "'faulty-source'"))
            fail_msg("%s: class %s, '%s'", faults[i].habit, error_class_name(e.class), e.message);
        bytes_free(&total.table);
        worker_stop(w);
    }
}

static void test_allowed(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    struct total total;
    struct worker *w = harness_worker("faulty-source", "habit=unreadable");
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(total.missing, 2);
    assert_int_equal(total.facts, 1);
    assert_int_equal(total.ended, 3);
    bytes_free(&total.table);
    worker_stop(w);
    w = harness_worker("faulty-source", "habit=log_between");
    harness_log();
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(total.bytes, 8 + 5 + 8);
    assert_non_null(strstr(harness_log(), "between reserve and commit"));
    bytes_free(&total.table);
    worker_stop(w);
    w = harness_worker("faulty-source", "habit=long_entry");
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(total.attributes, 2);
    bytes_free(&total.table);
    worker_stop(w);
    w = harness_worker("faulty-source", "habit=below_directory");
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(total.entries, 6);
    bytes_free(&total.table);
    worker_stop(w);
}

static size_t count_text(const char *in, const char *text)
{
    size_t n = 0;
    for (const char *p = in; (p = strstr(p, text)); p += strlen(text))
        n++;
    return n;
}

/* What was reserved and not committed is given up by the call that follows; the lines logged meanwhile are not. */
static void test_log_while_lent(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    struct total total;
    struct worker *w = harness_worker("faulty-source", "habit=log_before_end");
    harness_log();
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(total.ended, 3);
    assert_int_equal(count_text(harness_log(), "before the end"), 1);
    bytes_free(&total.table);
    /* As many as are kept, and how many were not. */
    worker_stop(w);
    w = harness_worker("faulty-source", "habit=log_last");
    if (run_backup(w, &no_previous, &total, &e) < 0)
        fail_msg("%s", e.message);
    const char *log = harness_log();
    unsigned dropped = 0;
    const char *said = strstr(log, "lines between reserve and commit were dropped");
    assert_non_null(said);
    while (said > log && said[-1] != ':')
        said--;
    assert_int_equal(sscanf(said, " %u lines", &dropped), 1);
    assert_true(dropped > 0 && dropped < 500);
    assert_int_equal(count_text(log, ": line "), 500 - dropped);
    bytes_free(&total.table);
    worker_stop(w);
}

/* ---- restore ---- */

static int problems_seen;

static void see_problem(void *context, const struct source_problem *problem)
{
    problems_seen++;
    assert_int_equal(problem->result.class, ERROR_UNSUPPORTED);
    assert_string_equal(problem->path, context);
}

static int give(struct worker *w, uint32_t kind, const char *path, struct error *e)
{
    struct snapshot_attribute attribute = {.name = "user.test", .value = "value", .length = 5};
    struct snapshot_entry entry = {.kind = kind,
                                   .path = path,
                                   .path_length = strlen(path),
                                   .size = -1,
                                   .mode = 0600,
                                   .mtime = COFRE_NO_TIME,
                                   .attributes = &attribute,
                                   .attribute_count = 1};
    return source_give_entry(w, &entry, e);
}

static void test_restore(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    char directory[] = "/tmp/cofre-restore-XXXXXX", options[100], path[100];
    assert_non_null(mkdtemp(directory));
    snprintf(options, sizeof options, "into=%s", directory);
    struct worker *w = harness_worker("memory-source", options);
    size_t n = 3u << 20;
    uint8_t *data = malloc(n), *back = malloc(n + 4096);
    memset(data, 7, n);
    data[n - 1] = 9;
    assert_int_equal(source_restore_begin(w, &e), 0);
    assert_int_equal(give(w, COFRE_FILE, "a", &e), 0);
    assert_int_equal(source_give_data(w, data, n, &e), 0);
    assert_int_equal(source_give_hole(w, 4096, &e), 0);
    assert_int_equal(source_give_end(w, &e), 0);
    /* Refused by the plugin, with its content: the host passes over it. */
    char refused[] = "b";
    assert_int_equal(give(w, COFRE_DIRECTORY, refused, &e), 0);
    assert_int_equal(source_give_end(w, &e), 0);
    assert_int_equal(give(w, COFRE_STREAM, "c", &e), 0);
    assert_int_equal(source_give_data(w, "tail", 4, &e), 0);
    assert_int_equal(source_give_end(w, &e), 0);
    struct source_restored restored;
    problems_seen = 0;
    if (source_restore_finish(w, &restored, see_problem, refused, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(restored.whole, 2);
    assert_int_equal(restored.partly, 0);
    assert_int_equal(restored.failed, 1);
    assert_int_equal(problems_seen, 1);
    snprintf(path, sizeof path, "%s/a", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, back, n + 4096), (ssize_t)(n + 4096));
    assert_memory_equal(back, data, n);
    assert_int_equal(back[n + 4095], 0);
    close(fd);
    unlink(path);
    snprintf(path, sizeof path, "%s/c", directory);
    unlink(path);
    /* Given up in the middle; the worker stays of use. */
    assert_int_equal(source_restore_begin(w, &e), 0);
    assert_int_equal(give(w, COFRE_FILE, "half", &e), 0);
    assert_int_equal(source_give_data(w, data, n, &e), 0);
    source_restore_abort(w);
    int64_t entries, bytes;
    assert_int_equal(source_estimate(w, &entries, &bytes, &e), 0);
    worker_stop(w);
    snprintf(path, sizeof path, "%s/half", directory);
    unlink(path);
    assert_int_equal(rmdir(directory), 0);
    free(data);
    free(back);
}

static const struct {
    const char *habit, *text;
    bool process_only;
} restores[] = {
    {"restore_early", "before it had taken every entry", false},
    {"no_done", "before it had called done for 'a'", false},
    {"done_twice", "called done without an entry", false},
    {"late_twice", "called late for more entries than it had called a success", false},
    {"late_null", "called late for what is no path", false},
    {"next_null", "asked for the next entry without a place for it", false},
    {"recorded_null", "asked for a recorded fact without a place", false},
    {"take_null", "took content without a place for the bytes", false},
    {"done_odd", "came to 4711, which is no result", false},
    {"return_end", "returned 100, which is neither", false},
    {"crash", "in the middle of restore", true},
};

static void test_bad_restores(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof restores / sizeof restores[0]; i++) {
        if (harness_in_process && restores[i].process_only)
            continue;
        struct error e = {.class = ERROR_NONE};
        char options[100];
        snprintf(options, sizeof options, "habit=%s;at=restore", restores[i].habit);
        struct worker *w = harness_worker("faulty-source", options);
        struct source_restored restored;
        static uint8_t data[1 << 20];
        int result = source_restore_begin(w, &e);
        for (int k = 0; k < 5 && result == 0; k++) {
            char path[2] = {(char)('a' + k), '\0'};
            result = give(w, COFRE_FILE, path, &e);
            result = result == 0 ? source_give_data(w, data, sizeof data, &e) : result;
            result = result == 0 ? source_give_end(w, &e) : result;
        }
        if (result == 0)
            result = source_restore_finish(w, &restored, see_problem, NULL, &e);
        assert_int_equal(result, -1);
        if (e.class != ERROR_PLUGIN || !strstr(e.message, restores[i].text))
            fail_msg("%s: class %s, '%s'", restores[i].habit, error_class_name(e.class), e.message);
        worker_stop(w);
    }
}

/* What done called a success, and late took back. */
static void test_late(void **state)
{
    (void)state;
    struct error e = {.class = ERROR_NONE};
    struct worker *w = harness_worker("faulty-source", "habit=late;at=restore");
    struct source_restored restored;
    char path[] = "a";
    assert_int_equal(source_restore_begin(w, &e), 0);
    assert_int_equal(give(w, COFRE_FILE, path, &e), 0);
    assert_int_equal(source_give_end(w, &e), 0);
    problems_seen = 0;
    if (source_restore_finish(w, &restored, see_problem, path, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(restored.whole, 0);
    assert_int_equal(restored.failed, 1);
    assert_int_equal(problems_seen, 1);
    worker_stop(w);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_backup),         cmocka_unit_test(test_facts),        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_recall),         cmocka_unit_test(test_faults),       cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_restore),        cmocka_unit_test(test_bad_restores), cmocka_unit_test(test_late),
        cmocka_unit_test(test_log_while_lent),
    };
    return cmocka_run_group_tests_name("worker/source", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
