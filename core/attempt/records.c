#include "attempt/records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/digest.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"

#define DAY INT64_C(86400000000000) /* ns */
#define SLACK 31                    /* days: what is old goes at once, once a month */
#define TAIL 65536

int records_directory(const struct config *config, const char *job, const char *sink, char *out, struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/%s/%s", config->state_dir, job ? "jobs" : "sinks", job ? job : sink) >=
        PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
    return 0;
}

/* ---- the file, locked ---- */

struct file {
    char path[PATH_MAX];
    int fd;
    size_t size; /* of its whole lines */
};

/* Held for moments only. */
static int lock(const struct file *f, struct error *e)
{
    while (flock(f->fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_system(e, errno, "lock '%s'", f->path);
    return 0;
}

/* Until it is the one of that name: who cuts lines off puts another in its place. */
static int open_locked(struct file *f, struct error *e)
{
    struct stat here, there;
    for (;;) {
        f->fd = file_open(f->path, O_RDWR | O_CREAT | O_APPEND, e);
        if (f->fd < 0 || lock(f, e) < 0)
            return -1;
        if (fstat(f->fd, &here) < 0)
            return error_system(e, errno, "stat '%s'", f->path);
        if (stat(f->path, &there) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev)
            break;
        close(f->fd);
    }
    f->size = (size_t)here.st_size;
    return 0;
}

/* The last n bytes, or all when there are fewer. */
static int read_tail(const struct file *f, size_t n, struct bytes *out, struct error *e)
{
    bytes_reset(out);
    n = n < f->size ? n : f->size;
    uint8_t *to = bytes_reserve(out, n);
    if (!to)
        return bytes_check(out, "records", e);
    out->length = n;
    return file_read_at(f->fd, to, n, f->size - n, f->path, e);
}

static const uint8_t *last_newline(const uint8_t *p, size_t n)
{
    return n > 0 ? memrchr(p, '\n', n) : NULL;
}

/* Nobody was told that what has no end is there. */
static int drop_half(struct file *f, struct bytes *tail, struct error *e)
{
    const uint8_t *end = NULL;
    for (size_t n = TAIL; !end; n *= 2) {
        if (read_tail(f, n, tail, e) < 0)
            return -1;
        end = last_newline(tail->data, tail->length);
        if (tail->length == f->size)
            break;
    }
    size_t half = end ? (size_t)(tail->data + tail->length - end) - 1 : f->size;
    if (half == 0)
        return 0;
    if (ftruncate(f->fd, (off_t)(f->size - half)) < 0)
        return error_system(e, errno, "take half a line off '%s'", f->path);
    f->size -= half;
    return 0;
}

/* Of the last line; "" when there is none. */
static int hash_last(const struct file *f, struct bytes *tail, char hex[DIGEST_TEXT], struct error *e)
{
    uint8_t hash[DIGEST_SIZE];
    const uint8_t *before = NULL;
    hex[0] = '\0';
    if (f->size == 0)
        return 0;
    for (size_t n = TAIL; !before; n *= 2) {
        if (read_tail(f, n, tail, e) < 0)
            return -1;
        before = last_newline(tail->data, tail->length - 1);
        if (tail->length == f->size)
            break;
    }
    const uint8_t *line = before ? before + 1 : tail->data;
    if (digest_of(line, (size_t)(tail->data + tail->length - line), hash, e) < 0)
        return -1;
    text_hex(hash, sizeof hash, hex);
    return 0;
}

static int write_line(struct file *f, const char *line, struct error *e)
{
    size_t n = strlen(line);
    if (file_write_all(f->fd, line, n, f->path, e) < 0) {
        if (ftruncate(f->fd, (off_t)f->size) < 0)
            return error_context(e, "half of it stays: ");
        return -1;
    }
    if (fsync(f->fd) < 0)
        return error_system(e, errno, "sync '%s'", f->path);
    bool first = f->size == 0;
    f->size += n;
    return first ? file_make_durable(f->path, e) : 0;
}

/* ---- what is old ---- */

static int64_t ended(const char *line, size_t length)
{
    json_t *record = records_parse(line, length);
    int64_t when = record ? records_time(record, "ended") : INT64_MIN;
    json_decref(record);
    return when;
}

static bool is_due(struct file *f, int64_t now)
{
    char first[TAIL];
    ssize_t n = pread(f->fd, first, sizeof first, 0);
    const char *end = n > 0 ? memchr(first, '\n', (size_t)n) : NULL;
    return f->size > RECORDS_FILE_MAX ||
           (end && now - (RECORDS_DAYS + SLACK) * DAY > ended(first, (size_t)(end - first)));
}

/* The offset of the first line to stay. */
static size_t find_cut(const char *text, size_t size, int64_t now)
{
    size_t lines = 0, at = 0;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + size - p))); p++)
        lines++;
    for (; lines > RECORDS_LEAST; lines--) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = (size_t)(end - text) - at;
        bool large = size > RECORDS_FILE_MAX && size - at > RECORDS_FILE_MAX / 2;
        if (!large && ended(text + at, length) >= now - RECORDS_DAYS * DAY)
            break;
        at += length + 1;
    }
    return at;
}

static int cut(struct file *f, struct error *e)
{
    int64_t now = clock_now();
    if (!is_due(f, now))
        return 0;
    AUTO_BYTES struct bytes all = {.maximum = RECORDS_FILE_MAX + 2 * RECORDS_LINE_MAX};
    if (read_tail(f, f->size, &all, e) < 0)
        return -1;
    size_t at = find_cut((const char *)all.data, all.length, now);
    return at == 0 ? 0 : file_write(f->path, all.data + at, all.length - at, FILE_REPLACE, e);
}

/* ---- one more ---- */

/* The line, to be freed. */
static int encode(json_t *record, const char *hash, char **line, struct error *e)
{
    json_t *previous = hash[0] ? json_string(hash) : json_null();
    if (json_object_set_new(record, "previous", previous) < 0)
        return error_memory(e);
    AUTO_FREE char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text || asprintf(line, "%s\n", text) < 0) {
        *line = NULL;
        return error_memory(e);
    }
    if (strlen(*line) <= RECORDS_LINE_MAX)
        return 0;
    return error_set(e, ERROR_RANGE, "the record is longer than %zu bytes", RECORDS_LINE_MAX);
}

static int append(struct file *f, json_t *record, struct error *e)
{
    AUTO_BYTES struct bytes tail = {.maximum = RECORDS_FILE_MAX + 2 * RECORDS_LINE_MAX};
    AUTO_FREE char *line = NULL;
    char hash[DIGEST_TEXT];
    if (open_locked(f, e) < 0 || drop_half(f, &tail, e) < 0 || hash_last(f, &tail, hash, e) < 0 ||
        encode(record, hash, &line, e) < 0 || write_line(f, line, e) < 0)
        return -1;
    return 0;
}

int records_append(const char *directory, json_t *record, struct error *e)
{
    struct file f = {.fd = -1};
    snprintf(f.path, sizeof f.path, "%.*s/records", PATH_MAX - 16, directory);
    int result = append(&f, record, e);
    /* It is there: that others stay longer than they need is no failure, and the next attempt tries again. */
    struct error ignored;
    if (result == 0)
        (void)cut(&f, &ignored);
    if (f.fd >= 0)
        close(f.fd);
    return result;
}
