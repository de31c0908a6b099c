#include "repository/verify_record.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/vault.h"
#include "repository/annotation.h"
#include "repository/placed.h"
#include "repository/removal.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)

struct looking {
    struct repository *repository;
    void (*wrong)(void *context, const char *key, const struct error *why);
    void *context;
};

static int open_record(const struct repository *repository, const char *key, const struct bytes *object,
                       struct error *e)
{
    struct removal removal;
    struct vault_annotation annotation;
    if (strncmp(key, REMOVAL_PREFIX "/", strlen(REMOVAL_PREFIX "/")) != 0)
        return annotation_open(repository, key, object, &annotation, e);
    if (removal_open(repository, key, object, &removal, e) < 0)
        return -1;
    removal_free(&removal);
    return 0;
}

static int look_at(void *context, const char *key, const struct bytes *object, const struct error *why, struct error *e)
{
    const struct looking *l = context;
    struct error wrong;
    if (!object)
        wrong = *why;
    else if (open_record(l->repository, key, object, &wrong) == 0)
        return 0;
    if (wrong.class == ERROR_NOT_FOUND) /* it went while we listed */
        return 0;
    if (!sink_is_of_object(&wrong)) {
        *e = wrong;
        return -1;
    }
    l->wrong(l->context, key, &wrong);
    return 0;
}

int verify_record_each(struct repository *repository, const char *host, const char *job,
                       void (*wrong)(void *context, const char *key, const struct error *why), void *context,
                       struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct looking looking = {.repository = repository, .wrong = wrong, .context = context};
    int result = placed_list(repository, REMOVAL_PREFIX, host, job, &keys, e);
    for (int kind = 0; result == 0 && kind < VAULT_ANNOTATION_KINDS; kind++)
        result = placed_list(repository, annotation_prefix((enum vault_annotation_kind)kind), host, job, &keys, e);
    if (result < 0)
        return -1;
    return sink_get_each(repository->sink, (const char *)keys.data, keys.length, REMOVAL_OBJECT_MAX, look_at, &looking,
                         e);
}
