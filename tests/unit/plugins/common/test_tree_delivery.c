/* Restoring with threads: files that are still on their way when the next entries come. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define USE(f, state) struct fixture *f = *state
#define MTIME 1000000000000000123 /* of what host_add makes */

static void restore(struct fixture *f, const char *into)
{
    fixture_set_path(f, into);
    if (fixture_restore(f) != COFRE_OK)
        fail_msg("%s", f->error.message);
    if (f->call.broken)
        fail_msg("%s", f->call.complaint);
}

static struct host_event *add(struct fixture *f, uint32_t kind, uint32_t mode, const char *content, const char *format,
                              ...) __attribute__((format(printf, 5, 6)));
static struct host_event *add(struct fixture *f, uint32_t kind, uint32_t mode, const char *content, const char *format,
                              ...)
{
    char path[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    return host_add(&f->call, kind, path, mode, content);
}

static void add_link(struct fixture *f, const char *first, const char *path)
{
    struct host_event *event = host_add(&f->call, COFRE_HARDLINK, path, 0644, NULL);
    event->entry.link = strdup(first);
    event->entry.link_length = (uint32_t)strlen(first);
}

static struct stat look(const struct fixture *f, const char *name)
{
    struct stat st;
    if (lstat(fixture_path(f, name), &st) != 0)
        fail_msg("'%s' is not there", name);
    return st;
}

static size_t count(const struct fixture *f, int32_t result)
{
    size_t n = 0;
    for (size_t i = 0; i < f->call.count; i++)
        n += f->call.events[i].result == result;
    return n;
}

static void assert_all_restored(const struct fixture *f)
{
    for (size_t i = 0; i < f->call.count; i++)
        if (f->call.events[i].result != COFRE_OK)
            fail_msg("'%s': %s", f->call.events[i].entry.path, f->call.events[i].why);
}

static char *text(size_t length)
{
    char *content = malloc(length + 1);
    assert_non_null(content);
    for (size_t i = 0; i < length; i++)
        content[i] = (char)('a' + i * 2654435761u % 26);
    content[length] = '\0';
    return content;
}

/* Directories get their times and modes when the last of their files is there, and not before. */
static void test_directories_after_their_files(void **state)
{
    USE(f, state);
    char name[64];
    char *large = text(2000000);
    for (int d = 0; d < 90; d++) {
        add(f, COFRE_DIRECTORY, 0511, NULL, "d%02d", d);
        for (int i = 0; i < 40; i++)
            add(f, COFRE_FILE, 0640, "some content", "d%02d/f%02d", d, i);
        if (d % 30 == 0)
            add(f, COFRE_FILE, 0640, large, "d%02d/large", d);
        add(f, COFRE_DIRECTORY, 0755, NULL, "d%02d/sub", d);
        add(f, COFRE_FILE, 0640, "x", "d%02d/sub/last", d);
    }
    free(large);
    restore(f, "out");
    assert_all_restored(f);
    for (int d = 0; d < 90; d++) {
        snprintf(name, sizeof name, "out/d%02d", d);
        struct stat st = look(f, name);
        assert_int_equal(st.st_mode & 07777, 0511);
        assert_int_equal(st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, MTIME);
    }
    fixture_shell(f, "test $(find out -type f -name 'f*' -size 12c -perm 640 | wc -l) = 3600");
}

static void test_hard_links_to_files_on_their_way(void **state)
{
    USE(f, state);
    char path[2][64];
    char *large = text(3000001);
    for (int overwrite = 0; overwrite <= 1; overwrite++) {
        for (int i = 0; i < 150; i++) {
            snprintf(path[0], sizeof path[0], "%03d-first", i);
            snprintf(path[1], sizeof path[1], "%03d-second", i);
            add(f, COFRE_FILE, 0644, i % 50 == 0 ? large : "small", "%s", path[0]);
            add(f, COFRE_FILE, 0644, "between", "%03d-between", i);
            add_link(f, path[0], path[1]);
        }
        fixture_set_flag(f, "overwrite", overwrite);
        restore(f, "out");
        assert_all_restored(f);
        fixture_shell(f, "test $(find out -type f -links 2 | wc -l) = 300; test $(ls -A out | wc -l) = 450");
        host_clear(&f->call);
    }
    free(large);
}

/* Each failure is told with its own path, after done() had called it a success. */
static void test_files_in_the_way(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir out; cd out; for i in 003 077 150 999; do echo mine > $i; chmod 400 $i; done");
    char *large = text(1500000);
    for (int i = 0; i < 1000; i++)
        add(f, COFRE_FILE, 0644, i == 150 ? large : "theirs", "%03d", i);
    free(large);
    restore(f, "out");
    assert_int_equal(count(f, COFRE_E_EXISTS), 4);
    assert_int_equal(count(f, COFRE_OK), 996);
    assert_int_equal(f->call.late, 3); /* the large one was seen when it was opened */
    static const char *const kept[] = {"003", "077", "150", "999"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_int_equal(host_find(&f->call, kept[i])->result, COFRE_E_EXISTS);
    fixture_shell(f, "test $(grep -l mine out/* | wc -l) = 4; test $(grep -l theirs out/* | wc -l) = 996");
}

static void test_directory_that_is_not_ours(void **state)
{
    USE(f, state);
    fixture_shell(f, "chmod 755 .; mkdir -p out/closed; chown 65534:65534 out");
    for (int i = 0; i < 100; i++)
        add(f, COFRE_FILE, 0644, "x", "closed/%03d", i);
    add(f, COFRE_FILE, 0644, "x", "open");
    fixture_set_path(f, "out");
    assert_int_equal(setegid(65534) | seteuid(65534), 0);
    int32_t status = fixture_restore(f);
    assert_int_equal(seteuid(0) | setegid(0), 0);
    assert_int_equal(status, COFRE_OK);
    assert_int_equal(count(f, COFRE_E_DENIED), 100);
    assert_int_equal(host_find(&f->call, "open")->result, COFRE_OK);
}

/* A full disk ends the restore; the entries that did not get there are named, and none of them is left in part. */
static void test_full_disk(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir out; mount -t tmpfs -o size=400k none out");
    char *content = text(10000);
    for (int i = 0; i < 2000; i++)
        add(f, COFRE_FILE, 0644, content, "%04d", i);
    free(content);
    fixture_set_path(f, "out");
    int32_t status = fixture_restore(f);
    char command[256];
    snprintf(command, sizeof command, "test $(find %s -type f ! -size 10000c | wc -l) = 0", fixture_path(f, "out"));
    int parts = system(command);
    fixture_shell(f, "umount out");
    assert_int_equal(status, COFRE_E_NO_SPACE);
    assert_int_equal(parts, 0);
    assert_true(count(f, COFRE_E_NO_SPACE) > 0);
    assert_true(f->call.late > 0);
    assert_int_equal(f->call.broken, 0);
    assert_true(f->call.feed_at < f->call.count); /* it did not try all of them */
}

static void make_sizes(struct fixture *f)
{
    fixture_shell(f,
                  "mkdir t; cd t; n=0; for s in 0 1 4095 4096 131071 131072 131073 262144 524287 524288 524289 1048575 "
                  "1048576 1048577 1052672 3145733 9437184; do head -c $s /dev/urandom > f$s; done;"
                  "for o in 100 4096 1000000 1048576 2000003; do head -c 5000 /dev/urandom > h$o; "
                  "head -c 700000 /dev/urandom | dd of=h$o bs=64K oflag=seek_bytes seek=$((o*7)) status=none; "
                  "truncate -s $((o*7+700000+o)) h$o; done; truncate -s 3M all-hole; truncate -s 100 small-hole");
}

/* Sizes around the limits of blocks, pages and of what is small, with holes, past the cache and through it. */
static void test_sizes(void **state)
{
    USE(f, state);
    make_sizes(f);
    fixture_set_path(f, "t");
    assert_int_equal(fixture_backup(f, NULL), COFRE_OK);
    fixture_shell(f, "mkdir memory; mount -t tmpfs none memory");
    static const char *const targets[] = {"out", "out", "memory/out"};
    for (int i = 0; i < 3; i++) {
        fixture_set_flag(f, "overwrite", i == 1);
        fixture_set_path(f, targets[i]);
        int32_t status = fixture_restore(f);
        char command[256];
        snprintf(command, sizeof command, "cd %s; diff -r t %s; exit $?", f->place, targets[i]);
        int differs = system(command);
        if (status != COFRE_OK || differs || i == 2)
            fixture_shell(f, "umount memory");
        assert_int_equal(status, COFRE_OK);
        assert_int_equal(differs, 0);
        assert_all_restored(f);
    }
    fixture_shell(f, "test $(stat -c %%b out/all-hole) = 0; test $(stat -c %%b out/h1048576) -lt 3000");
}

/* What was announced as small and is not, and what has no size at all. */
static void test_sizes_that_are_wrong(void **state)
{
    USE(f, state);
    static const size_t sizes[] = {10, 131072, 400000, 524288, 1500001};
    for (int64_t announced = -1; announced < 2; announced++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char *content = text(sizes[i]);
            add(f, COFRE_FILE, 0644, content, "%c%zu", (char)('b' + announced), sizes[i])->entry.size = announced;
            free(content);
        }
    }
    restore(f, "out");
    assert_all_restored(f);
    for (size_t i = 0; i < f->call.count; i++) {
        char name[64];
        snprintf(name, sizeof name, "out/%s", f->call.events[i].entry.path);
        assert_int_equal(look(f, name).st_size, f->call.events[i].content_length);
        fixture_shell(f, "cmp out/c%zu %s", sizes[i % 5], name);
    }
}

/* Content that is damaged costs its entry; any other failure of take ends the restore. Either leaves nothing behind. */
static void test_lost_content(void **state)
{
    USE(f, state);
    static const size_t sizes[] = {1000, 200000, 3000000};
    static const int32_t classes[] = {COFRE_E_INTEGRITY, COFRE_E_CANCELLED};
    for (size_t i = 0; i < 3 * 2 * 2; i++) {
        char *content = text(sizes[i % 3]);
        int32_t class = classes[i / 3 % 2];
        host_clear(&f->call);
        add(f, COFRE_FILE, 0644, content, "f");
        add(f, COFRE_DIRECTORY, 0755, NULL, "g");
        free(content);
        f->call.take_fails = class;
        fixture_set_flag(f, "overwrite", i >= 6);
        fixture_set_path(f, "out");
        assert_int_equal(fixture_restore(f), class == COFRE_E_INTEGRITY ? COFRE_OK : class);
        assert_int_equal(f->call.broken, 0);
        if (class == COFRE_E_INTEGRITY) {
            assert_int_equal(host_find(&f->call, "f")->result, class);
            assert_string_equal(host_find(&f->call, "f")->why, "the rest is lost");
            assert_int_equal(host_find(&f->call, "g")->result, COFRE_OK);
            fixture_shell(f, "rmdir out/g");
        }
        fixture_shell(f, "test -z \"$(ls -A out)\"");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(directories_after_their_files),
        TEST(hard_links_to_files_on_their_way),
        TEST(files_in_the_way),
        TEST(directory_that_is_not_ours),
        TEST(full_disk),
        TEST(sizes),
        TEST(sizes_that_are_wrong),
        TEST(lost_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
