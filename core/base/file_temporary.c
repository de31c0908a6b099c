#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* NAME.0123456789abcdef.tmp */
#define DIGITS 16
#define ENDING ".tmp"
#define TRIES 10

/* Is name what file_temporary_make would call a file beside base? */
static bool is_temporary_of(const char *name, const char *base)
{
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && name[n] == '.' && strspn(name + n + 1, "0123456789abcdef") == DIGITS &&
           strcmp(name + n + 1 + DIGITS, ENDING) == 0;
}

/* Whoever makes one holds its lock until it has its name: one that is not locked was left by a process that died. */
static void clear_one(int directory, const char *name)
{
    struct stat st;
    AUTO_CLOSE int fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(directory, name, 0);
}

/* Nothing depends on it: what cannot be removed stays. */
static void clear_left(const char *path)
{
    char above[PATH_MAX], last[PATH_MAX];
    snprintf(above, sizeof above, "%s", path);
    snprintf(last, sizeof last, "%s", path);
    const char *base = basename(last);
    DIR *d = opendir(dirname(above));
    for (const struct dirent *row = d ? readdir(d) : NULL; row; row = readdir(d))
        if (is_temporary_of(row->d_name, base))
            clear_one(dirfd(d), row->d_name);
    if (d)
        closedir(d);
}

static int random_name(struct file_temporary *t, const char *path, struct error *e)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_system(e, errno, "get random bytes");
    if (snprintf(t->path, sizeof t->path, "%s.%0*llx" ENDING, path, DIGITS, (unsigned long long)random) >=
        (int)sizeof t->path)
        return error_set(e, ERROR_RANGE, "path '%s' is too long", path);
    return 0;
}

/* Locked, and still there: somebody who clears may have come between. Where files cannot be locked nobody clears. */
static bool lock(int fd)
{
    struct stat st;
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return true;
    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int file_temporary_make(struct file_temporary *temporary, const char *path, struct error *e)
{
    clear_left(path);
    for (unsigned i = 0; i < TRIES; i++) {
        if (random_name(temporary, path, e) < 0)
            return -1;
        temporary->fd = open(temporary->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (temporary->fd < 0 && errno != EEXIST)
            return error_system(e, errno, "create '%s'", temporary->path);
        if (temporary->fd >= 0 && lock(temporary->fd))
            return 0;
        if (temporary->fd >= 0)
            close(temporary->fd);
    }
    return error_set(e, ERROR_BUSY, "create '%s': somebody removes it each time", temporary->path);
}

int file_temporary_name(const struct file_temporary *temporary, const char *path, enum file_mode mode, struct error *e)
{
    unsigned flags = mode == FILE_NEW ? RENAME_NOREPLACE : 0;
    if (renameat2(AT_FDCWD, temporary->path, AT_FDCWD, path, flags) < 0)
        return error_system(e, errno, "rename to '%s'", path);
    return 0;
}
