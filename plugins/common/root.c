#include "common/root.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/way.h"

static int32_t open_root(const char *path, way_make *make, int *root, struct cofre_error *error)
{
    int errnum = way_open(path, make, root, error);
    if (errnum == 0)
        return COFRE_OK;
    if (errnum == WAY_REFUSED)
        return COFRE_E_DENIED;
    int32_t class = cofre_fail_errno(error, errnum, "open '%s'", path);
    if (errnum == ELOOP || errnum == ENOTDIR)
        class = cofre_fail(error, COFRE_E_CONFIG, "open '%s': it is %s", path,
                           errnum == ELOOP ? "a symlink" : "not a directory");
    if (errnum == ELOOP)
        cofre_hint(error, "set path to where the symlink leads");
    else if (class == COFRE_E_CONFIG)
        cofre_hint(error, "set path to its directory, with exclude = * and include = /NAME");
    else if (class == COFRE_E_NOT_FOUND)
        cofre_hint(error, "correct path, or mount what should be there");
    return class;
}

int32_t root_open(const char *path, int *root, struct cofre_error *error)
{
    return open_root(path, NULL, root, error);
}

static int make_private(int above, const char *name)
{
    return mkdirat(above, name, 0700) == 0 ? 0 : errno;
}

int32_t root_make(const char *path, int *root, struct cofre_error *error)
{
    return open_root(path, make_private, root, error);
}

int32_t root_is_empty(int root, bool *empty, struct cofre_error *error)
{
    char buffer[4096] __attribute__((aligned(8)));
    *empty = true;
    ssize_t n = getdents64(root, buffer, sizeof buffer);
    if (n < 0 || lseek(root, 0, SEEK_SET) < 0)
        return cofre_fail_errno(error, errno, "list the directory");
    for (ssize_t at = 0; at < n;) {
        const struct dirent64 *record = (const void *)(buffer + at);
        *empty &= !strcmp(record->d_name, ".") || !strcmp(record->d_name, "..");
        at += record->d_reclen;
    }
    return COFRE_OK;
}
