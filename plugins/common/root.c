#include "common/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"

int32_t root_open(const char *path, int *root, struct cofre_error *error)
{
    struct stat st;
    /* Without the slash at its end, which would follow a symlink. */
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *plain = strndup(path, length);
    if (!plain)
        return cofre_fail_errno(error, ENOMEM, "open '%s'", path);
    *root = open(plain, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int errnum = errno;
    bool link = *root < 0 && lstat(plain, &st) == 0 && S_ISLNK(st.st_mode);
    free(plain);
    if (*root >= 0)
        return COFRE_OK;
    int32_t class = cofre_fail_errno(error, link ? ENOTDIR : errnum, "open '%s'", path);
    if (link || errnum == ENOTDIR)
        class = cofre_fail(error, COFRE_E_CONFIG, "open '%s': it is %s", path, link ? "a symlink" : "not a directory");
    if (link)
        cofre_hint(error, "set path to where the symlink leads");
    else if (class == COFRE_E_CONFIG)
        cofre_hint(error, "set path to its directory, with exclude = * and include = /NAME");
    else if (class == COFRE_E_NOT_FOUND)
        cofre_hint(error, "correct path, or mount what should be there");
    return class;
}

int32_t root_make(const char *path, int *root, struct cofre_error *error)
{
    char *plain = strdup(path);
    if (!plain)
        return cofre_fail_errno(error, ENOMEM, "make '%s'", path);
    int32_t status = COFRE_OK;
    for (char *p = plain + 1; status == COFRE_OK && *plain; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(plain, 0700) != 0 && errno != EEXIST)
            status = cofre_fail_errno(error, errno, "make the directory '%s'", plain);
        *p = end;
        if (!end)
            break;
    }
    free(plain);
    return status == COFRE_OK ? root_open(path, root, error) : status;
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
