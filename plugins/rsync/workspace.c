#include "rsync/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"

#define PREFIX ".cofre-"
#define MARK "cofre-rsync-staging" /* a file that nobody else's directory has */
#define SETTLED 60                 /* s: a younger directory may be about to be locked by its maker */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
#define AUTO_CLOSE __attribute__((cleanup(close_fd)))

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    remove(path);
    return 0;
}

void workspace_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* ---- what a killed process left ---- */

/* The name alone proves nothing: it could be a directory of the operator's. */
static bool is_debris(int fd)
{
    struct stat st, mark;
    return fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_mtim.tv_sec < time(NULL) - SETTLED &&
           fstatat(fd, MARK, &mark, AT_SYMLINK_NOFOLLOW) == 0 && mark.st_uid == geteuid() &&
           flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* The mark goes last, or what a second kill leaves could not be told from other people's things. */
static void remove_workspace(const char *path)
{
    static const char *const folders[] = {WORKSPACE_OUT, WORKSPACE_IN, WORKSPACE_VOID};
    char folder[WORKSPACE_PATH];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (snprintf(folder, sizeof folder, "%s/%s", path, folders[i]) < (int)sizeof folder)
            workspace_remove_tree(folder);
    workspace_remove_tree(path);
}

static void sweep(const char *staging)
{
    DIR *list = opendir(staging);
    if (!list)
        return;
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        char path[WORKSPACE_PATH];
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        AUTO_CLOSE int fd = openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && is_debris(fd) && snprintf(path, sizeof path, "%s/%s", staging, entry->d_name) < (int)sizeof path)
            remove_workspace(path);
    }
    closedir(list);
}

/* ---- life ---- */

/* The path stands in ssh's configuration and in an argument of rsync's, which splits it at blanks. */
static bool is_plain(const char *path)
{
    for (; *path; path++)
        if (!strchr("/._-+", *path) && !(*path >= '0' && *path <= '9') && !((*path | 32) >= 'a' && (*path | 32) <= 'z'))
            return false;
    return true;
}

static int32_t make(struct workspace *w, const char *staging, struct cofre_error *error)
{
    static const char *const folders[] = {WORKSPACE_OUT, WORKSPACE_IN, WORKSPACE_VOID};
    char path[WORKSPACE_PATH];
    w->fd = mkdtemp(w->path) ? open(w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (w->fd < 0 || flock(w->fd, LOCK_EX | LOCK_NB)) {
        int32_t class = cofre_fail_errno(error, errno, "make a directory in '%s'", staging);
        cofre_hint(error, "let staging name a directory in which cofre can write");
        return class == COFRE_E_NOT_FOUND ? COFRE_E_CONFIG : class;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (mkdir(workspace_path(w, folders[i], "", path), 0700))
            return cofre_fail_errno(error, errno, "make directory '%s'", path);
    return workspace_write(w, MARK, "", 0, error);
}

int32_t workspace_open(struct workspace *w, const char *staging, struct cofre_error *error)
{
    w->fd = -1;
    int n = snprintf(w->path, sizeof w->path, "%s/%sXXXXXX", staging, PREFIX);
    if (n >= (int)sizeof w->path || !is_plain(staging)) {
        cofre_fail(error, COFRE_E_CONFIG, "staging '%s' cannot be used: it is too long or has odd characters", staging);
        cofre_hint(error, "choose a directory of at most %d bytes, of letters, digits and /._-+",
                   WORKSPACE_MAX - (int)sizeof PREFIX - 7);
        return COFRE_E_CONFIG;
    }
    sweep(staging);
    int32_t result = make(w, staging, error);
    if (result)
        workspace_close(w);
    return result;
}

void workspace_close(struct workspace *w)
{
    if (w->fd >= 0)
        remove_workspace(w->path);
    close_fd(&w->fd);
}

/* ---- what is in it ---- */

char *workspace_path(const struct workspace *w, const char *folder, const char *name, char out[WORKSPACE_PATH])
{
    snprintf(out, WORKSPACE_PATH, "%s/%s%s%s", w->path, folder, *name ? "/" : "", name);
    return out;
}

int32_t workspace_parents(const struct workspace *w, const char *folder, const char *key, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    workspace_path(w, folder, key, path);
    for (char *slash = path + strlen(w->path) + strlen(folder) + 2; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            return cofre_fail_errno(error, errno, "make directory '%s'", path);
        *slash = '/';
    }
    return COFRE_OK;
}

int32_t workspace_write(const struct workspace *w, const char *name, const void *text, size_t length,
                        struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    workspace_path(w, name, "", path);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return cofre_fail_errno(error, errno, "make file '%s'", path);
    for (const char *p = text; length > 0;) {
        ssize_t n = write(fd, p, length);
        if (n < 0)
            return cofre_fail_errno(error, errno, "write file '%s'", path);
        p += n;
        length -= (size_t)n;
    }
    return COFRE_OK;
}

int workspace_scratch(const struct workspace *w, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    int fd = mkostemp(workspace_path(w, "scratch-XXXXXX", "", path), O_CLOEXEC);
    if (fd < 0 || unlink(path)) {
        cofre_fail_errno(error, errno, "make a file in '%s'", w->path);
        close_fd(&fd);
    }
    return fd;
}
