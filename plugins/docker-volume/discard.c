#include "docker-volume/discard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failure.h"

#define OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
#define MARK "_cofre_up_"

/* Directories below are moved up into the top one as they are met, so that it is two levels deep, however deep it was.
 */
struct discard {
    struct cofre_call *call;
    int top;
    dev_t device;
    uint64_t moved, removed;
    struct cofre_error *error;
};

static bool is_itself(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int32_t failed(const struct discard *d, int errnum, const char *name)
{
    char quoted[FAILURE_QUOTE_MAX];
    return cofre_fail_errno(d->error, errnum, "remove '%s', which a restore left",
                            failure_quote(name, strlen(name), quoted));
}

/* Under the first name that is free: an earlier attempt may have left some. */
static int move_up(struct discard *d, int from, const char *name)
{
    char up[48];
    for (;;) {
        snprintf(up, sizeof up, MARK "%llu", (unsigned long long)d->moved++);
        if (renameat2(from, name, d->top, up, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return errno;
    }
}

/* Of a directory right below the top one: files go, directories go up. */
static int empty_child(struct discard *d, int fd, const char *name)
{
    (void)d;
    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return errno;
    return unlinkat(fd, name, AT_REMOVEDIR) == 0   ? 0
           : errno == ENOTEMPTY || errno == EEXIST ? move_up(d, fd, name)
                                                   : errno;
}

/* Call one for each name in the directory fd, which is not taken over. Returns what one returned, or an errno. */
static int32_t for_each(struct discard *d, int fd, int32_t (*one)(struct discard *, int fd, const char *name))
{
    int again = openat(fd, ".", OPEN_FLAGS);
    DIR *directory = again < 0 ? NULL : fdopendir(again);
    if (!directory) {
        int errnum = errno;
        if (again >= 0)
            close(again);
        return failed(d, errnum, ".");
    }
    int32_t status = COFRE_OK;
    errno = 0;
    for (const struct dirent *e; status == COFRE_OK && (e = readdir(directory));) {
        status = cofre->cancelled(d->call, d->error);
        if (status == COFRE_OK && !is_itself(e->d_name))
            status = one(d, fd, e->d_name);
        cofre->progress(d->call, ++d->removed, 0);
        errno = 0;
    }
    if (status == COFRE_OK && errno)
        status = failed(d, errno, ".");
    closedir(directory);
    return status;
}

static int32_t remove_in_child(struct discard *d, int fd, const char *name)
{
    int errnum = empty_child(d, fd, name);
    return errnum ? failed(d, errnum, name) : COFRE_OK;
}

static int32_t remove_in_top(struct discard *d, int fd, const char *name)
{
    struct stat st;
    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return COFRE_OK;
    int child = openat(fd, name, OPEN_FLAGS);
    if (child < 0)
        return failed(d, errno, name);
    int32_t status;
    if (fstat(child, &st) != 0 || st.st_dev != d->device)
        status = failed(d, EBUSY, name);
    else
        status = for_each(d, child, remove_in_child);
    close(child);
    if (status == COFRE_OK && unlinkat(fd, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != ENOENT)
        status = failed(d, errno, name);
    return status;
}

int32_t discard_directory(struct cofre_call *call, int dir, const char *name, struct cofre_error *error)
{
    struct discard d = {.call = call, .error = error};
    struct stat st;
    int32_t status = COFRE_OK;
    d.top = openat(dir, name, OPEN_FLAGS);
    if (d.top < 0)
        return errno == ENOENT ? COFRE_OK : failed(&d, errno, name);
    if (fstat(d.top, &st) != 0)
        status = failed(&d, errno, name);
    d.device = st.st_dev;
    /* What moves up while a directory is read may be missed by it. */
    while (status == COFRE_OK && unlinkat(dir, name, AT_REMOVEDIR) != 0) {
        if (errno == ENOENT)
            break;
        status = errno == ENOTEMPTY || errno == EEXIST ? for_each(&d, d.top, remove_in_top) : failed(&d, errno, name);
    }
    close(d.top);
    return status;
}
