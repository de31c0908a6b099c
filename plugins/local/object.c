#include "local/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/direct.h"
#include "local/temporary.h"

/* ---- put --------------------------------------------------------------------------------------------------------- */

/* Everything that take gives, into the file. */
static int32_t receive(struct cofre_call *call, const char *key, struct direct *file, int64_t *total,
                       struct cofre_error *error)
{
    const void *bytes;
    uint64_t length;
    int32_t result;
    *total = 0;
    while ((result = cofre->take(call, &bytes, &length, error)) == COFRE_OK) {
        if (!bytes)
            return cofre_fail(error, COFRE_E_BUG, "put '%s': the host sent a hole", key);
        if (direct_write(file, bytes, length))
            return place_fail(error, errno, "write object '%s'", key);
        *total += (int64_t)length;
    }
    if (result != COFRE_END)
        return result;
    return direct_flush(file) ? place_fail(error, errno, "write object '%s'", key) : COFRE_OK;
}

static int32_t receive_all(struct cofre_call *call, const char *key, int fd, int64_t expected,
                           struct cofre_error *error)
{
    struct direct file;
    int64_t total;
    direct_begin(&file, fd, expected);
    int32_t result = receive(call, key, &file, &total, error);
    direct_end(&file);
    if (result == COFRE_OK && expected >= 0 && total != expected)
        return cofre_fail(error, COFRE_E_BUG, "put '%s': %lld bytes were announced, %lld came", key,
                          (long long)expected, (long long)total);
    return result;
}

/* A failed fsync or close is final: the kernel may have dropped the pages, and a second fsync would then lie. */
static int32_t settle(int *fd, const char *key, struct cofre_error *error)
{
    if (fsync(*fd))
        return place_fail(error, errno, "write object '%s' to the disk", key);
    int closing = *fd;
    *fd = -1;
    if (close(closing) && errno != EINTR)
        return place_fail(error, errno, "close object '%s'", key);
    return COFRE_OK;
}

static int32_t publish(struct place *place, int temporary, const char *name, int directory, const char *leaf,
                       const char *key, const struct cofre_put *put, struct cofre_error *error)
{
    int failed = put->flags & COFRE_PUT_IF_ABSENT             ? temporary_publish(temporary, name, directory, leaf)
                 : renameat(temporary, name, directory, leaf) ? errno
                                                              : 0;
    if (failed == ENOTSUP)
        return temporary_no_publishing(error, place->path);
    if (failed && failed != EEXIST)
        return place_fail(error, failed, "name object '%s'", key);
    /* Also for "exists": whoever relies on the other's object must find it after a power cut. */
    if (fsync(directory))
        return place_fail(error, errno, "write the directory of object '%s' to the disk", key);
    return failed ? cofre_fail(error, COFRE_E_EXISTS, "object '%s' exists", key) : COFRE_OK;
}

static int32_t fill(struct place *place, struct cofre_call *call, int temporary, int directory, const char *leaf,
                    const char *key, const struct cofre_put *put, struct cofre_error *error)
{
    char name[TEMPORARY_NAME_MAX];
    PLACE_CLOSE int fd = temporary_make(temporary, name);
    if (fd < 0)
        return place_fail(error, errno, "make a temporary file in '%s/%s'", place->path, PLACE_TEMPORARY);
    int32_t result = receive_all(call, key, fd, put->size, error);
    if (!result)
        result = settle(&fd, key, error);
    if (!result)
        result = publish(place, temporary, name, directory, leaf, key, put, error);
    if (result) {
        /* Whether this works changes nothing: sweep takes what stays. */
        unlinkat(temporary, name, 0);
    }
    return result;
}

int32_t object_put(struct place *place, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error)
{
    PLACE_CLOSE int directory = -1;
    PLACE_CLOSE int temporary = -1;
    const char *leaf;
    struct stat st;
    int32_t result = place_parent(place, key, true, &directory, &leaf, error);
    if (!result)
        result = place_temporary(place, true, &temporary, error);
    if (result)
        return result;
    /* Not what decides, only what saves the writing. */
    if ((put->flags & COFRE_PUT_IF_ABSENT) && fstatat(directory, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (fsync(directory))
            return place_fail(error, errno, "write the directory of object '%s' to the disk", key);
        return cofre_fail(error, COFRE_E_EXISTS, "object '%s' exists", key);
    }
    return fill(place, call, temporary, directory, leaf, key, put, error);
}

/* ---- get, stat, remove ------------------------------------------------------------------------------------------- */

static int32_t no_object(struct place *place, const char *key, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_NOT_FOUND, "object '%s' does not exist in '%s'", key, place->path);
}

static int32_t no_file(const char *key, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_INTEGRITY, "object '%s' is not a regular file", key);
}

static int32_t open_object(struct place *place, const char *key, int *fd, struct stat *st, struct cofre_error *error)
{
    PLACE_CLOSE int directory = -1;
    const char *leaf;
    int32_t result = place_parent(place, key, false, &directory, &leaf, error);
    if (result)
        return result == COFRE_E_NOT_FOUND && place->root >= 0 ? no_object(place, key, error) : result;
    /* O_NONBLOCK: a FIFO that somebody put there must not hold us. */
    *fd = openat(directory, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    /* A link, a socket. */
    if (*fd < 0 && (errno == ELOOP || errno == ENXIO))
        return no_file(key, error);
    if (*fd < 0)
        return errno == ENOENT ? no_object(place, key, error) : place_fail(error, errno, "open object '%s'", key);
    if (fstat(*fd, st))
        return place_fail(error, errno, "look at object '%s'", key);
    return S_ISREG(st->st_mode) ? COFRE_OK : no_file(key, error);
}

static int32_t deliver(struct cofre_call *call, const char *key, struct direct *file, int64_t offset, int64_t left,
                       struct cofre_error *error)
{
    while (left > 0) {
        void *buffer;
        size_t length = left > (1 << 20) ? 1 << 20 : (size_t)left;
        int32_t result = cofre->reserve(call, &buffer, &length, error);
        if (result)
            return result;
        if ((int64_t)length > left)
            length = (size_t)left;
        int64_t n = direct_read(file, buffer, length, offset);
        if (n < 0)
            return place_fail(error, errno, "read object '%s'", key);
        if (n == 0)
            return cofre_fail(error, COFRE_E_INTEGRITY, "read object '%s': it became shorter", key);
        result = cofre->commit(call, (size_t)n, error);
        if (result)
            return result;
        offset += n;
        left -= n;
    }
    return COFRE_OK;
}

int32_t object_get(struct place *place, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error)
{
    PLACE_CLOSE int fd = -1;
    struct stat st;
    int32_t result = open_object(place, key, &fd, &st, error);
    if (result)
        return result;
    if (offset < 0 || offset > st.st_size || length < -1 || length > st.st_size - offset)
        return cofre_fail(error, COFRE_E_RANGE, "object '%s' has %lld bytes, asked for %lld from %lld", key,
                          (long long)st.st_size, (long long)length, (long long)offset);
    if (length < 0)
        length = st.st_size - offset;
    struct direct file;
    direct_begin(&file, fd, length);
    result = deliver(call, key, &file, offset, length, error);
    direct_end(&file);
    return result;
}

int32_t object_stat(struct place *place, const char *key, struct cofre_object *object, struct cofre_error *error)
{
    PLACE_CLOSE int fd = -1;
    struct stat st;
    int32_t result = open_object(place, key, &fd, &st, error);
    if (result)
        return result;
    object->size = st.st_size;
    object->mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return COFRE_OK;
}

/* A directory in which objects were removed. */
struct emptied {
    int fd;          /* -1 = none, or it is not there */
    const char *key; /* the first object in it */
    size_t length;   /* of the directory's part of that key */
};

/* Directories that became empty stay: a put beside us may be about to use them. The fsync is also for what is absent:
 * it may have been removed by a process that was killed before its own. */
static int32_t leave(struct emptied *directory, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    if (directory->fd >= 0 && fsync(directory->fd))
        result = place_fail(error, errno, "write the directory of object '%s' to the disk", directory->key);
    if (directory->fd >= 0)
        close(directory->fd);
    directory->fd = -1;
    return result;
}

static int32_t enter(struct place *place, const char *key, size_t length, struct emptied *directory,
                     struct cofre_error *error)
{
    const char *leaf = key + length;
    if (directory->key && directory->length == length && memcmp(directory->key, key, length) == 0)
        return place_is_segment(leaf, strlen(leaf))
                   ? COFRE_OK
                   : cofre_fail(error, COFRE_E_BUG, "key '%.*s' is not one that a sink accepts", COFRE_MAX_KEY, key);
    int32_t result = leave(directory, error);
    if (result)
        return result;
    *directory = (struct emptied){.fd = -1, .key = key, .length = length};
    result = place_parent(place, key, false, &directory->fd, &leaf, error);
    return result == COFRE_E_NOT_FOUND && place->root >= 0 ? COFRE_OK : result;
}

int32_t object_remove_many(struct place *place, const char *const *keys, size_t count, struct cofre_error *error)
{
    struct emptied directory = {.fd = -1};
    int32_t result = COFRE_OK;
    for (size_t i = 0; i < count && !result; i++) {
        const char *slash = strrchr(keys[i], '/');
        size_t length = slash ? (size_t)(slash + 1 - keys[i]) : 0;
        result = enter(place, keys[i], length, &directory, error);
        if (!result && directory.fd >= 0 && unlinkat(directory.fd, keys[i] + length, 0) && errno != ENOENT)
            result = place_fail(error, errno, "remove object '%s'", keys[i]);
    }
    if (!result)
        return leave(&directory, error);
    if (directory.fd >= 0)
        close(directory.fd);
    return result;
}
