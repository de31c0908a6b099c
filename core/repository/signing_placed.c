/* Of signing.h: what a signer stored besides manifests. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "repository/annotation.h"
#include "repository/needs.h"
#include "repository/placed.h"
#include "repository/removal.h"
#include "repository/repository.h"
#include "repository/repository_prune.h"
#include "repository/revocation.h"
#include "repository/seal.h"
#include "repository/signing.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)
#define OBJECT_MAX ((size_t)64 << 20) /* of any kind */

/* Those below one prefix that were stored before. */
struct counting {
    struct repository *repository;
    struct revocation *revocation;
    const char *prefix;
    enum seal_kind kind;
    struct bytes keys;
};

/* A store that tells no times tells nothing: then that of the id is taken, which its maker chose. */
static bool was_before(const struct sink_object *object, const struct vault_name *name, int64_t since)
{
    char limit[CLOCK_TEXT_MAX];
    if (object->mtime != INT64_MIN)
        return object->mtime < since;
    clock_format_compact(since, limit);
    return strncmp(name->id, limit, strlen(limit)) < 0;
}

static int list_placed(void *context, const struct sink_object *object, struct error *e)
{
    struct counting *c = context;
    struct vault_name name;
    if (placed_parse_key(c->prefix, object->key, &name) && was_before(object, &name, c->revocation->since))
        bytes_put(&c->keys, object->key, strlen(object->key) + 1);
    return bytes_check(&c->keys, "listing", e);
}

static int add_counting(struct revocation *revocation, const struct bytes *object, struct error *e)
{
    if ((revocation->count & (revocation->count - 1)) == 0) { /* room is a power of two, and none is known to be more */
        size_t room = revocation->count ? 2 * revocation->count : 1;
        uint8_t(*all)[SEAL_HASH_SIZE] = realloc(revocation->counting, room * sizeof *all);
        if (!all)
            return error_memory(e);
        revocation->counting = all;
    }
    seal_hash(object->data, object->length, revocation->counting[revocation->count++]);
    return 0;
}

/* What does not verify counts for nobody. */
static int count_placed(void *context, const char *key, const struct bytes *object, const struct error *why,
                        struct error *e)
{
    const struct counting *c = context;
    struct seal_opened opened;
    struct error wrong;
    if (!object)
        return placed_pass_over(c->repository, why, e);
    if (seal_envelope_verify(c->repository->key, c->kind, object->data, object->length, key, &opened, &wrong) < 0)
        return placed_pass_over(c->repository, &wrong, e);
    if (memcmp(opened.signer, c->revocation->signer, sizeof opened.signer) != 0)
        return 0;
    return add_counting(c->revocation, object, e);
}

static int count_below(struct repository *repository, const char *prefix, enum seal_kind kind,
                       struct revocation *revocation, struct error *e)
{
    struct counting c = {.repository = repository,
                         .revocation = revocation,
                         .prefix = prefix,
                         .kind = kind,
                         .keys = {.maximum = KEYS_MAX}};
    char below[64] = "";
    strcat(strcat(below, prefix), "/");
    int result = sink_list(repository->sink, below, list_placed, &c, e);
    if (result == 0)
        result =
            sink_get_each(repository->sink, (const char *)c.keys.data, c.keys.length, OBJECT_MAX, count_placed, &c, e);
    bytes_free(&c.keys);
    return result;
}

int signing_count_placed(struct repository *repository, struct revocation *revocation, struct error *e)
{
    int result = count_below(repository, NEEDS_PREFIX, SEAL_NEEDS, revocation, e);
    if (result == 0)
        result = count_below(repository, REMOVAL_PREFIX, SEAL_REMOVAL, revocation, e);
    for (int kind = 0; result == 0 && kind < VAULT_ANNOTATION_KINDS; kind++)
        result = count_below(repository, annotation_prefix((enum vault_annotation_kind)kind), SEAL_ANNOTATION,
                             revocation, e);
    return result;
}
