#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/descent.h"
#include "common/pattern.h"
#include "common/tree_read.h"
#include "fixture.h"

#define USE(f, state) struct fixture *f = *state

/* The database of users, which may be a directory server that is down: this one is asked in place of the C library's.
 */
static int users_failed;

int getpwuid_r(uid_t uid, struct passwd *record, char *buffer, size_t size, struct passwd **result)
{
    (void)uid, (void)record, (void)buffer, (void)size;
    *result = NULL;
    return users_failed;
}

static const struct host_event *get(const struct fixture *f, const char *path)
{
    const struct host_event *event = host_find(&f->call, path);
    if (!event)
        fail_msg("'%s' is not there", path);
    return event;
}

static void backup(struct fixture *f, const struct cofre_call *previous)
{
    if (fixture_backup(f, previous) != COFRE_OK)
        fail_msg("%s", f->error.message);
    if (f->call.broken)
        fail_msg("%s", f->call.complaint);
}

static void assert_content(const struct host_event *event, const char *text)
{
    assert_int_equal(event->content_length, strlen(text));
    assert_int_equal(event->piece_count, text[0] ? 1 : 0);
    if (text[0])
        assert_memory_equal(event->pieces[0].bytes, text, strlen(text));
}

static void test_every_kind(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t t/d t/empty; printf hello > t/d/f; chown 1234:2345 t/d/f; chmod 4755 t/d/f; : > t/zero;"
                     "touch -d '2001-02-03 04:05:06.123456789 UTC' t/d/f; ln -s 'to nowhere' t/s; mkfifo t/p;"
                     "mknod t/c c 1 3; mknod t/b b 7 9; ln t/d/f t/h; printf x > \"t/$(printf 'n\\nl\\377')\"");
    fixture_set_path(f, "t");
    backup(f, NULL);
    const struct host_event *event = get(f, "d/f");
    assert_int_equal(event->entry.kind, COFRE_FILE);
    assert_int_equal(event->entry.mode, 04755);
    assert_int_equal(event->entry.uid, 1234);
    assert_int_equal(event->entry.gid, 2345);
    assert_null(event->entry.user);
    assert_int_equal(event->entry.mtime, 981173106123456789);
    assert_content(event, "hello");
    assert_string_equal(get(f, "")->entry.group, "root");
    assert_int_equal(get(f, "")->entry.kind, COFRE_DIRECTORY);
    assert_int_equal(get(f, "empty")->entry.kind, COFRE_DIRECTORY);
    assert_int_equal(get(f, "h")->entry.kind, COFRE_HARDLINK);
    assert_string_equal(get(f, "h")->entry.link, "d/f");
    assert_string_equal(get(f, "s")->entry.link, "to nowhere");
    assert_int_equal(get(f, "p")->entry.kind, COFRE_FIFO);
    assert_int_equal(get(f, "c")->entry.device_minor, 3);
    assert_int_equal(get(f, "b")->entry.device_major, 7);
    assert_content(get(f, "zero"), "");
    assert_content(get(f, "n\nl\xff"), "x");
    assert_int_equal(f->call.count, 11);
}

/* The number is kept, and the name is looked up again by the next run. */
static void test_a_name_that_cannot_be_looked_up(void **state)
{
    USE(f, state);
    struct cofre_call last;
    fixture_shell(f, "mkdir t; echo x > t/file; touch -d '2001-01-01' t t/file; sleep 2.1");
    fixture_set_path(f, "t");
    users_failed = EIO;
    backup(f, NULL);
    users_failed = 0;
    assert_int_equal(get(f, "file")->result, COFRE_E_CHANGED);
    assert_non_null(strstr(get(f, "file")->why, "name of its user"));
    assert_int_equal(get(f, "file")->entry.fingerprint_length, 0);
    assert_content(get(f, "file"), "x\n");
    last = f->call;
    f->call = (struct cofre_call){0};
    backup(f, &last);
    assert_int_equal(get(f, "file")->type, HOST_ENTRY);
    assert_int_equal(get(f, "file")->result, COFRE_OK);
    host_clear(&last);
}

static void test_order_is_by_component(void **state)
{
    USE(f, state);
    fixture_shell(f,
                  "mkdir -p t/a/x t/a.b t/a-b; touch t/a/x/1 t/a.b/1 t/a-b/1 t/a0 t/abcdefgh t/abcdefghi t/abcdefgh0");
    fixture_set_path(f, "t");
    backup(f, NULL); /* the host checks the order */
    assert_int_equal(f->call.count, 12);
    assert_string_equal(f->call.events[2].entry.path, "a/x");
}

static void test_unchanged_is_not_opened(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/d; echo 1 > t/d/f; echo 2 > t/g; ln t/g t/d/l; ln -s x t/s; sleep 2.1");
    fixture_set_path(f, "t");
    backup(f, NULL);
    struct cofre_call first = f->call;
    f->call = (struct cofre_call){0};
    fixture_shell(f, "chmod 600 t/s t/g 2>/dev/null || chmod 600 t/g");
    backup(f, &first);
    assert_int_equal(get(f, "")->type, HOST_UNCHANGED);
    assert_int_equal(get(f, "d/f")->type, HOST_UNCHANGED);
    assert_int_equal(get(f, "s")->type, HOST_UNCHANGED);
    assert_int_equal(get(f, "d/l")->type, HOST_ENTRY); /* a mode that changed, and it is the first name */
    assert_int_equal(get(f, "g")->entry.kind, COFRE_HARDLINK);
    host_clear(&first);
}

/* The second name is told anew when the first name has another path, though nothing about the file changed. */
static void test_moved_first_name(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/a t/c; echo 1 > t/a/f; ln t/a/f t/c/l; sleep 2.1");
    fixture_set_path(f, "t");
    backup(f, NULL);
    struct cofre_call first = f->call;
    f->call = (struct cofre_call){0};
    fixture_shell(f, "mv t/a t/b");
    backup(f, &first);
    assert_int_equal(get(f, "b/f")->entry.kind, COFRE_FILE);
    assert_int_equal(get(f, "c/l")->type, HOST_ENTRY);
    assert_string_equal(get(f, "c/l")->entry.link, "b/f");
    host_clear(&first);
}

static void test_racy_entries_are_told_again(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; echo 1 > t/fresh; echo 2 > t/future; echo 3 > t/old; sleep 2.1; touch t/fresh;"
                     "touch -d '2090-01-01' t/future");
    fixture_set_path(f, "t");
    backup(f, NULL);
    assert_int_equal(get(f, "fresh")->entry.flags & COFRE_ENTRY_RACY, COFRE_ENTRY_RACY);
    assert_int_equal(get(f, "fresh")->entry.fingerprint_length, 0);
    assert_int_equal(get(f, "future")->entry.flags & COFRE_ENTRY_RACY, COFRE_ENTRY_RACY);
    assert_int_equal(get(f, "old")->entry.flags & COFRE_ENTRY_RACY, 0);
}

static void test_holes(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; truncate -s 10M t/f; printf x | dd of=t/f bs=1 seek=5242880 conv=notrunc status=none;"
                     "truncate -s 3M t/none");
    fixture_set_path(f, "t");
    backup(f, NULL);
    const struct host_event *event = get(f, "f");
    assert_int_equal(event->content_length, 10 << 20);
    assert_int_equal(event->piece_count, 3);
    assert_null(event->pieces[0].bytes);
    assert_int_equal(event->pieces[0].length, 5 << 20);
    assert_int_equal(event->pieces[1].bytes[0], 'x');
    assert_null(event->pieces[2].bytes);
    assert_int_equal(get(f, "none")->piece_count, 1);
}

static const struct cofre_attribute *attribute(const struct host_event *event, const char *name)
{
    for (uint32_t i = 0; i < event->entry.attribute_count; i++)
        if (strcmp(event->entry.attributes[i].name, name) == 0)
            return &event->entry.attributes[i];
    fail_msg("'%s' has no attribute '%s'", event->entry.path, name);
    return NULL;
}

static void test_attributes(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t t/d; echo > t/f; ln -s x t/s; mkfifo t/p; setfattr -n user.a -v one t/f;"
                     "setfattr -n user.b -v two t/f; setfacl -m u:1234:r t/f; setfacl -d -m u:1234:rwx t/d;"
                     "setfattr -h -n trusted.s -v link t/s; setfattr -n trusted.p -v pipe t/p;"
                     "setcap cap_net_raw+ep t/f; setfattr -n user.d -v dir t");
    fixture_set_path(f, "t");
    backup(f, NULL);
    assert_memory_equal(attribute(get(f, "f"), "user.a")->value, "one", 3);
    assert_memory_equal(attribute(get(f, "f"), "user.b")->value, "two", 3);
    attribute(get(f, "f"), "system.posix_acl_access");
    attribute(get(f, "f"), "security.capability");
    attribute(get(f, "d"), "system.posix_acl_default");
    assert_memory_equal(attribute(get(f, "s"), "trusted.s")->value, "link", 4);
    assert_memory_equal(attribute(get(f, "p"), "trusted.p")->value, "pipe", 4);
    assert_memory_equal(attribute(get(f, ""), "user.d")->value, "dir", 3);
}

/* Paths of what was announced, joined. */
static void assert_paths(const struct fixture *f, const char *expected)
{
    char paths[1024] = "";
    for (size_t i = 1; i < f->call.count; i++) {
        strcat(paths, i > 1 ? " " : "");
        strcat(paths, f->call.events[i].entry.path);
    }
    assert_string_equal(paths, expected);
}

static void test_patterns(void **state)
{
    USE(f, state);
    static const char *const exclude[] = {"cache/", "*.tmp", "/only"}, *const include[] = {"a/cache/keep/", "good.tmp"};
    fixture_shell(f, "mkdir -p t/a/cache/keep/deep t/a/cache/drop t/b/cache t/only t/c; touch t/a/cache/keep/deep/f"
                     " t/a/cache/keep/x.tmp t/a/cache/x t/a/cache/good.tmp t/b/cache/good.tmp t/only/f t/c/only "
                     "t/c/x.tmp t/c/good.tmp");
    fixture_set_path(f, "t");
    fixture_set_list(f, "exclude", exclude, 3);
    fixture_set_list(f, "include", include, 2);
    backup(f, NULL);
    assert_paths(f,
                 "a a/cache a/cache/good.tmp a/cache/keep a/cache/keep/deep a/cache/keep/deep/f b c c/good.tmp c/only");
}

static void test_one_file_of_a_directory(void **state)
{
    USE(f, state);
    static const char *const exclude[] = {"*"}, *const include[] = {"/f"};
    fixture_shell(f, "mkdir -p t/d; touch t/f t/g t/d/f");
    fixture_set_path(f, "t");
    fixture_set_list(f, "exclude", exclude, 1);
    fixture_set_list(f, "include", include, 1);
    backup(f, NULL);
    assert_paths(f, "f");
}

static void test_caches(void **state)
{
    USE(f, state);
    fixture_shell(f,
                  "mkdir -p t/c t/fake; for d in t/c t/fake; do touch $d/A $d/Z; done; echo no > t/fake/CACHEDIR.TAG;"
                  "echo 'Signature: 8a477f597d28d172789f06886806bc55' > t/c/CACHEDIR.TAG");
    fixture_set_path(f, "t");
    fixture_set_flag(f, "exclude_caches", 1);
    backup(f, NULL);
    assert_paths(f, "c c/CACHEDIR.TAG fake fake/A fake/CACHEDIR.TAG fake/Z");
}

static void test_mount_points(void **state)
{
    USE(f, state);
    fixture_shell(f,
                  "mkdir -p t/m t/loop/in; touch t/f; mount -t tmpfs none t/m; touch t/m/f; mount --bind t t/loop/in");
    fixture_set_path(f, "t");
    int32_t status = fixture_backup(f, NULL);
    struct host_event *mounted = host_find(&f->call, "m"), *beyond = host_find(&f->call, "m/f");
    size_t count = f->call.count;
    fixture_set_flag(f, "one_file_system", 0);
    host_clear(&f->call);
    int32_t again = fixture_backup(f, NULL);
    struct host_event *entered = host_find(&f->call, "m/f");
    fixture_shell(f, "umount t/m t/loop/in");
    assert_int_equal(status, COFRE_OK);
    assert_int_equal(again, COFRE_OK);
    assert_non_null(mounted);
    assert_null(beyond);
    assert_int_equal(count, 5); /* "", f, loop, loop/in not entered, m */
    assert_non_null(entered);
}

static void test_facts_are_those_of_the_backup(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/d; echo hello > t/f; ln t/f t/d/l; echo x > t/d/g");
    fixture_set_path(f, "t");
    backup(f, NULL);
    char facts[16][2][64];
    memcpy(facts, f->call.facts, sizeof facts);
    assert_int_equal(f->call.fact_count, 4);
    assert_string_equal(facts[0][1], "5");
    assert_string_equal(facts[3][1], "8");
    host_clear(&f->call);
    assert_int_equal(fixture_facts(f), COFRE_OK);
    assert_memory_equal(facts, f->call.facts, sizeof facts);
    assert_int_equal(f->call.count, 0);
}

static void test_roots_that_cannot_be(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir d; ln -s d link; touch file");
    fixture_set_path(f, "missing");
    assert_int_equal(fixture_backup(f, NULL), COFRE_E_NOT_FOUND);
    assert_string_not_equal(f->error.hint, "");
    fixture_set_path(f, "link/");
    assert_int_equal(fixture_backup(f, NULL), COFRE_E_CONFIG);
    assert_non_null(strstr(f->error.message, "symlink"));
    fixture_set_path(f, "file");
    assert_int_equal(fixture_backup(f, NULL), COFRE_E_CONFIG);
    fixture_set_path(f, "d/");
    assert_int_equal(fixture_backup(f, NULL), COFRE_OK);
}

static void test_closed_to_us(void **state)
{
    USE(f, state);
    fixture_shell(
        f, "chmod 755 .; mkdir -p t/closed; echo secret > t/f; touch t/closed/x; echo ok > t/g; chmod 0 t/f t/closed");
    fixture_set_path(f, "t");
    if (seteuid(65534) != 0)
        fail();
    int32_t status = fixture_backup(f, NULL);
    if (seteuid(0) != 0)
        fail();
    assert_int_equal(status, COFRE_OK);
    assert_int_equal(get(f, "f")->result, COFRE_E_DENIED);
    assert_int_equal(get(f, "f")->entry.fingerprint_length, 0);
    assert_non_null(strstr(get(f, "f")->why, "'f'"));
    assert_int_equal(get(f, "closed")->result, COFRE_E_DENIED);
    assert_content(get(f, "g"), "ok\n");
}

/* 10,000 levels: far beyond PATH_MAX, and beyond any number of descriptors. */
static void test_deep_tree(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t");
    int at = open(fixture_path(f, "t"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(openat(at, "deepest", O_CREAT | O_WRONLY, 0644));
    close(at);
    fixture_shell(f, "touch t/z t/d/z");
    fixture_set_path(f, "t");
    backup(f, NULL);
    assert_int_equal(f->call.count, 10000 + 4);
    assert_int_equal(f->call.events[10001].entry.path_length, 20007);
    assert_string_equal(f->call.events[10003].entry.path, "z");
    fixture_set_path(f, "out");
    if (fixture_restore(f) != COFRE_OK)
        fail_msg("%s", f->error.message);
    assert_int_equal(get(f, "z")->result, COFRE_OK);
    size_t count = f->call.count;
    backup(f, NULL);
    assert_int_equal(f->call.count, count);
}

/* A tree below a prefix, as one of several: its root is announced under the prefix itself. */
static void test_below_a_prefix(void **state)
{
    USE(f, state);
    struct tree_read_counts counts;
    const struct pattern_set none = {.count = 0};
    fixture_shell(f, "mkdir -p t/d/e t.x; echo 1 > t/d/e/f; ln t/d/e/f t/g; ln -s d t/s");
    struct tree_read_options options = {.path = "/not/looked/at", .prefix = "vol", .exclude = &none, .include = &none};
    options.root = open(fixture_path(f, "t"), O_RDONLY | O_DIRECTORY);
    assert_int_equal(tree_read(&f->call, &options, &counts, &f->error), COFRE_OK);
    if (f->call.broken)
        fail_msg("%s", f->call.complaint);
    assert_string_equal(f->call.events[0].entry.path, "vol");
    assert_int_equal(f->call.events[0].entry.kind, COFRE_DIRECTORY);
    assert_paths(f, "vol/d vol/d/e vol/d/e/f vol/g vol/s");
    assert_string_equal(get(f, "vol/g")->entry.link, "vol/d/e/f");
    assert_int_equal(counts.entries, 6);
    close(options.root);
}

#define WAY 100 /* levels: more than are held open */
#define CROSSING 10

/* The way up through ".." ends elsewhere, since a directory was moved: the way down is gone again, from the root. */
static void test_way_back_below_a_prefix(void **state)
{
    USE(f, state);
    struct descent d;
    struct stat st;
    char moved[2 * WAY] = "";
    fixture_shell(f, "mkdir t");
    int at = open(fixture_path(f, "t"), O_RDONLY | O_DIRECTORY);
    fstat(at, &st);
    assert_int_equal(descent_begin(&d, at, &st), 0);
    descent_prefix(&d, "vol", 3);
    for (int i = 0; i < WAY; i++) {
        assert_int_equal(mkdirat(descent_fd(&d), "d", 0700), 0);
        at = openat(descent_fd(&d), "d", O_RDONLY | O_DIRECTORY);
        fstat(at, &st);
        assert_true(descent_name(&d, "d", 1));
        assert_int_equal(descent_push(&d, at, &st), 0);
    }
    for (int i = 0; i <= CROSSING; i++)
        strcat(moved, "/d");
    fixture_shell(f, "mv t%s elsewhere", moved);
    for (int i = WAY; i > CROSSING; i--)
        assert_int_equal(descent_pop(&d), 0);
    assert_true(descent_fd(&d) >= 0);
    assert_string_equal(d.path, "vol/d/d/d/d/d/d/d/d/d/d");
    descent_end(&d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(every_kind),
        TEST(a_name_that_cannot_be_looked_up),
        TEST(order_is_by_component),
        TEST(unchanged_is_not_opened),
        TEST(moved_first_name),
        TEST(racy_entries_are_told_again),
        TEST(holes),
        TEST(attributes),
        TEST(patterns),
        TEST(one_file_of_a_directory),
        TEST(caches),
        TEST(mount_points),
        TEST(facts_are_those_of_the_backup),
        TEST(roots_that_cannot_be),
        TEST(closed_to_us),
        TEST(deep_tree),
        TEST(below_a_prefix),
        TEST(way_back_below_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
