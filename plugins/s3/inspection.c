#include "s3/inspection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/object.h"

#define SKEW_WARNING 120 /* seconds; stores refuse at 15 minutes */
#define NEVER_THERE "~never-there"

static void find(struct cofre_call *call, int32_t level, const char *hint, const char *format, ...) COFRE_PRINTF_(4, 5);
static void find(struct cofre_call *call, int32_t level, const char *hint, const char *format, ...)
{
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cofre->finding(call, level, text, hint);
}

static int32_t simple(struct store *store, struct cofre_call *call, const struct request *r, struct http_head *head,
                      struct cofre_error *error)
{
    struct answer answer;
    int32_t result = request_run(store, call, r, &answer, error);
    if (head)
        *head = answer.head;
    request_free(&answer);
    return result;
}

int32_t inspection_options(struct store *store, struct cofre_call *call)
{
    if (store->is_plain && !store->is_local)
        find(call, COFRE_LOG_WARNING, "use https:// where the store has it",
             "endpoint is http: what is stored is sealed, but anyone on the way sees names and sizes, and can drop "
             "objects");
    return COFRE_OK;
}

static void look_at_clock(struct cofre_call *call, const struct http_head *head)
{
    struct tm tm = {0};
    if (!strptime(head->date, "%a, %d %b %Y %H:%M:%S", &tm))
        return;
    long ahead = (long)(time(NULL) - timegm(&tm));
    if (labs(ahead) >= SKEW_WARNING)
        find(call, COFRE_LOG_WARNING, "run an NTP client", "this machine's clock is %ld s %s the store's", labs(ahead),
             ahead > 0 ? "ahead of" : "behind");
}

static void look_at_credentials(const struct store *store, struct cofre_call *call)
{
    const struct credentials *c = &store->credentials;
    if (c->expires == COFRE_NO_TIME)
        find(call, COFRE_LOG_INFO, "", "the credentials come from %s", c->origin);
    else
        find(call, COFRE_LOG_INFO, "", "the credentials come from %s and are fetched again before they expire",
             c->origin);
}

/* One thing that was tried: said in any case. */
static bool may(struct cofre_call *call, const char *what, int32_t result, const struct cofre_error *error,
                int32_t level, const char *hint)
{
    if (result == COFRE_OK)
        find(call, COFRE_LOG_INFO, "", "the credentials may %s objects", what);
    else if (result == COFRE_E_DENIED)
        find(call, level, hint, "the credentials may not %s objects", what);
    else
        find(call, COFRE_LOG_ERROR, error->hint, "%s", error->message);
    return result == COFRE_OK;
}

static void try_writing(struct store *store, struct cofre_call *call)
{
    struct cofre_error error = {.struct_size = sizeof error};
    int32_t result = object_probe(store, call, &error);
    if (!may(call, "put", result, &error, COFRE_LOG_ERROR, "allow s3:PutObject") || store->conditional == STORE_HONOURS)
        return;
    find(call, COFRE_LOG_WARNING, "give each host a prefix or a bucket of its own, or use a store that has it",
         "the store has no conditional put (If-None-Match): one host could replace what another one just wrote");
}

/* Of no weight where the object may not be replaced: the first large one tells. */
static void try_pieces(struct store *store, struct cofre_call *call)
{
    struct cofre_error error = {.struct_size = sizeof error};
    if (object_probe_pieces(store, call, &error) == COFRE_OK && store->whole_bodies)
        find(call, COFRE_LOG_INFO, "",
             "the store does not keep bodies that are signed in pieces as they are sent: cofre signs them whole, which "
             "takes memory for as many objects as parallel says");
}

/* Really: one that is archived is there, and cannot be read. */
static void try_reading(struct store *store, struct cofre_call *call)
{
    struct cofre_error error = {.struct_size = sizeof error};
    struct request r = {.method = "GET", .what = "get", .key = OBJECT_PROBE};
    int32_t result = simple(store, call, &r, NULL, &error);
    may(call, "get", result, &error, COFRE_LOG_ERROR, "allow s3:GetObject: also a backup reads its index");
}

/* What is not there can be removed by whoever may remove. */
static void try_removing(struct store *store, struct cofre_call *call)
{
    struct cofre_error error = {.struct_size = sizeof error};
    int32_t result = object_remove(store, call, NEVER_THERE, &error);
    may(call, "remove", result, &error, COFRE_LOG_INFO,
        "that is what a host that only adds should have; prune and gc need other credentials");
}

/* ---- Object Lock ------------------------------------------------------------------------------------------------- */

static int32_t take_lock(void *context, const char *path, const char *text, struct cofre_error *error)
{
    (void)error;
    if (strcmp(path, "ObjectLockConfiguration/ObjectLockEnabled") == 0)
        *(bool *)context = strcmp(text, "Enabled") == 0;
    return COFRE_OK;
}

static int32_t check_lock(struct store *store, struct cofre_call *call, struct cofre_error *error)
{
    struct request r = {.method = "GET", .what = "read the Object Lock of", .query = {{"object-lock", NULL}}};
    struct answer answer;
    bool enabled = false;
    int32_t result = request_run(store, call, &r, &answer, error);
    if (!result)
        result = answer_read(store, &r, &answer, "ObjectLockConfiguration", take_lock, &enabled, error);
    request_free(&answer);
    if (result && result != COFRE_E_UNSUPPORTED && result != COFRE_E_NOT_FOUND)
        return result;
    if (!result && enabled)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "bucket '%.63s' has no Object Lock, which the option lock needs",
               store->options->bucket);
    cofre_hint(error, "make a bucket with Object Lock (cofre init makes one that is not there), or take lock out");
    return COFRE_E_CONFIG;
}

static void look_at_lock(struct store *store, struct cofre_call *call)
{
    struct cofre_error error = {.struct_size = sizeof error};
    if (store->options->lock <= 0)
        return;
    if (check_lock(store, call, &error))
        find(call, COFRE_LOG_ERROR, error.hint, "%s", error.message);
    else
        find(call, COFRE_LOG_INFO, "", "the bucket has Object Lock");
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int32_t reach(struct store *store, struct cofre_call *call, struct http_head *head, struct cofre_error *error)
{
    struct request r = {.method = "GET", .what = "list", .query = {{"list-type", "2"}, {"max-keys", "1"}}};
    if (store->prefix[0])
        r.query[2] = (struct sign_pair){"prefix", store->prefix};
    return simple(store, call, &r, head, error);
}

int32_t inspection_run(struct store *store, struct cofre_call *call, struct cofre_error *error)
{
    struct http_head head;
    inspection_options(store, call);
    int32_t result = reach(store, call, &head, error);
    if (result && result != COFRE_E_DENIED)
        return result;
    look_at_credentials(store, call);
    look_at_clock(call, &head);
    may(call, "list", result, error, COFRE_LOG_ERROR, "allow s3:ListBucket: also a backup lists its packs");
    try_writing(store, call);
    try_pieces(store, call);
    try_reading(store, call);
    try_removing(store, call);
    look_at_lock(store, call);
    return COFRE_OK;
}

static int32_t make_bucket(struct store *store, struct cofre_call *call, struct cofre_error *error)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                     "<LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
                     store->region);
    struct request r = {.method = "PUT", .what = "make"};
    if (store->is_aws && strcmp(store->region, "us-east-1") != 0) {
        r.content = text;
        r.length = n;
    }
    if (store->options->lock > 0)
        r.headers[0] = (struct sign_pair){"x-amz-bucket-object-lock-enabled", "true"};
    int32_t result = simple(store, call, &r, NULL, error);
    return result && strcmp(error->code, "BucketAlreadyOwnedByYou") == 0 ? COFRE_OK : result;
}

int32_t inspection_create(struct store *store, struct cofre_call *call, struct cofre_error *error)
{
    int32_t result = reach(store, call, NULL, error);
    if (result == COFRE_E_NOT_FOUND)
        result = make_bucket(store, call, error);
    if (!result && store->options->lock > 0)
        result = check_lock(store, call, error);
    return result;
}
