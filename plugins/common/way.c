#include "common/way.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/failure.h"

#define LINKS_MAX 40 /* as many as the kernel follows */
#define STEP (O_PATH | O_NOFOLLOW | O_CLOEXEC)

struct way {
    int at;    /* the directory that was reached */
    bool firm; /* nobody else can change how */
    unsigned links;
    char rest[2 * PATH_MAX]; /* that is still to go */
    way_make *make;
    struct cofre_error *error;
};

static void move(struct way *w, int to)
{
    if (w->at >= 0)
        close(w->at);
    w->at = to;
}

static bool is_ours(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* In a sticky directory others change nothing that is not theirs. */
static bool is_closed(int directory)
{
    struct stat st;
    return fstat(directory, &st) == 0 && is_ours(&st) && (!(st.st_mode & 022) || st.st_mode & S_ISVTX);
}

static int begin_at_root(struct way *w)
{
    move(w, open("/", STEP | O_DIRECTORY));
    if (w->at < 0)
        return errno;
    w->firm = w->firm && is_closed(w->at);
    return 0;
}

static int refuse(const struct way *w, const char *name)
{
    char above[PATH_MAX] = "", itself[64], path[PATH_MAX + NAME_MAX + 2], quoted[FAILURE_QUOTE_MAX];
    snprintf(itself, sizeof itself, "/proc/self/fd/%d", w->at);
    ssize_t n = readlink(itself, above, sizeof above - 1);
    above[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "%s/%s", strcmp(above, "/") == 0 ? "" : above, name);
    cofre_fail(w->error, COFRE_E_DENIED, "'%s' is a symlink that others can change",
               failure_quote(path, strlen(path), quoted));
    cofre_hint(w->error, "set path to where it leads, or let it and all directories above it be root's alone");
    return WAY_REFUSED;
}

/* What the link says comes before what is still to go. */
static int prepend(struct way *w, int link)
{
    char target[2 * PATH_MAX];
    ssize_t n = readlinkat(link, "", target, PATH_MAX);
    if (n <= 0 || n == PATH_MAX || ++w->links > LINKS_MAX)
        return n < 0 ? errno : n == PATH_MAX ? ENAMETOOLONG : EMLINK;
    if ((size_t)snprintf(target + n, sizeof target - (size_t)n, "/%s", w->rest) >= sizeof target - (size_t)n)
        return ENAMETOOLONG;
    strcpy(w->rest, target);
    return target[0] == '/' ? begin_at_root(w) : 0;
}

/* The links of the kernel's own file system lead where no path may. */
static bool is_of_kernel(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static int follow(struct way *w, const char *name)
{
    struct stat st;
    int link = openat(w->at, name, STEP), errnum;
    if (link < 0)
        return errno;
    if (fstat(link, &st) != 0 || !S_ISLNK(st.st_mode)) {
        errnum = ENOTDIR;
    } else if (!w->firm || !is_ours(&st)) {
        errnum = refuse(w, name);
    } else if (is_of_kernel(link)) {
        int there = openat(w->at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        errnum = there < 0 ? errno : 0;
        if (there >= 0)
            move(w, there);
    } else {
        errnum = prepend(w, link);
    }
    close(link);
    return errnum;
}

static int make_one(const struct way *w, const char *name)
{
    int errnum = w->make(w->at, name);
    return errnum == EEXIST ? 0 : errnum;
}

static int step(struct way *w, const char *name)
{
    int next = openat(w->at, name, STEP | O_DIRECTORY), errnum = errno;
    if (next < 0 && errnum == ENOENT && w->make && (errnum = make_one(w, name)) == 0) {
        next = openat(w->at, name, STEP | O_DIRECTORY);
        errnum = errno;
    }
    if (next < 0)
        return errnum == ENOTDIR || errnum == ELOOP ? follow(w, name) : errnum;
    move(w, next);
    w->firm = w->firm && is_closed(next);
    return 0;
}

/* The next component, cut off; false: it is the last one, or there is none. */
static bool next_name(struct way *w, char name[NAME_MAX + 1], int *errnum)
{
    const char *from = w->rest + strspn(w->rest, "/");
    size_t length = strcspn(from, "/"), after = length + strspn(from + length, "/");
    *errnum = length > NAME_MAX ? ENAMETOOLONG : 0;
    if (*errnum)
        return false;
    memcpy(name, from, length);
    name[length] = '\0';
    bool more = from[after] != '\0';
    memmove(w->rest, from + after, strlen(from + after) + 1);
    return more;
}

static int open_last(struct way *w, const char *name, int *directory)
{
    struct stat st;
    const char *last = name[0] ? name : ".";
    if (w->make && name[0]) {
        int errnum = make_one(w, last);
        if (errnum)
            return errnum;
    }
    *directory = openat(w->at, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*directory >= 0)
        return 0;
    int errnum = errno;
    return fstatat(w->at, last, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) ? ELOOP : errnum;
}

static int go(struct way *w, int *directory)
{
    char name[NAME_MAX + 1];
    int errnum = begin_at_root(w), wrong;
    while (!errnum && next_name(w, name, &wrong))
        errnum = step(w, name);
    if (!errnum)
        errnum = wrong;
    return errnum ? errnum : open_last(w, name, directory);
}

int way_open(const char *path, way_make *make, int *directory, struct cofre_error *error)
{
    struct way w = {.at = -1, .firm = true, .make = make, .error = error};
    *directory = -1;
    if (strlen(path) >= PATH_MAX)
        return ENAMETOOLONG;
    strcpy(w.rest, path);
    int errnum = go(&w, directory);
    move(&w, -1);
    return errnum;
}
