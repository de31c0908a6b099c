#include "local/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/way.h"

void place_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static const struct {
    int errnum;
    int32_t class;
    const char *hint;
} causes[] = {
    {ENOENT, COFRE_E_NOT_FOUND, NULL},
    {ENOTDIR, COFRE_E_PERMANENT, "something else stands where a directory belongs; links are not followed"},
    {ELOOP, COFRE_E_PERMANENT, "links are not followed below the directory of a sink"},
    {EEXIST, COFRE_E_EXISTS, NULL},
    {EACCES, COFRE_E_DENIED, "run as the user who owns the directory, or give it away with chown"},
    {EPERM, COFRE_E_DENIED, "look for an immutable attribute with lsattr"},
    {EROFS, COFRE_E_DENIED, "the file system is mounted read-only; after a disk error the kernel does that: see dmesg"},
    {ENOSPC, COFRE_E_NO_SPACE, "make room or use a larger disk; see also df -i"},
    {EDQUOT, COFRE_E_NO_SPACE, "the quota of this user is used up"},
    {EFBIG, COFRE_E_NO_SPACE, "the file system or ulimit -f does not allow a file of this size"},
    {ENOMEM, COFRE_E_MEMORY, NULL},
    {ETIMEDOUT, COFRE_E_TIMEOUT, NULL},
    {EBUSY, COFRE_E_BUSY, NULL},
    {EAGAIN, COFRE_E_RETRY, NULL},
    {ENFILE, COFRE_E_RETRY, NULL},
    {EIO, COFRE_E_PERMANENT, "the disk reports errors: see dmesg and smartctl"},
    {ESTALE, COFRE_E_PERMANENT, "the network file system lost the directory: mount it again"},
};

int32_t place_fail(struct cofre_error *error, int errnum, const char *format, ...)
{
    int32_t class = COFRE_E_PERMANENT;
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (causes[i].errnum == errnum) {
            class = causes[i].class;
            hint = causes[i].hint;
        }
    }
    char what[384], cause[96];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    cofre_fail(error, class, "%s: %s", what, strerror_r(errnum, cause, sizeof cause));
    cofre_hint(error, "%s", hint ? hint : "");
    error->os_errno = errnum;
    return class;
}

/* ---- the root ---------------------------------------------------------------------------------------------------- */

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int32_t try_root(struct place *place, way_make *make, struct cofre_error *error)
{
    int errnum = way_open(place->path, make, &place->root, error);
    if (errnum == 0 || (errnum == ENOENT && !make))
        return COFRE_OK;
    if (errnum == WAY_REFUSED)
        return COFRE_E_DENIED;
    if (errnum != ELOOP && errnum != ENOTDIR)
        return place_fail(error, errnum, "%s directory '%s'", make ? "make" : "open", place->path);
    cofre_fail(error, COFRE_E_CONFIG, "open directory '%s': not a directory", place->path);
    cofre_hint(error, "write the path of the directory itself, not of a link to it");
    return COFRE_E_CONFIG;
}

int32_t place_open(struct place *place, const char *path, struct cofre_error *error)
{
    place->root = -1;
    place->path = strdup(path);
    if (!place->path)
        return place_fail(error, ENOMEM, "open directory '%s'", path);
    size_t n = strlen(place->path); /* how it is named */
    while (n > 1 && place->path[n - 1] == '/')
        place->path[--n] = '\0';
    int32_t result = try_root(place, NULL, error);
    if (result)
        place_close(place);
    return result;
}

void place_close(struct place *place)
{
    place_close_fd(&place->root);
    free(place->path);
    place->path = NULL;
}

int32_t place_need(struct place *place, struct cofre_error *error)
{
    if (place->root >= 0)
        return COFRE_OK;
    int32_t result = try_root(place, NULL, error);
    if (result || place->root >= 0)
        return result;
    cofre_fail(error, COFRE_E_NOT_FOUND, "directory '%s' does not exist", place->path);
    cofre_hint(error, "is the disk mounted? if nothing was ever stored there: cofre init makes the repository");
    error->os_errno = ENOENT;
    return COFRE_E_NOT_FOUND;
}

/* mkdir with our mode, whatever the umask; *made tells whether it was us. */
static int make_directory(int parent, const char *name, bool *made)
{
    *made = mkdirat(parent, name, 0700) == 0;
    if (!*made)
        return errno == EEXIST ? 0 : -1;
    return fchmodat(parent, name, 0700, 0);
}

/* A directory with an O_PATH descriptor, which fsync refuses, made durable. */
static int sync_directory(int directory)
{
    PLACE_CLOSE int fd = openat(directory, ".", OPEN_DIRECTORY);
    return fd < 0 ? -1 : fsync(fd);
}

static int make_on_the_way(int above, const char *name)
{
    bool made;
    return make_directory(above, name, &made) || (made && sync_directory(above)) ? errno : 0;
}

int32_t place_create(struct place *place, struct cofre_error *error)
{
    int32_t result = place->root >= 0 ? COFRE_OK : try_root(place, make_on_the_way, error);
    PLACE_CLOSE int temporary = -1;
    return result ? result : place_temporary(place, true, &temporary, error);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

bool place_is_segment(const char *name, size_t length)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (length == 0 || strspn(name, allowed) < length)
        return false;
    if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
        return false;
    return strncmp(name, PLACE_TEMPORARY, strlen(PLACE_TEMPORARY)) != 0;
}

static bool is_key(const char *key)
{
    if (strlen(key) > COFRE_MAX_KEY)
        return false;
    for (const char *segment = key;; segment++) {
        size_t n = strcspn(segment, "/");
        if (!place_is_segment(segment, n))
            return false;
        segment += n;
        if (!*segment)
            return true;
    }
}

static bool is_settled(struct place *place, ino_t inode)
{
    for (size_t i = 0; i < place->settled_count; i++) {
        if (place->settled[i] == inode)
            return true;
    }
    return false;
}

/* Open name in parent, made when missing. Its entry in parent is then durable: also when somebody else made it a moment
 * ago and was killed before his own fsync. */
static int descend_making(struct place *place, int parent, const char *name)
{
    bool made;
    struct stat st;
    if (make_directory(parent, name, &made))
        return -1;
    int fd = openat(parent, name, OPEN_DIRECTORY);
    if (fd < 0)
        return -1;
    int failed = fstat(fd, &st);
    if (!failed && !made && is_settled(place, st.st_ino))
        return fd;
    if (failed || fsync(parent)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    if (place->settled_count < PLACE_SETTLED_MAX)
        place->settled[place->settled_count++] = st.st_ino;
    return fd;
}

int32_t place_parent(struct place *place, const char *key, bool make, int *directory, const char **leaf,
                     struct cofre_error *error)
{
    if (!is_key(key))
        return cofre_fail(error, COFRE_E_BUG, "key '%.*s' is not one that a sink accepts", COFRE_MAX_KEY, key);
    int32_t result = place_need(place, error);
    if (result)
        return result;
    PLACE_CLOSE int at = openat(place->root, ".", OPEN_DIRECTORY);
    while (at >= 0 && strchr(key, '/')) {
        char name[COFRE_MAX_KEY + 1];
        size_t n = strcspn(key, "/");
        memcpy(name, key, n);
        name[n] = '\0';
        int next = make ? descend_making(place, at, name) : openat(at, name, OPEN_DIRECTORY);
        if (next < 0)
            return place_fail(error, errno, "open directory '%s' in '%s'", name, place->path);
        close(at);
        at = next;
        key += n + 1;
    }
    if (at < 0)
        return place_fail(error, errno, "open directory '%s'", place->path);
    *leaf = key;
    *directory = at;
    at = -1;
    return COFRE_OK;
}

int32_t place_temporary(struct place *place, bool make, int *directory, struct cofre_error *error)
{
    int32_t result = place_need(place, error);
    if (result)
        return result;
    bool made;
    *directory = openat(place->root, PLACE_TEMPORARY, OPEN_DIRECTORY);
    if (*directory < 0 && errno == ENOENT && make && make_directory(place->root, PLACE_TEMPORARY, &made) == 0)
        *directory = openat(place->root, PLACE_TEMPORARY, OPEN_DIRECTORY);
    if (*directory < 0)
        return place_fail(error, errno, "open directory '%s/%s'", place->path, PLACE_TEMPORARY);
    return COFRE_OK;
}
