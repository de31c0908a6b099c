#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fixture.h"

#define USE(f, state) struct fixture *f = *state

static void restore(struct fixture *f, const char *into)
{
    fixture_set_path(f, into);
    if (fixture_restore(f) != COFRE_OK)
        fail_msg("%s", f->error.message);
}

static void assert_result(const struct fixture *f, const char *path, int32_t result)
{
    const struct host_event *event = host_find(&f->call, path);
    assert_non_null(event);
    if (event->result != result)
        fail_msg("'%s': %d %s", path, event->result, event->why);
    if (result != COFRE_OK)
        assert_string_not_equal(event->why, "");
}

static void assert_all_restored(const struct fixture *f)
{
    for (size_t i = 0; i < f->call.count; i++)
        assert_result(f, f->call.events[i].entry.path, COFRE_OK);
}

static void set_link(struct host_event *event, const char *link)
{
    event->entry.link = strdup(link);
    event->entry.link_length = (uint32_t)strlen(link);
}

static struct stat look(const struct fixture *f, const char *name)
{
    struct stat st;
    if (lstat(fixture_path(f, name), &st) != 0)
        fail_msg("'%s' is not there", name);
    return st;
}

static bool is_there(const struct fixture *f, const char *name)
{
    struct stat st;
    return lstat(fixture_path(f, name), &st) == 0;
}

/* Everything about two trees that find, getfattr and sha256sum see. */
#define LIST                                                                                                           \
    "cd %s; { find . -printf '%%p %%y %%m %%U %%G %%T@ %%l %%n %%b\\n' | sed 's/ 0$//' | sort; getfattr -R -h -d -m- " \
    ". 2>/dev/null;"                                                                                                   \
    " find . -type f -print0 | sort -z | xargs -0 sha256sum; } > ../%s.list; cd .."

static void make_tree(struct fixture *f, const char *name)
{
    fixture_shell(
        f,
        "mkdir %s; cd %s; mkdir -p d/e empty sticky locked; echo hello > d/f; ln d/f d/e/l; ln d/f zz; : > zero;"
        "truncate -s 5M holes; printf x | dd of=holes bs=1 seek=2000000 conv=notrunc status=none;"
        "ln -s ../outside s; ln -s loop loop; mkfifo -m 620 p; mknod -m 640 c c 1 3; chown 7:8 p c; chown -h 5:6 s;"
        "echo \"#!\" > su; chown 3:4 su; chmod 6755 su; setcap cap_net_raw+ep d/f; setfattr -n user.k -v v d/f;"
        "setfacl -m u:1234:rw zero; setfacl -d -m u:1234:rwx d/e; setfattr -n user.k -v v empty;"
        "setfattr -h -n trusted.k -v v s; touch 'new\nline' \"$(printf '\\377\\001')\" ' ' ./-rf; chmod 1777 sticky;"
        "chmod 2775 empty; chown 9:9 d locked; chmod 000 locked; head -c 3000000 /dev/urandom > big;"
        "touch -h -d '1960-01-02 03:04:05.987654321' s zero d/f; touch -d '2100-01-01' empty d/e d .",
        name, name);
}

static void back_up(struct fixture *f, const char *name)
{
    fixture_set_path(f, name);
    if (fixture_backup(f, NULL) != COFRE_OK)
        fail_msg("%s", f->error.message);
}

static void assert_same(struct fixture *f, const char *a, const char *b)
{
    fixture_shell(f, LIST, a, a);
    fixture_shell(f, LIST, b, b);
    fixture_shell(f, "diff %s.list %s.list", a, b);
}

static void test_round_trip(void **state)
{
    USE(f, state);
    make_tree(f, "t");
    back_up(f, "t");
    fixture_set_flag(f, "devices", 1);
    fixture_set_flag(f, "setuid", 1);
    restore(f, "made/on/the/way");
    assert_all_restored(f);
    fixture_shell(f, "mv made/on/the/way out");
    assert_same(f, "t", "out");
    assert_int_equal(look(f, "made").st_mode & 07777, 0700);
}

/* What a killed restore left is completed; what was changed since is put back; what is beside it stays. */
static void test_again_over_what_is_there(void **state)
{
    USE(f, state);
    make_tree(f, "t");
    back_up(f, "t");
    fixture_set_flag(f, "devices", 1);
    fixture_set_flag(f, "setuid", 1);
    restore(f, "out");
    fixture_shell(
        f, "cd out; rm big zz s; echo other > zero; chmod 700 d/f; echo keep > beside; rm p; ln -s /etc/passwd p;"
           "setfacl -d -m u:77:rwx d; setfacl -m u:78:rwx empty; rm d/e/l; cp d/f d/e/l; chmod g+s d");
    fixture_set_flag(f, "overwrite", 1);
    restore(f, "out");
    assert_all_restored(f);
    fixture_shell(f, "grep -q keep out/beside; rm out/beside; touch -d '2100-01-01' out");
    assert_same(f, "t", "out");
}

static void test_nothing_is_replaced_unasked(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir out; echo mine > out/f; echo mine > out/s");
    host_add(&f->call, COFRE_FILE, "f", 0644, "theirs");
    set_link(host_add(&f->call, COFRE_HARDLINK, "l", 0644, NULL), "f");
    host_add(&f->call, COFRE_FILE, "new", 0644, "theirs");
    set_link(host_add(&f->call, COFRE_SYMLINK, "s", 0777, NULL), "x");
    restore(f, "out");
    assert_result(f, "f", COFRE_E_EXISTS);
    assert_result(f, "s", COFRE_E_EXISTS);
    assert_result(f, "new", COFRE_OK);
    assert_result(f, "l", COFRE_E_NOT_FOUND); /* not a link to what is not ours */
    fixture_shell(f, "grep -q mine out/f; grep -q mine out/s; grep -q theirs out/new; test ! -e out/l");
}

static void test_privileges_are_kept_back(void **state)
{
    USE(f, state);
    struct host_event *event = host_add(&f->call, COFRE_FILE, "caps", 0755, "x");
    static const struct cofre_attribute row = {"security.capability", "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20};
    host_add(&f->call, COFRE_CHARACTER, "dev", 0666, NULL)->entry.device_major = 1;
    host_add(&f->call, COFRE_STREAM + 1, "later", 0644, NULL); /* a kind of a newer host */
    host_add(&f->call, COFRE_SOCKET, "sock", 0666, NULL);
    host_add(&f->call, COFRE_FILE, "suid", 06755, "x");
    event = &f->call.events[0];
    event->entry.attributes = &row;
    event->entry.attribute_count = 1;
    restore(f, "out");
    event->entry.attributes = NULL;
    event->entry.attribute_count = 0;
    assert_result(f, "caps", COFRE_PARTLY);
    assert_result(f, "suid", COFRE_PARTLY);
    assert_result(f, "dev", COFRE_E_UNSUPPORTED);
    assert_result(f, "later", COFRE_E_UNSUPPORTED);
    assert_result(f, "sock", COFRE_OK);
    assert_int_equal(look(f, "out/suid").st_mode & 07777, 0755);
    assert_false(is_there(f, "out/dev"));
    assert_false(is_there(f, "out/sock"));
    fixture_shell(f, "test -z \"$(getcap out/caps)\"");
}

/* Each name once, with how many have it; what others may set comes back. */
static void test_attributes_kept_back(void **state)
{
    USE(f, state);
    static const struct cofre_attribute rows[] = {
        {"trusted.overlay.opaque", "y", 1}, {"security.foo", "z", 1}, {"user.a", "b", 1}};
    for (size_t i = 0; i < 3; i++) {
        char path[] = {(char)('a' + i), '\0'};
        struct host_event *event = host_add(&f->call, COFRE_FILE, path, 0644, "x");
        event->entry.attributes = i < 2 ? rows : rows + 2;
        event->entry.attribute_count = i < 2 ? 3 : 1;
        event->entry.attribute_stride = sizeof rows[0];
    }
    restore(f, "out");
    for (size_t i = 0; i < f->call.count; i++) {
        f->call.events[i].entry.attributes = NULL;
        f->call.events[i].entry.attribute_count = 0;
    }
    assert_result(f, "a", COFRE_PARTLY);
    assert_result(f, "b", COFRE_PARTLY);
    assert_result(f, "c", COFRE_OK);
    fixture_shell(f, "test \"$(getfattr -d -m - out/a | grep -c =)\" = 1 && getfattr -n user.a out/a >/dev/null");
}

static void test_hostile_entries(void **state)
{
    USE(f, state);
    static const char *const paths[] = {"..",   "../x", "/etc/x", "a/../../x", "a/..", ".",   "./x",
                                        "a//b", "a/",   "a/./b",  "//",        "/",    "s/x", "s/d/x"};
    fixture_shell(f, "mkdir outside out; echo untouched > outside/f; ln -s ../outside out/s; ls -lR "
                     "--time-style=full-iso outside > before");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        host_add(&f->call, COFRE_FILE, paths[i], 0644, "evil");
        host_add(&f->call, COFRE_DIRECTORY, paths[i], 0777, NULL);
        set_link(host_add(&f->call, COFRE_HARDLINK, "link", 0777, NULL), paths[i]);
    }
    host_add(&f->call, COFRE_DIRECTORY, "s", 0777, NULL);
    host_add(&f->call, COFRE_FILE, "", 0777, "evil");
    host_add(&f->call, 77, "strange", 0777, NULL);
    host_add(&f->call, COFRE_SYMLINK, "t", 0777, NULL);
    host_add(&f->call, COFRE_FILE, "ok", 0644, "fine");
    for (int overwrite = 0; overwrite <= 1; overwrite++) {
        fixture_set_flag(f, "overwrite", overwrite);
        restore(f, "out");
        for (size_t i = 0; i + 1 < f->call.count; i++)
            if (f->call.events[i].result == COFRE_OK || f->call.events[i].result == -1)
                fail_msg("'%s' was taken", f->call.events[i].entry.path);
        assert_result(f, "ok", COFRE_OK);
        fixture_shell(
            f,
            "ls -lR --time-style=full-iso outside | diff before -; test ! -e x; test ! -e out/x; test ! -e out/link");
    }
}

/* A symlink that came with the snapshot is no way out either. */
static void test_symlink_from_the_snapshot(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir outside");
    set_link(host_add(&f->call, COFRE_SYMLINK, "a", 0777, NULL), "../outside");
    host_add(&f->call, COFRE_FILE, "a/evil", 0644, "evil");
    restore(f, "out");
    assert_result(f, "a", COFRE_OK);
    assert_result(f, "a/evil", COFRE_E_EXISTS);
    assert_false(is_there(f, "outside/evil"));
}

static void test_parents_that_are_not_in_the_stream(void **state)
{
    USE(f, state);
    host_add(&f->call, COFRE_FILE, "a/b/c", 0644, "x");
    host_add(&f->call, COFRE_STREAM, "z/dump", 0, "stream")->entry.mtime = COFRE_NO_TIME;
    restore(f, "out");
    assert_all_restored(f);
    assert_int_equal(look(f, "out/a/b").st_mode & 07777, 0700);
    assert_int_equal(look(f, "out/a/b/c").st_mode & 07777, 0644);
    assert_int_equal(look(f, "out/z/dump").st_mode & 07777, 0600);
    assert_int_equal(look(f, "out/z/dump").st_size, 6);
}

static void test_lost_content_leaves_nothing(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir out; echo old > out/f");
    host_add(&f->call, COFRE_FILE, "f", 0644, "half of i");
    f->call.take_fails = COFRE_E_CANCELLED;
    fixture_set_flag(f, "overwrite", 1);
    fixture_set_path(f, "out");
    assert_int_equal(fixture_restore(f), COFRE_E_CANCELLED);
    fixture_shell(f, "grep -q old out/f; test $(ls -A out | wc -l) = 1");
    fixture_set_flag(f, "overwrite", 0);
    fixture_shell(f, "rm out/f");
    assert_int_equal(fixture_restore(f), COFRE_E_CANCELLED);
    fixture_shell(f, "test -z \"$(ls -A out)\"");
}

static void test_full_disk_ends_it(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir out; mount -t tmpfs -o size=64k none out");
    char *content = malloc(200001);
    memset(content, 'x', 200000);
    content[200000] = '\0';
    host_add(&f->call, COFRE_FILE, "a", 0644, content);
    host_add(&f->call, COFRE_FILE, "b", 0644, "x");
    free(content);
    fixture_set_path(f, "out");
    int32_t status = fixture_restore(f);
    bool left = is_there(f, "out/a");
    fixture_shell(f, "umount out");
    assert_int_equal(status, COFRE_E_NO_SPACE);
    assert_false(left);
    assert_result(f, "a", COFRE_E_NO_SPACE);
}

/* ACLs and groups that the target hands down do not get into what is restored. */
static void test_inheriting_target(void **state)
{
    USE(f, state);
    make_tree(f, "t");
    back_up(f, "t");
    fixture_shell(f, "mkdir out; chgrp 555 out; chmod 2770 out; setfacl -d -m u:4321:rwx,g:99:r out");
    fixture_set_flag(f, "devices", 1);
    fixture_set_flag(f, "setuid", 1);
    restore(f, "out");
    assert_all_restored(f);
    assert_same(f, "t", "out");
}

static void test_not_root(void **state)
{
    USE(f, state);
    fixture_shell(f, "chmod 755 .; mkdir -p t/d; echo x > t/d/f; echo y > t/g; chmod 500 t/d; chmod 444 t/d/f; mkdir "
                     "out; chown 65534:65534 out");
    back_up(f, "t");
    for (int overwrite = 0; overwrite <= 1; overwrite++) {
        fixture_set_flag(f, "overwrite", overwrite);
        fixture_set_path(f, "out/r");
        f->call.lines = 0;
        assert_int_equal(setegid(65534) | seteuid(65534), 0);
        int32_t status = fixture_restore(f);
        assert_int_equal(seteuid(0) | setegid(0), 0);
        if (status != COFRE_OK)
            fail_msg("%s", f->error.message);
        assert_all_restored(f);
        assert_true(f->call.lines >= 1); /* owners: one line, not one for each entry */
        assert_true(f->call.lines <= 2);
        assert_int_equal(look(f, "out/r/d").st_mode & 07777, 0500);
        assert_int_equal(look(f, "out/r/d/f").st_mode & 07777, 0444);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(round_trip),
        TEST(again_over_what_is_there),
        TEST(nothing_is_replaced_unasked),
        TEST(privileges_are_kept_back),
        TEST(attributes_kept_back),
        TEST(hostile_entries),
        TEST(symlink_from_the_snapshot),
        TEST(parents_that_are_not_in_the_stream),
        TEST(lost_content_leaves_nothing),
        TEST(full_disk_ends_it),
        TEST(inheriting_target),
        TEST(not_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
