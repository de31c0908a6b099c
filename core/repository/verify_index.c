#include "repository/verify_index.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/index_body.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"

static int collect_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing", e);
}

static int check(struct repository *repository, const char *key, uint64_t *objects, struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = 0};
    uint8_t name[SEAL_HASH_SIZE];
    char host[64];
    if (!repository_parse_index_key(key, host, name))
        return error_set(e, ERROR_INTEGRITY, "it does not belong to a repository");
    ++*objects;
    if (repository_read_index_object(repository, host, name, &body, e) < 0)
        return -1;
    return index_body_each(body.data, body.length, NULL, NULL, e);
}

int verify_index_each(struct repository *repository,
                      void (*damage)(void *context, const char *key, const struct error *why), void *context,
                      uint64_t *objects, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = (size_t)1 << 30};
    if (sink_list(repository->sink, "index/", collect_key, &keys, e) < 0)
        return -1;
    for (size_t at = 0; at < keys.length; at += strlen((const char *)keys.data + at) + 1) {
        const char *key = (const char *)keys.data + at;
        if (check(repository, key, objects, e) == 0)
            continue;
        if (!reader_is_damage(e))
            return -1;
        damage(context, key, e);
    }
    return 0;
}
