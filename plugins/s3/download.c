/* get: a whole object, or a range of one, with the answer's head held against what was asked for. */
#include <stdio.h>
#include <string.h>

#include "cofre/plugin.h"
#include "s3/object.h"

struct getting {
    struct cofre_call *call;
    const char *key;
    int64_t offset, length; /* asked for; length -1 = to the end */
    bool ranged, judged;
    int64_t expected, got;
};

static int32_t wrong(const char *what, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_INTEGRITY, "the store %s", what);
}

/* "bytes FIRST-LAST/SIZE" */
static int32_t judge_range(struct getting *g, const struct http_head *head, struct cofre_error *error)
{
    long long first, last, size;
    int end = 0;
    if (head->status != 206)
        return wrong("sent the whole object, where a range was asked for", error);
    if (sscanf(head->content_range, "bytes %lld-%lld/%lld%n", &first, &last, &size, &end) != 3 ||
        head->content_range[end] || first < 0 || last < first || size <= last)
        return wrong("does not say which range it sends", error);
    g->expected = last - first + 1;
    if (g->length >= 0 && g->offset + g->length > size)
        return cofre_fail(error, COFRE_E_RANGE, "it has %lld bytes, asked for %lld from %lld", size,
                          (long long)g->length, (long long)g->offset);
    int64_t until = g->length < 0 ? size - 1 : g->offset + g->length - 1;
    if (first != g->offset || last != until)
        return wrong("sends another range than was asked for", error);
    return head->length >= 0 && head->length != g->expected ? wrong("sends another length than it says", error)
                                                            : COFRE_OK;
}

static int32_t judge(struct getting *g, const struct http_head *head, struct cofre_error *error)
{
    g->judged = true;
    if (g->ranged)
        return judge_range(g, head, error);
    if (head->status != 200)
        return wrong("sent a range, where the whole object was asked for", error);
    if (head->length < 0)
        return wrong("does not say how long it is", error);
    g->expected = head->length;
    return COFRE_OK;
}

static int32_t deliver(struct getting *g, const uint8_t *p, size_t n, struct cofre_error *error)
{
    while (n > 0) {
        void *buffer;
        size_t room = n;
        int32_t result = cofre->reserve(g->call, &buffer, &room, error);
        if (result)
            return result;
        room = room < n ? room : n;
        memcpy(buffer, p, room);
        result = cofre->commit(g->call, room, error);
        if (result)
            return result;
        p += room;
        n -= room;
    }
    return COFRE_OK;
}

static int32_t take(void *context, const struct http_head *head, const void *p, size_t n, struct cofre_error *error)
{
    struct getting *g = context;
    int32_t result = g->judged ? COFRE_OK : judge(g, head, error);
    if (result)
        return result;
    if ((int64_t)n > g->expected - g->got)
        return wrong("sends more than it says", error);
    g->got += (int64_t)n;
    return deliver(g, p, n, error);
}

static int32_t finish(struct getting *g, const struct http_head *head, struct cofre_error *error)
{
    int32_t result = g->judged ? COFRE_OK : judge(g, head, error);
    if (result || g->got == g->expected)
        return result;
    return cofre_fail(error, COFRE_E_RETRY, "it ends after %lld of %lld bytes", (long long)g->got,
                      (long long)g->expected);
}

/* Nothing is wanted, or nothing is left: the size decides whether that is possible. */
static int32_t get_nothing(struct store *store, struct cofre_call *call, const char *key, int64_t offset,
                           struct cofre_error *error)
{
    struct cofre_object object = {.struct_size = sizeof object};
    int32_t result = object_stat(store, call, key, &object, error);
    if (result || offset <= object.size)
        return result;
    return cofre_fail(error, COFRE_E_RANGE, "get '%.200s': it has %lld bytes, asked for some from %lld", key,
                      (long long)object.size, (long long)offset);
}

int32_t object_get(struct store *store, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error)
{
    if (offset < 0 || length < -1 || (length > 0 && offset > INT64_MAX - length))
        return cofre_fail(error, COFRE_E_RANGE, "get '%.200s': there is no such range", key);
    if (length == 0)
        return get_nothing(store, call, key, offset, error);
    char range[64];
    struct answer answer;
    struct getting g = {
        .call = call, .key = key, .offset = offset, .length = length, .ranged = offset > 0 || length > 0};
    struct request r = {.method = "GET", .what = "get", .key = key, .write = take, .write_context = &g};
    if (length > 0)
        snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)offset, (long long)(offset + length - 1));
    else
        snprintf(range, sizeof range, "bytes=%lld-", (long long)offset);
    if (g.ranged)
        r.headers[0] = (struct sign_pair){"range", range};
    int32_t result = request_run(store, call, &r, &answer, error);
    if (!result && (result = finish(&g, &answer.head, error)))
        request_context(store, &r, result, error);
    request_free(&answer);
    if (result == COFRE_E_RANGE && length < 0)
        return get_nothing(store, call, key, offset, error);
    return result;
}
