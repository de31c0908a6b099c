#include "common/entry_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/descent.h"

const char *entry_path_fault(const char *path, size_t length)
{
    if (length > DESCENT_PATH_MAX || memchr(path, '\0', length))
        return "it is too long or holds a zero byte";
    for (size_t at = 0; at < length;) {
        const char *p = path + at, *slash = memchr(p, '/', length - at);
        size_t n = slash ? (size_t)(slash - p) : length - at;
        if (n == 0 || at + n + 1 == length)
            return "it has an empty component";
        if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
            return "it has a component that leads elsewhere";
        if (n > NAME_MAX)
            return "it has a component that is too long";
        at += n + 1;
    }
    return NULL;
}

size_t entry_path_parent(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);
    return slash ? (size_t)(slash - path) : 0;
}

bool entry_path_is_of(const char *prefix, const char *path, size_t length)
{
    size_t n = strlen(prefix);
    return n == 0 || (length >= n && memcmp(path, prefix, n) == 0 && (length == n || path[n] == '/'));
}

void entry_path_strip(const char *prefix, const char **path, uint32_t *length)
{
    size_t n = strlen(prefix);
    n += n > 0 && *length > n;
    *path += n;
    *length -= (uint32_t)n;
}

bool entry_directory_begin(struct entry_directory *d)
{
    *d = (struct entry_directory){.fd = -1, .path = malloc(DESCENT_PATH_MAX + 1)};
    return d->path;
}

int entry_directory_open(struct entry_directory *d, int root, const char *path, size_t length)
{
    char name[NAME_MAX + 1];
    if (d->fd >= 0 && d->length == length && !memcmp(d->path, path, length))
        return d->fd;
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    for (size_t from = 0; at >= 0 && from < length;) {
        size_t n = (size_t)(strchrnul(path + from, '/') - (path + from));
        memcpy(name, path + from, n);
        name[n] = '\0';
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int errnum = errno;
        close(at);
        errno = errnum;
        at = next;
        from += n + 1;
    }
    if (at < 0)
        return -1;
    if (d->fd >= 0)
        close(d->fd);
    d->fd = at;
    memcpy(d->path, path, length);
    d->length = length;
    return at;
}

void entry_directory_end(struct entry_directory *d)
{
    if (d->fd >= 0)
        close(d->fd);
    free(d->path);
    *d = (struct entry_directory){.fd = -1};
}
