#include "repository/reader.h"

#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/chunker.h"
#include "repository/fetch.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/pack.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"
#include "snapshot/path.h"
#include "worker/sink.h"

#define FOREIGN_MAX 4 /* places that foreigners name for a chunk and that are tried */
#define WARNED_MAX (1000 * SEAL_HASH_SIZE)

struct reader {
    struct repository *repository;
    struct fetch *fetch;
    struct pack_decompressor *decompressor;
    uint8_t *sealed, *plain;
    uint8_t id[SEAL_HASH_SIZE]; /* of the chunk in plain; valid when length > 0 */
    size_t length;
    struct bytes warned; /* names of packs in which something was wrong, and that was said */
};

int reader_new(struct repository *repository, struct reader **reader, struct error *e)
{
    if (!repository->key->full) {
        error_set(e, ERROR_AUTH, "this is a %s key: it can %s snapshots but not read them", key_kind(repository->key),
                  repository->key->certificate.roles & KEY_ADD ? "add" : "remove");
        error_subject(e, "sink", sink_name(repository->sink));
        return error_hint(e, "use the full key");
    }
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(e);
    r->repository = repository;
    r->warned.maximum = WARNED_MAX;
    r->sealed = malloc(reader_sealed_max());
    r->plain = malloc(CHUNKER_MAXIMUM);
    int result = r->sealed && r->plain ? 0 : error_memory(e);
    if (result < 0 || fetch_new(repository, &r->fetch, e) < 0 || pack_decompressor_new(&r->decompressor, e) < 0) {
        reader_free(r);
        return -1;
    }
    *reader = r;
    return 0;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    fetch_free(reader->fetch);
    pack_decompressor_free(reader->decompressor);
    free(reader->sealed);
    free(reader->plain);
    bytes_free(&reader->warned);
    free(reader);
}

size_t reader_sealed_max(void)
{
    return pack_compress_bound(CHUNKER_MAXIMUM) + SEAL_OVERHEAD;
}

/* The nth place of the chunk that is tried. */
static bool find_place(const struct index *index, const uint8_t *id, unsigned nth, struct index_location *location)
{
    unsigned foreign = 0;
    for (unsigned i = 0; index_find(index, id, INDEX_READ, i, location); i++) {
        if (location->foreign && foreign++ >= FOREIGN_MAX)
            continue;
        if (nth-- == 0)
            return true;
    }
    return false;
}

static int find_or_recover(struct repository *r, const uint8_t *id, unsigned nth, struct index_location *location,
                           bool *found, struct error *e)
{
    *found = find_place(r->index, id, nth, location);
    if (*found || r->recovered)
        return 0;
    if (repository_recover_index(r, e) < 0)
        return -1;
    *found = find_place(r->index, id, nth, location);
    return 0;
}

int reader_locate(struct reader *reader, const uint8_t id[SEAL_HASH_SIZE], unsigned nth,
                  struct index_location *location, struct error *e)
{
    struct repository *r = reader->repository;
    bool found;
    pthread_mutex_lock(&r->finding);
    int result = find_or_recover(r, id, nth, location, &found, e);
    pthread_mutex_unlock(&r->finding);
    if (result < 0)
        return -1;
    char hex[2 * SEAL_HASH_SIZE + 1];
    text_hex(id, SEAL_HASH_SIZE, hex);
    if (!found)
        error_set(e, ERROR_INTEGRITY, "chunk %s is %s", hex, nth == 0 ? "missing" : "damaged");
    else if (!pack_chunk_can_be(&location->chunk, location->pack_size))
        error_set(e, ERROR_INTEGRITY, "the index names a place for chunk %s that cannot be", hex);
    else
        return 0;
    return error_subject(e, "sink", sink_name(r->sink));
}

/* May this failure be the fault of one place, so that another one can be tried? */
bool reader_is_damage(const struct error *e)
{
    return e->class == ERROR_INTEGRITY || e->class == ERROR_RANGE || e->class == ERROR_NOT_FOUND ||
           e->class == ERROR_AUTH || e->class == ERROR_DENIED;
}

static int open_at(struct reader *r, const struct index_location *l, struct error *e)
{
    char key[201];
    struct seal_box box;
    pack_name_key(&l->pack, key);
    if (fetch_chunk(r->fetch, l, r->sealed, &box, e) < 0)
        return -1;
    return pack_open_chunk(r->decompressor, r->repository->key, &box, &l->chunk, r->sealed, r->plain, key, e);
}

/* Once for a pack, however much of it is wrong. */
static void warn(struct reader *r, const uint8_t pack[SEAL_HASH_SIZE], const struct error *why)
{
    size_t count = r->warned.length / SEAL_HASH_SIZE;
    if (count > 0 && lfind(pack, r->warned.data, &count, SEAL_HASH_SIZE, seal_hash_compare))
        return;
    struct error e = *why;
    repository_warn(r->repository, &e);
    bytes_put(&r->warned, pack, SEAL_HASH_SIZE);
    if (r->warned.failed)
        bytes_reset(&r->warned);
}

/* It was not whole there. Does the pack itself name another place? */
static bool note_failure(struct reader *r, struct index_location *place, const struct error *why)
{
    warn(r, place->pack.hash, why);
    return why->class == ERROR_INTEGRITY && repository_blame(r->repository, place);
}

/* r->length stays 0 when it is not whole there. */
static int try_place(struct reader *r, struct index_location *place, struct error *e)
{
    int result = open_at(r, place, e);
    if (result < 0 && reader_is_damage(e) && note_failure(r, place, e))
        result = open_at(r, place, e);
    if (result == 0)
        r->length = place->chunk.plain;
    return result == 0 || reader_is_damage(e) ? 0 : -1;
}

/* Once packs were looked into, there may be places before those that were tried. */
static int find_whole(struct reader *r, const uint8_t *id, struct error *e)
{
    struct index_location location;
    bool recovered = r->repository->recovered;
    r->length = 0;
    for (unsigned nth = 0; r->length == 0; nth++) {
        int result = reader_locate(r, id, nth, &location, e);
        if (r->repository->recovered && !recovered && nth > 0) {
            recovered = true;
            nth = UINT_MAX;
            continue;
        }
        if (result < 0 || try_place(r, &location, e) < 0)
            return -1;
    }
    memcpy(r->id, id, SEAL_HASH_SIZE);
    return 0;
}

int reader_chunk(struct reader *reader, const uint8_t id[SEAL_HASH_SIZE], const uint8_t **p, size_t *n, struct error *e)
{
    bool have = reader->length > 0 && memcmp(reader->id, id, SEAL_HASH_SIZE) == 0;
    if (!have && find_whole(reader, id, e) < 0)
        return -1;
    *p = reader->plain;
    *n = reader->length;
    return 0;
}

int reader_chunk_elsewhere(struct reader *reader, const struct index_location *place, const struct error *why,
                           const uint8_t **p, size_t *n, struct error *e)
{
    warn(reader, place->pack.hash, why);
    if (find_whole(reader, place->chunk.id, e) < 0)
        return -1;
    *p = reader->plain;
    *n = reader->length;
    return 0;
}

/* ---- catalogues ---- */

struct walk {
    struct reader *reader;
    const char *path;
    size_t path_length;
    int (*record)(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e);
    void *context;
    struct catalogue_decoder decoder;
    struct bytes carry; /* the beginning of a record whose rest is in the next chunk */
    bool wanted;        /* the last entry was wanted, so its continuations are too */
    bool past;          /* behind everything that is wanted */
};

static int walk_record(struct walk *w, const uint8_t *p, size_t n, struct error *e)
{
    struct record record;
    if (catalogue_decode(&w->decoder, p, n, &record, e) < 0)
        return -1;
    if (!record.continuation) {
        const struct snapshot_entry *entry = &record.entry;
        w->wanted = path_is_within(entry->path, entry->path_length, w->path, w->path_length);
        w->past = !w->wanted && path_compare(entry->path, entry->path_length, w->path, w->path_length) > 0;
    }
    return w->wanted ? w->record(w->context, &record, p, n, e) : 0;
}

/* All whole records at p; what is left over begins the next chunk's. */
static int walk_bytes(struct walk *w, const uint8_t *p, size_t n, size_t *used, struct error *e)
{
    *used = 0;
    while (!w->past && n - *used >= 4) {
        size_t length;
        if (catalogue_record_length(p + *used, n - *used, &length, e) < 0)
            return -1;
        if (length > n - *used)
            break;
        if (walk_record(w, p + *used, length, e) < 0)
            return -1;
        *used += length;
    }
    return 0;
}

static int walk_chunk(struct walk *w, const uint8_t *p, size_t n, struct error *e)
{
    size_t used;
    if (w->carry.length == 0) {
        if (walk_bytes(w, p, n, &used, e) < 0)
            return -1;
        bytes_put(&w->carry, p + used, n - used);
        return bytes_check(&w->carry, "catalogue record", e);
    }
    bytes_put(&w->carry, p, n);
    if (bytes_check(&w->carry, "catalogue record", e) < 0 ||
        walk_bytes(w, w->carry.data, w->carry.length, &used, e) < 0)
        return -1;
    memmove(w->carry.data, w->carry.data + used, w->carry.length - used);
    w->carry.length -= used;
    return 0;
}

/* The last chunk whose first path is not behind the path. */
static size_t first_chunk(const struct manifest_source *source, const char *path, size_t n)
{
    size_t first = 0;
    for (size_t i = 1; i < source->chunk_count; i++) {
        const struct manifest_chunk *chunk = &source->chunks[i];
        if (chunk->first_record < chunk->length &&
            path_compare(chunk->first_path, strlen(chunk->first_path), path, n) <= 0)
            first = i;
    }
    return first;
}

static int walk_chunks(struct walk *w, const struct manifest_source *source, struct error *e)
{
    size_t first = w->path_length > 0 ? first_chunk(source, w->path, w->path_length) : 0;
    for (size_t i = first; i < source->chunk_count && !w->past; i++) {
        const struct manifest_chunk *chunk = &source->chunks[i];
        const uint8_t *p;
        size_t n, skip = i == first ? chunk->first_record : 0;
        if (reader_chunk(w->reader, chunk->id, &p, &n, e) < 0)
            return error_context(e, "catalogue of source '%s': ", source->name);
        if (n != chunk->length || skip > n)
            return error_set(e, ERROR_INTEGRITY, "catalogue of source '%s' has another length than its manifest says",
                             source->name);
        if (walk_chunk(w, p + skip, n - skip, e) < 0)
            return -1;
    }
    if (!w->past && w->carry.length > 0)
        return error_set(e, ERROR_INTEGRITY, "catalogue of source '%s' ends in the middle of a record", source->name);
    return 0;
}

int reader_catalogue(struct reader *reader, const struct manifest_source *source, const char *path,
                     int (*record)(void *context, const struct record *record, const uint8_t *bytes, size_t n,
                                   struct error *e),
                     void *context, struct error *e)
{
    struct walk w = {.reader = reader,
                     .path = path ? path : "",
                     .path_length = path ? strlen(path) : 0,
                     .record = record,
                     .context = context,
                     .carry = {.maximum = CATALOGUE_RECORD_MAX + CHUNKER_MAXIMUM}};
    int result = walk_chunks(&w, source, e);
    catalogue_decoder_free(&w.decoder);
    bytes_free(&w.carry);
    return result;
}
