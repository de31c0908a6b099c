/* s3: a sink in a bucket of whatever speaks S3.
 *
 *   store.c        the bucket as the options name it
 *   credentials*.c who we are
 *   request.c      one request: built, signed (sign.c), sent (http.c), judged (answer.c, xml.c)
 *   object.c       put, stat, remove; download.c: get; retention.c: retain
 *   upload.c       put in parts; sweep.c: what interrupted ones left
 *   listing.c      list; removal.c: many objects at once
 *   inspection.c   check, create
 */
#include <stdlib.h>

#include <cofre/plugin.h>

#include "s3/inspection.h"
#include "s3/listing.h"
#include "s3/object.h"
#include "s3/removal.h"
#include "s3/store.h"
#include "s3/upload.h"

#define O(name, TYPE, flags, fallback, help) COFRE_OPTION(struct store_options, name, TYPE, flags, fallback, help)
#define RANGE(name, TYPE, fallback, low, high, help)                                                                   \
    COFRE_OPTION_RANGE(struct store_options, name, TYPE, 0, fallback, low, high, help)
#define CHOICE(name, fallback, choices, help)                                                                          \
    COFRE_OPTION_CHOICE(struct store_options, name, 0, fallback, choices, help)

static const struct cofre_option rows[] = {
    O(bucket, STRING, COFRE_O_REQUIRED, NULL, "the bucket; init makes one that is not there"),
    O(prefix, STRING, 0, NULL, "what all keys begin with, so that a bucket can hold several repositories"),
    O(endpoint, STRING, 0, NULL, "address of the store, https://HOST[:PORT]; default: that of AWS in the region"),
    O(region, STRING, 0, NULL, "default: AWS_REGION, AWS_DEFAULT_REGION, us-east-1"),
    CHOICE(path_style, "auto", "auto|yes|no",
           "bucket in the path, or in the name of the host; auto: in the host with AWS"),
    O(access_key, STRING, 0, NULL, "without it: AWS_*, ~/.aws/credentials, container, machine"),
    O(secret_key, SECRET, 0, NULL, "goes with access_key"),
    O(session_token, SECRET, 0, NULL, "goes with access_key, when it is a temporary one"),
    O(profile, STRING, 0, NULL, "section of ~/.aws/credentials"),
    O(storage_class, STRING, 0, NULL, "such as STANDARD_IA; one that can be read at once"),
    O(sse, STRING, 0, NULL, "encryption by the store: AES256, aws:kms or aws:kms:KEY"),
    O(ca_file, PATH, COFRE_O_READS, NULL, "authorities to trust instead of the system's, PEM"),
    RANGE(part_size, SIZE, "16MiB", 5 << 20, (int64_t)1 << 30, "parts of large uploads; they grow when there are many"),
    RANGE(bandwidth, SIZE, "0", 0, INT64_MAX, "bytes per second each way, of all uploads together; 0 = no limit"),
    RANGE(idle_timeout, DURATION, "60s", 1000, 3600000, "a connection slower than 1 KiB/s for so long is given up"),
    COFRE_OPTION_RANGE(struct store_options, parallel, INTEGER, COFRE_O_PARALLEL, "4", 1, 32,
                       "objects on their way at once"),
    COFRE_OPTION_RANGE(struct store_options, lock, DURATION, COFRE_O_PROTECT, "0s", 0, INT64_MAX / 1000000,
                       "Object Lock: nobody can remove an object for so long"),
    CHOICE(lock_mode, "compliance", "compliance|governance", "governance: those with a special right can"),
};

static int32_t s3_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int32_t result = store_open(store, conf, error);
    if (result) {
        free(store);
        return result;
    }
    *instance = store;
    return COFRE_OK;
}

static void s3_close(void *instance)
{
    store_close(instance);
    free(instance);
}

static int32_t s3_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    return depth == COFRE_CHECK_OFFLINE ? inspection_options(instance, call) : inspection_run(instance, call, error);
}

static int32_t s3_create(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    return inspection_create(instance, call, error);
}

static int32_t s3_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                      struct cofre_error *error)
{
    if (put->flags & ~COFRE_PUT_IF_ABSENT)
        return cofre_unknown(error, "put", "flag", put->flags & ~COFRE_PUT_IF_ABSENT);
    return object_put(instance, call, key, put, error);
}

static int32_t s3_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                      struct cofre_error *error)
{
    return object_get(instance, call, key, offset, length, error);
}

static int32_t s3_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *object,
                       struct cofre_error *error)
{
    return object_stat(instance, call, key, object, error);
}

static int32_t s3_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor,
                       size_t cursor_length, struct cofre_error *error)
{
    return listing_run(instance, call, prefix, cursor, cursor_length, error);
}

static int32_t s3_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    return object_remove(instance, call, key, error);
}

static int32_t s3_remove_many(void *instance, struct cofre_call *call, const char *const *keys, size_t count,
                              struct cofre_error *error)
{
    return removal_run(instance, call, keys, count, error);
}

static int32_t s3_sweep(void *instance, struct cofre_call *call, int64_t older_than, struct cofre_error *error)
{
    return upload_sweep(instance, call, older_than, error);
}

static int32_t s3_retain(void *instance, struct cofre_call *call, const char *key, int64_t until,
                         struct cofre_error *error)
{
    return object_retain(instance, call, key, until, error);
}

/* No sync: what S3 has answered for is durable. No IF_ABSENT: the store decides, see object_probe. */
static const struct cofre_sink sink = {
    .struct_size = sizeof sink,
    .capabilities = COFRE_SINK_RANGES,
    .open = s3_open,
    .close = s3_close,
    .check = s3_check,
    .create = s3_create,
    .put = s3_put,
    .get = s3_get,
    .stat = s3_stat,
    .list = s3_list,
    .remove = s3_remove,
    .remove_many = s3_remove_many,
    .sweep = s3_sweep,
    .retain = s3_retain,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "s3",
    .version = "0.1.0",
    .summary = "stores objects in a bucket: AWS, Ceph, MinIO, Garage, B2, R2",
    .license = "MIT",
    .example = "bucket     = gym-backups\n"
               "endpoint   = https://s3.example.org\n"
               "access_key = AKIAEXAMPLE\n"
               "secret_key = @file:/etc/cofre/secrets/s3\n"
               "key        = /etc/cofre/keys/gym.key\n",
    .options = COFRE_OPTIONS(struct store_options, rows),
    .sink = &sink,
    .environment = "AWS_* http_proxy https_proxy HTTPS_PROXY no_proxy NO_PROXY",
    .reads = "~/.aws $AWS_SHARED_CREDENTIALS_FILE $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
};

COFRE_PLUGIN(plugin)
