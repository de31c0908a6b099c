/* Which symlinks are followed on the way to a directory that an operator named. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/way.h"
#include "fixture.h"

#define USE(f, state) struct fixture *f = *state
#define NOBODY "65534"

/* What was opened is PLACE/expected; or nothing, and this is why. */
static void assert_leads(struct fixture *f, const char *name, const char *expected, int errnum)
{
    struct stat is, should_be;
    int fd;
    int got = way_open(name[0] == '/' ? name : fixture_path(f, name), NULL, &fd, &f->error);
    if (got != errnum)
        fail_msg("'%s': %d, not %d", name, got, errnum);
    assert_int_equal(fd >= 0, errnum == 0);
    if (errnum)
        return;
    assert_int_equal(fstat(fd, &is), 0);
    assert_int_equal(stat(fixture_path(f, expected), &should_be), 0);
    assert_true(is.st_ino == should_be.st_ino && is.st_dev == should_be.st_dev);
    close(fd);
}

static void test_links_of_ours(void **state)
{
    USE(f, state);
    fixture_shell(f,
                  "mkdir -p data/app/uploads shared; ln -s data/app srv; ln -s %s/srv far; ln -s ../far data/up; "
                  "chmod 1777 shared; ln -s ../data shared/data; ln -s loop loop",
                  f->place);
    assert_leads(f, "data/app/uploads", "data/app/uploads", 0);
    assert_leads(f, "srv/uploads", "data/app/uploads", 0);
    assert_leads(f, "srv//./uploads//", "data/app/uploads", 0);
    assert_leads(f, "far/uploads", "data/app/uploads", 0);
    assert_leads(f, "data/up/../app/uploads", "data/app/uploads", 0);
    assert_leads(f, "shared/data/app", "data/app", 0);
    assert_leads(f, "loop/uploads", NULL, EMLINK);
    assert_int_equal(chdir(f->place), 0);
    assert_leads(f, "/proc/self/cwd/srv/uploads", "data/app/uploads", 0);
    assert_int_equal(chdir("/"), 0);
}

static void test_links_that_others_can_change(void **state)
{
    USE(f, state);
    if (geteuid() != 0)
        skip();
    fixture_shell(f,
                  "mkdir -p secret/uploads ours/uploads open theirs/inner/uploads; chmod 777 open; "
                  "ln -s %s/secret ours/theirs; chown -h " NOBODY " ours/theirs; ln -s %s/secret open/link; "
                  "ln -s %s/secret theirs/link; ln -s %s/secret theirs/inner/link; chown " NOBODY " theirs; "
                  "ln -s ../theirs ours/way; ln -s theirs/link through",
                  f->place, f->place, f->place, f->place);
    static const char *const refused[] = {"ours/theirs/uploads",       "open/link/uploads",     "theirs/link/uploads",
                                          "theirs/inner/link/uploads", "ours/way/link/uploads", "through/uploads"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_leads(f, refused[i], NULL, WAY_REFUSED);
    assert_non_null(strstr(f->error.message, "/theirs/link' is a symlink that others can change"));
    assert_leads(f, "theirs/inner/uploads", "theirs/inner/uploads", 0);
    assert_leads(f, "ours/way/inner/uploads", "theirs/inner/uploads", 0);
    fixture_shell(f, "chown root theirs");
    assert_leads(f, "theirs/link/uploads", "secret/uploads", 0);
}

static void test_where_it_ends(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p data/app; ln -s data link; touch data/file");
    assert_leads(f, "link", NULL, ELOOP);
    assert_leads(f, "link/", NULL, ELOOP);
    assert_leads(f, "data/file", NULL, ENOTDIR);
    assert_leads(f, "data/file/x", NULL, ENOTDIR);
    assert_leads(f, "data/none", NULL, ENOENT);
    assert_leads(f, "none/app", NULL, ENOENT);
    assert_leads(f, "/", "../..", 0);
    char longest[600];
    memset(longest, 'n', sizeof longest);
    longest[0] = longest[300] = '/';
    longest[sizeof longest - 1] = '\0';
    assert_leads(f, longest, NULL, ENAMETOOLONG);
}

static int make(int above, const char *name)
{
    return mkdirat(above, name, 0700) == 0 ? 0 : errno;
}

static void test_what_is_missing_is_made(void **state)
{
    USE(f, state);
    int fd;
    fixture_shell(f, "mkdir data; ln -s data link");
    for (int again = 0; again < 2; again++) {
        assert_int_equal(way_open(fixture_path(f, "link/a/b/c"), make, &fd, &f->error), 0);
        close(fd);
    }
    fixture_shell(f, "test \"$(stat -c %%a data/a data/a/b data/a/b/c | uniq)\" = 700");
    assert_int_equal(way_open(fixture_path(f, "link"), make, &fd, &f->error), ELOOP);
    if (geteuid() != 0)
        return;
    fixture_shell(f, "chown -h " NOBODY " link");
    assert_int_equal(way_open(fixture_path(f, "link/d"), make, &fd, &f->error), WAY_REFUSED);
    fixture_shell(f, "test ! -e data/d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_links_of_ours, fixture_begin, fixture_end),
        cmocka_unit_test_setup_teardown(test_links_that_others_can_change, fixture_begin, fixture_end),
        cmocka_unit_test_setup_teardown(test_where_it_ends, fixture_begin, fixture_end),
        cmocka_unit_test_setup_teardown(test_what_is_missing_is_made, fixture_begin, fixture_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
