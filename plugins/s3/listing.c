#include "s3/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/object.h"

#define KEY_MAX 1100 /* of S3 1,024, and some who do not count so exactly */
#define CURSOR_MAX 1024
#define EMPTY_PAGES 100 /* one after another: the store goes in circles */

struct page {
    struct store *store;
    struct cofre_call *call;
    const char *wanted; /* prefix of keys in the bucket */
    char key[KEY_MAX], last[KEY_MAX];
    long long size;
    int64_t mtime;
    bool more, encoded;
    char token[CURSOR_MAX];
    size_t count, empty;
};

static int32_t broken(const char *what, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_INTEGRITY, "the store %s", what);
}

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Keys are asked for with %XX, since XML cannot hold every byte. */
static void decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        int high = *from == '%' ? hex_value(from[1]) : -1, low = high >= 0 ? hex_value(from[2]) : -1;
        *to++ = low >= 0 ? (char)(high * 16 + low) : *from == '+' ? ' ' : *from;
        from += low >= 0 ? 2 : 0;
    }
    *to = '\0';
}

static int32_t give(struct page *p, struct cofre_error *error)
{
    const char *prefix = p->store->prefix;
    if (!p->key[0] || p->size < 0)
        return broken("lists an object without key or size", error);
    if (p->encoded)
        decode(p->key);
    if (strncmp(p->key, p->wanted, strlen(p->wanted)) != 0)
        return broken("lists an object that was not asked for", error);
    if (strcmp(p->key, p->last) <= 0)
        return broken("lists objects out of order, or again and again", error);
    snprintf(p->last, sizeof p->last, "%s", p->key);
    p->count++;
    struct cofre_object object = {
        .struct_size = sizeof object, .key = p->key + strlen(prefix), .size = p->size, .mtime = p->mtime};
    /* The folder of a browser, and our own try, are no objects of a backup. */
    bool own = object.key[0] && strcmp(object.key, OBJECT_PROBE) != 0;
    return own ? cofre->object(p->call, &object, error) : COFRE_OK;
}

static int32_t take_text(char *to, size_t size, const char *text, struct cofre_error *error)
{
    if (strlen(text) >= size)
        return broken("lists a name longer than any of S3", error);
    memcpy(to, text, strlen(text) + 1);
    return COFRE_OK;
}

static void take_size(struct page *p, const char *text)
{
    char *end;
    errno = 0;
    p->size = strtoll(text, &end, 10);
    if (errno || end == text || *end || p->size < 0)
        p->size = -1;
}

static void take_time(struct page *p, const char *text)
{
    struct tm tm = {0};
    p->mtime = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? http_time(&tm) : COFRE_NO_TIME;
}

static int32_t take_object(struct page *p, const char *name, const char *text, struct cofre_error *error)
{
    if (strcmp(name, "Key") == 0)
        return take_text(p->key, sizeof p->key, text, error);
    if (strcmp(name, "Size") == 0)
        take_size(p, text);
    else if (strcmp(name, "LastModified") == 0)
        take_time(p, text);
    return COFRE_OK;
}

static int32_t take(void *context, const char *path, const char *text, struct cofre_error *error)
{
    static const char contents[] = "ListBucketResult/Contents";
    struct page *p = context;
    if (strncmp(path, contents, sizeof contents - 1) == 0 && path[sizeof contents - 1] == '/')
        return take_object(p, path + sizeof contents, text, error);
    if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
        p->more = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0)
        return take_text(p->token, sizeof p->token, text, error);
    else if (strcmp(path, "ListBucketResult/EncodingType") == 0)
        p->encoded = strcmp(text, "url") == 0;
    return COFRE_OK;
}

/* Objects are given only when the whole page is known to be good, and its encoding known. */
static int32_t take_contents(void *context, const char *path, const char *text, struct cofre_error *error)
{
    struct page *p = context;
    if (strncmp(path, "ListBucketResult/Contents", 25) != 0)
        return COFRE_OK;
    if (path[25] == '/')
        return take(p, path, text, error);
    int32_t result = give(p, error);
    p->key[0] = '\0';
    p->size = -1;
    p->mtime = COFRE_NO_TIME;
    return result;
}

static int32_t read_page(struct page *p, const struct request *r, const struct answer *answer,
                         struct cofre_error *error)
{
    int32_t result = answer_read(p->store, r, answer, "ListBucketResult", take, p, error);
    p->key[0] = '\0';
    p->size = -1;
    p->mtime = COFRE_NO_TIME;
    if (!result)
        result = answer_read(p->store, r, answer, "ListBucketResult", take_contents, p, error);
    if (!result && p->more && !p->token[0])
        result = request_context(p->store, r, broken("lists only a part, and does not say how to go on", error), error);
    return result;
}

/* Cursor: empty pages so far, last key, NUL, token. */
static void read_cursor(struct page *p, const uint8_t *cursor, size_t n, char *token)
{
    size_t key = strnlen((const char *)cursor + 1, n - 1);
    p->empty = cursor[0];
    snprintf(p->last, sizeof p->last, "%.*s", (int)key, (const char *)cursor + 1);
    if (n >= key + 2)
        snprintf(token, CURSOR_MAX, "%.*s", (int)(n - key - 2), (const char *)cursor + key + 2);
}

static int32_t go_on(struct page *p, const struct request *r, const char *token, struct cofre_error *error)
{
    uint8_t cursor[CURSOR_MAX];
    size_t key = strlen(p->last), n = strlen(p->token);
    p->empty = p->count > 0 ? 0 : p->empty + 1;
    if (p->empty > EMPTY_PAGES || strcmp(token, p->token) == 0)
        return request_context(p->store, r, broken("lists without end", error), error);
    if (key + n + 2 > sizeof cursor)
        return request_context(p->store, r, broken("goes on with a token longer than cofre can keep", error), error);
    cursor[0] = (uint8_t)p->empty;
    memcpy(cursor + 1, p->last, key + 1);
    memcpy(cursor + key + 2, p->token, n);
    return cofre->more(p->call, cursor, key + n + 2, error);
}

static int32_t run(struct page *p, const char *token, struct cofre_error *error)
{
    struct request r = {.method = "GET", .what = "list", .query = {{"list-type", "2"}, {"encoding-type", "url"}}};
    struct answer answer;
    size_t n = 2;
    if (p->wanted[0])
        r.query[n++] = (struct sign_pair){"prefix", p->wanted};
    if (token[0])
        r.query[n++] = (struct sign_pair){"continuation-token", token};
    int32_t result = request_run(p->store, p->call, &r, &answer, error);
    if (!result)
        result = read_page(p, &r, &answer, error);
    request_free(&answer);
    return !result && p->more ? go_on(p, &r, token, error) : result;
}

int32_t listing_run(struct store *store, struct cofre_call *call, const char *prefix, const void *cursor,
                    size_t cursor_length, struct cofre_error *error)
{
    char *wanted, token[CURSOR_MAX] = "";
    struct page *p = calloc(1, sizeof *p);
    if (!p || asprintf(&wanted, "%s%s", store->prefix, prefix) < 0) {
        free(p);
        return cofre_fail(error, COFRE_E_MEMORY, "list '%.200s': out of memory", prefix);
    }
    *p = (struct page){.store = store, .call = call, .wanted = wanted};
    if (cursor && cursor_length > 1)
        read_cursor(p, cursor, cursor_length, token);
    int32_t result = run(p, token, error);
    free(wanted);
    free(p);
    return result;
}
