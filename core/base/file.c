#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"

void file_close_pointer(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

void file_free_pointer(void *p)
{
    free(*(void **)p);
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static int read_descriptor(int fd, const char *path, size_t maximum, struct bytes *out, struct error *e)
{
    size_t total = 0;
    for (;;) {
        size_t want = smallest(maximum - total, out->maximum - out->length, 65536);
        /* When full, one byte more tells whether the file ends here. */
        uint8_t beyond, *to = want ? bytes_reserve(out, want) : &beyond;
        if (!to)
            return error_memory(e);
        ssize_t n = read(fd, to, want ? want : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system(e, errno, "read '%s'", path);
        if (n == 0)
            return 0;
        if (want == 0)
            return error_set(e, ERROR_RANGE, "read '%s': larger than %zu bytes", path, maximum);
        total += (size_t)n;
        out->length += (size_t)n;
    }
}

static int not_regular(const char *path, struct error *e)
{
    error_set(e, ERROR_DENIED, "'%s' is not a regular file", path);
    return error_hint(e, "find out who put it there, and remove it");
}

/* Without waiting for the other end of a FIFO; what is no regular file is refused. The descriptor, or -1. */
static int open_regular(const char *path, int flags, struct stat *st, struct error *e)
{
    AUTO_CLOSE int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0 && (errno == ENXIO || errno == EISDIR || (errno == ELOOP && (flags & O_NOFOLLOW))))
        return not_regular(path, e);
    if (fd < 0)
        return error_system(e, errno, "open '%s'", path);
    if (fstat(fd, st) < 0)
        return error_system(e, errno, "stat '%s'", path);
    if (!S_ISREG(st->st_mode))
        return not_regular(path, e);
    int opened = fd;
    fd = -1;
    return opened;
}

int file_open(const char *path, int flags, struct error *e)
{
    struct stat st;
    ASSERT(!(flags & O_TRUNC));
    int fd = open_regular(path, flags | O_NOFOLLOW, &st, e);
    if (fd < 0 || st.st_uid == geteuid() || st.st_uid == 0)
        return fd;
    close(fd);
    error_set(e, ERROR_DENIED, "'%s' belongs to user %u", path, st.st_uid);
    return error_hint(e, "find out who put it there, and remove it");
}

int file_read(const char *path, size_t maximum, struct bytes *out, struct error *e)
{
    struct stat st;
    AUTO_CLOSE int fd = open_regular(path, O_RDONLY, &st, e);
    return fd < 0 ? -1 : read_descriptor(fd, path, maximum, out, e);
}

int file_read_own(const char *path, size_t maximum, struct bytes *out, struct error *e)
{
    AUTO_CLOSE int fd = file_open(path, O_RDONLY, e);
    return fd < 0 ? -1 : read_descriptor(fd, path, maximum, out, e);
}

int file_read_private(const char *path, const char *what, size_t maximum, struct bytes *out, struct error *e)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_system(e, errno, "open %s '%s'", what, path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_system(e, errno, "stat %s '%s'", what, path);
    if (!S_ISREG(st.st_mode))
        return error_set(e, ERROR_CONFIG, "%s '%s' is not a regular file", what, path);
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        error_set(e, ERROR_CONFIG, "%s '%s' belongs to user %u", what, path, st.st_uid);
        return error_hint(e, "chown %u '%s'", geteuid(), path);
    }
    if (st.st_mode & 077) {
        error_set(e, ERROR_CONFIG, "%s '%s' can be read by others (mode %04o)", what, path, st.st_mode & 07777);
        return error_hint(e, "chmod 600 '%s'", path);
    }
    if (file_check_trusted(path, e) < 0) {
        e->class = ERROR_CONFIG;
        return error_context(e, "%s '%s': ", what, path);
    }
    return read_descriptor(fd, path, maximum, out, e);
}

int file_write_all(int fd, const void *p, size_t n, const char *name, struct error *e)
{
    const uint8_t *from = p;
    while (n > 0) {
        ssize_t done = write(fd, from, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_system(e, errno, "write '%s'", name);
        from += done;
        n -= (size_t)done;
    }
    return 0;
}

int file_read_at(int fd, void *p, size_t n, uint64_t offset, const char *name, struct error *e)
{
    uint8_t *to = p;
    while (n > 0) {
        ssize_t done = pread(fd, to, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_system(e, errno, "read '%s'", name);
        if (done == 0)
            return error_set(e, ERROR_INTEGRITY, "read '%s': it ends %zu bytes early", name, n);
        to += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return 0;
}

static int sync_directory_of(const char *path, struct error *e)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    AUTO_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_system(e, errno, "open directory '%s'", directory);
    if (fsync(fd) < 0)
        return error_system(e, errno, "sync directory '%s'", directory);
    return 0;
}

int file_make_durable(const char *path, struct error *e)
{
    struct stat st;
    AUTO_CLOSE int fd = open_regular(path, O_RDONLY, &st, e);
    if (fd < 0)
        return -1;
    if (fsync(fd) < 0)
        return error_system(e, errno, "sync '%s'", path);
    return sync_directory_of(path, e);
}

static int write_and_name(struct file_temporary *t, const char *path, const void *p, size_t n, enum file_mode mode,
                          struct error *e)
{
    if (fchmod(t->fd, 0600) < 0 && mode != FILE_PUBLIC)
        return error_system(e, errno, "set the mode of '%s'", t->path);
    if (file_write_all(t->fd, p, n, t->path, e) < 0)
        return -1;
    if (fsync(t->fd) < 0)
        return error_system(e, errno, "sync '%s'", t->path);
    return file_temporary_name(t, path, mode, e);
}

int file_write(const char *path, const void *p, size_t n, enum file_mode mode, struct error *e)
{
    struct file_temporary t;
    if (file_temporary_make(&t, path, e) < 0)
        return -1;
    int result = write_and_name(&t, path, p, n, mode, e);
    if (result < 0)
        unlink(t.path);
    close(t.fd);
    return result < 0 ? -1 : sync_directory_of(path, e);
}

static int check_directory(const char *path, struct error *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_system(e, errno, "stat '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return error_system(e, ENOTDIR, "make directory '%s'", path);
    return 0;
}

int file_make_directories(const char *path, struct error *e)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return error_set(e, ERROR_RANGE, "path '%s' is too long", path);
    ASSERT(part[0] != '\0');
    for (char *slash = part + 1;; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        char saved = *slash;
        *slash = '\0';
        if (mkdir(part, 0700) == 0) {
            if (chmod(part, 0700) < 0 && errno != EPERM && errno != EOPNOTSUPP)
                return error_system(e, errno, "set the mode of directory '%s'", part);
            if (sync_directory_of(part, e) < 0)
                return -1;
        } else if (errno != EEXIST) {
            return error_system(e, errno, "make directory '%s'", part);
        }
        *slash = saved;
        if (saved == '\0')
            return check_directory(path, e);
    }
}

static int check_trusted_one(const char *path, bool leaf, struct error *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_system(e, errno, "stat '%s'", path);
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        error_set(e, ERROR_DENIED, "'%s' belongs to user %u, who could change it", path, st.st_uid);
        return error_hint(e, "chown %u '%s'", geteuid(), path);
    }
    bool sticky = S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) && !leaf;
    if ((st.st_mode & 022) && !sticky) {
        error_set(e, ERROR_DENIED, "'%s' can be written by others (mode %04o)", path, st.st_mode & 07777);
        return error_hint(e, "chmod go-w '%s'", path);
    }
    return 0;
}

/* Everything above it; path is cut. */
static int check_trusted_above(char *path, struct error *e)
{
    for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (check_trusted_one(path[0] ? path : "/", false, e) < 0)
            return -1;
    }
    return 0;
}

/* Whoever can change a symbolic link on the way leads elsewhere. */
static int check_link(const char *path, struct error *e)
{
    struct stat st;
    char copy[PATH_MAX], above[PATH_MAX + 1];
    if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
        return 0;
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        error_set(e, ERROR_DENIED, "the link '%s' belongs to user %u, who could change it", path, st.st_uid);
        return error_hint(e, "chown -h %u '%s'", geteuid(), path);
    }
    snprintf(copy, sizeof copy, "%s", path);
    if (!realpath(dirname(copy), above))
        return error_system(e, errno, "find the directory of '%s'", path);
    strcat(above, "/");
    return check_trusted_above(above, e);
}

/* Of the path as it is written. */
static int check_links(const char *path, struct error *e)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return error_set(e, ERROR_RANGE, "path '%s' is too long", path);
    for (;;) {
        if (check_link(part, e) < 0)
            return -1;
        char *slash = strrchr(part, '/');
        if (!slash || slash == part)
            return 0;
        *slash = '\0';
    }
}

int file_check_trusted(const char *path, struct error *e)
{
    AUTO_FREE char *real = realpath(path, NULL);
    if (!real)
        return error_system(e, errno, "find '%s'", path);
    return check_links(path, e) < 0 || check_trusted_one(real, true, e) < 0 ? -1 : check_trusted_above(real, e);
}

int file_check_trusted_place(const char *path, struct error *e)
{
    char place[PATH_MAX];
    if (snprintf(place, sizeof place, "%s", path) >= (int)sizeof place - 1)
        return error_set(e, ERROR_RANGE, "path '%s' is too long", path);
    if (access(place, F_OK) == 0)
        return file_check_trusted(place, e);
    const char *above;
    do
        above = dirname(place);
    while (access(above, F_OK) < 0 && errno == ENOENT);
    AUTO_FREE char *real = realpath(above, NULL);
    if (!real)
        return error_system(e, errno, "find '%s'", above);
    if (check_links(above, e) < 0)
        return -1;
    snprintf(place, sizeof place, "%s/", strcmp(real, "/") == 0 ? "" : real);
    return check_trusted_above(place, e);
}

int file_make_trusted(const char *path, struct error *e)
{
    return file_make_directories(path, e) < 0 ? -1 : file_check_trusted(path, e);
}

char *file_beside_program(const char *const *places, size_t count)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(path, '/');
    for (size_t i = 0; slash && i < count; i++) {
        size_t room = sizeof path - (size_t)(slash - path);
        char *found = (size_t)snprintf(slash, room, "%s", places[i]) < room ? realpath(path, NULL) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

int file_lock(const char *path, int *fd, long *holder, struct error *e)
{
    *holder = 0;
    int lock = file_open(path, O_RDWR | O_CREAT, e);
    if (lock < 0)
        return error_context(e, "lock: ");
    char text[32] = "";
    if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        int errnum = errno;
        ssize_t n = pread(lock, text, sizeof text - 1, 0);
        *holder = n > 0 ? strtol(text, NULL, 10) : 0;
        close(lock);
        if (errnum == EWOULDBLOCK)
            return error_set(e, ERROR_BUSY, "lock '%s' is held by process %ld", path, *holder);
        return error_system(e, errnum, "lock '%s'", path);
    }
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* Who holds it is for people; the lock itself is what counts. */
    if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)n, 0) != n) {
        error_system(e, errno, "write lock '%s'", path);
        close(lock);
        return -1;
    }
    *fd = lock;
    return 0;
}
