#include "redis/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/failure.h"
#include "redis/link.h"
#include "redis/rdb.h"
#include "redis/sync.h"

#define BUFFER (512u << 10)

struct file {
    int fd;
    const char *path;
    uint8_t *buffer;
};

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
            return failure_system(error, errno, "write rescue file '%s'", f->path);
        done += n > 0 ? (size_t)n : 0;
    }
    return COFRE_OK;
}

static int32_t make_durable(const struct file *f, const char *directory, struct cofre_error *error)
{
    if (fsync(f->fd) < 0)
        return failure_system(error, errno, "sync rescue file '%s'", f->path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return failed ? failure_system(error, failed, "sync directory '%s'", directory) : COFRE_OK;
}

static int32_t fill(struct file *f, const struct conf *conf, struct cofre_call *call, struct rdb *rdb,
                    struct rdb_summary *summary, struct cofre_error *error)
{
    struct link *link;
    int32_t class = link_open(call, conf, &link, error);
    if (class != COFRE_OK)
        return class;
    struct sync_target target = {.reserve = file_reserve, .commit = file_commit, .context = f};
    class = sync_receive(link, call, &target, rdb, summary, error);
    link_close(link);
    return class;
}

int32_t rescue_take(const struct conf *conf, struct cofre_call *call, char path[RESCUE_PATH], int *version,
                    struct cofre_error *error)
{
    const char *directory, *id = cofre->id(call);
    int32_t class = cofre->directory(call, &directory, error);
    if (class != COFRE_OK)
        return class;
    snprintf(path, RESCUE_PATH, "%s/rescue-%s.rdb", directory, id ? id : "restore");
    struct rdb_summary summary;
    struct rdb *rdb = rdb_new();
    struct file file = {.path = path, .buffer = malloc(BUFFER), .fd = -1};
    if (!rdb || !file.buffer)
        class = failure_set(error, COFRE_E_MEMORY, "out of memory");
    else if ((file.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        class = failure_system(error, errno, "create rescue file '%s'", path);
    if (class == COFRE_OK)
        class = fill(&file, conf, call, rdb, &summary, error);
    if (class == COFRE_OK)
        class = make_durable(&file, directory, error);
    if (class == COFRE_OK)
        *version = summary.version;
    else if (file.fd >= 0)
        unlink(path);
    if (file.fd >= 0)
        close(file.fd);
    free(file.buffer);
    rdb_free(rdb);
    return class;
}
