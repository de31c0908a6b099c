#include "s3/object.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/upload.h"

#define SMALL ((int64_t)256 * 1024) /* up to here a body is signed as a whole */
#define SINGLE ((int64_t)64 << 20)  /* up to here an object of known length is put at once */
#define MD5_HEX 33

static void add(struct sign_pair *pairs, const char *name, const char *value)
{
    size_t n = 0;
    while (pairs[n].name)
        n++;
    if (n < REQUEST_PAIRS)
        pairs[n] = (struct sign_pair){name, value};
}

void object_headers(const struct store *store, struct request *request)
{
    static const char kms[] = "aws:kms:";
    const struct store_options *o = store->options;
    if (o->storage_class)
        add(request->headers, "x-amz-storage-class", o->storage_class);
    if (!o->sse)
        return;
    bool named = strncmp(o->sse, kms, sizeof kms - 1) == 0;
    add(request->headers, "x-amz-server-side-encryption", named ? "aws:kms" : o->sse);
    if (named)
        add(request->headers, "x-amz-server-side-encryption-aws-kms-key-id", o->sse + sizeof kms - 1);
}

/* ---- put --------------------------------------------------------------------------------------------------------- */

int32_t object_read(void *source, void *p, size_t n, size_t *got, struct cofre_error *error)
{
    struct object_source *s = source;
    for (*got = 0; *got < n && !s->ended;) {
        if (s->count == 0) {
            const void *bytes;
            uint64_t length;
            int32_t result = cofre->take(s->call, &bytes, &length, error);
            if (result && result != COFRE_END)
                return result;
            s->ended = result == COFRE_END;
            s->left = bytes;
            s->count = s->ended ? 0 : length;
            continue;
        }
        size_t part = n - *got < s->count ? n - *got : s->count;
        memcpy((uint8_t *)p + *got, s->left, part);
        s->left += part;
        s->count -= part;
        *got += part;
    }
    return COFRE_OK;
}

/* A body that is hashed as it goes. */
struct hashed {
    int32_t (*read)(void *source, void *p, size_t n, size_t *got, struct cofre_error *error);
    void *source;
    EVP_MD_CTX *md5;
};

static int32_t read_hashed(void *context, void *p, size_t n, size_t *got, struct cofre_error *error)
{
    struct hashed *h = context;
    int32_t result = h->read(h->source, p, n, got, error);
    if (!result && EVP_DigestUpdate(h->md5, p, *got) != 1)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    return result;
}

int32_t object_compare_tag(const struct store *store, const struct request *request, const struct http_head *head,
                           const uint8_t md5[SIGN_MD5], struct cofre_error *error)
{
    char wanted[MD5_HEX];
    size_t quote = head->etag[0] == '"';
    bool plain = strspn(head->etag + quote, "0123456789abcdef") == MD5_HEX - 1 &&
                 strlen(head->etag) == MD5_HEX - 1 + 2 * quote && strncmp(head->encryption, "aws:", 4) != 0;
    for (size_t i = 0; i < SIGN_MD5; i++)
        snprintf(wanted + 2 * i, 3, "%02x", md5[i]);
    if (!plain || strncmp(wanted, head->etag + quote, MD5_HEX - 1) == 0)
        return COFRE_OK;
    return request_context(
        store, request, cofre_fail(error, COFRE_E_INTEGRITY, "the store says that it has other bytes than were sent"),
        error);
}

static int32_t run_put(struct store *store, struct cofre_call *call, struct request *r, bool if_absent,
                       struct http_head *head, struct cofre_error *error)
{
    struct answer answer;
    object_headers(store, r);
    if (if_absent)
        add(r->headers, "if-none-match", "*");
    int32_t result = request_run(store, call, r, &answer, error);
    *head = answer.head;
    request_free(&answer);
    if (r->read && (head->status == 411 || head->status == 501)) {
        store->whole_bodies = true;
        return cofre_fail(error, COFRE_E_RETRY, "put '%.200s': the store takes no body that is signed in pieces",
                          r->key);
    }
    return result;
}

int32_t object_put_memory(struct store *store, struct cofre_call *call, const char *key, bool if_absent, const void *p,
                          size_t n, struct cofre_error *error)
{
    uint8_t md5[SIGN_MD5];
    char md5_text[SIGN_MD5_TEXT];
    struct http_head head;
    sign_md5(p, n, md5);
    sign_md5_text(md5, md5_text);
    struct request r = {.method = "PUT",
                        .what = "put",
                        .key = key,
                        .content = p,
                        .length = (int64_t)n,
                        .headers = {{"content-md5", md5_text}}};
    int32_t result = run_put(store, call, &r, if_absent, &head, error);
    return result ? result : object_compare_tag(store, &r, &head, md5, error);
}

static int32_t put_whole(struct store *store, struct cofre_call *call, const char *key, int64_t size, bool if_absent,
                         struct cofre_error *error)
{
    struct object_source source = {.call = call};
    size_t got;
    void *p = malloc((size_t)size + 1);
    if (!p)
        return cofre_fail(error, COFRE_E_MEMORY, "put '%.200s': out of memory", key);
    int32_t result = object_read(&source, p, (size_t)size, &got, error);
    if (!result && (int64_t)got < size)
        result = cofre_fail(error, COFRE_E_BUG, "put '%.200s': the object is shorter than was said", key);
    if (!result)
        result = object_put_memory(store, call, key, if_absent, p, got, error);
    free(p);
    return result;
}

/* body: size bytes, which are signed in pieces. */
static int32_t put_pieces(struct store *store, struct cofre_call *call, const char *key, int64_t size, bool if_absent,
                          struct hashed *body, struct cofre_error *error)
{
    struct request r = {
        .method = "PUT", .what = "put", .key = key, .length = size, .read = read_hashed, .read_context = body};
    uint8_t md5[SIGN_MD5];
    struct http_head head;
    int32_t result;
    body->md5 = EVP_MD_CTX_new();
    if (!body->md5 || EVP_DigestInit_ex(body->md5, EVP_md5(), NULL) != 1)
        result = cofre_fail(error, COFRE_E_MEMORY, "put '%.200s': out of memory", key);
    else
        result = run_put(store, call, &r, if_absent, &head, error);
    if (!result && EVP_DigestFinal_ex(body->md5, md5, NULL) != 1)
        result = cofre_fail(error, COFRE_E_MEMORY, "put '%.200s': out of memory", key);
    if (!result)
        result = object_compare_tag(store, &r, &head, md5, error);
    EVP_MD_CTX_free(body->md5);
    return result;
}

/* There are stores that keep the frames of the pieces with the bytes. The host tries again, and then the body is signed
 * whole, and takes the place of the one that was spoilt: it is ours. */
static int32_t put_large(struct store *store, struct cofre_call *call, const char *key, int64_t size, bool if_absent,
                         struct cofre_error *error)
{
    struct object_source source = {.call = call};
    struct hashed body = {.read = object_read, .source = &source};
    if (store->whole_bodies)
        return put_whole(store, call, key, size, if_absent, error);
    int32_t result = put_pieces(store, call, key, size, if_absent, &body, error);
    if (result != COFRE_E_INTEGRITY)
        return result;
    store->whole_bodies = true;
    snprintf(store->spoilt, sizeof store->spoilt, "%s", key);
    return cofre_fail(
        error, COFRE_E_RETRY,
        "put '%.200s': the store keeps other bytes than were sent when they are signed in pieces, so from "
        "now on they are signed whole",
        key);
}

/* Where the store has no conditional put, a look before saves at least what was there before. */
static int32_t spare(struct store *store, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    struct cofre_object object = {.struct_size = sizeof object};
    int32_t result = store->conditional == STORE_UNKNOWN ? object_probe(store, call, error) : COFRE_OK;
    if (result || store->conditional == STORE_HONOURS)
        return result;
    result = object_stat(store, call, key, &object, error);
    if (result == COFRE_OK)
        return cofre_fail(error, COFRE_E_EXISTS, "put '%.200s': there is an object already", key);
    return result == COFRE_E_NOT_FOUND ? COFRE_OK : result;
}

/* Also of what exists: whoever relies on it relies on its lock. */
static int32_t lock(struct store *store, struct cofre_call *call, const char *key, int32_t result,
                    struct cofre_error *error)
{
    if (store->options->lock <= 0 || (result && result != COFRE_E_EXISTS))
        return result;
    struct cofre_error why = {.struct_size = sizeof why};
    int64_t until = ((int64_t)time(NULL) * 1000 + store->options->lock) * 1000000;
    int32_t locked = object_retain(store, call, key, until, &why);
    if (!locked)
        return result;
    *error = why;
    return locked;
}

int32_t object_put(struct store *store, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error)
{
    int64_t single = store->options->part_size > SINGLE ? store->options->part_size : SINGLE;
    bool if_absent = (put->flags & COFRE_PUT_IF_ABSENT) && strcmp(key, store->spoilt) != 0;
    int32_t result = if_absent ? spare(store, call, key, error) : COFRE_OK;
    if (!result) {
        if (put->size < 0 || put->size > single)
            result = upload_run(store, call, key, put, error);
        else if (put->size <= SMALL)
            result = put_whole(store, call, key, put->size, if_absent, error);
        else
            result = put_large(store, call, key, put->size, if_absent, error);
    }
    if (!result)
        store->spoilt[0] = '\0';
    return lock(store, call, key, result, error);
}

int32_t object_probe(struct store *store, struct cofre_call *call, struct cofre_error *error)
{
    static const char text[] = "cofre tries out here whether this store spares an object that exists.\n";
    int32_t result = COFRE_OK;
    for (int i = 0; i < 2 && !result; i++)
        result = object_put_memory(store, call, OBJECT_PROBE, true, text, sizeof text - 1, error);
    if (result && result != COFRE_E_EXISTS && result != COFRE_E_UNSUPPORTED)
        return result;
    store->conditional = result == COFRE_E_EXISTS ? STORE_HONOURS : STORE_IGNORES;
    if (store->conditional == STORE_IGNORES)
        cofre->log(
            call, COFRE_LOG_WARNING,
            "this store has no conditional put (If-None-Match): cofre looks before it writes, which somebody who "
            "writes the same key at the same moment can slip through");
    return COFRE_OK;
}

static int32_t read_text(void *source, void *p, size_t n, size_t *got, struct cofre_error *error)
{
    const char **text = source;
    (void)error;
    *got = strnlen(*text, n);
    memcpy(p, *text, *got);
    *text += *got;
    return COFRE_OK;
}

int32_t object_probe_pieces(struct store *store, struct cofre_call *call, struct cofre_error *error)
{
    static const char text[] = "cofre tries out here whether this store keeps what is sent in signed pieces.\n";
    const char *left = text;
    struct hashed body = {.read = read_text, .source = &left};
    int32_t result = put_pieces(store, call, OBJECT_PIECES, sizeof text - 1, false, &body, error);
    store->whole_bodies = store->whole_bodies || result == COFRE_E_INTEGRITY;
    return store->whole_bodies ? COFRE_OK : result;
}

/* ---- stat, remove ------------------------------------------------------------------------------------------------ */

int32_t object_stat(struct store *store, struct cofre_call *call, const char *key, struct cofre_object *object,
                    struct cofre_error *error)
{
    struct request r = {.method = "HEAD", .what = "look at", .key = key};
    struct answer answer;
    int32_t result = request_run(store, call, &r, &answer, error);
    if (!result && answer.head.length < 0)
        result = request_context(store, &r,
                                 cofre_fail(error, COFRE_E_INTEGRITY, "the store does not say how long it is"), error);
    struct tm tm = {0};
    object->size = answer.head.length;
    object->mtime = COFRE_NO_TIME;
    if (strptime(answer.head.modified, "%a, %d %b %Y %H:%M:%S", &tm))
        object->mtime = http_time(&tm);
    request_free(&answer);
    return result;
}

int32_t object_remove(struct store *store, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    struct request r = {.method = "DELETE", .what = "remove", .key = key};
    struct answer answer;
    int32_t result = request_run(store, call, &r, &answer, error);
    request_free(&answer);
    return result == COFRE_E_NOT_FOUND && strcmp(error->code, "NoSuchBucket") != 0 ? COFRE_OK : result;
}
