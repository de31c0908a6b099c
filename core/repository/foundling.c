#include "repository/foundling.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define NAMES_MAX ((size_t)64 << 20)

/* A pack that an object describes and that is there. */
struct described {
    struct pack_name name;
    uint64_t size;
    size_t first; /* of its chunks */
    uint32_t count;
};

struct foundling {
    struct repository *repository;
    const struct index_pack *listed;
    size_t count;
    struct bytes packs, chunks; /* struct described, struct pack_chunk each */
    _Atomic bool lies;
};

static int take_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                     uint32_t count, struct error *e)
{
    struct foundling *c = context;
    const struct index_pack wanted = {.name = pack_name_of(c->repository->host, name)};
    const struct index_pack *found =
        c->count > 0 ? bsearch(&wanted, c->listed, c->count, sizeof wanted, pack_name_compare) : NULL;
    if (!found || found->size != size)
        return 0; /* no place to find anything */
    const struct described pack = {
        .name = wanted.name, .size = size, .first = c->chunks.length / sizeof *chunks, .count = count};
    bytes_put(&c->packs, &pack, sizeof pack);
    bytes_put(&c->chunks, chunks, count * sizeof *chunks);
    return bytes_check(&c->packs, "index", e) < 0 ? -1 : bytes_check(&c->chunks, "index", e);
}

/* By any thread. A pack that is damaged says nothing of the object. */
static int compare_pack(void *context, size_t i, struct error *e)
{
    struct foundling *c = context;
    const struct described *pack = (const struct described *)(const void *)c->packs.data + i;
    const struct pack_chunk *says = (const struct pack_chunk *)(const void *)c->chunks.data + pack->first;
    AUTO_FREE struct pack_chunk *chunks = NULL;
    uint32_t count;
    struct error why;
    if (repository_read_directory(c->repository, &pack->name, pack->size, &chunks, &count, &why) == 0) {
        if (count != pack->count || memcmp(chunks, says, count * sizeof *chunks) != 0)
            c->lies = true;
        return 0;
    }
    if (!reader_is_damage(&why)) {
        *e = why;
        return -1;
    }
    if (why.class != ERROR_NOT_FOUND)
        repository_doubt(c->repository, &pack->name);
    return 0;
}

static int compare_packs_of(struct foundling *c, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = 0};
    c->lies = false;
    bytes_reset(&c->packs);
    bytes_reset(&c->chunks);
    if (repository_read_index_object(c->repository, c->repository->host, name, &body, e) < 0 ||
        index_body_each(body.data, body.length, take_pack, c, e) < 0)
        return -1;
    return sink_each(c->repository->sink, c->packs.length / sizeof(struct described), compare_pack, c, e);
}

/* Its packs say the same: it is our own. What cannot be read is not. */
static int prove(struct foundling *c, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    struct repository *r = c->repository;
    char key[201];
    repository_index_key(r->host, name, key);
    if (compare_packs_of(c, name, e) < 0) {
        if (!reader_is_damage(e))
            return error_subject(e, "sink", sink_name(r->sink));
        repository_warn(r, e);
        return 0;
    }
    if (!c->lies)
        return repository_own_index(r, name, e);
    error_set(e, ERROR_INTEGRITY, "'%s' says of packs what their own directories do not; it is not relied on", key);
    repository_warn(r, e);
    return 0;
}

static int prove_all(struct foundling *c, const struct bytes *names, struct error *e)
{
    size_t count = names->length / SEAL_HASH_SIZE;
    log_line(
        LOG_NOTICE,
        "sink '%s': this machine does not remember to have stored %zu index objects that its key has signed: their "
        "packs are compared",
        sink_name(c->repository->sink), count);
    for (size_t i = 0; i < count; i++)
        if (prove(c, names->data + i * SEAL_HASH_SIZE, e) < 0)
            return -1;
    return repository_heed_doubts(c->repository, e);
}

static int find_foundlings(const struct repository *r, size_t first, struct bytes *names, struct error *e)
{
    for (size_t i = first; i < index_object_count(r->index); i++) {
        struct index_object object;
        if (index_object_at(r->index, i, &object) && !object.own && strcmp(object.host, r->host) == 0 &&
            memcmp(object.signer, r->key->signer_public, KEY_SIZE) == 0)
            bytes_put(names, object.name, SEAL_HASH_SIZE);
    }
    return bytes_check(names, "list of index objects", e);
}

static int prove_listed(struct foundling *c, const struct bytes *names, struct error *e)
{
    AUTO_FREE struct index_pack *packs = NULL;
    if (repository_list_packs(c->repository, &packs, &c->count, e) < 0)
        return -1;
    c->listed = packs;
    int result = prove_all(c, names, e);
    bytes_free(&c->packs);
    bytes_free(&c->chunks);
    return result;
}

int foundling_prove(struct repository *repository, struct error *e)
{
    AUTO_BYTES struct bytes names = {.maximum = NAMES_MAX};
    struct foundling c = {.repository = repository, .packs = {.maximum = NAMES_MAX}, .chunks = {.maximum = NAMES_MAX}};
    if (repository->trust_hosts || !repository->key->full)
        return 0;
    if (find_foundlings(repository, 0, &names, e) < 0)
        return -1;
    return names.length > 0 ? prove_listed(&c, &names, e) : 0;
}

int foundling_warn(const struct repository *repository, size_t first, struct error *e)
{
    AUTO_BYTES struct bytes names = {.maximum = NAMES_MAX};
    if (repository->trust_hosts || repository->key->full)
        return 0;
    if (find_foundlings(repository, first, &names, e) < 0)
        return -1;
    if (names.length > 0)
        log_line(LOG_WARNING,
                 "sink '%s': this machine does not remember to have stored %zu index objects that its key has signed, "
                 "and a put key cannot look into packs: what they describe is not relied on, but stored again. Unless "
                 "its state was lost, somebody has copied the key",
                 sink_name(repository->sink), names.length / SEAL_HASH_SIZE);
    return 0;
}
