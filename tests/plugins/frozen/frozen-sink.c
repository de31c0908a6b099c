/* A small sink that is kept as it was built for each level: a file for each object, in one directory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cofre/plugin.h>

struct conf {
    const char *path;
    int64_t lanes;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, path, PATH, COFRE_O_REQUIRED, NULL, "the directory"),
    COFRE_OPTION_RANGE(struct conf, lanes, INTEGER, COFRE_O_PARALLEL, "2", 1, 4, "connections"),
};

static const struct cofre_sink role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "frozen-sink",
    .version = "1",
    .summary = "a sink as it was built for an earlier level",
    .license = "0BSD",
    .example = "path = /srv/objects",
    .options = COFRE_OPTIONS(struct conf, rows),
    .sink = &role,
};
COFRE_PLUGIN(descriptor)

static int32_t frozen_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    const struct conf **copy = malloc(sizeof *copy);
    if (!copy)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    *copy = conf;
    *instance = copy;
    return COFRE_OK;
}

static void frozen_close(void *instance)
{
    free(instance);
}

/* The file of an object: its key, with ~ for each slash. */
static void name(void *instance, const char *key, char out[4400])
{
    const struct conf *conf = *(const struct conf **)instance;
    int at = snprintf(out, 4400, "%s/", conf->path);
    snprintf(out + at, 4400 - (size_t)at, "%s", key);
    for (char *p = out + at; (p = strchr(p, '/'));)
        *p = '~';
}

static int32_t frozen_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance;
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    cofre->finding(call, COFRE_LOG_INFO, "all is well", NULL);
    return COFRE_OK;
}

static int32_t frozen_create(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = *(const struct conf **)instance;
    (void)call;
    if (mkdir(conf->path, 0700) < 0 && errno != EEXIST)
        return cofre_fail_errno(error, errno, "create '%s'", conf->path);
    return COFRE_OK;
}

static int32_t fill(struct cofre_call *call, int fd, const char *key, struct cofre_error *error)
{
    const void *bytes;
    uint64_t n;
    int32_t result;
    while ((result = cofre->take(call, &bytes, &n, error)) == COFRE_OK)
        if (write(fd, bytes, n) != (ssize_t)n)
            return cofre_fail(error, COFRE_E_NO_SPACE, "put '%s': not all was written", key);
    return result == COFRE_END ? COFRE_OK : result;
}

static int32_t frozen_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                          struct cofre_error *error)
{
    char path[4400], temporary[4500];
    if (put->flags & ~COFRE_PUT_IF_ABSENT)
        return cofre_unknown(error, "put", "flag", put->flags & ~COFRE_PUT_IF_ABSENT);
    name(instance, key, path);
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return cofre_fail_errno(error, errno, "put '%s'", key);
    int32_t result = fill(call, fd, key, error);
    close(fd);
    if (result == COFRE_OK && (put->flags & COFRE_PUT_IF_ABSENT ? link(temporary, path) : rename(temporary, path)) < 0)
        result = cofre_fail_errno(error, errno, "put '%s'", key);
    unlink(temporary);
    return result;
}

static int32_t frozen_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                          struct cofre_error *error)
{
    char path[4400];
    struct stat st;
    int64_t sent;
    name(instance, key, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return cofre_fail_errno(error, errno, "get '%s'", key);
    int32_t result;
    if (offset > st.st_size || length > st.st_size - offset || lseek(fd, offset, SEEK_SET) < 0)
        result = cofre_fail(error, COFRE_E_RANGE, "get '%s': it has %lld bytes", key, (long long)st.st_size);
    else
        result = cofre_send_fd(call, fd, length, &sent, "read an object", error);
    close(fd);
    return result;
}

static int32_t frozen_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *object,
                           struct cofre_error *error)
{
    char path[4400];
    struct stat st;
    (void)call;
    name(instance, key, path);
    if (stat(path, &st) < 0)
        return cofre_fail_errno(error, errno, "stat '%s'", key);
    object->size = st.st_size;
    return COFRE_OK;
}

static int32_t show(void *instance, struct cofre_call *call, const char *prefix, char *key, struct cofre_error *error)
{
    struct cofre_object object = {.struct_size = sizeof object, .key = key, .mtime = COFRE_NO_TIME};
    struct stat st;
    char path[4400];
    for (char *p = key; (p = strchr(p, '~'));)
        *p = '/';
    if (key[0] == '.' || strncmp(key, prefix, strlen(prefix)) != 0)
        return COFRE_OK;
    name(instance, key, path);
    if (stat(path, &st) < 0)
        return COFRE_OK;
    object.size = st.st_size;
    return cofre->object(call, &object, error);
}

static int32_t frozen_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor,
                           size_t length, struct cofre_error *error)
{
    const struct conf *conf = *(const struct conf **)instance;
    int32_t result = COFRE_OK;
    (void)cursor;
    (void)length;
    DIR *directory = opendir(conf->path);
    if (!directory)
        return cofre_fail_errno(error, errno, "list '%s'", conf->path);
    for (struct dirent *file; result == COFRE_OK && (file = readdir(directory));)
        result = show(instance, call, prefix, file->d_name, error);
    closedir(directory);
    return result;
}

static int32_t frozen_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    char path[4400];
    (void)call;
    name(instance, key, path);
    if (unlink(path) < 0 && errno != ENOENT)
        return cofre_fail_errno(error, errno, "remove '%s'", key);
    return COFRE_OK;
}

static int32_t frozen_remove_many(void *instance, struct cofre_call *call, const char *const *keys, size_t count,
                                  struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    for (size_t i = 0; i < count && result == COFRE_OK; i++)
        result = frozen_remove(instance, call, keys[i], error);
    return result;
}

static const struct cofre_sink role = {
    .struct_size = sizeof role,
    .capabilities = COFRE_SINK_IF_ABSENT | COFRE_SINK_RANGES,
    .open = frozen_open,
    .close = frozen_close,
    .check = frozen_check,
    .create = frozen_create,
    .put = frozen_put,
    .get = frozen_get,
    .stat = frozen_stat,
    .list = frozen_list,
    .remove = frozen_remove,
    .remove_many = frozen_remove_many,
};
