#include "redis/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/ownfile.h"
#include "redis/link.h"
#include "redis/primary.h"
#include "redis/rdb.h"
#include "redis/server.h"
#include "redis/sync.h"

#define BUFFER (512u << 10)
#define PART ".part"

struct file {
    int fd;
    const char *directory, *path;
    struct primary *primary;
    uint64_t length;
    uint8_t *buffer;
};

static int32_t failed_to(const struct file *f, int errnum, const char *what, struct cofre_error *error)
{
    int32_t class = cofre_fail_errno(error, errnum, "%s rescue file '%s'", what, f->path);
    if (class == COFRE_E_NO_SPACE)
        cofre_hint(error, "make room in '%.120s' for what the server holds now, or set state_dir in [engine]",
                   f->directory);
    return class;
}

static int32_t file_reserve(void *context, void **buffer, size_t *length, struct cofre_error *error)
{
    struct file *f = context;
    (void)error;
    *buffer = f->buffer;
    *length = *length < BUFFER ? *length : BUFFER;
    return COFRE_OK;
}

static int32_t file_commit(void *context, size_t length, struct cofre_error *error)
{
    struct file *f = context;
    for (size_t done = 0; done < length;) {
        ssize_t n = write(f->fd, f->buffer + done, length - done);
        if (n < 0 && errno != EINTR)
            return failed_to(f, errno, "write", error);
        done += n > 0 ? (size_t)n : 0;
    }
    f->length += length;
    cofre->progress(f->primary->call, f->length, 0);
    primary_tend(f->primary);
    return COFRE_OK;
}

static void file_tend(void *context)
{
    const struct file *f = context;
    primary_tend(f->primary);
}

static int32_t sync_directory(const char *directory, struct cofre_error *error)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return failed ? cofre_fail_errno(error, failed, "sync directory '%s'", directory) : COFRE_OK;
}

static int32_t fill(struct file *f, const struct conf *conf, const struct server *server, int *version,
                    struct cofre_error *error)
{
    struct link *link;
    struct rdb_summary summary;
    struct rdb *rdb = rdb_new();
    struct sync_target target = {.reserve = file_reserve,
                                 .commit = file_commit,
                                 .tend = file_tend,
                                 .context = f,
                                 .most = server_most(server, conf->max_size)};
    int32_t class =
        rdb ? link_open(f->primary->call, conf, &link, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    if (class == COFRE_OK) {
        class = sync_receive(link, f->primary->call, &target, rdb, &summary, error);
        link_close(link);
    }
    if (class == COFRE_OK)
        *version = summary.version;
    rdb_free(rdb);
    return class;
}

static int32_t write_part(struct file *f, const struct conf *conf, const struct server *server, int *version,
                          struct cofre_error *error)
{
    f->buffer = malloc(BUFFER);
    if (!f->buffer)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    f->fd = ownfile_make(f->path);
    int32_t class = f->fd < 0 ? failed_to(f, errno, "create", error) : fill(f, conf, server, version, error);
    if (class == COFRE_OK && fsync(f->fd) < 0)
        class = failed_to(f, errno, "sync", error);
    if (f->fd >= 0)
        close(f->fd);
    free(f->buffer);
    return class;
}

static int32_t find_paths(struct cofre_call *call, const char *id, const char **directory, char path[RESCUE_PATH],
                          char part[RESCUE_PATH + sizeof PART], struct cofre_error *error)
{
    int32_t class = cofre->directory(call, directory, error);
    if (class != COFRE_OK)
        return class;
    snprintf(path, RESCUE_PATH, "%s/rescue-%s.rdb", *directory, id);
    snprintf(part, RESCUE_PATH + sizeof PART, "%s" PART, path);
    return COFRE_OK;
}

int32_t rescue_take(const struct conf *conf, struct primary *primary, const struct server *server,
                    char path[RESCUE_PATH], int *version, struct cofre_error *error)
{
    char part[RESCUE_PATH + sizeof PART];
    const char *id = cofre->id(primary->call);
    struct file file = {.path = part, .primary = primary, .fd = -1};
    path[0] = '\0';
    int32_t class = find_paths(primary->call, id ? id : "restore", &file.directory, path, part, error);
    if (class != COFRE_OK)
        return class;
    class = write_part(&file, conf, server, version, error);
    if (class == COFRE_OK && rename(part, path) < 0)
        class = failed_to(&file, errno, "name", error);
    if (class == COFRE_OK)
        class = sync_directory(file.directory, error);
    if (class != COFRE_OK) {
        unlink(part);
        unlink(path);
        path[0] = '\0';
    }
    return class;
}

int32_t rescue_clean(struct cofre_call *call, const char *id, char path[RESCUE_PATH], bool *whole,
                     struct cofre_error *error)
{
    char part[RESCUE_PATH + sizeof PART];
    const char *directory;
    int32_t class = find_paths(call, id, &directory, path, part, error);
    if (class != COFRE_OK)
        return class;
    if (unlink(part) < 0 && errno != ENOENT)
        return cofre_fail_errno(error, errno, "remove '%s'", part);
    *whole = access(path, F_OK) == 0;
    return COFRE_OK;
}
