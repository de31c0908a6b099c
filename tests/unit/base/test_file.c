#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

static char directory[] = "/tmp/cofre-test-file-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", directory, name);
    return p;
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static unsigned count_like(const char *part)
{
    unsigned count = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (const struct dirent *row = readdir(d); row; row = readdir(d))
        count += strstr(row->d_name, part) != NULL;
    closedir(d);
    return count;
}

static void test_write_and_read(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(file_write(at("a"), "hello", 5, FILE_NEW, &e), 0);
    assert_int_equal(file_write(at("a"), "x", 1, FILE_NEW, &e), -1);
    assert_int_equal(e.class, ERROR_EXISTS);
    assert_int_equal(count_like("a."), 0);
    assert_int_equal(file_write(at("a"), "world!", 6, FILE_REPLACE, &e), 0);
    struct stat st;
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct bytes b = {.maximum = 100};
    assert_int_equal(file_read(at("a"), 100, &b, &e), 0);
    assert_int_equal(file_read(at("a"), 6, &b, &e), 0);
    assert_int_equal(b.length, 12);
    assert_memory_equal(b.data, "world!world!", 12);
    bytes_free(&b);
    assert_int_equal(file_read(at("none"), 6, &b, &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
}

static void test_read_limits(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(file_write(at("six"), "123456", 6, FILE_NEW, &e), 0);
    struct bytes exact = {.maximum = 6};
    assert_int_equal(file_read(at("six"), 6, &exact, &e), 0);
    assert_int_equal(exact.length, 6);
    bytes_free(&exact);
    struct bytes b = {.maximum = 100};
    assert_int_equal(file_read(at("six"), 5, &b, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    bytes_free(&b);
    struct bytes small = {.maximum = 5};
    assert_int_equal(file_read(at("six"), 100, &small, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    bytes_free(&small);
}

static void test_private(void **state)
{
    (void)state;
    struct error e;
    char hint[300];
    struct bytes b = {.maximum = 100};
    assert_int_equal(file_write(at("key"), "k", 1, FILE_NEW, &e), 0);
    assert_int_equal(file_read_private(at("key"), "key file", 10, &b, &e), 0);
    chmod(at("key"), 0400);
    assert_int_equal(file_read_private(at("key"), "key file", 10, &b, &e), 0);
    static const mode_t bad[] = {0640, 0604, 0610, 0601, 0660, 0602, 0644, 0777};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        chmod(at("key"), bad[i]);
        assert_int_equal(file_read_private(at("key"), "key file", 10, &b, &e), -1);
        assert_int_equal(e.class, ERROR_CONFIG);
        snprintf(hint, sizeof hint, "chmod 600 '%s'", at("key"));
        assert_string_equal(e.hint, hint);
    }
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(file_read_private(at("fifo"), "key file", 10, &b, &e), -1);
    assert_non_null(strstr(e.message, "not a regular file"));
    bytes_free(&b);
}

/* A name each time, ours alone, and gone with the next when its maker is. */
static void test_temporary(void **state)
{
    (void)state;
    struct file_temporary a, b, c;
    struct error e;
    struct stat st;
    assert_int_equal(file_temporary_make(&a, at("temporary"), &e), 0);
    assert_int_equal(file_temporary_make(&b, at("temporary"), &e), 0);
    assert_string_not_equal(a.path, b.path);
    assert_int_equal(stat(a.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(count_like("temporary."), 2);
    close(a.fd);
    assert_int_equal(mkfifo(at("temporary.00000000000000ff.tmp"), 0600), 0);
    assert_int_equal(symlink("/etc/passwd", at("temporary.00000000000000fe.tmp")), 0);
    assert_int_equal(file_temporary_make(&c, at("temporary"), &e), 0);
    assert_int_equal(access(a.path, F_OK), -1);
    assert_int_equal(access(b.path, F_OK), 0);
    assert_int_equal(count_like("temporary."), 4);
    assert_int_equal(file_temporary_name(&b, at("temporary"), FILE_NEW, &e), 0);
    assert_int_equal(file_temporary_name(&c, at("temporary"), FILE_NEW, &e), -1);
    assert_int_equal(e.class, ERROR_EXISTS);
    assert_int_equal(file_temporary_name(&c, at("temporary"), FILE_REPLACE, &e), 0);
    close(b.fd);
    close(c.fd);
}

/* What was put where a file of ours belongs. */
static void test_open(void **state)
{
    (void)state;
    struct error e;
    struct bytes b = {.maximum = 100};
    int fd = file_open(at("own"), O_RDWR | O_CREAT, &e);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(mkdir(at("own-directory"), 0700), 0);
    assert_int_equal(symlink(at("own"), at("own-link")), 0);
    assert_int_equal(mkfifo(at("own-fifo"), 0600), 0);
    static const char *const names[] = {"own-directory", "own-link", "own-fifo"};
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_APPEND};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++) {
            assert_int_equal(file_open(at(names[i]), flags[k], &e), -1);
            assert_int_equal(e.class, ERROR_DENIED);
            assert_non_null(strstr(e.message, "not a regular file"));
            assert_non_null(strstr(e.message, names[i]));
        }
    assert_int_equal(file_read(at("own-link"), 10, &b, &e), 0);
    assert_int_equal(file_read_own(at("own-link"), 10, &b, &e), -1);
    assert_int_equal(file_read(at("own-fifo"), 10, &b, &e), -1);
    assert_int_equal(file_make_durable(at("own-fifo"), &e), -1);
    assert_int_equal(file_open(at("none"), O_RDONLY, &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    if (geteuid() == 0) {
        assert_int_equal(chown(at("own"), 65534, 65534), 0);
        assert_int_equal(file_open(at("own"), O_RDWR, &e), -1);
        assert_int_equal(e.class, ERROR_DENIED);
        assert_non_null(strstr(e.message, "belongs to user 65534"));
    }
    bytes_free(&b);
}

static void test_make_directories(void **state)
{
    (void)state;
    struct error e;
    struct stat st;
    assert_int_equal(file_make_directories(at("d/e/f"), &e), 0);
    assert_int_equal(file_make_directories(at("d/e/f"), &e), 0);
    assert_int_equal(file_make_directories(at("d//e/g/"), &e), 0);
    assert_int_equal(stat(at("d/e/f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(file_write(at("d/plain"), "", 0, FILE_NEW, &e), 0);
    assert_int_equal(file_make_directories(at("d/plain"), &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    assert_int_equal(file_make_directories(at("d/plain/x"), &e), -1);
}

static void test_trusted(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(mkdir(at("t"), 0755), 0);
    assert_int_equal(file_write(at("t/a"), "", 0, FILE_NEW, &e), 0);
    assert_int_equal(file_check_trusted(at("t/a"), &e), 0);
    chmod(at("t/a"), 0666);
    assert_int_equal(file_check_trusted(at("t/a"), &e), -1);
    assert_int_equal(e.class, ERROR_DENIED);
    assert_non_null(strstr(e.hint, "chmod go-w"));
    chmod(at("t/a"), 0644);
    chmod(at("t"), 0777);
    assert_int_equal(file_check_trusted(at("t/a"), &e), -1);
    chmod(at("t"), 01777);
    assert_int_equal(file_check_trusted(at("t/a"), &e), 0);
    assert_int_equal(file_check_trusted(at("t"), &e), -1);
    assert_int_equal(file_check_trusted(at("t/none"), &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    assert_int_equal(file_check_trusted("/", &e), 0);
    /* What is going to be made. */
    assert_int_equal(file_check_trusted_place(at("t/none/at/all"), &e), 0);
    assert_int_equal(file_check_trusted_place(at("t"), &e), -1);
    assert_int_equal(file_check_trusted_place("/none/at/all", &e), 0);
    chmod(at("t"), 0777);
    assert_int_equal(file_check_trusted_place(at("t/none/at/all"), &e), -1);
    assert_non_null(strstr(e.hint, "chmod go-w"));
    assert_int_equal(file_make_trusted(at("t/made"), &e), -1);
    chmod(at("t"), 0700);
    assert_int_equal(file_make_trusted(at("t/made/too"), &e), 0);
    AUTO_BYTES struct bytes b = {.maximum = 10};
    assert_int_equal(file_read_private(at("t/a"), "key file", 10, &b, &e), -1);
    chmod(at("t/a"), 0600);
    assert_int_equal(file_read_private(at("t/a"), "key file", 10, &b, &e), 0);
    chmod(at("t"), 0770);
    assert_int_equal(file_read_private(at("t/a"), "key file", 10, &b, &e), -1);
    assert_int_equal(e.class, ERROR_CONFIG);
    assert_non_null(strstr(e.hint, at("t")));
}

/* A link that others can change, or whose directory they can write. */
static void test_trusted_links(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(mkdir(at("links"), 0755), 0);
    assert_int_equal(mkdir(at("target"), 0700), 0);
    assert_int_equal(symlink(at("target"), at("links/to")), 0);
    assert_int_equal(file_check_trusted(at("links/to"), &e), 0);
    assert_int_equal(file_check_trusted(at("links/to/"), &e), 0);
    assert_int_equal(file_check_trusted_place(at("links/to/none/at/all"), &e), 0);
    chmod(at("links"), 0777);
    assert_int_equal(file_check_trusted(at("links/to"), &e), -1);
    assert_non_null(strstr(e.hint, at("links")));
    assert_int_equal(file_check_trusted(at("links/to/"), &e), -1);
    assert_int_equal(file_check_trusted_place(at("links/to/none/at/all"), &e), -1);
    chmod(at("links"), 01777);
    assert_int_equal(file_check_trusted(at("links/to"), &e), 0);
    if (geteuid() == 0) {
        assert_int_equal(lchown(at("links/to"), 65534, 65534), 0);
        assert_int_equal(file_check_trusted(at("links/to"), &e), -1);
        assert_non_null(strstr(e.hint, "chown -h"));
    }
    /* Where we stand. */
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(at("target")), 0);
    assert_int_equal(file_check_trusted_place("none", &e), 0);
    assert_int_equal(file_check_trusted_place("none/at/all", &e), 0);
    assert_int_equal(file_write("new", "x", 1, FILE_NEW, &e), 0);
    assert_int_equal(file_check_trusted("new", &e), 0);
    assert_int_equal(chdir(before), 0);
}

static void test_read_at(void **state)
{
    (void)state;
    struct error e;
    char text[4] = "";
    assert_int_equal(file_write(at("r"), "0123456789", 10, FILE_NEW, &e), 0);
    AUTO_CLOSE int fd = open(at("r"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_read_at(fd, text, 3, 7, "r", &e), 0);
    assert_string_equal(text, "789");
    assert_int_equal(file_read_at(fd, text, 3, 8, "r", &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_string_equal(e.message, "read 'r': it ends 1 bytes early");
}

static void test_lock(void **state)
{
    (void)state;
    struct error e;
    int fd = -1, other = -1;
    long holder = -1;
    assert_int_equal(file_lock(at("lock"), &fd, &holder, &e), 0);
    assert_int_equal(holder, 0);
    assert_int_equal(file_lock(at("lock"), &other, &holder, &e), -1);
    assert_int_equal(e.class, ERROR_BUSY);
    assert_int_equal(holder, getpid());
    close(fd);
    assert_int_equal(file_lock(at("lock"), &other, &holder, &e), 0);
    close(other);
}

static void test_beside_program(void **state)
{
    (void)state;
    static const char *const places[] = {"/none", "/../tests", "/."};
    AUTO_FREE char *program = realpath("/proc/self/exe", NULL);
    assert_non_null(program);
    *strrchr(program, '/') = '\0';
    AUTO_FREE char *found = file_beside_program(places, 3);
    assert_string_equal(found, program);
    assert_null(file_beside_program(places, 1));
    static char long_name[PATH_MAX + 1];
    const char *const too_long[] = {long_name, "/."};
    memset(long_name, '/', PATH_MAX);
    AUTO_FREE char *next = file_beside_program(too_long, 2);
    assert_string_equal(next, program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_read_limits),
        cmocka_unit_test(test_private),        cmocka_unit_test(test_make_directories),
        cmocka_unit_test(test_trusted),        cmocka_unit_test(test_read_at),
        cmocka_unit_test(test_lock),           cmocka_unit_test(test_temporary),
        cmocka_unit_test(test_open),           cmocka_unit_test(test_trusted_links),
        cmocka_unit_test(test_beside_program),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
