#include "repository/doubt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

int doubt_list(const char *directory, struct bytes *names, struct error *e)
{
    DIR *stream = opendir(directory);
    if (!stream && errno == ENOENT)
        return 0;
    if (!stream)
        return error_system(e, errno, "open directory '%s'", directory);
    for (const struct dirent *file; (file = readdir(stream));) {
        uint8_t name[SEAL_HASH_SIZE];
        if (names->length < DOUBT_MAX * sizeof name && text_parse_hex(file->d_name, name, sizeof name))
            bytes_put(names, name, sizeof name);
    }
    closedir(stream);
    if (names->length > 0)
        qsort(names->data, names->length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
    return bytes_check(names, directory, e);
}

static int path_of(const char *directory, const uint8_t name[SEAL_HASH_SIZE], char out[PATH_MAX], struct error *e)
{
    char hex[2 * SEAL_HASH_SIZE + 1];
    if (snprintf(out, PATH_MAX, "%s/%s", directory, text_hex(name, SEAL_HASH_SIZE, hex)) < PATH_MAX)
        return 0;
    return error_set(e, ERROR_RANGE, "path '%s' is too long", directory);
}

int doubt_add(const char *directory, const uint8_t name[SEAL_HASH_SIZE], bool *fresh, struct error *e)
{
    char path[PATH_MAX];
    *fresh = false;
    if (path_of(directory, name, path, e) < 0)
        return -1;
    if (access(path, F_OK) == 0)
        return 0;
    *fresh = true;
    if (file_make_trusted(directory, e) < 0)
        return -1;
    /* Empty, and so whole as soon as it is there. */
    AUTO_CLOSE int fd = file_open(path, O_WRONLY | O_CREAT, e);
    return fd < 0 ? -1 : file_make_durable(path, e);
}

int doubt_remove(const char *directory, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    char path[PATH_MAX];
    if (path_of(directory, name, path, e) < 0)
        return -1;
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    return error_system(e, errno, "remove '%s'", path);
}
