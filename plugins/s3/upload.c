#include "s3/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/failure.h"
#include "s3/part_length.h"

#define TAG_MAX 80
#define ID_MAX 1024
#define MERGE_TIME ((int64_t)10 * 60 * 1000) /* ms that the store may take to put the parts together */

struct upload {
    struct store *store;
    struct cofre_call *call;
    const char *key;
    char id[ID_MAX];
    char (*tags)[TAG_MAX];
    int64_t parts, total;
    uint8_t *buffer; /* a mapping: a large part is no data of the process, and goes back when it is sent */
    size_t capacity;
};

static int32_t fit_buffer(struct upload *u, size_t wanted, struct cofre_error *error)
{
    if (wanted <= u->capacity)
        return COFRE_OK;
    if (u->buffer)
        munmap(u->buffer, u->capacity);
    void *p = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    u->buffer = p == MAP_FAILED ? NULL : p;
    u->capacity = u->buffer ? wanted : 0;
    if (u->buffer)
        return COFRE_OK;
    return failure_set(error, COFRE_E_MEMORY, "put '%.200s': no memory for a part of %zu MiB", u->key, wanted >> 20);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static int32_t take_id(void *context, const char *path, const char *text, struct cofre_error *error)
{
    struct upload *u = context;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
        return COFRE_OK;
    if (strlen(text) >= sizeof u->id)
        return failure_set(error, COFRE_E_INTEGRITY, "the name of the upload is longer than any of S3");
    snprintf(u->id, sizeof u->id, "%s", text);
    return COFRE_OK;
}

static int32_t begin(struct upload *u, struct cofre_error *error)
{
    struct request r = {.method = "POST", .what = "begin to put", .key = u->key, .query = {{"uploads", NULL}}};
    struct answer answer;
    object_headers(u->store, &r);
    int32_t result = request_run(u->store, u->call, &r, &answer, error);
    if (!result)
        result = answer_read(u->store, &r, &answer, "InitiateMultipartUploadResult", take_id, u, error);
    if (!result && !u->id[0])
        result = request_context(u->store, &r,
                                 failure_set(error, COFRE_E_INTEGRITY, "the store gives the upload no name"), error);
    request_free(&answer);
    return result;
}

static int32_t put_part(struct upload *u, size_t n, struct cofre_error *error)
{
    char number[24], md5[32];
    snprintf(number, sizeof number, "%lld", (long long)(u->parts + 1));
    sign_md5(u->buffer, n, md5);
    struct request r = {.method = "PUT",
                        .what = "put a part of",
                        .key = u->key,
                        .query = {{"partNumber", number}, {"uploadId", u->id}},
                        .headers = {{"content-md5", md5}},
                        .content = u->buffer,
                        .length = (int64_t)n};
    struct answer answer;
    int32_t result = request_run(u->store, u->call, &r, &answer, error);
    if (!result && (!answer.head.etag[0] || strlen(answer.head.etag) >= TAG_MAX || strpbrk(answer.head.etag, "<>&")))
        result =
            request_context(u->store, &r, failure_set(error, COFRE_E_INTEGRITY, "the store gives it no ETag"), error);
    if (!result) {
        snprintf(u->tags[u->parts++], TAG_MAX, "%s", answer.head.etag);
        u->total += (int64_t)n;
    }
    request_free(&answer);
    return result;
}

static char *list_parts(const struct upload *u, size_t *n)
{
    size_t size = 200 + (size_t)u->parts * (TAG_MAX + 80), at;
    char *text = malloc(size);
    if (!text)
        return NULL;
    at = (size_t)snprintf(text, size, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (int64_t i = 0; i < u->parts; i++)
        at += (size_t)snprintf(text + at, size - at, "<Part><PartNumber>%lld</PartNumber><ETag>%s</ETag></Part>",
                               (long long)i + 1, u->tags[i]);
    at += (size_t)snprintf(text + at, size - at, "</CompleteMultipartUpload>");
    *n = at;
    return text;
}

static int32_t ignore(void *context, const char *path, const char *text, struct cofre_error *error)
{
    (void)context;
    (void)path;
    (void)text;
    (void)error;
    return COFRE_OK;
}

/* The answer was lost: is the object there all the same? */
static bool is_there(const struct upload *u)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct request r = {.method = "HEAD", .what = "look at", .key = u->key};
    struct answer answer;
    char mark[32];
    snprintf(mark, sizeof mark, "-%lld\"", (long long)u->parts);
    bool there = request_run(u->store, u->call, &r, &answer, &ignored) == COFRE_OK && answer.head.length == u->total &&
                 strstr(answer.head.etag, mark);
    request_free(&answer);
    return there;
}

static int32_t complete(struct upload *u, bool if_absent, struct cofre_error *error)
{
    size_t n;
    char *text = list_parts(u, &n);
    if (!text)
        return failure_set(error, COFRE_E_MEMORY, "put '%.200s': out of memory", u->key);
    struct request r = {.method = "POST",
                        .what = "end the put of",
                        .key = u->key,
                        .query = {{"uploadId", u->id}},
                        .content = text,
                        .length = (int64_t)n,
                        .idle = MERGE_TIME};
    struct answer answer;
    if (u->store->options->idle_timeout < 10000)
        r.idle = 0;
    if (if_absent && u->store->conditional == STORE_HONOURS)
        r.headers[0] = (struct sign_pair){"if-none-match", "*"};
    int32_t result = request_run(u->store, u->call, &r, &answer, error);
    if (!result)
        result = answer_read(u->store, &r, &answer, "CompleteMultipartUploadResult", ignore, NULL, error);
    request_free(&answer);
    free(text);
    return result == COFRE_E_RETRY && is_there(u) ? COFRE_OK : result;
}

static void abort_upload(struct store *store, struct cofre_call *call, const char *key, const char *id)
{
    struct request r = {.method = "DELETE", .what = "give up the put of", .key = key, .query = {{"uploadId", id}}};
    struct answer answer;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    /* Whether this works changes nothing: sweep takes what stays. */
    request_run(store, call, &r, &answer, &ignored);
    request_free(&answer);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int32_t put_rest(struct upload *u, struct object_source *source, const struct cofre_put *put, size_t n,
                        struct cofre_error *error)
{
    int32_t result = begin(u, error);
    while (!result && n > 0) {
        if (u->parts == PART_LENGTH_PARTS)
            return failure_set(error, COFRE_E_PERMANENT, "put '%.200s': it is larger than 5 TiB", u->key);
        result = put_part(u, n, error);
        if (result)
            break;
        size_t length = (size_t)part_length(u->store->options->part_size, put->size, u->parts + 1);
        result = fit_buffer(u, length, error);
        if (!result)
            result = object_read(source, u->buffer, length, &n, error);
    }
    if (!result && put->size >= 0 && u->total != put->size)
        result = failure_set(error, COFRE_E_BUG, "put '%.200s': the object is shorter than was said", u->key);
    return result ? result : complete(u, put->flags & COFRE_PUT_IF_ABSENT, error);
}

static int32_t spare(const struct upload *u, const struct cofre_put *put, struct cofre_error *error)
{
    struct cofre_object object = {.struct_size = sizeof object};
    if (!(put->flags & COFRE_PUT_IF_ABSENT))
        return COFRE_OK;
    /* Not every store that spares an object in a put does so at the end of an upload. */
    int32_t result = object_stat(u->store, u->call, u->key, &object, error);
    if (result == COFRE_OK)
        return failure_set(error, COFRE_E_EXISTS, "put '%.200s': there is an object already", u->key);
    return result == COFRE_E_NOT_FOUND ? COFRE_OK : result;
}

int32_t upload_run(struct store *store, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error)
{
    struct upload u = {.store = store, .call = call, .key = key};
    struct object_source source = {.call = call};
    size_t length = (size_t)part_length(store->options->part_size, put->size, 1), n = 0;
    int32_t result = fit_buffer(&u, length, error);
    if (!result)
        result = object_read(&source, u.buffer, length, &n, error);
    if (!result && n < length && put->size < 0) {
        result = object_put_memory(store, call, key, put->flags & COFRE_PUT_IF_ABSENT, u.buffer, n, error);
    } else if (!result) {
        u.tags = calloc(PART_LENGTH_PARTS, TAG_MAX);
        result =
            u.tags ? spare(&u, put, error) : failure_set(error, COFRE_E_MEMORY, "put '%.200s': out of memory", key);
        if (!result)
            result = put_rest(&u, &source, put, n, error);
        if (result && u.id[0])
            abort_upload(store, call, key, u.id);
    }
    if (u.buffer)
        munmap(u.buffer, u.capacity);
    free(u.tags);
    return result;
}
