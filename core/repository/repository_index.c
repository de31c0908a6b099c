/* Of a repository: what is in which pack, and which packs are there. */
#include "repository/repository.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/confirm.h"
#include "repository/foundling.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/ledger.h"
#include "repository/signers.h"
#include "worker/sink.h"

#define INDEX_OBJECT_MAX (INDEX_BODY_MAX + (64u << 10)) /* of what does not compress */
#define FAILURES_SAID 3
#define LISTING_MAX ((size_t)1 << 30)

/* An index object that is listed: whose it is, and its name. */
struct listed_object {
    uint8_t name[SEAL_HASH_SIZE];
    char host[64];
};

struct listing {
    struct bytes *rows;
    struct repository *repository;
};

static int list_index(void *context, const struct sink_object *object, struct error *e)
{
    const struct listing *l = context;
    struct listed_object row = {.host = ""};
    struct error why;
    if (object->size > INDEX_OBJECT_MAX) {
        error_set(&why, ERROR_INTEGRITY, "object '%s' has %llu bytes: it is no index object", object->key,
                  (unsigned long long)object->size);
        repository_warn(l->repository, &why);
    } else if (repository_parse_index_key(object->key, row.host, row.name)) {
        bytes_put(l->rows, &row, sizeof row);
    } else { /* what is not ours is said, and left alone */
        error_set(&why, ERROR_INTEGRITY, "object '%s' does not belong to a repository", object->key);
        repository_warn(l->repository, &why);
    }
    return bytes_check(l->rows, "listing of index objects", e);
}

/* Chunk ids do not compress: a body that is much larger than its object is none. */
static size_t body_max(size_t object)
{
    return 2 * object + 4096 < INDEX_BODY_MAX ? 2 * object + 4096 : INDEX_BODY_MAX;
}

/* *final: it will never be another one, since its bytes are those that its name stands for. */
static int open_index_object(struct repository *r, const struct listed_object *listed, const struct bytes *object,
                             struct bytes *body, uint8_t signer[32], bool *final, struct error *e)
{
    char key[201], host[64];
    uint8_t hash[SEAL_HASH_SIZE];
    repository_index_key(listed->host, listed->name, key);
    seal_hash(object->data, object->length, hash);
    *final = memcmp(hash, listed->name, sizeof hash) == 0;
    if (!*final)
        return error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: its hash is not its name", key);
    struct seal_opened opened;
    body->maximum = body_max(object->length);
    if (seal_envelope_open(r->key, SEAL_INDEX, object->data, object->length, key, &opened, body, e) < 0 ||
        index_body_host(body->data, body->length, host, e) < 0 || seal_check_host(&opened, host, key, e) < 0)
        return -1;
    if (strcmp(host, listed->host) != 0)
        return error_set(e, ERROR_INTEGRITY, "object '%s' is of host '%s', and does not belong there", key, host);
    if (opened.clear_length > 0)
        return error_set(e, ERROR_INTEGRITY, "object '%s' has a clear part, as no index object has", key);
    memcpy(signer, opened.signer, 32);
    return 0;
}

int repository_read_index_object(struct repository *r, const char *host, const uint8_t name[SEAL_HASH_SIZE],
                                 struct bytes *body, struct error *e)
{
    struct listed_object listed = {.host = ""};
    char key[201];
    uint8_t signer[32];
    bool final;
    snprintf(listed.host, sizeof listed.host, "%s", host);
    memcpy(listed.name, name, sizeof listed.name);
    repository_index_key(host, name, key);
    AUTO_BYTES struct bytes object = {.maximum = INDEX_OBJECT_MAX + 1};
    if (sink_get(r->sink, key, INDEX_OBJECT_MAX, &object, e) < 0)
        return -1;
    return open_index_object(r, &listed, &object, body, signer, &final, e);
}

static int absorb(struct repository *r, const struct listed_object *listed, const struct bytes *object, bool *final,
                  struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = 0};
    uint8_t signer[32];
    if (open_index_object(r, listed, object, &body, signer, final, e) < 0)
        return -1;
    const struct index_origin origin = {.object = listed->name, .signer = signer};
    if (index_absorb(r->index, &origin, body.data, body.length, e) == 0)
        return 0;
    char key[201];
    repository_index_key(listed->host, listed->name, key);
    return error_context(e, "object '%s': ", key);
}

/* Damage is a warning: what the object said can be found in the packs. */
static int absorb_object(struct repository *r, const struct listed_object *listed, const struct bytes *object,
                         const struct error *why, struct error *e)
{
    bool final = false;
    int result = object ? absorb(r, listed, object, &final, e) : -1;
    if (!object)
        *e = *why;
    if (result == 0)
        return 0;
    if (e->class == ERROR_NOT_FOUND)
        return 0; /* collected between listing and reading */
    if (e->class != ERROR_INTEGRITY && e->class != ERROR_AUTH)
        return -1;
    repository_warn(r, e);
    return final ? index_pass_over(r->index, listed->host, listed->name, e) : 0;
}

struct absorbing {
    struct repository *repository;
    const struct listed_object *next;
};

static int absorb_next(void *context, const char *key, const struct bytes *object, const struct error *why,
                       struct error *e)
{
    struct absorbing *a = context;
    (void)key;
    return absorb_object(a->repository, a->next++, object, why, e);
}

/* Those of them that the cache does not cover. */
static int absorb_missing(struct repository *r, const struct listed_object *listed, size_t count, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = LISTING_MAX}, wanted = {.maximum = LISTING_MAX};
    for (size_t i = 0; i < count; i++) {
        char key[201];
        if (index_covers(r->index, listed[i].name))
            continue;
        repository_index_key(listed[i].host, listed[i].name, key);
        bytes_put(&keys, key, strlen(key) + 1);
        bytes_put(&wanted, &listed[i], sizeof listed[i]);
    }
    if (bytes_check(&keys, "listing of index objects", e) < 0 ||
        bytes_check(&wanted, "listing of index objects", e) < 0)
        return -1;
    struct absorbing absorbing = {.repository = r, .next = (const void *)wanted.data};
    return sink_get_each(r->sink, (const char *)keys.data, keys.length, INDEX_OBJECT_MAX, absorb_next, &absorbing, e);
}

static int open_index(struct repository *r, struct error *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/segments", r->cache);
    uint8_t identity[SEAL_HASH_SIZE];
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, r->key->signer_public, sizeof r->key->signer_public);
    seal_hasher_add(&hasher, r->host, strlen(r->host));
    seal_hasher_end(&hasher, identity);
    if (index_open(path, identity, r->own_alone ? r->host : NULL, &r->index, e) < 0)
        return -1;
    /* What was packed anew for a host that cannot do it itself; one that can goes by its ledger alone. */
    index_set_authority(r->index, r->key->full ? NULL : r->full_signer);
    return 0;
}

/* What this machine has stored itself. */
static int heed_ledger(struct repository *r, bool *there, struct error *e)
{
    AUTO_BYTES struct bytes names = {.maximum = LISTING_MAX};
    if (ledger_read(r->ledger, &names, there, e) < 0)
        return -1;
    return index_set_own(r->index, names.data, names.length / SEAL_HASH_SIZE, e);
}

int repository_own_index(struct repository *r, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    bool there;
    if (ledger_add(r->ledger, name, e) < 0)
        return -1;
    return r->index ? heed_ledger(r, &there, e) : 0;
}

int repository_store_index(struct repository *r, const char *host, const struct bytes *body,
                           uint8_t name[SEAL_HASH_SIZE], uint64_t *size, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = 2 * INDEX_BODY_MAX};
    char key[201];
    if (seal_envelope(r->key, SEAL_INDEX, NULL, 0, body->data, body->length, &object, e) < 0)
        return -1;
    seal_hash(object.data, object.length, name);
    repository_index_key(host, name, key);
    *size = object.length;
    if (strcmp(host, r->host) == 0 && repository_own_index(r, name, e) < 0)
        return -1;
    if (sink_put(r->sink, key, object.data, object.length, true, e) < 0 || sink_sync(r->sink, e) < 0)
        return -1;
    return confirm_object(r, key, &object, e);
}

static int absorb_objects(struct repository *r, const struct bytes *rows, uint64_t bytes, struct error *e)
{
    const struct listed_object *listed = (const void *)rows->data;
    bool crowded = index_is_crowded(r->index);
    index_set_listed(r->index, bytes);
    if (absorb_missing(r, listed, rows->length / sizeof *listed, e) < 0 || index_settle(r->index, e) < 0)
        return -1;
    if (index_is_crowded(r->index) && !crowded)
        log_line(LOG_WARNING,
                 "sink '%s': index objects say more of chunks than packs can hold; some of it is left out, and what is "
                 "needed of that is looked for in the packs: verify --all finds what is wrong",
                 sink_name(r->sink));
    return 0;
}

static int heed_revoked(struct repository *r, struct error *e)
{
    AUTO_BYTES struct bytes revoked = {.maximum = LISTING_MAX};
    if (signers_list_revoked(r->signers, &revoked, e) < 0)
        return -1;
    return index_set_revoked(r->index, revoked.data, revoked.length / SEAL_HASH_SIZE, e);
}

/* Which index objects there are, sorted, to *rows; what is gone counts no more. *covered: objects that are no news. */
static int list_objects(struct repository *r, struct bytes *rows, size_t *covered, struct error *e)
{
    struct listing l = {.rows = rows, .repository = r};
    char prefix[80];
    bool remembered;
    snprintf(prefix, sizeof prefix, r->own_alone ? "index/%s/" : "index/", r->host);
    if (sink_list(r->sink, prefix, list_index, &l, e) < 0)
        return -1;
    /* After they were listed: another run of ours remembers an object before it stores it. */
    if (heed_ledger(r, &remembered, e) < 0)
        return -1;
    size_t count = rows->length / sizeof(struct listed_object);
    if (count > 0)
        qsort(rows->data, count, sizeof(struct listed_object), seal_hash_compare);
    index_retain(r->index, rows->data, count, sizeof(struct listed_object));
    /* A lost state is said, too. */
    *covered = remembered ? index_object_count(r->index) : 0;
    return 0;
}

struct looking {
    struct index *index;
    uint64_t bytes;
};

static int take_packs(void *context, struct index_pack *packs, size_t count, struct error *e)
{
    struct looking *looking = context;
    for (size_t i = 0; i < count; i++)
        looking->bytes += packs[i].size;
    return index_present_take(looking->index, packs, count, e);
}

/* The index is told of the packs that the sink lists, and of what objects say. NULL: of none but those that it has. */
static int look(struct repository *r, const struct bytes *objects, struct error *e)
{
    struct looking looking = {.index = r->index};
    int64_t began = clock_monotonic();
    r->looked = true;
    if (index_present_begin(r->index, e) < 0 || repository_each_packs(r, take_packs, &looking, e) < 0)
        return -1;
    int64_t took = clock_monotonic() - began;
    if ((objects && absorb_objects(r, objects, looking.bytes, e) < 0) || index_present_end(r->index, e) < 0)
        return -1;
    repository_note_look(r, looking.bytes, took);
    return 0;
}

int repository_look(struct repository *r, struct error *e)
{
    return r->looked || look(r, NULL, e) == 0 ? 0 : error_subject(e, "sink", sink_name(r->sink));
}

static int look_or_recall(struct repository *r, enum repository_hosts hosts, const struct bytes *objects,
                          struct error *e)
{
    AUTO_BYTES struct bytes absent = {.maximum = LISTING_MAX};
    uint64_t bytes;
    if (hosts != REPOSITORY_OWN || !repository_recall_look(r, &absent, &bytes))
        return look(r, objects, e);
    r->looked = false;
    if (absorb_objects(r, objects, bytes, e) < 0)
        return -1;
    return index_set_absent(r->index, absent.data, absent.length / SEAL_HASH_SIZE, e);
}

int repository_load_index(struct repository *r, enum repository_hosts hosts, struct error *e)
{
    AUTO_BYTES struct bytes objects = {.maximum = LISTING_MAX};
    size_t covered;
    ASSERT(!r->index || r->own_alone == (hosts == REPOSITORY_OWN && !r->trust_hosts));
    r->own_alone = hosts == REPOSITORY_OWN && !r->trust_hosts;
    if ((!r->index && open_index(r, e) < 0) || (hosts == REPOSITORY_OWN && repository_read_plans(r, e) < 0))
        return -1;
    /* Objects first: what they say is only believed of packs that are listed afterwards. */
    if (list_objects(r, &objects, &covered, e) < 0 || look_or_recall(r, hosts, &objects, e) < 0)
        return error_subject(e, "sink", sink_name(r->sink));
    if (repository_heed_doubts(r, e) < 0 || heed_revoked(r, e) < 0)
        return -1;
    return foundling_warn(r, covered, e);
}

int repository_use(const struct repository *r)
{
    return r->trust_hosts ? INDEX_RELY : INDEX_RELY_OWN;
}

bool repository_has(const struct repository *r, const uint8_t id[SEAL_HASH_SIZE], struct index_location *location)
{
    return index_find(r->index, id, (enum index_use)repository_use(r), 0, location);
}

/* ---- packs without an index ---- */

static int read_tail(struct repository *r, const char *key, uint64_t size, size_t n, struct bytes *tail,
                     struct error *e)
{
    bytes_reset(tail);
    uint8_t *to = bytes_reserve(tail, n);
    if (!to)
        return error_memory(e);
    tail->length = n;
    return sink_get_range(r->sink, key, size - n, to, n, e);
}

int repository_read_directory(struct repository *r, const struct pack_name *name, uint64_t size,
                              struct pack_chunk **chunks, uint32_t *count, struct error *e)
{
    char key[201];
    pack_name_key(name, key);
    if (size < PACK_HEADER_SIZE || size > PACK_SIZE_MAX)
        return error_set(e, ERROR_INTEGRITY, "object '%s' is no pack: it has %llu bytes", key,
                         (unsigned long long)size);
    uint8_t header[PACK_HEADER_SIZE];
    struct seal_box box;
    if (sink_get_range(r->sink, key, 0, header, sizeof header, e) < 0 ||
        pack_open_header(r->key, header, key, &box, e) < 0)
        return -1;
    AUTO_BYTES struct bytes tail = {.maximum = size};
    size_t need = size < 4096 ? (size_t)size : 4096;
    do {
        if (read_tail(r, key, size, need, &tail, e) < 0)
            return -1;
        need = 0;
        if (pack_read_directory(&box, tail.data, tail.length, size, key, chunks, count, &need, e) < 0)
            return -1;
    } while (need > 0);
    return 0;
}

/* *failed: it does not open. Of many such packs, a few are said. */
static int absorb_directory(struct repository *r, const struct index_pack *pack, size_t *failed, struct error *e)
{
    AUTO_FREE struct pack_chunk *chunks = NULL;
    uint32_t count;
    if (repository_read_directory(r, &pack->name, pack->size, &chunks, &count, e) < 0) {
        if (e->class != ERROR_INTEGRITY && e->class != ERROR_AUTH && e->class != ERROR_NOT_FOUND)
            return -1;
        error_subject(e, "sink", sink_name(r->sink));
        if (++*failed <= FAILURES_SAID)
            log_error(LOG_WARNING, e);
        return 0;
    }
    AUTO_BYTES struct bytes body = {.maximum = INDEX_BODY_MAX};
    index_body_begin(&body, pack_name_host(&pack->name), 0);
    index_body_add_pack(&body, pack->name.hash, pack->size, chunks, count);
    index_body_end(&body, 1);
    if (bytes_check(&body, "index", e) < 0)
        return -1;
    const struct index_origin origin = {.object = NULL};
    return index_absorb(r->index, &origin, body.data, body.length, e);
}

/* packs: as listed, and compared with the index. */
static int recover_from(struct repository *r, struct index_pack *packs, size_t count, struct error *e)
{
    size_t unknown = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (packs[i].known)
            continue;
        unknown++;
        if (absorb_directory(r, &packs[i], &failed, e) < 0)
            return -1;
    }
    if (unknown > 0)
        log_line(LOG_NOTICE, "sink '%s': read the directories of %zu packs that no index describes; %zu do not open",
                 sink_name(r->sink), unknown, failed);
    if (index_settle(r->index, e) < 0 || index_set_present(r->index, packs, count, e) < 0)
        return -1;
    r->recovered = true;
    return 0;
}

/* What only foreigners describe is as good as unknown; and so is all, when something was left out. */
static void keep_vouched(const struct repository *r, struct index_pack *packs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        packs[i].known = false;
    for (size_t row = 0; count > 0 && !index_is_crowded(r->index) && row < index_pack_count(r->index); row++) {
        struct pack_name name;
        uint64_t size;
        if (!index_pack_at(r->index, row, &name, &size) || !index_vouches(r->index, row))
            continue;
        struct index_pack *found = bsearch(&name, packs, count, sizeof *packs, pack_name_compare);
        if (found)
            found->known = true;
    }
}

int repository_check_index(struct repository *r, struct error *e)
{
    bool damaged;
    if (index_check(r->index, &damaged, e) < 0)
        return -1;
    if (!damaged)
        return 0;
    log_line(LOG_NOTICE, "sink '%s': a part of the index in '%s' was damaged, and is made anew", sink_name(r->sink),
             r->cache);
    return repository_load_index(r, r->own_alone ? REPOSITORY_OWN : REPOSITORY_ALL, e);
}

int repository_recover_index(struct repository *r, struct error *e)
{
    AUTO_FREE struct index_pack *packs = NULL;
    size_t count;
    if (r->recovered)
        return 0;
    if (repository_check_index(r, e) < 0)
        return -1;
    if (!r->key->full) {
        r->recovered = true; /* it cannot be */
        return 0;
    }
    if (repository_list_packs(r, &packs, &count, e) < 0 || index_set_present(r->index, packs, count, e) < 0)
        return -1;
    keep_vouched(r, packs, count);
    return recover_from(r, packs, count, e);
}

int repository_fix_index(struct repository *r, const struct index_pack *packs, size_t count, struct error *e)
{
    AUTO_FREE struct index_pack *copy = malloc((count + 1) * sizeof *copy);
    if (!copy)
        return error_memory(e);
    if (count > 0)
        memcpy(copy, packs, count * sizeof *copy);
    if (index_is_crowded(r->index))
        keep_vouched(r, copy, count);
    if (r->key->full && !r->recovered && recover_from(r, copy, count, e) < 0)
        return -1;
    r->recovered = true; /* or it cannot be, with a put key */
    index_fix(r->index);
    return 0;
}

void repository_forget_index(struct repository *r)
{
    index_free(r->index);
    r->index = NULL;
    r->recovered = false;
}
