/* Of an index: which packs are there, and where a chunk is. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "repository/index.h"
#include "repository/index_table.h"

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

struct pack_name index_row_name(const struct index *index, const struct pack_row *row)
{
    struct pack_name name = {.host = index->numbers[row->host]};
    memcpy(name.hash, row->name, sizeof name.hash);
    return name;
}

int index_set_present(struct index *index, struct index_pack *packs, size_t count, struct error *e)
{
    free(index->present);
    index->present = calloc(index_pack_count(index) + 1, 1);
    if (!index->present)
        return error_memory(e);
    for (size_t i = 0; i < index_pack_count(index); i++) {
        struct index_pack wanted = {.name = index_row_name(index, &index->packs[i])};
        struct index_pack *found = count > 0 ? bsearch(&wanted, packs, count, sizeof *packs, pack_name_compare) : NULL;
        if (!found)
            continue;
        index->present[i] = found->size == index->packs[i].size;
        found->known = found->known || index->present[i];
    }
    return 0;
}

static size_t first_row(const struct index *index, const uint8_t *id)
{
    size_t low = index->header->fanout[id[0]], high = index->header->fanout[id[0] + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(index->chunks[middle].id, id, SEAL_HASH_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

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

/* Is the pack row one for that use? */
static bool allows(const struct index *index, size_t pack, enum index_use use)
{
    if (use == INDEX_READ || index->is_own[pack])
        return true;
    return use == INDEX_RELY &&
           !(index->revoked_count > 0 &&
             bsearch(index->packs[pack].signer, index->revoked, index->revoked_count, SEAL_HASH_SIZE, compare_names));
}

bool index_doubts(const struct index *index, const uint8_t hash[SEAL_HASH_SIZE])
{
    return index->doubted_count > 0 &&
           bsearch(hash, index->doubted, index->doubted_count, SEAL_HASH_SIZE, compare_names);
}

static void locate(const struct index *index, size_t i, struct index_location *location)
{
    const struct chunk_row *row = &index->chunks[i];
    const struct pack_row *pack = &index->packs[row->pack];
    location->pack = index_row_name(index, pack);
    location->pack_size = pack->size;
    location->foreign = index_rank(index, row->pack) == INDEX_FOREIGN;
    location->row = i;
    location->pack_row = row->pack;
    location->chunk = (struct pack_chunk){.offset = row->offset, .stored = row->stored, .plain = row->plain};
    memcpy(location->chunk.id, row->id, SEAL_HASH_SIZE);
}

/* Rows of the chunk, by whose word they are: rank. */
struct search {
    const struct index *index;
    size_t first, last;
    enum index_use use;
    unsigned nth; /* left to count */
};

static bool is_place(const struct search *s, size_t i, unsigned rank, bool doubted)
{
    uint32_t pack = s->index->chunks[i].pack;
    return s->index->present[pack] && allows(s->index, pack, s->use) && index_rank(s->index, pack) == rank &&
           index_doubts(s->index, s->index->packs[pack].name) == doubted;
}

/* Among packs that are doubted, or those that are not. */
static bool find_among(struct search *s, bool doubted, struct index_location *location)
{
    for (unsigned rank = 0; rank <= INDEX_FOREIGN; rank++)
        for (size_t i = s->first; i < s->last; i++)
            if (is_place(s, i, rank, doubted) && s->nth-- == 0) {
                locate(s->index, i, location);
                return true;
            }
    return false;
}

bool index_find(const struct index *index, const uint8_t id[SEAL_HASH_SIZE], enum index_use use, unsigned nth,
                struct index_location *location)
{
    if (!index->header || !index->present)
        return false;
    struct search s = {.index = index, .first = first_row(index, id), .use = use, .nth = nth};
    for (s.last = s.first; s.last < index_chunk_count(index); s.last++)
        if (memcmp(index->chunks[s.last].id, id, SEAL_HASH_SIZE) != 0)
            break;
    return find_among(&s, false, location) ||
           (use == INDEX_READ && index->doubted_count > 0 && find_among(&s, true, location));
}

bool index_chunk_at(const struct index *index, size_t i, enum index_use use, struct index_location *location)
{
    locate(index, i, location);
    return index->present && index->present[location->pack_row] && allows(index, location->pack_row, use) &&
           (use == INDEX_READ || !index_doubts(index, location->pack.hash));
}

size_t index_chunk_count(const struct index *index)
{
    return index->header ? index->header->chunks : 0;
}

size_t index_pack_count(const struct index *index)
{
    return index->header ? index->header->packs : 0;
}

bool index_pack_at(const struct index *index, size_t i, struct pack_name *name, uint64_t *size)
{
    *name = index_row_name(index, &index->packs[i]);
    *size = index->packs[i].size;
    return index->present && index->present[i];
}
