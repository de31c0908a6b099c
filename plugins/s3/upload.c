#include "s3/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "s3/part_length.h"

#define TAG_MAX 80
#define ID_MAX 1024
#define FIRST_PAUSE INT64_C(200) /* ms; each is twice the one before it, PAUSES times */
#define PAUSES 6
#define LOOK 1000                            /* ms between looks at the cancellation */
#define MERGE_TIME ((int64_t)10 * 60 * 1000) /* ms that the store may take to put the parts together */

struct upload {
    struct store *store;
    struct cofre_call *call;
    const char *key;
    char id[ID_MAX];
    char (*tags)[TAG_MAX];
    int64_t parts, total;
    bool if_absent;
    size_t filled;   /* bytes of the next part, in the buffer */
    uint8_t *buffer; /* a mapping: a large part is no data of the process, and goes back when it is sent */
    size_t capacity;
};

static int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

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
    return cofre_fail(error, COFRE_E_MEMORY, "put '%.200s': no memory for a part of %zu MiB", u->key, wanted >> 20);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static int32_t take_id(void *context, const char *path, const char *text, struct cofre_error *error)
{
    struct upload *u = context;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
        return COFRE_OK;
    if (strlen(text) >= sizeof u->id)
        return cofre_fail(error, COFRE_E_INTEGRITY, "the name of the upload is longer than any of S3");
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
                                 cofre_fail(error, COFRE_E_INTEGRITY, "the store gives the upload no name"), error);
    request_free(&answer);
    return result;
}

static int32_t put_part(struct upload *u, struct cofre_error *error)
{
    size_t n = u->filled;
    char number[24], md5_text[SIGN_MD5_TEXT];
    uint8_t md5[SIGN_MD5];
    snprintf(number, sizeof number, "%lld", (long long)(u->parts + 1));
    sign_md5(u->buffer, n, md5);
    sign_md5_text(md5, md5_text);
    struct request r = {.method = "PUT",
                        .what = "put a part of",
                        .key = u->key,
                        .query = {{"partNumber", number}, {"uploadId", u->id}},
                        .headers = {{"content-md5", md5_text}},
                        .content = u->buffer,
                        .length = (int64_t)n};
    struct answer answer;
    int32_t result = request_run(u->store, u->call, &r, &answer, error);
    if (!result && (!answer.head.etag[0] || strlen(answer.head.etag) >= TAG_MAX || strpbrk(answer.head.etag, "<>&")))
        result =
            request_context(u->store, &r, cofre_fail(error, COFRE_E_INTEGRITY, "the store gives it no ETag"), error);
    if (!result)
        result = object_compare_tag(u->store, &r, &answer.head, md5, error);
    if (!result) {
        snprintf(u->tags[u->parts++], TAG_MAX, "%.*s", TAG_MAX - 1, answer.head.etag);
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

static int32_t complete(struct upload *u, struct cofre_error *error)
{
    size_t n;
    char *text = list_parts(u, &n);
    if (!text)
        return cofre_fail(error, COFRE_E_MEMORY, "put '%.200s': out of memory", u->key);
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
    if (u->if_absent && u->store->conditional == STORE_HONOURS)
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

/* ---- trying again ------------------------------------------------------------------------------------------------ */

static int32_t wait_for(struct upload *u, int64_t ms, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    for (int64_t until = now() + ms, left; !result && (left = until - now()) > 0;) {
        cofre->progress(u->call, (uint64_t)u->total, 0);
        result = cofre->pause(u->call, left < LOOK ? left : LOOK, error);
    }
    return result;
}

/* Half of it is left to chance, so that uploads that failed together do not come back together. */
static int64_t pause_after(int try, const struct cofre_error *why)
{
    uint32_t chance = 0;
    int64_t ms = FIRST_PAUSE << (try < PAUSES ? try : PAUSES);
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != sizeof chance)
        chance = (uint32_t)getpid();
    ms = ms / 2 + chance % (ms / 2);
    return why->retry_after > ms ? why->retry_after : ms;
}

/* The host cannot give the bytes of a stream again, but the part is still in memory, and each of these steps may be
 * taken twice: so it is tried again here, for twice as long as a connection may be silent after it has failed. */
static int32_t persist(struct upload *u, int32_t (*step)(struct upload *u, struct cofre_error *error),
                       struct cofre_error *error)
{
    int64_t until = 0, ms;
    for (int try = 0;; try++) {
        char text[sizeof error->message + 40];
        int32_t result = step(u, error);
        if (result != COFRE_E_RETRY || strcmp(error->code, "NoSuchUpload") == 0)
            return result;
        until = try == 0 ? now() + 2 * u->store->options->idle_timeout : until;
        ms = pause_after(try, error);
        if (now() + ms > until)
            return result;
        snprintf(text, sizeof text, "%s; trying again in %lld ms", error->message, (long long)ms);
        cofre->log(u->call, COFRE_LOG_WARNING, text);
        result = wait_for(u, ms, error);
        if (result)
            return result;
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int32_t put_rest(struct upload *u, struct object_source *source, const struct cofre_put *put,
                        struct cofre_error *error)
{
    int32_t result = persist(u, begin, error);
    while (!result && u->filled > 0) {
        if (u->parts == PART_LENGTH_PARTS)
            return cofre_fail(error, COFRE_E_PERMANENT, "put '%.200s': it is larger than 5 TiB", u->key);
        result = persist(u, put_part, error);
        if (result)
            break;
        size_t length = (size_t)part_length(u->store->options->part_size, put->size, u->parts + 1);
        result = fit_buffer(u, length, error);
        if (!result)
            result = object_read(source, u->buffer, length, &u->filled, error);
    }
    if (!result && put->size >= 0 && u->total != put->size)
        result = cofre_fail(error, COFRE_E_BUG, "put '%.200s': the object is shorter than was said", u->key);
    return result ? result : persist(u, complete, error);
}

static int32_t put_at_once(struct upload *u, struct cofre_error *error)
{
    return object_put_memory(u->store, u->call, u->key, u->if_absent, u->buffer, u->filled, error);
}

static int32_t spare(const struct upload *u, const struct cofre_put *put, struct cofre_error *error)
{
    struct cofre_object object = {.struct_size = sizeof object};
    if (!(put->flags & COFRE_PUT_IF_ABSENT))
        return COFRE_OK;
    /* Not every store that spares an object in a put does so at the end of an upload. */
    int32_t result = object_stat(u->store, u->call, u->key, &object, error);
    if (result == COFRE_OK)
        return cofre_fail(error, COFRE_E_EXISTS, "put '%.200s': there is an object already", u->key);
    return result == COFRE_E_NOT_FOUND ? COFRE_OK : result;
}

int32_t upload_run(struct store *store, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error)
{
    bool if_absent = put->flags & COFRE_PUT_IF_ABSENT;
    struct upload u = {.store = store, .call = call, .key = key, .if_absent = if_absent};
    struct object_source source = {.call = call};
    size_t length = (size_t)part_length(store->options->part_size, put->size, 1);
    int32_t result = fit_buffer(&u, length, error);
    if (!result)
        result = object_read(&source, u.buffer, length, &u.filled, error);
    if (!result && u.filled < length && put->size < 0) {
        result = persist(&u, put_at_once, error);
    } else if (!result) {
        u.tags = calloc(PART_LENGTH_PARTS, TAG_MAX);
        result = u.tags ? spare(&u, put, error) : cofre_fail(error, COFRE_E_MEMORY, "put '%.200s': out of memory", key);
        if (!result)
            result = put_rest(&u, &source, put, error);
        if (result && u.id[0])
            abort_upload(store, call, key, u.id);
    }
    if (u.buffer)
        munmap(u.buffer, u.capacity);
    free(u.tags);
    return result;
}
