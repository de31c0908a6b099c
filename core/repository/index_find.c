/* Of an index: where a chunk is. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "repository/index.h"
#include "repository/index_table.h"

/* ---- names of which something is known ---- */

int index_copy_names(const uint8_t *names, size_t count, uint8_t **to, size_t *to_count, struct error *e)
{
    uint8_t *copy = malloc(count * SEAL_HASH_SIZE + 1);
    if (!copy)
        return error_memory(e);
    if (count > 0)
        memcpy(copy, names, count * SEAL_HASH_SIZE);
    free(*to);
    *to = copy;
    *to_count = count;
    return 0;
}

int index_set_doubted(struct index *index, const uint8_t *names, size_t count, struct error *e)
{
    return index_copy_names(names, count, &index->doubted, &index->doubted_count, e);
}

int index_set_revoked(struct index *index, const uint8_t *signers, size_t count, struct error *e)
{
    return index_copy_names(signers, count, &index->revoked, &index->revoked_count, e);
}

bool index_doubts(const struct index *index, const uint8_t hash[SEAL_HASH_SIZE])
{
    return index->doubted_count > 0 &&
           bsearch(hash, index->doubted, index->doubted_count, SEAL_HASH_SIZE, seal_hash_compare);
}

/* Is what the object says good for that use? */
static bool allows(const struct index *index, const struct index_part *part, uint32_t object, enum index_use use)
{
    if (use == INDEX_READ || part->own[object])
        return true;
    return use == INDEX_RELY &&
           !(index->revoked_count > 0 && bsearch(part->segment->objects[object].signer, index->revoked,
                                                 index->revoked_count, SEAL_HASH_SIZE, seal_hash_compare));
}

/* ---- places ---- */

/* A row of a chunk, and that of its pack. */
struct place {
    const struct index_part *part;
    size_t row;
    struct segment_chunk chunk;
    struct segment_pack pack;
};

static void locate(const struct index *index, const struct place *place, struct index_location *location)
{
    const struct segment_chunk *chunk = &place->chunk;
    location->row = place->part->first_chunk + place->row;
    location->pack_row = place->part->first_pack + chunk->pack;
    location->pack.host = place->part->host;
    memcpy(location->pack.hash, place->pack.name, sizeof location->pack.hash);
    location->pack_size = place->pack.size;
    location->foreign = index_rank(index, place->part, place->pack.object) == INDEX_FOREIGN;
    location->chunk = (struct pack_chunk){.offset = chunk->offset, .stored = chunk->stored, .plain = chunk->plain};
    memcpy(location->chunk.id, chunk->id, SEAL_HASH_SIZE);
}

/* Places by whose word they are (rank), those in doubted packs behind all others. */
#define ORDERS (2 * (INDEX_FOREIGN + 1))
struct search {
    const struct index *index;
    const uint8_t *id;
    enum index_use use;
    struct segment_window window;
    unsigned order, nth;     /* which is looked for */
    unsigned counts[ORDERS]; /* places passed */
    struct place place;      /* the one, when found */
};

/* ORDERS when the row is no place for the use; else place->pack is set. */
static unsigned order_of(const struct search *s, struct place *place)
{
    const struct index_part *part = place->part;
    if (!index_part_has(part, place->chunk.pack) || !segment_chunk_is_whole(&place->chunk) ||
        !segment_pack_at(part->segment, place->chunk.pack, &place->pack) ||
        !allows(s->index, part, place->pack.object, s->use))
        return ORDERS;
    bool doubted = index_doubts(s->index, place->pack.name);
    if (doubted && s->use != INDEX_READ)
        return ORDERS;
    return index_rank(s->index, part, place->pack.object) + (doubted ? INDEX_FOREIGN + 1 : 0);
}

static bool search_part(struct search *s, const struct index_part *part)
{
    const struct segment_chunk *row;
    struct place *place = &s->place;
    place->part = part;
    if (!segment_may_have(part->segment, s->id))
        return false;
    place->row = segment_first(part->segment, s->id, &s->window);
    for (; (row = segment_row(part->segment, place->row, &s->window)); place->row++) {
        if (memcmp(row->id, s->id, SEAL_HASH_SIZE) != 0)
            return false;
        place->chunk = *row;
        unsigned order = order_of(s, place);
        if (order < ORDERS && s->counts[order]++ == s->nth && order == s->order)
            return true;
    }
    return false;
}

/* The nth of that order, through all parts. */
static bool search_all(struct search *s)
{
    size_t count;
    const struct index_part *parts = index_parts(s->index, &count);
    memset(s->counts, 0, sizeof s->counts);
    for (size_t i = 0; i < count; i++)
        if (search_part(s, &parts[i]))
            return true;
    return false;
}

bool index_find(const struct index *index, const uint8_t id[SEAL_HASH_SIZE], enum index_use use, unsigned nth,
                struct index_location *location)
{
    struct search s;
    s.index = index;
    s.id = id;
    s.use = use;
    s.nth = nth;
    s.order = 0;
    while (!search_all(&s)) { /* now it is known how many there are of each */
        for (; s.order < ORDERS && s.counts[s.order] <= s.nth; s.order++)
            s.nth -= s.counts[s.order];
        if (s.order == ORDERS)
            return false;
    }
    locate(index, &s.place, location);
    return true;
}

bool index_chunk_at(const struct index *index, size_t i, enum index_use use, struct index_location *location)
{
    struct place place = {.part = index_part_of_chunk(index, i)};
    place.row = i - place.part->first_chunk;
    if (!segment_chunk_at(place.part->segment, place.row, &place.chunk) ||
        !segment_pack_at(place.part->segment, place.chunk.pack, &place.pack)) {
        *location = (struct index_location){.row = i, .pack_row = place.part->first_pack};
        return false;
    }
    locate(index, &place, location);
    return index_part_has(place.part, place.chunk.pack) && allows(index, place.part, place.pack.object, use) &&
           (use == INDEX_READ || !index_doubts(index, location->pack.hash));
}

size_t index_first_row(const struct index *index, const uint8_t id[SEAL_HASH_SIZE])
{
    size_t count;
    struct segment_window window;
    const struct index_part *parts = index_parts(index, &count);
    for (size_t i = 0; i < count; i++) {
        if (!segment_may_have(parts[i].segment, id))
            continue;
        size_t row = segment_first(parts[i].segment, id, &window);
        const struct segment_chunk *chunk = segment_row(parts[i].segment, row, &window);
        if (chunk && memcmp(chunk->id, id, SEAL_HASH_SIZE) == 0)
            return parts[i].first_chunk + row;
    }
    return SIZE_MAX;
}

size_t index_chunk_count(const struct index *index)
{
    return index->chunks;
}

size_t index_pack_count(const struct index *index)
{
    return index->packs;
}

bool index_pack_at(const struct index *index, size_t i, struct pack_name *name, uint64_t *size)
{
    const struct index_part *part = index_part_of_pack(index, i);
    struct segment_pack pack;
    *name = (struct pack_name){.host = part->host};
    *size = 0;
    if (!segment_pack_at(part->segment, i - part->first_pack, &pack))
        return false;
    memcpy(name->hash, pack.name, sizeof name->hash);
    *size = pack.size;
    return index_part_has(part, i - part->first_pack);
}
