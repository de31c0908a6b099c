#include "repository/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/index.h"
#include "repository/index_body.h"

/* A record: u32 length, an index body of one pack, and the hash of that body. */
#define RECORD_MAX ((size_t)8 << 20)

struct journal {
    int fd;
    char path[PATH_MAX];
};

int journal_open(const char *path, struct journal **journal, struct error *e)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return error_memory(e);
    snprintf(j->path, sizeof j->path, "%s", path);
    j->fd = file_open(path, O_RDWR | O_CREAT | O_APPEND, e);
    if (j->fd < 0) {
        free(j);
        return error_context(e, "journal: ");
    }
    *journal = j;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    close(journal->fd);
    free(journal);
}

int journal_add(struct journal *journal, const uint8_t pack[SEAL_HASH_SIZE], uint64_t size,
                const struct pack_chunk *chunks, uint32_t count, struct error *e)
{
    AUTO_BYTES struct bytes record = {.maximum = RECORD_MAX};
    bytes_put_u32(&record, 0);
    AUTO_BYTES struct bytes body = {.maximum = RECORD_MAX};
    index_body_begin(&body, "", 0);
    index_body_add_pack(&body, pack, size, chunks, count);
    index_body_end(&body, 1);
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hash(body.data, body.length, hash);
    bytes_put(&record, body.data, body.length);
    bytes_put(&record, hash, sizeof hash);
    if (bytes_check(&body, "journal", e) < 0 || bytes_check(&record, "journal", e) < 0)
        return -1;
    bytes_set_u32(record.data, (uint32_t)body.length);
    return file_write_all(journal->fd, record.data, record.length, journal->path, e);
}

/* The next whole record of the file's content; its length, or 0. */
static size_t next_body(const struct bytes *all, size_t at)
{
    if (all->length - at < 4)
        return 0;
    size_t n = bytes_get_u32(all->data + at);
    if (n > RECORD_MAX || all->length - at < 4 + n + SEAL_HASH_SIZE)
        return 0;
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hash(all->data + at + 4, n, hash);
    return memcmp(hash, all->data + at + 4 + n, sizeof hash) == 0 ? n : 0;
}

int journal_is_empty(const struct journal *journal, bool *empty, struct error *e)
{
    struct stat st;
    if (fstat(journal->fd, &st) < 0)
        return error_system(e, errno, "look at journal '%s'", journal->path);
    *empty = st.st_size == 0;
    return 0;
}

int journal_each(struct journal *journal,
                 int (*pack)(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                             const struct pack_chunk *chunks, uint32_t count, struct error *e),
                 void *context, struct error *e)
{
    AUTO_BYTES struct bytes all = {.maximum = (size_t)1 << 30};
    if (file_read_own(journal->path, all.maximum - 1, &all, e) < 0)
        return -1;
    size_t n, at;
    for (at = 0; (n = next_body(&all, at)) > 0; at += 4 + n + SEAL_HASH_SIZE)
        if (index_body_each(all.data + at + 4, n, pack, context, e) < 0)
            return -1;
    /* What is added behind half a record would not be found again. */
    if (at < all.length && ftruncate(journal->fd, (off_t)at) < 0)
        return error_system(e, errno, "shorten journal '%s'", journal->path);
    return 0;
}

int journal_clear(struct journal *journal, struct error *e)
{
    if (ftruncate(journal->fd, 0) < 0)
        return error_system(e, errno, "empty journal '%s'", journal->path);
    return 0;
}
