#include "common/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/attribute.h"

#define TICK_NS 20000000
#define COPY_PIECE ((size_t)1 << 20)
#define CREATE_FLAGS (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)

int32_t place_begin(struct place *p, int dir, const char *path)
{
    uint64_t token;
    struct stat st;
    if (getrandom(&token, sizeof token, 0) != (ssize_t)sizeof token)
        return cofre_fail_errno(p->error, errno, "restore into '%s'", path);
    snprintf(p->temporary, sizeof p->temporary, ".cofre-%016llx", (unsigned long long)token);
    int fd = openat(dir, p->temporary, CREATE_FLAGS, 0600);
    if (fd < 0)
        return cofre_fail_errno(p->error, errno, "create a file in '%s'", path);
    int errnum = fstat(fd, &st) == 0 ? 0 : errno;
    close(fd);
    if (unlinkat(dir, p->temporary, 0) != 0 && !errnum)
        errnum = errno;
    if (errnum)
        return cofre_fail_errno(p->error, errnum, "restore into '%s'", path);
    p->start = st.st_ctim;
    if (p->start.tv_nsec != 0) {
        /* A clock that ticks in milliseconds: after the next tick nothing of ours has the time of what was there
         * before. */
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
        p->start.tv_nsec++;
    }
    p->rules.foreign = st.st_uid != p->rules.user;
    return COFRE_OK;
}

/* What is made under its own name at once needs no renaming. In a directory of our own making nothing is in the way. */
static bool is_beside(const struct place *p, const struct place_spot *spot)
{
    return p->overwrite && !spot->fresh;
}

/* What is made is made under this name. */
static const char *first_name(const struct place *p, const struct place_spot *spot)
{
    return is_beside(p, spot) ? p->temporary : spot->name;
}

static int32_t not_made(const struct place *p, int errnum, const char *what)
{
    int32_t class = cofre_fail_errno(p->why, errnum, "make the %s", what);
    if (errnum == EEXIST)
        cofre_hint(p->why, "restore into an empty directory, or replace what is there with overwrite = yes");
    return class;
}

/* The last step of all kinds: give the thing its own name. *result is COFRE_OK so far, or the thing is removed. */
static void publish(const struct place *p, const struct place_spot *spot, int32_t *result)
{
    bool whole = *result == COFRE_OK || *result == COFRE_PARTLY;
    if (whole && !is_beside(p, spot))
        return;
    if (whole && renameat(spot->dir, p->temporary, spot->dir, spot->name) != 0) {
        *result = cofre_fail_errno(p->why, errno, "replace what is there");
        whole = false;
    }
    if (!whole)
        unlinkat(spot->dir, first_name(p, spot), 0);
}

/* ---- files ---- */

/* Does the system refuse to write this past its cache? Then through it. */
static bool is_refused(int fd, int errnum)
{
    int flags = errnum == EINVAL ? fcntl(fd, F_GETFL) : 0;
    return flags > 0 && (flags & O_DIRECT) && fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

int place_write(int fd, const void *bytes, size_t length, int64_t offset)
{
    const char *p = bytes;
    while (length > 0) {
        ssize_t n = pwrite(fd, p, length, offset);
        if (n < 0 && (errno == EINTR || is_refused(fd, errno)))
            continue;
        if (n < 0)
            return errno;
        p += n;
        offset += n;
        length -= (size_t)n;
    }
    return 0;
}

bool place_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

int32_t place_not_written(const struct place *p, int errnum, int64_t offset)
{
    return cofre_fail_errno(p->why, errnum, "write at byte %lld", (long long)offset);
}

/* In a directory that hands nothing down we know what we made, and need not look. */
static int look_at_own(const struct place *p, const struct place_spot *spot, int fd, struct stat *st)
{
    if (spot->inherits || p->rules.foreign)
        return fstat(fd, st) == 0 ? 0 : errno;
    *st = (struct stat){.st_mode = S_IFREG | 0600, .st_uid = p->rules.user, .st_gid = p->rules.group};
    return 0;
}

static int32_t finish_file(struct place *p, const struct place_spot *spot, int fd, const struct record *record)
{
    struct finish_metadata m = record->metadata;
    struct stat st;
    int errnum = look_at_own(p, spot, fd, &st);
    if (errnum)
        return cofre_fail_errno(p->why, errnum, "look at the new file");
    struct finish_subject subject = {.fd = fd, .inherits = spot->inherits, .st = &st};
    losses_clear(&p->lost);
    if (record->kind == COFRE_STREAM)
        m = (struct finish_metadata){.mode = 0600, .uid = st.st_uid, .gid = st.st_gid, .mtime = m.mtime};
    finish_all(&p->rules, &subject, &m, &p->lost);
    return losses_result(&p->lost);
}

int place_open(const struct place *p, const struct place_spot *spot, int32_t *result)
{
    int fd = openat(spot->dir, first_name(p, spot), CREATE_FLAGS, 0600);
    *result = fd < 0 ? not_made(p, errno, "file") : COFRE_OK;
    return fd;
}

void place_close(struct place *p, const struct place_spot *spot, int fd, const struct record *record, int64_t length,
                 int32_t *result)
{
    if (*result == COFRE_OK && length >= 0 && ftruncate(fd, length) != 0)
        *result = cofre_fail_errno(p->why, errno, "set its length to %lld", (long long)length);
    if (*result == COFRE_OK)
        *result = finish_file(p, spot, fd, record);
    if (close(fd) != 0 && (*result == COFRE_OK || *result == COFRE_PARTLY))
        *result = cofre_fail_errno(p->why, errno, "close the new file");
    publish(p, spot, result);
}

int32_t place_file(struct place *p, const struct place_spot *spot, const struct record *record, const void *content,
                   size_t length)
{
    int32_t result;
    int fd = place_open(p, spot, &result);
    if (fd < 0)
        return result;
    int errnum = place_write(fd, content, length, 0);
    if (errnum)
        result = place_not_written(p, errnum, 0);
    place_close(p, spot, fd, record, -1, &result);
    return result;
}

/* ---- what has no content ---- */

static int make_node(const struct place_spot *spot, const char *name, const struct cofre_entry *entry)
{
    switch (entry->kind) {
    case COFRE_SYMLINK:
        return symlinkat(entry->link, spot->dir, name);
    case COFRE_FIFO:
        return mknodat(spot->dir, name, S_IFIFO | 0600, 0);
    case COFRE_CHARACTER:
        return mknodat(spot->dir, name, S_IFCHR | 0600, makedev(entry->device_major, entry->device_minor));
    default:
        return mknodat(spot->dir, name, S_IFBLK | 0600, makedev(entry->device_major, entry->device_minor));
    }
}

/* The name may lead to another thing by now, where others can write into the directory: that one is left alone. */
static bool is_ours(const struct place *p, const struct stat *st, const struct cofre_entry *entry)
{
    static const mode_t types[] = {
        [COFRE_SYMLINK] = S_IFLNK, [COFRE_FIFO] = S_IFIFO, [COFRE_CHARACTER] = S_IFCHR, [COFRE_BLOCK] = S_IFBLK};
    return (st->st_mode & S_IFMT) == types[entry->kind] && st->st_nlink == 1 &&
           (p->rules.foreign || st->st_uid == p->rules.user);
}

static int32_t finish_node(struct place *p, const struct place_spot *spot, const char *name,
                           const struct cofre_entry *entry)
{
    struct finish_metadata m = finish_of(&p->rules, entry);
    struct stat st;
    int fd = openat(spot->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !is_ours(p, &st, entry)) {
        if (fd >= 0)
            close(fd);
        return cofre_fail(p->why, COFRE_E_CHANGED, "give it owner and mode: somebody replaced it meanwhile");
    }
    losses_clear(&p->lost);
    struct finish_subject subject = {.fd = fd, .by_path = true, .inherits = spot->inherits, .st = &st};
    finish_all(&p->rules, &subject, &m, &p->lost);
    close(fd);
    return losses_result(&p->lost);
}

void place_node(struct place *p, const struct place_spot *spot, const struct cofre_entry *entry, int32_t *result)
{
    *result = COFRE_OK;
    bool device = entry->kind == COFRE_CHARACTER || entry->kind == COFRE_BLOCK;
    if (entry->kind == COFRE_SOCKET)
        return;
    if (device && (!p->devices || p->rules.user != 0)) {
        *result = cofre_fail(p->why, COFRE_E_UNSUPPORTED, "device kept back: devices = yes puts it back, as root");
        return;
    }
    const char *name = first_name(p, spot);
    if (make_node(spot, name, entry) != 0) {
        *result = not_made(p, errno, device ? "device" : entry->kind == COFRE_FIFO ? "FIFO" : "symlink");
        return;
    }
    *result = finish_node(p, spot, name, entry);
    if (*result == COFRE_E_CHANGED)
        return; /* not ours: not to be removed either */
    publish(p, spot, result);
}

static bool before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool is_without_links(int errnum)
{
    return errnum == EPERM || errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EMLINK;
}

/* Content and metadata of the open file from, to the new one. */
static int32_t copy_file(struct place *p, const struct place_spot *spot, int from, int to)
{
    struct attribute_set set = {0};
    struct stat st, made;
    ssize_t n;
    while ((n = sendfile(to, from, NULL, COPY_PIECE)) > 0)
        ;
    if (n < 0 || fstat(from, &st) != 0 || fstat(to, &made) != 0)
        return cofre_fail_errno(p->why, errno, "copy the first name of the hard link");
    losses_clear(&p->lost);
    losses_add(&p->lost, LOSS_LINK, 0, "hard links became files of their own: this file system makes none");
    if (attribute_read(&set, from, st.st_dev, p->why) != COFRE_OK)
        losses_add(&p->lost, LOSS_ATTRIBUTE, 0, "attributes of its first name not read");
    struct finish_subject subject = {.fd = to, .inherits = spot->inherits, .st = &made};
    struct finish_metadata m = {.mode = st.st_mode & 07777,
                                .uid = st.st_uid,
                                .gid = st.st_gid,
                                .mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                                .attributes = set.rows,
                                .attribute_count = set.count,
                                .attribute_stride = sizeof *set.rows};
    finish_all(&p->rules, &subject, &m, &p->lost);
    attribute_free(&set);
    return losses_result(&p->lost);
}

static void copy_first(struct place *p, const struct place_spot *spot, int target_dir, const char *target_name,
                       const struct stat *first, int32_t *result)
{
    struct stat st;
    int from = openat(target_dir, target_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) != 0 || st.st_ino != first->st_ino || st.st_dev != first->st_dev) {
        *result = cofre_fail(p->why, COFRE_E_CHANGED, "copy the hard link: somebody replaced its first name meanwhile");
    } else {
        int to = place_open(p, spot, result);
        if (to >= 0) {
            *result = copy_file(p, spot, from, to);
            if (close(to) != 0 && (*result == COFRE_OK || *result == COFRE_PARTLY))
                *result = cofre_fail_errno(p->why, errno, "close the new file");
            publish(p, spot, result);
        }
    }
    if (from >= 0)
        close(from);
}

/* Whatever this run made has a younger change time than its start; that cannot be forged. So a link never takes in a
 * file that was there before, and was perhaps kept because it may not be replaced. */
void place_link(struct place *p, const struct place_spot *spot, int target_dir, const char *target_name,
                int32_t *result)
{
    struct stat st, made;
    *result = COFRE_OK;
    if (fstatat(target_dir, target_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        *result = cofre_fail_errno(p->why, errno, "find the first name of the hard link");
        return;
    }
    if (S_ISDIR(st.st_mode) || before(&st.st_ctim, &p->start)) {
        *result = cofre_fail(p->why, COFRE_E_NOT_FOUND, "make the hard link: its first name was not put back");
        return;
    }
    const char *name = first_name(p, spot);
    if (linkat(target_dir, target_name, spot->dir, name, 0) != 0) {
        if (is_without_links(errno) && S_ISREG(st.st_mode))
            copy_first(p, spot, target_dir, target_name, &st, result);
        else
            *result = not_made(p, errno, "hard link");
        return;
    }
    if (fstatat(spot->dir, name, &made, AT_SYMLINK_NOFOLLOW) != 0 || made.st_ino != st.st_ino ||
        made.st_dev != st.st_dev)
        *result = cofre_fail(p->why, COFRE_E_CHANGED, "make the hard link: somebody replaced its first name meanwhile");
    publish(p, spot, result);
    /* Renaming one name of a file over another of the same file does nothing at all. */
    if (is_beside(p, spot))
        unlinkat(spot->dir, p->temporary, 0);
}
