#include "host/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "host/describe.h"

#define ENTRY_POINT "cofre_plugin_v1"
#define BOUND_MAX 256 /* plugins in one process */

static bool name_valid(const char *name)
{
    if (name[0] < 'a' || name[0] > 'z' || strlen(name) > 63)
        return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static int find(const char *name, char *const *directories, size_t count, char **path, struct error *e)
{
    AUTO_FREE char *found = NULL;
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *candidate = NULL;
        if (asprintf(&candidate, "%s/%s.so", directories[i], name) < 0) {
            candidate = NULL;
            return error_memory(e);
        }
        if (access(candidate, F_OK) < 0) {
            if (errno == ENOENT || errno == ENOTDIR)
                continue;
            return error_system(e, errno, "look for plugin '%s' in '%s'", name, directories[i]);
        }
        if (found)
            return error_set(e, ERROR_CONFIG, "plugin '%s' is there twice: '%s' and '%s'", name, found, candidate);
        found = candidate;
        candidate = NULL;
    }
    if (!found) {
        error_set(e, ERROR_CONFIG, "there is no plugin '%s' in %s%s%s", name, count ? "'" : "any directory",
                  count ? directories[0] : "",
                  count > 1 ? "' and the other plugin directories"
                  : count   ? "'"
                            : "");
        return error_hint(e, "cofre plugin list shows what is there");
    }
    *path = found;
    found = NULL;
    return 0;
}

/* The descriptor that was checked is the one that is loaded, so nothing can be put in its place in between. */
static int open_checked(const char *path, struct error *e)
{
    if (file_check_trusted(path, e) < 0)
        return error_context(e, "load plugin: ");
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_system(e, errno, "open plugin '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_system(e, errno, "stat plugin '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(e, ERROR_CONFIG, "plugin '%s' is not a regular file", path);
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
        return error_set(e, ERROR_DENIED, "plugin '%s' can be changed by others", path);
    int checked = fd;
    fd = -1;
    return checked;
}

static int load_object(int fd, const char *path, void **handle, struct error *e)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (*handle)
        return 0;
    const char *cause = dlerror();
    size_t prefix = strlen(name);
    /* The loader puts the name it knows in front, which tells nobody anything. */
    if (cause && strncmp(cause, name, prefix) == 0 && strncmp(cause + prefix, ": ", 2) == 0)
        cause += prefix + 2;
    return error_set(e, ERROR_CONFIG, "load plugin '%s': %s", path, cause ? cause : "unknown cause");
}

int load_plugin(const char *name, char *const *directories, size_t count, char **path,
                const struct cofre_plugin *(**entry)(const struct cofre_host *), struct error *e)
{
    if (!name_valid(name))
        return error_set(e, ERROR_CONFIG, "'%s' is no name of a plugin: use a-z, 0-9 and '-', a letter first", name);
    AUTO_FREE char *file = NULL;
    if (find(name, directories, count, &file, e) < 0)
        return -1;
    /* Stays open for ever: the loader remembers objects by name, so this number must not come to mean another one. */
    int fd = open_checked(file, e);
    if (fd < 0)
        return -1;
    void *handle;
    if (load_object(fd, file, &handle, e) < 0) {
        close(fd);
        return -1;
    }
    void *symbol = dlsym(handle, ENTRY_POINT);
    if (!symbol)
        return error_set(e, ERROR_CONFIG,
                         "load plugin '%s': it has no symbol '" ENTRY_POINT "', so it is no plugin for "
                         "this version of cofre",
                         file);
    memcpy(entry, &symbol, sizeof *entry);
    *path = file;
    file = NULL;
    return 0;
}

int load_described(const char *name, char *const *directories, size_t count,
                   const struct cofre_plugin *(**entry)(const struct cofre_host *), struct describe *d, struct error *e)
{
    AUTO_FREE char *path = NULL;
    *d = (struct describe){.path = NULL};
    if (load_plugin(name, directories, count, &path, entry, e) < 0)
        return -1;
    if (describe_plugin((*entry)(NULL), path, name, d, e) == 0)
        return 0;
    describe_free(d);
    return -1;
}

void load_bind(const struct cofre_plugin *(*entry)(const struct cofre_host *), const struct cofre_host *host)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static const struct cofre_plugin *(*bound[BOUND_MAX])(const struct cofre_host *);
    pthread_mutex_lock(&mutex);
    size_t i = 0;
    while (i < BOUND_MAX && bound[i] && bound[i] != entry)
        i++;
    if (i == BOUND_MAX || !bound[i])
        entry(host);
    if (i < BOUND_MAX)
        bound[i] = entry;
    pthread_mutex_unlock(&mutex);
}
