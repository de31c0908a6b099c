#include "common/finish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/names.h"

#define PROC_PATH_MAX 32
#define SHORT_VALUE 256 /* of an attribute that is compared: labels are short */

struct finish_metadata finish_of(const struct finish_rules *rules, const struct cofre_entry *entry)
{
    struct finish_metadata m = {
        .mode = entry->mode & 07777,
        .uid = entry->uid,
        .gid = entry->gid,
        .mtime = entry->mtime,
        .attributes = entry->attributes,
        .attribute_count = entry->attribute_count,
        .attribute_stride = entry->attribute_stride,
    };
    if (rules->names && entry->user)
        m.uid = names_uid(rules->names, entry->user, entry->uid);
    if (rules->names && entry->group)
        m.gid = names_gid(rules->names, entry->group, entry->gid);
    return m;
}

/* The way to a file that is held with O_PATH, for calls that take no such descriptor. */
static const char *proc_path(int fd, char path[PROC_PATH_MAX])
{
    snprintf(path, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
    return path;
}

static void set_owner(struct finish_rules *rules, const struct finish_subject *s, const struct finish_metadata *m,
                      struct losses *losses)
{
    uid_t uid = s->st->st_uid == m->uid ? (uid_t)-1 : m->uid;
    gid_t gid = s->st->st_gid == m->gid ? (gid_t)-1 : m->gid;
    bool kept = false;
    if (rules->user != 0 && uid != (uid_t)-1) {
        kept = true;
        uid = (uid_t)-1;
    }
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchownat(s->fd, "", uid, gid, AT_EMPTY_PATH) != 0) {
        if (rules->user == 0 || errno != EPERM)
            losses_add(losses, LOSS_OWNER, errno, "owner not set");
        else
            kept = true;
    }
    rules->owners_kept += kept;
}

bool finish_is_acl(const char *attribute)
{
    return strncmp(attribute, "system.posix_acl_", 17) == 0;
}

static bool privileged(const struct finish_rules *rules)
{
    return rules->setuid && rules->user == 0;
}

/* A file system that has no room for an attribute says so as if the disk were full. */
static void not_set(const struct cofre_attribute *a, int errnum, struct losses *losses)
{
    char quoted[FAILURE_QUOTE_MAX];
    bool large = errnum == ENOSPC || errnum == E2BIG || errnum == ERANGE;
    enum loss kind = finish_is_acl(a->name) ? LOSS_ACL : LOSS_ATTRIBUTE;
    failure_quote(a->name, strlen(a->name), quoted);
    if (large)
        losses_add(losses, kind, errnum, "attribute '%.100s' is too large for this file system (%zu bytes)", quoted,
                   a->length);
    else
        losses_add(losses, kind, errnum, "attribute '%.100s' not set", quoted);
}

bool finish_may_set(const struct finish_rules *rules, const char *attribute)
{
    return privileged(rules) || strncmp(attribute, "user.", 5) == 0 || finish_is_acl(attribute);
}

/* Where the system labels new files by itself, it may be so already. */
static bool is_set(const struct finish_subject *s, const struct cofre_attribute *a)
{
    char path[PROC_PATH_MAX], value[SHORT_VALUE];
    ssize_t n = s->by_path ? getxattr(proc_path(s->fd, path), a->name, value, sizeof value)
                           : fgetxattr(s->fd, a->name, value, sizeof value);
    return n >= 0 && (size_t)n == a->length && memcmp(value, a->value, a->length) == 0;
}

static void set_attribute(const struct finish_rules *rules, const struct finish_subject *s,
                          const struct cofre_attribute *a, struct losses *losses)
{
    char path[PROC_PATH_MAX];
    if (!finish_may_set(rules, a->name)) {
        if (!is_set(s, a))
            losses_keep_back(losses, a->name);
        return;
    }
    int failed = s->by_path ? setxattr(proc_path(s->fd, path), a->name, a->value, a->length, 0)
                            : fsetxattr(s->fd, a->name, a->value, a->length, 0);
    if (failed)
        not_set(a, errno, losses);
}

/* ACLs that the entry does not have. A file system without ACLs has none to remove. */
static void clear_acls(const struct finish_subject *s, struct losses *losses)
{
    static const char *const names[] = {"system.posix_acl_access", "system.posix_acl_default"};
    char path[PROC_PATH_MAX];
    if (!s->inherits || S_ISLNK(s->st->st_mode))
        return;
    for (size_t i = 0; i < (S_ISDIR(s->st->st_mode) ? 2 : 1); i++) {
        int failed = s->by_path ? removexattr(proc_path(s->fd, path), names[i]) : fremovexattr(s->fd, names[i]);
        if (failed && errno != ENODATA && errno != EOPNOTSUPP)
            losses_add(losses, LOSS_ACL, errno, "inherited ACL not removed");
    }
}

void finish_attributes(const struct finish_rules *rules, const struct finish_subject *s,
                       const struct finish_metadata *m, unsigned parts, struct losses *losses)
{
    const char *p = (const void *)m->attributes;
    for (uint32_t i = 0; i < m->attribute_count; i++, p += m->attribute_stride) {
        const struct cofre_attribute *a = (const void *)p;
        if (parts & (finish_is_acl(a->name) ? FINISH_ACLS : FINISH_OTHERS))
            set_attribute(rules, s, a, losses);
    }
}

static void set_mode(const struct finish_rules *rules, const struct finish_subject *s, uint32_t mode,
                     struct losses *losses)
{
    char path[PROC_PATH_MAX];
    /* On directories the bits say who owns new files: nobody gains rights by them. */
    if (!privileged(rules) && (mode & 06000) && !S_ISDIR(s->st->st_mode)) {
        losses_add(losses, LOSS_SETUID, 0, "setuid and setgid bits kept back: setuid = yes puts them back, as root");
        mode &= 01777;
    }
    if ((s->by_path ? chmod(proc_path(s->fd, path), mode) : fchmod(s->fd, mode)) != 0)
        losses_add(losses, LOSS_MODE, errno, "mode not set");
}

/* A file system that does not reach so far takes the nearest time that it knows, without a word. */
static void check_time(const struct finish_subject *s, int64_t seconds, struct losses *losses)
{
    struct stat st;
    if (fstat(s->fd, &st) == 0 && st.st_mtim.tv_sec != seconds)
        losses_add(losses, LOSS_TIME, 0, "times are the nearest that this file system can hold");
}

static void set_times(const struct finish_subject *s, int64_t mtime, struct losses *losses)
{
    if (mtime == COFRE_NO_TIME)
        return;
    int64_t seconds = mtime / 1000000000, rest = mtime % 1000000000;
    if (rest < 0) {
        seconds--;
        rest += 1000000000;
    }
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = rest}};
    if ((s->by_path ? utimensat(s->fd, "", times, AT_EMPTY_PATH) : futimens(s->fd, times)) != 0)
        losses_add(losses, LOSS_TIME, errno, "time not set");
    else if (seconds < 0 || seconds > INT32_MAX)
        check_time(s, seconds, losses);
}

void finish_directory(struct finish_rules *rules, const struct finish_subject *s, const struct finish_metadata *m,
                      struct losses *losses)
{
    set_owner(rules, s, m, losses);
    clear_acls(s, losses);
    finish_attributes(rules, s, m, FINISH_ACLS, losses);
    set_mode(rules, s, m->mode, losses);
    set_times(s, m->mtime, losses);
}

void finish_all(struct finish_rules *rules, const struct finish_subject *s, const struct finish_metadata *m,
                struct losses *losses)
{
    set_owner(rules, s, m, losses);
    clear_acls(s, losses);
    finish_attributes(rules, s, m, FINISH_ACLS | FINISH_OTHERS, losses);
    if (!S_ISLNK(s->st->st_mode))
        set_mode(rules, s, m->mode, losses);
    set_times(s, m->mtime, losses);
}
