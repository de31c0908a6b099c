#include "postgres/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"

static const char *place(struct cofre_call *call, const char *directory)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    const char *path = directory;
    if (!path && COFRE_HAS(cofre, directory) && cofre->directory(call, &path, &ignored) != COFRE_OK)
        path = NULL;
    return path ? path : "/var/tmp";
}

static int make_file(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    /* File systems that cannot make files without a name. */
    char *path = NULL;
    if (asprintf(&path, "%s/.cofre-dump-XXXXXX", directory) < 0)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

static int32_t write_all(const struct stage *s, const void *bytes, size_t n, const char *directory,
                         struct cofre_error *error)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t written = write(s->fd, p, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            int32_t class = cofre_fail_errno(error, errno, "keep the dump in '%s' while it is restored", directory);
            cofre_hint(error,
                       "make room there, or set stage_dir to a directory with more: it takes as much as the dump");
            return class;
        }
        p += written;
        n -= (size_t)written;
    }
    return COFRE_OK;
}

static int32_t take_piece(struct stage *s, const void *bytes, uint64_t length, const char *directory,
                          struct cofre_error *error)
{
    static const char zeros[65536];
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && length > 0) {
        size_t n = bytes || length < sizeof zeros ? (size_t)length : sizeof zeros;
        const void *piece = bytes ? bytes : zeros;
        status = archive_feed(s->archive, piece, n, error);
        if (status == COFRE_OK)
            status = write_all(s, piece, n, directory, error);
        length -= n;
    }
    return status;
}

/* pg_restore's workers then go to their tables at once, the largest first. */
static int32_t write_offsets(const struct stage *s, const char *directory, struct cofre_error *error)
{
    size_t count;
    const struct archive_item *items = archive_items(s->archive, &count);
    for (size_t i = 0; i < count; i++) {
        uint8_t offset[ARCHIVE_OFFSET_MAX];
        size_t n = archive_offset(s->archive, &items[i], offset);
        if (pwrite(s->fd, offset, n, (off_t)items[i].offset_at) != (ssize_t)n)
            return cofre_fail_errno(error, errno, "complete the dump in '%s'", directory);
    }
    return COFRE_OK;
}

static int32_t complete(const struct stage *s, const char *directory, struct cofre_error *error)
{
    int32_t status = archive_finish(s->archive, error);
    return status == COFRE_OK ? write_offsets(s, directory, error) : status;
}

int32_t stage_fill(struct stage *s, struct cofre_call *call, const char *directory, struct cofre_error *error)
{
    const char *where = place(call, directory);
    *s = (struct stage){.fd = make_file(where)};
    if (s->fd < 0)
        return cofre_fail_errno(error, errno, "make a file in '%s' for the dump", where);
    snprintf(s->path, sizeof s->path, "/proc/self/fd/%d", s->fd);
    s->archive = archive_new();
    if (!s->archive)
        return cofre_fail_errno(error, ENOMEM, "restore");
    for (;;) {
        const void *bytes;
        uint64_t length;
        int32_t status = cofre->take(call, &bytes, &length, error);
        if (status == COFRE_END)
            return complete(s, where, error);
        if (status == COFRE_OK)
            status = take_piece(s, bytes, length, where, error);
        if (status != COFRE_OK)
            return status;
    }
}

void stage_free(struct stage *s)
{
    if (s->fd >= 0)
        close(s->fd);
    archive_free(s->archive);
    *s = (struct stage)STAGE_NONE;
}
