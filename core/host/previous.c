#include "host/previous.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "snapshot/path.h"

#define FINGERPRINT 16
#define WINDOW (256u * 1024)
#define LARGEST (4u + PATH_LONGEST + FINGERPRINT) /* one record */

struct previous {
    int fd;
    off_t offset;  /* of what comes after the window */
    bool ended;    /* of the file */
    bool there;    /* a record is loaded */
    uint64_t next; /* ordinal of the record after it */
    char path[PATH_LONGEST + 1];
    size_t path_length;
    uint8_t fingerprint[FINGERPRINT];
    size_t at, filled;
    uint8_t window[WINDOW];
};

int previous_open(int fd, struct previous **previous, struct error *e)
{
    struct previous *p = calloc(1, sizeof *p);
    if (!p) {
        close(fd);
        return error_memory(e);
    }
    p->fd = fd;
    *previous = p;
    return 0;
}

void previous_close(struct previous *previous)
{
    if (!previous)
        return;
    close(previous->fd);
    free(previous);
}

/* At least n unread bytes in the window, or the file's end. */
static int fill(struct previous *p, size_t n, struct error *e)
{
    if (p->filled - p->at >= n || p->ended)
        return 0;
    memmove(p->window, p->window + p->at, p->filled - p->at);
    p->filled -= p->at;
    p->at = 0;
    while (p->filled < n && !p->ended) {
        ssize_t got = pread(p->fd, p->window + p->filled, WINDOW - p->filled, p->offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(e, errno, "read the entries of the previous snapshot");
        p->ended = got == 0;
        p->filled += (size_t)got;
        p->offset += got;
    }
    return 0;
}

static int damaged(const struct previous *p, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "the entries of the previous snapshot are damaged at number %llu",
                     (unsigned long long)p->next);
}

static int load(struct previous *p, struct error *e)
{
    p->there = false;
    if (fill(p, LARGEST, e) < 0)
        return -1;
    const uint8_t *record = p->window + p->at;
    size_t left = p->filled - p->at;
    if (left == 0)
        return 0;
    if (left < 4 + FINGERPRINT)
        return damaged(p, e);
    size_t shared = (size_t)(record[0] | record[1] << 8), own = (size_t)(record[2] | record[3] << 8);
    if (shared > p->path_length || shared + own > PATH_LONGEST || left < 4 + own + FINGERPRINT)
        return damaged(p, e);
    memcpy(p->path + shared, record + 4, own);
    p->path_length = shared + own;
    memcpy(p->fingerprint, record + 4 + own, FINGERPRINT);
    p->at += 4 + own + FINGERPRINT;
    p->next++;
    p->there = true;
    return 0;
}

int previous_find(struct previous *p, const char *path, size_t length, const uint8_t *fingerprint, bool *found,
                  uint64_t *ordinal, struct error *e)
{
    static const uint8_t none[FINGERPRINT];
    int order = -1;
    *found = false;
    if (p->next == 0 && load(p, e) < 0)
        return -1;
    while (p->there && (order = path_compare(p->path, p->path_length, path, length)) < 0)
        if (load(p, e) < 0)
            return -1;
    if (!p->there || order != 0)
        return 0;
    *found = memcmp(p->fingerprint, fingerprint, FINGERPRINT) == 0 && memcmp(none, fingerprint, FINGERPRINT) != 0;
    *ordinal = p->next - 1;
    return 0;
}
