#include "repository/confirm.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cofre/plugin.h"
#include "repository/chunker.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define NOTED_MAX ((size_t)64 << 20) /* between two checkpoints: a million packs */
#define PAGE 1000                    /* objects that a store lists in one request */
#define READ_BACK ((size_t)4 << 20)  /* objects up to this are compared whole */

void confirm_begin(struct confirm *confirm)
{
    confirm->packs.maximum = NOTED_MAX;
    bytes_reset(&confirm->packs);
}

void confirm_free(struct confirm *confirm)
{
    bytes_free(&confirm->packs);
}

static size_t noted(const struct confirm *c)
{
    return c->packs.length / sizeof(struct index_pack);
}

static uint64_t random_below(uint64_t n)
{
    uint64_t number;
    seal_random(&number, sizeof number);
    return number % n;
}

int confirm_note(struct confirm *confirm, const struct pack_name *name, uint64_t size, const struct pack_chunk *chunks,
                 uint32_t count, struct error *e)
{
    const struct index_pack row = {.name = *name, .size = (uint32_t)size};
    bytes_put(&confirm->packs, &row, sizeof row);
    if (bytes_check(&confirm->packs, "list of stored packs", e) < 0)
        return -1;
    /* Each of those noted is the sample with the same chance. */
    if (random_below(noted(confirm)) == 0) {
        confirm->sample = (struct confirm_sample){.name = *name, .size = size, .chunk = chunks[random_below(count)]};
    }
    return 0;
}

/* ---- there, and whole ---- */

static int missing(const char *key, struct error *e)
{
    error_set(e, ERROR_PERMANENT, "'%s' was stored and is not there", key);
    return error_hint(e, "the sink does not keep what it is given: see what it is, and who else can remove there");
}

static int check_size(const char *key, uint64_t size, uint64_t wanted, struct error *e)
{
    if (size == wanted)
        return 0;
    error_set(e, ERROR_PERMANENT, "'%s' was stored with %llu bytes and has %llu", key, (unsigned long long)wanted,
              (unsigned long long)size);
    return error_hint(e,
                      "the sink does not keep what it is given: is it full, or is something between that changes it?");
}

static int ask(struct repository *repository, const char *key, uint64_t size, struct error *e)
{
    uint64_t there;
    if (sink_stat(repository->sink, key, &there, e) < 0)
        return e->class == ERROR_NOT_FOUND ? missing(key, e) : -1;
    return check_size(key, there, size, e);
}

/* It costs one request, as asking for the size does. */
static int compare_object(struct repository *repository, const struct confirm_stored *stored, struct error *e)
{
    AUTO_BYTES struct bytes there = {.maximum = stored->size + 1};
    uint8_t hash[SEAL_HASH_SIZE];
    if (sink_get(repository->sink, stored->key, stored->size, &there, e) < 0)
        return e->class == ERROR_NOT_FOUND ? missing(stored->key, e) : -1;
    if (check_size(stored->key, there.length, stored->size, e) < 0)
        return -1;
    seal_hash(there.data, there.length, hash);
    if (memcmp(hash, stored->hash, sizeof hash) == 0)
        return 0;
    error_set(e, ERROR_PERMANENT, "'%s' was read back, and is not what was stored", stored->key);
    return error_hint(e, "the sink does not keep what it is given, or something between changes it");
}

struct confirm_stored confirm_stored_of(const char *key, const struct bytes *object)
{
    struct confirm_stored stored = {.size = object->length};
    snprintf(stored.key, sizeof stored.key, "%s", key);
    seal_hash(object->data, object->length, stored.hash);
    return stored;
}

int confirm_stored(struct repository *repository, const struct confirm_stored *stored, struct error *e)
{
    return stored->size > 0 && stored->size <= READ_BACK ? compare_object(repository, stored, e)
                                                         : ask(repository, stored->key, stored->size, e);
}

int confirm_object(struct repository *repository, const char *key, const struct bytes *object, struct error *e)
{
    const struct confirm_stored stored = confirm_stored_of(key, object);
    return confirm_stored(repository, &stored, e);
}

static int ask_for_each(const struct confirm *c, struct repository *r, struct error *e)
{
    const struct index_pack *packs = (const void *)c->packs.data;
    for (size_t i = 0; i < noted(c); i++) {
        char key[201];
        pack_name_key(&packs[i].name, key);
        if (ask(r, key, packs[i].size, e) < 0)
            return -1;
    }
    return 0;
}

static int compare_listed(void *context, struct index_pack *listed, size_t count, struct error *e)
{
    const struct confirm *c = context;
    struct index_pack *packs = (void *)c->packs.data;
    for (size_t i = 0; i < count; i++) {
        char key[201];
        struct index_pack *found = bsearch(&listed[i], packs, noted(c), sizeof *packs, pack_name_compare);
        if (!found)
            continue;
        pack_name_key(&found->name, key);
        if (check_size(key, listed[i].size, found->size, e) < 0)
            return -1;
        found->known = true;
    }
    return 0;
}

static int list_all(struct confirm *c, struct repository *r, struct error *e)
{
    struct index_pack *packs = (void *)c->packs.data;
    qsort(packs, noted(c), sizeof *packs, pack_name_compare);
    if (repository_each_packs(r, compare_listed, c, e) < 0)
        return -1;
    for (size_t i = 0; i < noted(c); i++) {
        char key[201];
        pack_name_key(&packs[i].name, key);
        if (!packs[i].known)
            return missing(key, e);
    }
    return 0;
}

/* ---- read back ---- */

/* A pack on its way: hashed, and of it the header and the chunk are kept. */
struct reading {
    const struct confirm_sample *sample;
    struct seal_hasher hasher;
    uint64_t at;
    uint8_t header[PACK_HEADER_SIZE];
    uint8_t *sealed; /* sample->chunk.stored bytes */
};

/* What of the n bytes at offset `at` lies in [from, from + size), to `to`. */
static void keep(uint64_t at, const uint8_t *p, size_t n, uint64_t from, size_t size, uint8_t *to)
{
    uint64_t begin = at > from ? at : from, end = at + n < from + size ? at + n : from + size;
    if (begin < end)
        memcpy(to + (begin - from), p + (begin - at), (size_t)(end - begin));
}

static int take(void *context, const void *p, size_t n, struct error *e)
{
    struct reading *r = context;
    if (n > r->sample->size - r->at)
        return error_set(e, ERROR_INTEGRITY, "it is longer than %llu bytes", (unsigned long long)r->sample->size);
    seal_hasher_add(&r->hasher, p, n);
    keep(r->at, p, n, 0, sizeof r->header, r->header);
    keep(r->at, p, n, r->sample->chunk.offset, r->sample->chunk.stored, r->sealed);
    r->at += n;
    return 0;
}

static int open_chunk(const struct repository *repository, const struct reading *r, const char *key, struct error *e)
{
    struct seal_box box;
    struct pack_decompressor *decompressor;
    AUTO_FREE uint8_t *plain = malloc(CHUNKER_MAXIMUM);
    if (!plain)
        return error_memory(e);
    if (pack_open_header(repository->key, r->header, key, &box, e) < 0 || pack_decompressor_new(&decompressor, e) < 0)
        return -1;
    int result = pack_open_chunk(decompressor, repository->key, &box, &r->sample->chunk, r->sealed, plain, key, e);
    pack_decompressor_free(decompressor);
    return result;
}

/* All of it: its name is the hash of its bytes. */
static int read_whole(const struct repository *repository, struct reading *r, const char *key, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hasher_init(&r->hasher);
    if (sink_get_pieces(repository->sink, key, take, r, e) < 0)
        return -1;
    seal_hasher_end(&r->hasher, hash);
    if (r->at == r->sample->size && memcmp(hash, r->sample->name.hash, sizeof hash) == 0)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "'%s' is not what was written", key);
}

/* The header and the chunk: what is sealed proves itself. */
static int read_chunk(const struct repository *repository, struct reading *r, const char *key, struct error *e)
{
    const struct pack_chunk *chunk = &r->sample->chunk;
    if (sink_get_range(repository->sink, key, 0, r->header, sizeof r->header, e) < 0)
        return -1;
    return sink_get_range(repository->sink, key, chunk->offset, r->sealed, chunk->stored, e);
}

int confirm_read(struct repository *repository, const struct confirm_sample *sample, bool whole, struct error *e)
{
    char key[201];
    pack_name_key(&sample->name, key);
    if (!pack_chunk_can_be(&sample->chunk, sample->size))
        return error_set(e, ERROR_INTEGRITY, "the index has a chunk of '%s' that cannot be", key);
    AUTO_FREE uint8_t *sealed = malloc(sample->chunk.stored);
    if (!sealed)
        return error_memory(e);
    struct reading r = {.sample = sample, .sealed = sealed};
    whole = whole || !repository->key->full;
    if ((whole ? read_whole : read_chunk)(repository, &r, key, e) < 0)
        return -1;
    return repository->key->full ? open_chunk(repository, &r, key, e) : 0;
}

/* One request for each, or a listing of all: whichever are fewer. */
int confirm_packs(struct confirm *confirm, struct repository *repository, struct error *e)
{
    size_t new = noted(confirm), pages = 1 + (index_pack_count(repository->index) + new) / PAGE;
    if (new == 0)
        return 0;
    if ((new <= pages ? ask_for_each(confirm, repository, e) : list_all(confirm, repository, e)) < 0)
        return -1;
    if (confirm_read(repository, &confirm->sample, true, e) < 0) {
        error_context(e, "read back: ");
        if (e->class == ERROR_INTEGRITY)
            e->class = ERROR_PERMANENT;
        return -1;
    }
    bytes_reset(&confirm->packs);
    return 0;
}

/* ---- what is re-used ---- */

#define TRIES 16      /* chunks looked at until one is found that would be relied on */
#define WHOLE_EVERY 8 /* where only a whole pack can be had: in one run of so many, by chance */

static bool choose(const struct repository *r, struct confirm_sample *sample)
{
    size_t rows = index_chunk_count(r->index);
    for (int i = 0; i < TRIES && rows > 0; i++) {
        struct index_location location;
        if (!index_chunk_at(r->index, random_below(rows), (enum index_use)repository_use(r), &location))
            continue;
        *sample = (struct confirm_sample){.name = location.pack, .size = location.pack_size, .chunk = location.chunk};
        return true;
    }
    return false;
}

static bool costs_a_pack(const struct repository *r)
{
    return !r->key->full || !(sink_plugin(r->sink)->capabilities & COFRE_SINK_RANGES);
}

int confirm_reused(struct repository *repository, struct error *e)
{
    struct confirm_sample sample;
    if (costs_a_pack(repository) && random_below(WHOLE_EVERY) != 0)
        return 0;
    if (!choose(repository, &sample) || confirm_read(repository, &sample, false, e) == 0)
        return 0;
    if (e->class == ERROR_CANCELLED || e->class == ERROR_MEMORY)
        return -1;
    log_line(LOG_WARNING, "sink '%s': a pack that would be relied on was read back: %s", sink_name(repository->sink),
             e->message);
    if (e->class == ERROR_AUTH || (e->class != ERROR_PERMANENT && !reader_is_damage(e)))
        return 0;
    repository_doubt(repository, &sample.name);
    return repository_heed_doubts(repository, e);
}
