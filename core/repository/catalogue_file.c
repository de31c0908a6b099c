#include "repository/catalogue_file.h"

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

#define MAGIC "cofrecf1"
#define TRAILER_SIZE (8 + 16 + SEAL_HASH_SIZE)
#define BUFFER_SIZE ((size_t)256 << 10)

struct catalogue_output {
    int fd;
    uint64_t length;
    uint8_t fingerprint_key[16];
    struct seal_hasher hasher;
    struct bytes buffer;
    char path[PATH_MAX];
};

int catalogue_output_new(const char *path, const uint8_t fingerprint_key[16], struct catalogue_output **output,
                         struct error *e)
{
    struct catalogue_output *o = calloc(1, sizeof *o);
    if (!o)
        return error_memory(e);
    snprintf(o->path, sizeof o->path, "%s", path);
    memcpy(o->fingerprint_key, fingerprint_key, sizeof o->fingerprint_key);
    o->buffer.maximum = BUFFER_SIZE;
    seal_hasher_init(&o->hasher);
    o->fd = file_open(path, O_WRONLY | O_CREAT, e);
    if (o->fd < 0 || ftruncate(o->fd, 0) < 0) {
        if (o->fd >= 0)
            error_system(e, errno, "empty '%s'", path);
        catalogue_output_free(o);
        return -1;
    }
    *output = o;
    return 0;
}

static int write_out(struct catalogue_output *o, const void *p, size_t n, struct error *e)
{
    seal_hasher_add(&o->hasher, p, n);
    return file_write_all(o->fd, p, n, o->path, e);
}

static int flush(struct catalogue_output *o, struct error *e)
{
    int result = write_out(o, o->buffer.data, o->buffer.length, e);
    bytes_reset(&o->buffer);
    return result;
}

int catalogue_output_add(struct catalogue_output *output, const void *records, size_t n, struct error *e)
{
    output->length += n;
    if (n > BUFFER_SIZE - output->buffer.length && flush(output, e) < 0)
        return -1;
    if (n > BUFFER_SIZE)
        return write_out(output, records, n, e);
    bytes_put(&output->buffer, records, n);
    return bytes_check(&output->buffer, "catalogue", e);
}

int catalogue_output_end(struct catalogue_output *output, uint64_t *length, struct error *e)
{
    *length = output->length;
    if (flush(output, e) < 0)
        return -1;
    uint8_t trailer[TRAILER_SIZE];
    memcpy(trailer, MAGIC, 8);
    memcpy(trailer + 8, output->fingerprint_key, 16);
    seal_hasher_add(&output->hasher, trailer, 24);
    seal_hasher_end(&output->hasher, trailer + 24);
    return file_write_all(output->fd, trailer, sizeof trailer, output->path, e);
}

void catalogue_output_free(struct catalogue_output *output)
{
    if (!output)
        return;
    if (output->fd >= 0)
        close(output->fd);
    bytes_free(&output->buffer);
    free(output);
}

/* A window of the file: bytes [at, at + held) of it are in the buffer. */
struct catalogue_input {
    int fd;
    uint64_t length; /* of the records */
    uint64_t offset; /* of the next record */
    uint64_t at;
    size_t held;
    struct bytes buffer;
    uint8_t fingerprint_key[16];
    struct catalogue_decoder decoder;
    char path[PATH_MAX];
};

static int not_whole(const struct catalogue_input *i, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "'%s' is damaged", i->path);
}

static int check_whole(struct catalogue_input *i, struct error *e)
{
    struct stat st;
    if (fstat(i->fd, &st) < 0)
        return error_system(e, errno, "stat '%s'", i->path);
    uint8_t trailer[TRAILER_SIZE], hash[SEAL_HASH_SIZE];
    if (st.st_size < TRAILER_SIZE)
        return not_whole(i, e);
    i->length = (uint64_t)st.st_size - TRAILER_SIZE;
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    for (uint64_t at = 0; at < i->length;) {
        size_t n = i->length - at < BUFFER_SIZE ? (size_t)(i->length - at) : BUFFER_SIZE;
        if (file_read_at(i->fd, i->buffer.data, n, at, i->path, e) < 0)
            return -1;
        seal_hasher_add(&hasher, i->buffer.data, n);
        at += n;
    }
    if (file_read_at(i->fd, trailer, sizeof trailer, i->length, i->path, e) < 0)
        return -1;
    seal_hasher_add(&hasher, trailer, 24);
    seal_hasher_end(&hasher, hash);
    if (memcmp(trailer, MAGIC, 8) != 0 || memcmp(trailer + 24, hash, sizeof hash) != 0)
        return not_whole(i, e);
    memcpy(i->fingerprint_key, trailer + 8, 16);
    return 0;
}

int catalogue_input_open(const char *path, struct catalogue_input **input, struct error *e)
{
    struct catalogue_input *i = calloc(1, sizeof *i);
    if (!i)
        return error_memory(e);
    snprintf(i->path, sizeof i->path, "%s", path);
    i->buffer.maximum = BUFFER_SIZE + CATALOGUE_RECORD_MAX + 4;
    i->fd = file_open(path, O_RDONLY, e);
    int result = i->fd < 0 ? -1 : 0;
    if (result == 0 && !bytes_reserve(&i->buffer, BUFFER_SIZE))
        result = error_memory(e);
    if (result == 0)
        result = check_whole(i, e);
    if (result < 0) {
        catalogue_input_close(i);
        return -1;
    }
    *input = i;
    return 0;
}

void catalogue_input_close(struct catalogue_input *input)
{
    if (!input)
        return;
    if (input->fd >= 0)
        close(input->fd);
    bytes_free(&input->buffer);
    catalogue_decoder_free(&input->decoder);
    free(input);
}

const uint8_t *catalogue_input_fingerprint_key(const struct catalogue_input *input)
{
    return input->fingerprint_key;
}

void catalogue_input_rewind(struct catalogue_input *input)
{
    input->offset = input->at = 0;
    input->held = 0;
}

/* Make n bytes at the offset available. */
static int hold(struct catalogue_input *i, size_t n, struct error *e)
{
    if (i->offset + n <= i->at + i->held)
        return 0;
    if (n > i->length - i->offset)
        return not_whole(i, e);
    uint64_t left = i->length - i->offset;
    size_t want = n > BUFFER_SIZE ? n : BUFFER_SIZE;
    if (want > left)
        want = (size_t)left;
    bytes_reset(&i->buffer);
    uint8_t *to = bytes_reserve(&i->buffer, want);
    if (!to)
        return error_memory(e);
    if (file_read_at(i->fd, to, want, i->offset, i->path, e) < 0)
        return -1;
    i->at = i->offset;
    i->held = want;
    return 0;
}

int catalogue_input_next(struct catalogue_input *input, struct record *record, const uint8_t **bytes, size_t *n,
                         bool *end, struct error *e)
{
    *end = input->offset == input->length;
    if (*end)
        return 0;
    if (hold(input, 4, e) < 0)
        return -1;
    const uint8_t *p = input->buffer.data + (input->offset - input->at);
    if (catalogue_record_length(p, 4, n, e) < 0 || hold(input, *n, e) < 0)
        return -1;
    *bytes = input->buffer.data + (input->offset - input->at);
    input->offset += *n;
    return record ? catalogue_decode(&input->decoder, *bytes, *n, record, e) : 0;
}
