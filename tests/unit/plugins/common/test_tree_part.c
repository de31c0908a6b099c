/* Entries of one place among others, put into an open root. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/pattern.h"
#include "common/tree_write.h"
#include "fixture.h"

#define USE(f, state) struct fixture *f = *state

static const struct pattern_set nothing;

static void set_link(struct host_event *event, const char *link)
{
    event->entry.link = strdup(link);
    event->entry.link_length = (uint32_t)strlen(link);
}

/* Two volumes, "a" and "a.b", with a hard link and a name that begins as the other's does. */
static void add_volumes(struct fixture *f)
{
    host_add(&f->call, COFRE_DIRECTORY, "a", 0750, NULL);
    host_add(&f->call, COFRE_FILE, "a/f", 0644, "of a");
    set_link(host_add(&f->call, COFRE_HARDLINK, "a/l", 0644, NULL), "a/f");
    host_add(&f->call, COFRE_DIRECTORY, "a.b", 0700, NULL);
    host_add(&f->call, COFRE_FILE, "a.b/f", 0600, "of a.b");
}

static int make_root(struct fixture *f, const char *name)
{
    fixture_shell(f, "mkdir -m 700 %s", name);
    int fd = open(fixture_path(f, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int32_t put(struct fixture *f, const char *prefix, int root, struct tree_write_part *part,
                   const struct cofre_entry **entry)
{
    struct tree_write_options options = {
        .path = "the volume", .numeric_owner = true, .exclude = &nothing, .include = &nothing};
    *part = (struct tree_write_part){.prefix = prefix, .root = root, .fresh = true};
    int32_t status = tree_write_part(&f->call, &options, part, entry, &f->error);
    close(root);
    return status;
}

static void test_a_part_ends_where_another_begins(void **state)
{
    USE(f, state);
    struct tree_write_part part;
    const struct cofre_entry *entry;
    add_volumes(f);
    assert_int_equal(host_table.next(&f->call, &entry, &f->error), COFRE_OK);
    assert_int_equal(put(f, "a", make_root(f, "one"), &part, &entry), COFRE_OK);
    assert_non_null(entry);
    assert_string_equal(entry->path, "a.b");
    assert_int_equal(part.counts.given, 3);
    assert_int_equal(part.counts.bytes, 4);
    if (part.counts.failed)
        fail_msg("%s", part.counts.first.message);
    assert_int_equal(put(f, "a.b", make_root(f, "two"), &part, &entry), COFRE_OK);
    assert_null(entry);
    assert_int_equal(part.counts.given, 2);
    fixture_shell(f,
                  "test \"$(cat one/f two/f)\" = 'of aof a.b'; test one/f -ef one/l; test \"$(ls -A one two | wc -l)\" "
                  "= 6; test \"$(stat -c %%a one)\" = 750");
    for (size_t i = 0; i < f->call.count; i++)
        assert_int_equal(f->call.events[i].result, COFRE_OK);
    assert_int_equal(f->call.broken, 0);
}

static void test_a_link_into_another_part_is_refused(void **state)
{
    USE(f, state);
    struct tree_write_part part;
    const struct cofre_entry *entry;
    host_add(&f->call, COFRE_DIRECTORY, "b", 0750, NULL);
    set_link(host_add(&f->call, COFRE_HARDLINK, "b/l", 0644, NULL), "a/f");
    set_link(host_add(&f->call, COFRE_HARDLINK, "b/m", 0644, NULL), "b/../a/f");
    set_link(host_add(&f->call, COFRE_HARDLINK, "b/n", 0644, NULL), "bc/f");
    assert_int_equal(host_table.next(&f->call, &entry, &f->error), COFRE_OK);
    assert_int_equal(put(f, "b", make_root(f, "b"), &part, &entry), COFRE_OK);
    assert_int_equal(part.counts.failed, 3);
    assert_int_equal(part.counts.class, COFRE_E_INTEGRITY);
    assert_non_null(strstr(part.counts.first.message, "'b/l': "));
    fixture_shell(f, "test -z \"$(ls -A b)\"");
}

/* Told with late, with the whole path, and counted. */
static void test_what_turns_out_late_is_counted(void **state)
{
    USE(f, state);
    struct tree_write_part part;
    const struct cofre_entry *entry;
    host_add(&f->call, COFRE_DIRECTORY, "b", 0750, NULL);
    host_add(&f->call, COFRE_FILE, "b/bits", 04755, "x");
    host_add(&f->call, COFRE_FILE, "b/f", 0644, "x");
    host_add(&f->call, COFRE_CHARACTER, "b/z", 0644, NULL);
    int root = make_root(f, "b");
    fixture_shell(f, "touch b/f");
    assert_int_equal(host_table.next(&f->call, &entry, &f->error), COFRE_OK);
    assert_int_equal(put(f, "b", root, &part, &entry), COFRE_OK);
    assert_int_equal(part.counts.failed, 1);
    assert_int_equal(part.counts.class, COFRE_E_EXISTS);
    assert_non_null(strstr(part.counts.first.message, "'b/f': "));
    assert_int_equal(part.counts.partly, 1);
    assert_int_equal(part.counts.left_out, 1);
    assert_int_equal(host_find(&f->call, "b/f")->result, COFRE_E_EXISTS);
    assert_int_equal(host_find(&f->call, "b/bits")->result, COFRE_PARTLY);
    assert_int_equal(f->call.broken, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(a_part_ends_where_another_begins),
        TEST(a_link_into_another_part_is_refused),
        TEST(what_turns_out_late_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
