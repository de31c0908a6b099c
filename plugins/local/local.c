/* local: a sink in a directory: a disk, a USB stick, a mounted NAS.
 *
 *   place.c       the root and the directories below it
 *   temporary.c   where a put begins, and what a killed one left
 *   object.c      put, get, stat, remove
 *   listing.c     list
 *   inspection.c  check, space
 */
#include <stdlib.h>

#include <cofre/plugin.h>

#include "local/inspection.h"
#include "local/listing.h"
#include "local/object.h"
#include "local/place.h"
#include "local/temporary.h"

struct conf {
    const char *path;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, path, PATH, COFRE_O_REQUIRED, NULL, "directory that holds the repository; made by init"),
};

static int32_t local_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    const struct conf *options = conf;
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return cofre_fail(error, COFRE_E_MEMORY, "open directory '%s': out of memory", options->path);
    int32_t result = place_open(place, options->path, error);
    if (result) {
        free(place);
        return result;
    }
    *instance = place;
    return COFRE_OK;
}

static void local_close(void *instance)
{
    place_close(instance);
    free(instance);
}

static int32_t local_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    return depth == COFRE_CHECK_OFFLINE ? COFRE_OK : inspection_run(instance, call, error);
}

static int32_t local_create(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    (void)call;
    return place_create(instance, error);
}

static int32_t local_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                         struct cofre_error *error)
{
    if (put->flags & ~COFRE_PUT_IF_ABSENT)
        return cofre_unknown(error, "put", "flag", put->flags & ~COFRE_PUT_IF_ABSENT);
    return object_put(instance, call, key, put, error);
}

static int32_t local_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                         struct cofre_error *error)
{
    return object_get(instance, call, key, offset, length, error);
}

static int32_t local_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *object,
                          struct cofre_error *error)
{
    (void)call;
    return object_stat(instance, key, object, error);
}

static int32_t local_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor,
                          size_t cursor_length, struct cofre_error *error)
{
    return listing_run(instance, call, prefix, cursor, cursor_length, error);
}

static int32_t local_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    (void)call;
    return object_remove_many(instance, &key, 1, error);
}

static int32_t local_remove_many(void *instance, struct cofre_call *call, const char *const *keys, size_t count,
                                 struct cofre_error *error)
{
    (void)call;
    return object_remove_many(instance, keys, count, error);
}

static int32_t local_sweep(void *instance, struct cofre_call *call, int64_t older_than, struct cofre_error *error)
{
    (void)call;
    struct place *place = instance;
    PLACE_CLOSE int directory = -1;
    int32_t result = place_temporary(place, false, &directory, error);
    if (result == COFRE_E_NOT_FOUND && place->root >= 0)
        return COFRE_OK;
    return result ? result : temporary_sweep(directory, older_than, error);
}

static int32_t local_space(void *instance, struct cofre_call *call, struct cofre_space *space,
                           struct cofre_error *error)
{
    (void)call;
    return inspection_space(instance, space, error);
}

/* No sync: every put is durable when it returns. */
static const struct cofre_sink sink = {
    .struct_size = sizeof sink,
    .capabilities = COFRE_SINK_IF_ABSENT | COFRE_SINK_RANGES | COFRE_NO_NETWORK,
    .open = local_open,
    .close = local_close,
    .check = local_check,
    .create = local_create,
    .put = local_put,
    .get = local_get,
    .stat = local_stat,
    .list = local_list,
    .remove = local_remove,
    .remove_many = local_remove_many,
    .sweep = local_sweep,
    .space = local_space,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "local",
    .version = "0.1.0",
    .summary = "stores objects as files in a directory",
    .license = "MIT",
    .example = "path = /mnt/nas/cofre\nkey  = /etc/cofre/keys/nas.key\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .sink = &sink,
};

COFRE_PLUGIN(plugin)
