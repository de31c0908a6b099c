#include "common/descent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

static void close_level(struct descent_level *level)
{
    if (level->fd >= 0)
        close(level->fd);
    level->fd = -1;
}

int descent_begin(struct descent *d, int root, const struct stat *st)
{
    *d = (struct descent){.capacity = 64, .lowest = 1};
    d->levels = calloc(d->capacity, sizeof *d->levels);
    d->path = calloc(1, DESCENT_PATH_MAX + 1);
    if (!d->levels || !d->path) {
        close(root);
        descent_end(d);
        return ENOMEM;
    }
    d->levels[0] = (struct descent_level){.device = st->st_dev, .inode = st->st_ino, .fd = root};
    d->depth = 1;
    return 0;
}

void descent_prefix(struct descent *d, const char *prefix, size_t length)
{
    memcpy(d->path, prefix, length);
    d->path[length] = '\0';
    d->path_length = d->levels[0].path_length = length;
}

void descent_end(struct descent *d)
{
    for (size_t i = 0; i < d->depth; i++)
        close_level(&d->levels[i]);
    free(d->levels);
    free(d->path);
    *d = (struct descent){0};
}

bool descent_name(struct descent *d, const char *name, size_t length)
{
    size_t at = descent_path_length(d);
    if (at + (at > 0) + length > DESCENT_PATH_MAX)
        return false;
    if (at > 0)
        d->path[at++] = '/';
    memcpy(d->path + at, name, length);
    d->path_length = at + length;
    d->path[d->path_length] = '\0';
    return true;
}

static bool make_room(struct descent *d)
{
    if (d->depth < d->capacity)
        return true;
    void *larger = realloc(d->levels, d->capacity * 2 * sizeof *d->levels);
    if (!larger)
        return false;
    d->levels = larger;
    d->capacity *= 2;
    return true;
}

int descent_push(struct descent *d, int fd, const struct stat *st)
{
    if (!make_room(d)) {
        close(fd);
        return ENOMEM;
    }
    d->levels[d->depth++] =
        (struct descent_level){.device = st->st_dev, .inode = st->st_ino, .path_length = d->path_length, .fd = fd};
    if (d->depth - d->lowest > DESCENT_OPEN_MAX)
        close_level(&d->levels[d->lowest++]);
    return 0;
}

static bool is_level(int fd, const struct descent_level *level)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_dev == level->device && st.st_ino == level->inode;
}

/* Keep fd as the level's when it is the same directory. */
static int accept(int fd, struct descent_level *level)
{
    if (fd < 0)
        return errno;
    if (!is_level(fd, level)) {
        close(fd);
        return ESTALE;
    }
    level->fd = fd;
    return 0;
}

/* Down again from the root, component by component, to the lowest level. */
static int walk_again(const struct descent *d, struct descent_level *level)
{
    int at = d->levels[0].fd, errnum;
    size_t prefix = d->levels[0].path_length;
    for (size_t from = prefix + (prefix > 0); from < level->path_length;) {
        char *name = d->path + from;
        size_t length = (size_t)(strchrnul(name, '/') - name);
        char end = name[length];
        name[length] = '\0';
        int next = openat(at, name, OPEN_FLAGS);
        errnum = errno;
        name[length] = end;
        if (at != d->levels[0].fd)
            close(at);
        if (next < 0)
            return errnum;
        at = next;
        from += length + 1;
    }
    return accept(at, level);
}

int descent_pop(struct descent *d)
{
    struct descent_level left = d->levels[--d->depth];
    struct descent_level *level = &d->levels[d->depth - 1];
    int errnum = 0;
    d->path_length = level->path_length;
    d->path[d->path_length] = '\0';
    if (d->depth - 1 > 0 && d->depth - 1 < d->lowest) {
        d->lowest = d->depth - 1;
        errnum = left.fd < 0 ? EBADF : accept(openat(left.fd, "..", OPEN_FLAGS), level);
        if (errnum)
            errnum = walk_again(d, level);
    }
    close_level(&left);
    return errnum;
}

bool descent_holds(const struct descent *d, const struct stat *st)
{
    for (size_t i = 0; i < d->depth; i++)
        if (d->levels[i].inode == st->st_ino && d->levels[i].device == st->st_dev)
            return true;
    return false;
}
