/* Names of a directory that changes while it is listed, on a file system that may then skip some. The clock and the
 * pause are in the hands of the test, so that nothing hangs on when a tick of the clock falls. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include "common/listing.h"

#define NAMES 20

static char directory[] = "/dev/shm/cofre-listing-XXXXXX"; /* a tmpfs: it is none of those that miss no name */
static int fd = -1;
static bool restless; /* it changes in each tick that is let pass, and is looked at in the same one */
static int paused;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    struct stat st;
    if (clock != CLOCK_REALTIME_COARSE || !restless)
        return __real_clock_gettime(clock, now);
    assert_int_equal(fstat(fd, &st), 0);
    *now = st.st_ctim;
    return 0;
}

static void touch(int number)
{
    char name[16];
    snprintf(name, sizeof name, "f%02d", number);
    int file = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)wanted;
    (void)left;
    paused++;
    if (restless) {
        assert_int_equal(unlinkat(fd, "f00", 0), 0);
        touch(0);
    }
    return 0;
}

static int set_up(void **state)
{
    struct statfs fs;
    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(statfs(directory, &fs), 0);
    assert_int_equal(fs.f_type, TMPFS_MAGIC);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < NAMES; i++)
        touch(i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%02d", i);
        unlinkat(fd, name, 0);
    }
    close(fd);
    return rmdir(directory);
}

static int32_t list(size_t *count)
{
    struct listing listing = {.maximum = 1 << 20};
    struct listing_range range;
    struct cofre_error error = {0};
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    int32_t result = listing_read(&listing, fd, &range, &error);
    *count = range.end - range.first;
    listing_free(&listing);
    return result;
}

/* Its times do not tell whether it changed once more: it is not taken as one that did not. */
static void test_that_changes_in_each_tick(void **state)
{
    size_t count;
    (void)state;
    restless = true;
    paused = 0;
    assert_int_equal(list(&count), COFRE_E_CHANGED);
    assert_int_equal(paused, LISTING_ROUNDS);
    assert_int_equal(count, NAMES);
    restless = false;
}

static void test_at_rest(void **state)
{
    size_t count;
    (void)state;
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(futimens(fd, times), 0);
    usleep(50000); /* that it has just been changed by that is not of now */
    paused = 0;
    assert_int_equal(list(&count), COFRE_OK);
    assert_int_equal(paused, 0);
    assert_int_equal(count, NAMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_that_changes_in_each_tick),
                                       cmocka_unit_test(test_at_rest)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
