#include "repository/gc_repack.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "flow/line.h"
#include "repository/chunker.h"
#include "repository/gc.h"
#include "repository/gc_uploader.h"
#include "repository/gc_used.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/pack.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define UNUSED_PERCENT 3u /* of what is needed: so much may stay as it is */
#define LIST_MAX ((size_t)256 << 20)
#define READERS 3u /* packs that are read at once */
#define RETIRED (INT64_C(60) * 86400 * 1000000000)

struct repack {
    struct gc *gc;
    struct gc_host *host; /* whose packs are at hand */
    struct gc_used used;
    uint64_t left; /* bytes of packs that may still be moved */
    struct pack_decompressor *decompressor;
    uint8_t *plain;
    struct gc_uploader *uploader; /* of that host */
    struct bytes moves;           /* struct gc_move */
};

/* ---- which ---- */

struct candidate {
    size_t row;
    uint64_t used;
    uint32_t size, time;
};

/* The emptiest first. */
static int compare_emptiness(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    uint64_t x = one->used * other->size, y = other->used * one->size;
    return (x > y) - (x < y);
}

/* In the order in which they were stored, so that what was together stays so. */
static int compare_age(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    return one->time != other->time ? (one->time > other->time) - (one->time < other->time)
                                    : (one->row > other->row) - (one->row < other->row);
}

/* Needs name packs by how they begin: two that begin alike cannot be told apart. */
static bool is_alone(const struct garbage *g, size_t row)
{
    return (row == 0 || g->starts[row - 1] != g->starts[row]) &&
           (row + 1 == g->count || g->starts[row + 1] != g->starts[row]);
}

static bool is_much(uint64_t unused, uint64_t used)
{
    return unused > used / 100 * UNUSED_PERCENT;
}

/* Is it needed, and a good part of it is not? */
static bool is_candidate(const struct repack *r, size_t row)
{
    const struct garbage *g = &r->host->garbage;
    uint64_t size = garbage_packs(g)[row].size, used = r->host->used[row];
    return (g->marks[row] & ~GARBAGE_PLANNED) == GARBAGE_NEEDED && is_alone(g, row) && used > 0 && used < size &&
           is_much(size - used, used) && size <= PACK_SIZE_MAX;
}

/* One that is younger than what may be planned waits: a run that is at work may still be storing what needs more of it.
 */
static int list_candidates(const struct repack *r, struct bytes *candidates, struct error *e)
{
    for (size_t i = 0; i < r->host->garbage.count; i++) {
        const struct garbage_pack *pack = &garbage_packs(&r->host->garbage)[i];
        const struct candidate one = {.row = i, .used = r->host->used[i], .size = pack->size, .time = pack->time};
        if (!is_candidate(r, i))
            continue;
        if (garbage_is_old(&r->host->garbage, i, r->gc->grace))
            bytes_put(candidates, &one, sizeof one);
        else
            r->gc->more_to_repack = true;
    }
    return bytes_check(candidates, "list of packs", e);
}

static uint64_t all_used(const struct gc_host *host)
{
    uint64_t used = 0;
    for (size_t i = 0; i < host->garbage.count; i++)
        used += host->used[i];
    return used;
}

/* How many are moved, which come first then. */
static size_t choose(struct repack *r, struct candidate *all, size_t count)
{
    uint64_t used = all_used(r->host), unused = 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        unused += all[i].size - all[i].used;
    if (count > 0)
        qsort(all, count, sizeof *all, compare_emptiness);
    for (; n < count && is_much(unused, used); n++) {
        if (all[n].size > r->left) {
            r->gc->more_to_repack = true;
            break;
        }
        r->left -= all[n].size;
        unused -= all[n].size - all[n].used;
    }
    if (n > 0)
        qsort(all, n, sizeof *all, compare_age);
    return n;
}

/* ---- chunks ---- */

/* Another pack that has it, by the word of the full key, and stays. */
static bool is_elsewhere(const struct repack *r, const struct pack_chunk *chunk, struct pack_name *pack)
{
    const struct repository *repository = r->gc->repository;
    struct index_location at;
    for (unsigned nth = 0; index_find(repository->index, chunk->id, INDEX_RELY, nth, &at); nth++) {
        size_t row = at.pack.host == r->host->number ? garbage_find(&r->host->garbage, at.pack.hash) : SIZE_MAX;
        const uint8_t *signer = index_pack_signer(repository->index, at.pack_row);
        if (row == SIZE_MAX || (r->host->garbage.marks[row] & (GARBAGE_PLANNED | GARBAGE_MOVED)) ||
            repository_plans_pack(repository, at.pack.hash) || index_doubts(repository->index, at.pack.hash))
            continue;
        if (!index_pack_is_own(repository->index, at.pack_row) &&
            (!signer || memcmp(signer, repository->full_signer, KEY_SIZE) != 0))
            continue;
        *pack = at.pack;
        return true;
    }
    return false;
}

/* Opened, and so proved; then sealed anew as it was compressed, which opening has left in its place. */
static int move_chunk(struct repack *r, const struct seal_box *box, const struct pack_name *from,
                      const struct pack_chunk *chunk, uint8_t *bytes, const char *key, struct error *e)
{
    struct gc_move move = {.from = *from};
    if (!gc_used_has(&r->used, chunk->id))
        return 0;
    if (is_elsewhere(r, chunk, &move.to)) {
        bytes_put(&r->moves, &move, sizeof move);
        return bytes_check(&r->moves, "list of packs", e);
    }
    uint8_t *sealed = bytes + chunk->offset;
    if (pack_open_chunk(r->decompressor, r->gc->repository->key, box, chunk, sealed, r->plain, key, e) < 0)
        return -1;
    return gc_uploader_add(r->uploader, from->hash, chunk, sealed, chunk->stored - SEAL_OVERHEAD, e);
}

/* What it says of its chunks counts when it is the pack of that name, byte for byte. */
static int open_pack(const struct repack *r, const struct pack_name *name, const struct bytes *object, const char *key,
                     struct seal_box *box, struct pack_chunk **chunks, uint32_t *count, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    size_t need;
    seal_hash(object->data, object->length, hash);
    if (object->length < PACK_HEADER_SIZE || seal_hash_compare(hash, name->hash) != 0)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': it was changed or is damaged", key);
    if (pack_open_header(r->gc->repository->key, object->data, key, box, e) < 0)
        return -1;
    return pack_read_directory(box, object->data, object->length, object->length, key, chunks, count, &need, e);
}

static int move_chunks(struct repack *r, const struct pack_name *from, const struct bytes *object, const char *key,
                       struct error *e)
{
    AUTO_FREE struct pack_chunk *chunks = NULL;
    struct seal_box box;
    uint32_t count = 0;
    if (open_pack(r, from, object, key, &box, &chunks, &count, e) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (move_chunk(r, &box, from, &chunks[i], object->data, key, e) < 0)
            return -1;
    return 0;
}

/* ---- old packs ---- */

/* One that is read. */
struct old_pack {
    struct pack_name name;
    char key[201];
    struct bytes object;
    struct error why; /* ERROR_NONE: it was read */
};

/* By any thread. */
static int read_pack(void *context, size_t worker, void *item, struct error *e)
{
    const struct repack *r = context;
    struct old_pack *old = item;
    (void)worker;
    if (cancel_requested())
        return error_set(e, ERROR_CANCELLED, "gc was not finished");
    pack_name_key(&old->name, old->key);
    bytes_reset(&old->object);
    old->why = (struct error){.class = ERROR_NONE};
    (void)sink_get(r->gc->repository->sink, old->key, PACK_SIZE_MAX, &old->object, &old->why);
    return 0;
}

/* One that is damaged stays as it is, whatever was moved of it: verify says what is lost. */
static int move_pack(void *context, void *item, struct error *e)
{
    struct repack *r = context;
    const struct old_pack *old = item;
    bool read = old->why.class == ERROR_NONE;
    if (!read)
        *e = old->why;
    if (read && move_chunks(r, &old->name, &old->object, old->key, e) == 0) {
        r->host->found.moved.objects++;
        r->host->found.moved.bytes += old->object.length;
        return 0;
    }
    if (e->class != ERROR_INTEGRITY && (read || !sink_is_of_object(e)))
        return -1;
    r->host->garbage.marks[garbage_find(&r->host->garbage, old->name.hash)] |= GARBAGE_KEPT;
    repository_doubt(r->gc->repository, &old->name);
    error_context(e, "what is needed of it is not packed anew: ");
    repository_warn(r->gc->repository, e);
    return 0;
}

static int submit(struct repack *r, struct line *line, const struct candidate *chosen, struct error *e)
{
    void *item;
    if (line_slot(line, &item, e) < 0)
        return -1;
    struct old_pack *old = item;
    old->name = pack_name_of(r->host->name, garbage_packs(&r->host->garbage)[chosen->row].name);
    return line_submit(line, e);
}

/* Some at a time, and moved in their order. */
static int read_packs(struct repack *r, const struct candidate *chosen, size_t count, struct error *e)
{
    unsigned parallel = sink_parallel(r->gc->repository->sink);
    size_t readers = parallel < READERS ? parallel : READERS;
    AUTO_FREE struct old_pack *old = calloc(readers + 1, sizeof *old);
    void *items[READERS + 1];
    struct line *line = NULL;
    if (!old)
        return error_memory(e);
    for (size_t i = 0; i <= readers; i++) {
        old[i].object.maximum = PACK_SIZE_MAX + 1;
        items[i] = &old[i];
    }
    const struct line_spec spec = {.slots = readers + 1,
                                   .workers = readers,
                                   .items = items,
                                   .work = read_pack,
                                   .consume = move_pack,
                                   .context = r};
    int result = line_new(&spec, &line, e);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = submit(r, line, &chosen[i], e);
    if (result == 0)
        result = line_drain(line, e);
    line_free(line);
    for (size_t i = 0; i <= readers; i++)
        bytes_free(&old[i].object);
    return result;
}

/* ---- one host ---- */

static int move_packs(struct repack *r, const struct candidate *chosen, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++)
        r->host->garbage.marks[chosen[i].row] |= GARBAGE_MOVED;
    if (gc_uploader_new(r->gc->repository, r->host, &r->moves, &r->uploader, e) < 0)
        return -1;
    int result = read_packs(r, chosen, count, e);
    if (result == 0)
        result = gc_uploader_finish(r->uploader, e);
    gc_uploader_free(r->uploader);
    return result;
}

/* What would be moved is needed no longer, as far as this gc goes. */
static void count_packs(struct repack *r, const struct candidate *chosen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        r->host->garbage.marks[chosen[i].row] = 0;
        r->host->found.moved.objects++;
        r->host->found.moved.bytes += chosen[i].size;
    }
}

/* Has it stored nothing for so long that it is taken to run no more? Where the store tells no times, none has. */
static bool is_retired(const struct gc *gc, const struct gc_host *host)
{
    int64_t stored = host->stored != INT64_MIN && host->stored < gc->memory.since ? gc->memory.since : host->stored;
    return stored != INT64_MIN && gc->now != INT64_MIN && gc->now - RETIRED > stored;
}

/* Who has the full key packs his own anew, as long as he runs. */
static bool is_ours(const struct repack *r)
{
    return strcmp(r->host->name, r->gc->repository->host) == 0 || !r->host->has_full_key || is_retired(r->gc, r->host);
}

static int repack_host(struct repack *r, struct error *e)
{
    AUTO_BYTES struct bytes candidates = {.maximum = LIST_MAX};
    if (!is_ours(r))
        return 0;
    if (list_candidates(r, &candidates, e) < 0)
        return -1;
    struct candidate *all = (struct candidate *)(void *)candidates.data;
    size_t count = choose(r, all, candidates.length / sizeof *all);
    if (count == 0)
        return 0;
    if (!r->gc->request->dry_run)
        return move_packs(r, all, count, e);
    count_packs(r, all, count);
    return 0;
}

/* ---- all ---- */

static int load(struct repack *r, struct error *e)
{
    struct repository *repository = r->gc->repository;
    AUTO_FREE struct index_pack *packs = NULL;
    size_t count;
    if (repository_read_plans(repository, e) < 0 || repository_load_index(repository, REPOSITORY_ALL, e) < 0 ||
        repository_list_packs(repository, &packs, &count, e) < 0 ||
        index_set_present(repository->index, packs, count, e) < 0 ||
        repository_fix_index(repository, packs, count, e) < 0)
        return -1;
    return gc_used_find(r->gc, &r->used, e) < 0 ? -1 : gc_used_count(&r->used, r->gc, e);
}

static int begin(struct repack *r, struct error *e)
{
    r->moves.maximum = LIST_MAX;
    r->plain = malloc(CHUNKER_MAXIMUM);
    if (!r->plain)
        return error_memory(e);
    return pack_decompressor_new(&r->decompressor, e);
}

static void end(struct repack *r)
{
    pack_decompressor_free(r->decompressor);
    free(r->plain);
    bytes_free(&r->moves);
    gc_used_free(&r->used);
}

static int compare_moves(const void *a, const void *b)
{
    const struct gc_move *one = a, *other = b;
    int order = pack_name_compare(&one->from, &other->from);
    return order != 0 ? order : pack_name_compare(&one->to, &other->to);
}

static bool is_kept(const struct gc *gc, const struct pack_name *pack)
{
    const struct garbage *g = &gc_find_host(gc, pack->host)->garbage;
    return g->marks[garbage_find(g, pack->hash)] & GARBAGE_KEPT;
}

/* Many chunks went the same way. A pack that is damaged was not moved. */
static void sort_moves(struct repack *r)
{
    struct gc_move *all = (struct gc_move *)(void *)r->moves.data;
    size_t count = r->moves.length / sizeof *all, kept = 0;
    if (count > 0)
        qsort(all, count, sizeof *all, compare_moves);
    for (size_t i = 0; i < count; i++)
        if ((kept == 0 || compare_moves(&all[i], &all[kept - 1]) != 0) && !is_kept(r->gc, &all[i].from))
            all[kept++] = all[i];
    r->moves.length = kept * sizeof *all;
}

static int repack_all(struct repack *r, struct error *e)
{
    struct gc *gc = r->gc;
    if (begin(r, e) < 0 || load(r, e) < 0)
        return -1;
    for (size_t i = 0; i < gc->host_count; i++) {
        r->host = &gc->hosts[i];
        if (repack_host(r, e) < 0)
            return -1;
    }
    sort_moves(r);
    return gc_move_needs(gc, &r->moves, e);
}

int gc_repack(struct gc *gc, bool *moved, struct error *e)
{
    struct repack r = {.gc = gc, .left = gc->request->repack};
    int result = repack_all(&r, e);
    *moved = r.moves.length > 0;
    end(&r);
    return result;
}
