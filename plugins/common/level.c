#include "common/level.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cofre/plugin.h"

void level_free(struct level *level)
{
    for (uint32_t i = 0; i < LEVEL_ACLS_MAX; i++) {
        free((void *)(uintptr_t)level->acls[i].value);
        level->acls[i].value = NULL;
    }
}

/* Without root's rights a directory of our own may be closed to ourselves. */
static int open_up(struct level *level, const struct finish_rules *rules, int dir, const char *name)
{
    struct stat st;
    char path[32];
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool done = fstat(fd, &st) == 0 && st.st_uid == rules->user && chmod(path, st.st_mode | 0700) == 0;
    close(fd);
    if (!done) {
        errno = EACCES;
        return -1;
    }
    level->opened_up = true;
    level->mode = st.st_mode & 07777;
    return openat(dir, name, LEVEL_OPEN_FLAGS);
}

static int32_t not_opened(struct cofre_error *why, int errnum)
{
    if (errnum != ENOTDIR && errnum != ELOOP)
        return cofre_fail_errno(why, errnum, "open the directory");
    int32_t class = cofre_fail(why, COFRE_E_EXISTS, "open the directory: a symlink or a file is in its place");
    cofre_hint(why, "remove what is there, or restore into another directory");
    return class;
}

/* ".cofre-", 16 hexadecimal digits, and perhaps "_" and a number: what a restore that was killed left (place.h). */
static bool is_left_over(const char *name)
{
    if (strncmp(name, ".cofre-", 7) != 0 || strspn(name + 7, "0123456789abcdef") != 16)
        return false;
    const char *rest = name + 7 + 16;
    return rest[0] == '\0' || (rest[0] == '_' && rest[1] != '\0' && rest[1 + strspn(rest + 1, "0123456789")] == '\0');
}

void level_sweep(int fd)
{
    struct stat st;
    int again = openat(fd, ".", LEVEL_OPEN_FLAGS);
    DIR *directory = again < 0 ? NULL : fdopendir(again);
    if (!directory) {
        if (again >= 0)
            close(again);
        return; /* whoever cannot read it finds out when writing */
    }
    for (const struct dirent *d = readdir(directory); d; d = readdir(directory))
        if (is_left_over(d->d_name) && fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            unlinkat(fd, d->d_name, 0);
    closedir(directory);
}

int level_open(struct level *level, const struct finish_rules *rules, int dir, const char *name, int32_t *result,
               struct cofre_error *why)
{
    level->fresh = mkdirat(dir, name, 0700) == 0;
    level->existed = !level->fresh;
    if (level->existed && errno != EEXIST) {
        *result = cofre_fail_errno(why, errno, "make the directory");
        return -1;
    }
    int fd = openat(dir, name, LEVEL_OPEN_FLAGS);
    if (fd < 0 && errno == EACCES && level->existed && rules->user != 0)
        fd = open_up(level, rules, dir, name);
    if (fd < 0)
        *result = not_opened(why, errno);
    else if (level->existed)
        level_sweep(fd);
    return fd;
}

int32_t level_examine(struct level *level, const struct finish_rules *rules, int fd, struct stat *st, bool handed_down,
                      struct cofre_error *why)
{
    if (fstat(fd, st) != 0)
        return cofre_fail_errno(why, errno, "look at the directory");
    if (!level->existed && st->st_uid != rules->user && !rules->foreign)
        return cofre_fail(why, COFRE_E_CHANGED, "make the directory: somebody replaced it meanwhile");
    if (!level->existed && handed_down) {
        if (fremovexattr(fd, "system.posix_acl_default") != 0 && errno != ENODATA && errno != EOPNOTSUPP &&
            errno != EPERM)
            return cofre_fail_errno(why, errno, "remove an inherited ACL");
        if (fchmod(fd, 0700) != 0 && errno != EPERM && errno != EOPNOTSUPP) /* it is ours: there are no modes here */
            return cofre_fail_errno(why, errno, "set the mode of the new directory");
        level->existed = true; /* so that what is left of the inheritance goes at the end */
        level->inherits = st->st_gid != rules->group;
        return COFRE_OK;
    }
    if (level->existed && rules->user != 0 && !level->opened_up && (st->st_mode & 0300) != 0300 &&
        fchmod(fd, st->st_mode | 0700) == 0) {
        level->opened_up = true;
        level->mode = st->st_mode & 07777;
    }
    level->inherits = (st->st_mode & S_ISGID) || st->st_gid != rules->group ||
                      (level->existed && fgetxattr(fd, "system.posix_acl_default", NULL, 0) > 0);
    return COFRE_OK;
}

static bool keep_acl(struct level *level, const struct cofre_attribute *a)
{
    static const char *const names[LEVEL_ACLS_MAX] = {"system.posix_acl_access", "system.posix_acl_default"};
    if (!finish_is_acl(a->name) || level->metadata.attribute_count == LEVEL_ACLS_MAX)
        return true;
    void *value = malloc(a->length + 1);
    if (!value)
        return false;
    memcpy(value, a->value, a->length);
    level->acls[level->metadata.attribute_count++] =
        (struct cofre_attribute){names[strcmp(a->name, names[0]) != 0], value, a->length};
    return true;
}

bool level_keep(struct level *level, const struct finish_rules *rules, int fd, const struct cofre_entry *entry,
                struct losses *losses)
{
    struct finish_subject subject = {.fd = fd};
    struct finish_metadata m = finish_of(rules, entry);
    losses_clear(losses);
    finish_attributes(rules, &subject, &m, FINISH_OTHERS, losses);
    level_free(level);
    level->announced = true;
    level->told = losses_result(losses) != COFRE_OK;
    level->metadata = m;
    level->metadata.attributes = NULL;
    level->metadata.attribute_count = 0;
    level->metadata.attribute_stride = sizeof level->acls[0];
    const char *p = (const void *)m.attributes;
    for (uint32_t i = 0; i < m.attribute_count; i++, p += m.attribute_stride)
        if (!keep_acl(level, (const void *)p))
            return false;
    return true;
}

void level_finish(struct level *level, struct finish_rules *rules, int fd, struct losses *losses)
{
    struct stat st;
    losses_clear(losses);
    if (fstat(fd, &st) != 0) {
        losses_add(losses, LOSS_MODE, errno, "directory not looked at");
    } else if (level->announced) {
        struct finish_subject subject = {.fd = fd, .inherits = level->existed, .st = &st};
        level->metadata.attributes = level->acls; /* levels move while their stack grows */
        finish_directory(rules, &subject, &level->metadata, losses);
    } else if (level->opened_up && fchmod(fd, level->mode) != 0) {
        losses_add(losses, LOSS_MODE, errno, "mode not given back");
    }
    level_free(level);
}
