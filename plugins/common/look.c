#include "common/look.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "common/attribute.h"

#define RACY_NS 2000000000ll

/* Always the full 64 bytes. The path of the first name belongs to it: a hard link whose first name moved has the same
 * inode and times as ever, but must be told anew. So do the options that decide what is kept. */
struct fingerprint {
    uint64_t what, size, mtime, ctime, inode, device, link, link_length;
};
_Static_assert(sizeof(struct fingerprint) == COFRE_MAX_FINGERPRINT, "fingerprint fits the ABI");

static const struct {
    mode_t type;
    uint32_t kind;
} kinds[] = {
    {S_IFREG, COFRE_FILE},      {S_IFDIR, COFRE_DIRECTORY}, {S_IFLNK, COFRE_SYMLINK}, {S_IFIFO, COFRE_FIFO},
    {S_IFCHR, COFRE_CHARACTER}, {S_IFBLK, COFRE_BLOCK},     {S_IFSOCK, COFRE_SOCKET},
};

uint32_t look_kind(mode_t mode)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].type == (mode & S_IFMT))
            return kinds[i].kind;
    return 0;
}

/* The nearest that fits; the least number is COFRE_NO_TIME. */
static int64_t nanoseconds(const struct timespec *t)
{
    int64_t ns;
    if (__builtin_mul_overflow((int64_t)t->tv_sec, 1000000000ll, &ns) || __builtin_add_overflow(ns, t->tv_nsec, &ns))
        return t->tv_sec < 0 ? INT64_MIN + 1 : INT64_MAX;
    return ns == COFRE_NO_TIME ? INT64_MIN + 1 : ns;
}

bool look_is_far(const struct look *look)
{
    int64_t ns = nanoseconds(&look->st.st_mtim), seconds = ns / 1000000000, rest = ns % 1000000000;
    if (rest < 0)
        seconds--;
    return seconds != look->st.st_mtim.tv_sec;
}

int look_at(struct look *look, int fd, const char *name)
{
    struct timespec now;
    /* The clock that file systems stamp with, read before the look: what happens after it is younger. */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    int failed = name ? fstatat(fd, name, &look->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) : fstat(fd, &look->st);
    if (failed)
        return errno;
    int64_t trusted = nanoseconds(&now) - RACY_NS;
    look->kind = look_kind(look->st.st_mode);
    look->racy = nanoseconds(&look->st.st_mtim) > trusted || nanoseconds(&look->st.st_ctim) > trusted;
    return 0;
}

int look_open(const struct look *look, int dir, const char *name, uid_t user, int flags)
{
    flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = -1;
    bool owner = user == 0 || user == look->st.st_uid;
    if (owner)
        fd = openat(dir, name, flags | O_NOATIME);
    if (!owner || (fd < 0 && errno == EPERM))
        fd = openat(dir, name, flags);
    return fd;
}

/* Of a time far away, too, no other is the same; what it is does not matter. */
static uint64_t whole(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

bool look_same(const struct look *a, const struct look *b)
{
    return a->st.st_ino == b->st.st_ino && a->st.st_dev == b->st.st_dev && a->st.st_mode == b->st.st_mode &&
           a->st.st_size == b->st.st_size && whole(&a->st.st_mtim) == whole(&b->st.st_mtim) &&
           whole(&a->st.st_ctim) == whole(&b->st.st_ctim);
}

/* FNV-1a. */
static uint64_t hash(const char *p, size_t length)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)p[i]) * 1099511628211u;
    return h;
}

static struct fingerprint fingerprint_of(const struct look *look)
{
    bool linked = look->kind == COFRE_HARDLINK;
    return (struct fingerprint){
        .what = (uint64_t)look->st.st_mode << 32 | (look->rules->numbers_only ? 256u : 0u) | look->kind,
        .size = (uint64_t)look->st.st_size,
        .mtime = whole(&look->st.st_mtim),
        .ctime = whole(&look->st.st_ctim),
        .inode = look->rules->inodes_vary ? 0 : look->st.st_ino,
        .device = look->st.st_dev == look->rules->device ? 0 : look->st.st_dev,
        .link = linked ? hash(look->link, look->link_length) : 0,
        .link_length = linked ? look->link_length : 0,
    };
}

bool look_unchanged(struct cofre_call *call, struct look *look)
{
    if (look->racy || look->asked)
        return false;
    look->asked = true;
    struct fingerprint f = fingerprint_of(look);
    return cofre->unchanged(call, look->path, look->path_length, &f, sizeof f) == COFRE_UNCHANGED;
}

int32_t look_announce(struct cofre_call *call, const struct look *look, const struct attribute_set *attributes,
                      bool sure, struct cofre_error *error)
{
    const struct stat *st = &look->st;
    struct fingerprint f = fingerprint_of(look);
    bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode), trusted = sure && !look->racy;
    struct cofre_entry entry = {
        .struct_size = sizeof entry,
        .kind = look->kind,
        .flags = look->racy ? COFRE_ENTRY_RACY : 0,
        .path = look->path,
        .path_length = (uint32_t)look->path_length,
        .size = look->kind == COFRE_FILE ? st->st_size : 0,
        .mtime = nanoseconds(&st->st_mtim),
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .device_major = device ? major(st->st_rdev) : 0,
        .device_minor = device ? minor(st->st_rdev) : 0,
        .link = look->link,
        .link_length = (uint32_t)look->link_length,
        .user = look->user,
        .group = look->group,
        .attributes = attributes ? attributes->rows : NULL,
        .attribute_count = attributes ? attributes->count : 0,
        .attribute_stride = sizeof(struct cofre_attribute),
        .fingerprint = trusted ? &f : NULL,
        .fingerprint_length = trusted ? sizeof f : 0,
    };
    return cofre->entry(call, &entry, error);
}
