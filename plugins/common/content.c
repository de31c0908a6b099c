#include "common/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "cofre/plugin.h"

#define PIECE ((size_t)1 << 20)
#define ATTEMPTS 3

/* One reading of one file. Functions return what the host's calls return; result says how the file itself went. */
struct reading {
    struct cofre_call *call;
    int fd;
    int64_t size;
    int32_t result;
    struct cofre_error *why, *error;
};

static ssize_t read_at(int fd, void *buffer, size_t length, int64_t offset)
{
    ssize_t n;
    do
        n = pread(fd, buffer, length, offset);
    while (n < 0 && errno == EINTR);
    return n;
}

static int32_t send_data(struct reading *r, int64_t from, int64_t to)
{
    while (from < to) {
        void *buffer;
        size_t want = (uint64_t)(to - from) < PIECE ? (size_t)(to - from) : PIECE, lent = want;
        int32_t status = cofre->reserve(r->call, &buffer, &lent, r->error);
        if (status != COFRE_OK)
            return status;
        ssize_t n = read_at(r->fd, buffer, lent < want ? lent : want, from);
        if (n < 0)
            r->result = cofre_fail_errno(r->why, errno, "read at byte %lld", (long long)from);
        if (n == 0)
            r->result = COFRE_E_CHANGED; /* it shrank */
        if (n <= 0)
            return COFRE_OK;
        status = cofre->commit(r->call, (size_t)n, r->error);
        if (status != COFRE_OK)
            return status;
        from += n;
    }
    return COFRE_OK;
}

/* The next run of data from *from: [*from, *to). false: nothing but a hole follows. File systems that cannot tell show
 * it all as data. */
static bool next_data(const struct reading *r, int64_t *from, int64_t *to)
{
    off_t data = lseek(r->fd, *from, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return false;
    off_t end = data < 0 ? -1 : lseek(r->fd, data, SEEK_HOLE);
    *from = end < 0 ? *from : data;
    *to = end < 0 || end > r->size ? r->size : end;
    return *from < r->size;
}

static int32_t send_sparse(struct reading *r)
{
    int64_t at = 0;
    while (at < r->size && r->result == COFRE_OK) {
        int64_t from = at, to = r->size;
        if (!next_data(r, &from, &to))
            from = to = r->size;
        int32_t status = from > at ? cofre->hole(r->call, (uint64_t)(from - at), r->error) : COFRE_OK;
        if (status == COFRE_OK)
            status = send_data(r, from, to);
        if (status != COFRE_OK)
            return status;
        at = to;
    }
    return COFRE_OK;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

/* A file that claims to be empty: is it? One that has content all the same is none that can be kept. */
static int32_t check_empty(struct reading *r)
{
    char byte;
    ssize_t n = read_at(r->fd, &byte, 1, 0);
    if (n < 0)
        return cofre_fail_errno(r->why, errno, "read the file");
    return n > 0 ? COFRE_E_CHANGED : COFRE_OK;
}

static int32_t send_once(struct reading *r, struct stat *st)
{
    struct stat after = *st;
    r->result = COFRE_OK;
    r->size = st->st_size;
    bool sparse = (int64_t)st->st_blocks * 512 < st->st_size;
    int32_t status = sparse ? send_sparse(r) : send_data(r, 0, r->size);
    if (status != COFRE_OK)
        return status;
    if (fstat(r->fd, &after) != 0)
        r->result = cofre_fail_errno(r->why, errno, "look at the file after reading it");
    else if (r->result == COFRE_OK && !same(st, &after))
        r->result = COFRE_E_CHANGED;
    else if (r->result == COFRE_OK && st->st_size == 0)
        r->result = check_empty(r);
    *st = after;
    return COFRE_OK;
}

int32_t content_send(struct cofre_call *call, int fd, const struct stat *st, int32_t *result, struct cofre_error *why,
                     struct cofre_error *error)
{
    struct reading r = {.call = call, .fd = fd, .why = why, .error = error};
    struct stat now = *st;
    if ((size_t)st->st_size > PIECE)
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (int attempt = 1;; attempt++) {
        int32_t status = send_once(&r, &now);
        if (status != COFRE_OK)
            return status;
        if (r.result != COFRE_E_CHANGED || attempt == ATTEMPTS)
            break;
        status = cofre->restart(call, error);
        if (status != COFRE_OK)
            return status;
    }
    *result = r.result;
    if (r.result == COFRE_E_CHANGED)
        cofre_fail(why, r.result, "read the file: it changed each of the %d times it was read", ATTEMPTS);
    return COFRE_OK;
}
