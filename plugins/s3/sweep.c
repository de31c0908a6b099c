/* Uploads that nobody ended: found by listing them, given up when they are old enough. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/upload.h"

#define NAME_MAX_ 1100
#define PAGES_MAX 1000
#define YOUNG ((int64_t)24 * 3600 * 1000000000)

struct found {
    char key[NAME_MAX_], id[NAME_MAX_];
};

struct sweep {
    struct store *store;
    int64_t older_than;
    struct found at, next; /* next: where the following page begins */
    int64_t began;
    struct found *old;
    size_t count, capacity;
    bool more;
};

static int32_t keep(struct sweep *s, struct cofre_error *error)
{
    size_t prefix = strlen(s->store->prefix);
    bool ours = strncmp(s->at.key, s->store->prefix, prefix) == 0 && s->at.key[prefix] && s->at.id[0];
    if (!ours || s->began == COFRE_NO_TIME || s->began >= s->older_than)
        return COFRE_OK;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        struct found *grown = realloc(s->old, capacity * sizeof *grown);
        if (!grown)
            return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
        s->old = grown;
        s->capacity = capacity;
    }
    s->old[s->count++] = s->at;
    return COFRE_OK;
}

static void take_text(char *to, const char *text)
{
    snprintf(to, NAME_MAX_, "%s", text);
}

static int32_t take(void *context, const char *path, const char *text, struct cofre_error *error)
{
    static const char upload[] = "ListMultipartUploadsResult/Upload";
    struct sweep *s = context;
    struct tm tm = {0};
    const char *name = strchr(path, '/');
    if (strcmp(path, upload) == 0) {
        int32_t result = keep(s, error);
        s->at = (struct found){.key = ""};
        s->began = COFRE_NO_TIME;
        return result;
    }
    if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0)
        take_text(s->at.key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0)
        take_text(s->at.id, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/Initiated") == 0)
        s->began = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? http_time(&tm) : COFRE_NO_TIME;
    else if (name && strcmp(name, "/NextKeyMarker") == 0)
        take_text(s->next.key, text);
    else if (name && strcmp(name, "/NextUploadIdMarker") == 0)
        take_text(s->next.id, text);
    else if (name && strcmp(name, "/IsTruncated") == 0)
        s->more = strcmp(text, "true") == 0;
    return COFRE_OK;
}

static int32_t list_page(struct sweep *s, struct cofre_call *call, struct cofre_error *error)
{
    struct found from = s->next;
    struct request r = {.method = "GET", .what = "list the uploads of", .query = {{"uploads", NULL}}};
    struct answer answer;
    size_t n = 1;
    if (s->store->prefix[0])
        r.query[n++] = (struct sign_pair){"prefix", s->store->prefix};
    if (from.key[0])
        r.query[n++] = (struct sign_pair){"key-marker", from.key};
    if (from.id[0])
        r.query[n++] = (struct sign_pair){"upload-id-marker", from.id};
    s->more = false;
    s->began = COFRE_NO_TIME;
    int32_t result = request_run(s->store, call, &r, &answer, error);
    if (!result)
        result = answer_read(s->store, &r, &answer, "ListMultipartUploadsResult", take, s, error);
    request_free(&answer);
    /* One that does not get on would go round for ever. */
    if (!result && s->more && strcmp(from.key, s->next.key) == 0 && strcmp(from.id, s->next.id) == 0)
        s->more = false;
    return result;
}

static int32_t give_up(struct sweep *s, struct cofre_call *call, const struct found *f, struct cofre_error *error)
{
    struct request r = {.method = "DELETE",
                        .what = "give up the old upload of",
                        .key = f->key + strlen(s->store->prefix),
                        .query = {{"uploadId", f->id}}};
    struct answer answer;
    int32_t result = request_run(s->store, call, &r, &answer, error);
    bool gone = result && (strcmp(error->code, "NoSuchUpload") == 0 || answer.head.status == 404);
    request_free(&answer);
    return gone ? COFRE_OK : result;
}

int32_t upload_sweep(struct store *store, struct cofre_call *call, int64_t older_than, struct cofre_error *error)
{
    struct sweep *s = calloc(1, sizeof *s);
    if (!s)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int64_t settled = (int64_t)time(NULL) * 1000000000 - YOUNG;
    s->store = store;
    /* An upload that another host is just making looks like one that was left: a day old it is neither. */
    s->older_than = older_than < settled ? older_than : settled;
    int32_t result = COFRE_OK;
    s->more = true;
    for (size_t page = 0; !result && s->more && page < PAGES_MAX; page++)
        result = list_page(s, call, error);
    if (result == COFRE_E_DENIED) {
        /* Credentials that only add: their left-overs are for somebody else to remove. */
        cofre->log(call, COFRE_LOG_INFO, error->message);
        result = COFRE_OK;
        s->count = 0;
    }
    for (size_t i = 0; !result && i < s->count; i++)
        result = give_up(s, call, &s->old[i], error);
    free(s->old);
    free(s);
    return result;
}
