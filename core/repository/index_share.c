/* Of an index: whose word its rows are, and how much of one signer's it takes. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/index.h"
#include "repository/index_table.h"

#define ROWS_ALWAYS (256u << 10) /* of a signer, however little is stored */
#define BYTES_A_ROW (64u << 10)  /* of all packs; beyond ROWS_ALWAYS */
#define ROWS_A_PACK 2            /* that a pack counts as, besides its chunks */

static const uint8_t nobody[SEAL_HASH_SIZE];

bool index_object_is_named(const struct segment_object *object)
{
    return memcmp(object->name, nobody, sizeof nobody) != 0;
}

bool index_object_is_own(const struct index *index, const struct segment_object *object)
{
    if (!index_object_is_named(object))
        return object->own;
    if (index->has_authority && seal_hash_compare(object->signer, index->authority) == 0)
        return true;
    return index->own_count > 0 &&
           bsearch(object->name, index->own, index->own_count, SEAL_HASH_SIZE, seal_hash_compare);
}

void index_set_authority(struct index *index, const uint8_t signer[SEAL_HASH_SIZE])
{
    index->has_authority = signer != NULL;
    if (signer)
        memcpy(index->authority, signer, SEAL_HASH_SIZE);
}

int index_set_own(struct index *index, const uint8_t *names, size_t count, struct error *e)
{
    size_t n;
    struct index_part *parts = index_parts(index, &n);
    if (index_copy_names(names, count, &index->own, &index->own_count, e) < 0)
        return -1;
    for (struct index_part *part = parts; part < parts + n; part++)
        for (size_t i = 0; i < part->segment->header.objects; i++)
            part->own[i] = index_object_is_own(index, &part->segment->objects[i]);
    return 0;
}

void index_set_listed(struct index *index, uint64_t bytes)
{
    index->listed = bytes;
}

bool index_is_crowded(const struct index *index)
{
    return index->crowded;
}

/* ---- shares ---- */

static struct share *find_share(struct index *index, const uint8_t signer[SEAL_HASH_SIZE], struct error *e)
{
    struct share *all = (void *)index->shares.data;
    size_t count = index->shares.length / sizeof *all;
    for (size_t i = 0; i < count; i++)
        if (memcmp(all[i].signer, signer, SEAL_HASH_SIZE) == 0)
            return &all[i];
    struct share fresh = {.rows = 0};
    memcpy(fresh.signer, signer, SEAL_HASH_SIZE);
    bytes_put(&index->shares, &fresh, sizeof fresh);
    if (bytes_check(&index->shares, "list of signers", e) < 0)
        return NULL;
    return (struct share *)(void *)index->shares.data + count;
}

/* What the segments have of each. */
static int count_shares(struct index *index, struct error *e)
{
    size_t n;
    const struct index_part *parts = index_parts(index, &n);
    for (const struct index_part *part = parts; part < parts + n; part++)
        for (size_t i = 0; i < part->segment->header.objects; i++) {
            struct share *share = find_share(index, part->segment->objects[i].signer, e);
            if (!share)
                return -1;
            share->rows += part->own[i] || part->gone[i] ? 0 : part->segment->objects[i].share;
        }
    return 0;
}

int index_share_take(struct index *index, struct segment_object *object, uint32_t chunks, bool *fits, struct error *e)
{
    *fits = true;
    if (index_object_is_named(object) && !index_object_is_own(index, object)) {
        if (index->shares.length == 0 && count_shares(index, e) < 0)
            return -1;
        struct share *share = find_share(index, object->signer, e);
        if (!share)
            return -1;
        uint64_t rows = share->rows + chunks + ROWS_A_PACK;
        *fits = rows <= ROWS_ALWAYS + index->listed / BYTES_A_ROW;
        share->rows = *fits ? rows : share->rows;
    }
    if (*fits)
        object->share += chunks + ROWS_A_PACK;
    return 0;
}

/* ---- whose word ---- */

void index_prefer(struct index *index, const uint8_t signer[32], const char *host)
{
    memcpy(index->preferred_signer, signer, sizeof index->preferred_signer);
    index->preferred_host = pack_name_number(host);
}

unsigned index_rank(const struct index *index, const struct index_part *part, uint32_t object)
{
    const struct segment_object *says = &part->segment->objects[object];
    if (part->own[object])
        return 0;
    if (!index_object_is_named(says))
        return 2;
    if (memcmp(says->signer, index->preferred_signer, sizeof says->signer) == 0)
        return 1;
    return part->host == index->preferred_host ? 2 : INDEX_FOREIGN;
}

/* ---- of rows ---- */

/* The object that says so, or NULL where the row cannot be read; it is number *number of the part. */
static const struct segment_object *object_of(const struct index *index, size_t pack_row,
                                              const struct index_part **part, uint32_t *number)
{
    struct segment_pack pack;
    *part = index_part_of_pack(index, pack_row);
    if (!segment_pack_at((*part)->segment, pack_row - (*part)->first_pack, &pack))
        return NULL;
    *number = pack.object;
    return &(*part)->segment->objects[pack.object];
}

bool index_vouches(const struct index *index, size_t pack_row)
{
    const struct index_part *part;
    uint32_t object;
    return object_of(index, pack_row, &part, &object) && index_rank(index, part, object) < INDEX_FOREIGN;
}

const uint8_t *index_pack_object(const struct index *index, size_t pack_row)
{
    const struct index_part *part;
    uint32_t number;
    const struct segment_object *object = object_of(index, pack_row, &part, &number);
    return object && index_object_is_named(object) ? object->name : NULL;
}

const uint8_t *index_pack_signer(const struct index *index, size_t pack_row)
{
    const struct index_part *part;
    uint32_t number;
    const struct segment_object *object = object_of(index, pack_row, &part, &number);
    return object ? object->signer : nobody;
}

bool index_pack_is_own(const struct index *index, size_t pack_row)
{
    const struct index_part *part;
    uint32_t object;
    return object_of(index, pack_row, &part, &object) && part->own[object];
}

bool index_pack_is_gone(const struct index *index, size_t pack_row)
{
    const struct index_part *part;
    uint32_t object;
    return !object_of(index, pack_row, &part, &object) || part->gone[object];
}

size_t index_pack_object_number(const struct index *index, size_t pack_row)
{
    const struct index_part *part;
    uint32_t object = 0;
    object_of(index, pack_row, &part, &object);
    return part->first_object + object;
}

bool index_object_at(const struct index *index, size_t i, struct index_object *object)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    for (const struct index_part *part = parts + count; part-- > parts;) {
        if (i < part->first_object)
            continue;
        const struct segment_object *says = &part->segment->objects[i - part->first_object];
        *object = (struct index_object){.name = says->name, .signer = says->signer, .host = part->segment->header.host};
        object->own = part->own[i - part->first_object];
        return index_object_is_named(says) && !part->gone[i - part->first_object];
    }
    return false;
}
