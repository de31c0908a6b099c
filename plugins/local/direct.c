#include "local/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)
#define ALIGNMENT ((size_t)4096) /* of memory, offset and length: enough for every disk that is made */

static bool set_direct(const struct direct *d, bool on)
{
    int flags = fcntl(d->fd, F_GETFL);
    return flags >= 0 && fcntl(d->fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

void direct_begin(struct direct *direct, int fd, int64_t size)
{
    *direct = (struct direct){.fd = fd};
    if (size < DIRECT_LEAST)
        return;
    direct->buffer = aligned_alloc(ALIGNMENT, BUFFER);
    direct->on = direct->buffer && set_direct(direct, true);
}

/* Some file systems take the flag and then refuse the access. */
static bool leave(struct direct *d)
{
    if (!d->on || (errno != EINVAL && errno != EOPNOTSUPP))
        return false;
    d->on = false;
    return set_direct(d, false);
}

static int write_all(struct direct *d, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = pwrite(d->fd, bytes, length, d->offset);
        if (n < 0 && (errno == EINTR || leave(d)))
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        bytes += n;
        length -= (size_t)n;
        d->offset += n;
        /* After a short write the rest may not be aligned. */
        if (d->on && (size_t)n % ALIGNMENT != 0 && length > 0) {
            d->on = false;
            if (!set_direct(d, false))
                return -1;
        }
    }
    return 0;
}

int direct_write(struct direct *direct, const uint8_t *bytes, uint64_t length)
{
    if (!direct->buffer)
        return write_all(direct, bytes, (size_t)length);
    while (length > 0) {
        size_t n = BUFFER - direct->filled < length ? BUFFER - direct->filled : (size_t)length;
        memcpy(direct->buffer + direct->filled, bytes, n);
        direct->filled += n;
        bytes += n;
        length -= n;
        if (direct->filled < BUFFER)
            continue;
        if (write_all(direct, direct->buffer, BUFFER))
            return -1;
        direct->filled = 0;
    }
    return 0;
}

/* The tail is not aligned: it goes the ordinary way. */
int direct_flush(struct direct *direct)
{
    if (direct->filled == 0)
        return 0;
    if (direct->on && !set_direct(direct, false))
        return -1;
    direct->on = false;
    int failed = write_all(direct, direct->buffer, direct->filled);
    direct->filled = 0;
    return failed;
}

/* Read the aligned bytes around what is wanted, and copy that. */
static int64_t read_around(struct direct *d, uint8_t *bytes, size_t length, int64_t offset)
{
    int64_t from = offset & ~(int64_t)(ALIGNMENT - 1);
    size_t before = (size_t)(offset - from);
    size_t want = (before + length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    ssize_t n = pread(d->fd, d->buffer, want < BUFFER ? want : BUFFER, from);
    if (n < 0)
        return -1;
    if ((size_t)n <= before)
        return 0;
    size_t got = (size_t)n - before < length ? (size_t)n - before : length;
    memcpy(bytes, d->buffer + before, got);
    return (int64_t)got;
}

int64_t direct_read(struct direct *direct, uint8_t *bytes, size_t length, int64_t offset)
{
    for (;;) {
        int64_t n = direct->on ? read_around(direct, bytes, length, offset) : pread(direct->fd, bytes, length, offset);
        if (n >= 0 || (errno != EINTR && !leave(direct)))
            return n;
    }
}

void direct_end(struct direct *direct)
{
    free(direct->buffer);
    direct->buffer = NULL;
}
