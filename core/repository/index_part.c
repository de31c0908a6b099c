/* Of an index: the segments that it has open. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/index.h"
#include "repository/index_table.h"
#include "repository/pack_name.h"

struct index_part *index_parts(const struct index *index, size_t *count)
{
    *count = index->parts.length / sizeof(struct index_part);
    return (struct index_part *)(void *)index->parts.data;
}

/* Rows are numbered through all parts. */
static void number_rows(struct index *index)
{
    size_t count;
    struct index_part *parts = index_parts(index, &count);
    index->objects = index->packs = index->chunks = 0;
    for (struct index_part *part = parts; part < parts + count; part++) {
        part->first_object = index->objects;
        part->first_pack = index->packs;
        part->first_chunk = index->chunks;
        index->objects += part->segment->header.objects;
        index->packs += part->segment->header.packs;
        index->chunks += part->segment->header.chunks;
    }
}

const struct index_part *index_part_of_pack(const struct index *index, size_t row)
{
    size_t low = 0, high;
    const struct index_part *parts = index_parts(index, &high);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (parts[middle].first_pack <= row)
            low = middle;
        else
            high = middle;
    }
    return &parts[low];
}

const struct index_part *index_part_of_chunk(const struct index *index, size_t row)
{
    size_t low = 0, high;
    const struct index_part *parts = index_parts(index, &high);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (parts[middle].first_chunk <= row)
            low = middle;
        else
            high = middle;
    }
    return &parts[low];
}

/* Most searches are for what large segments have, but they go through the small ones as well. */
#define HELD_EACH ((uint64_t)16 << 20)
#define HELD_MAX ((uint64_t)48 << 20)
static void hold(struct index *index, struct segment *segment)
{
    uint64_t n = segment_size(segment);
    if (n > HELD_EACH || index->held + n > HELD_MAX)
        return;
    segment_hold(segment);
    index->held += segment->rows ? n : 0;
}

static void free_part(struct index_part *part)
{
    segment_close(part->segment);
    free(part->own);
    free(part->gone);
    free(part->present);
}

int index_part_add(struct index *index, struct segment *segment, uint64_t number, bool fresh, struct error *e)
{
    const struct segment_header *h = &segment->header;
    struct index_part part = {.segment = segment, .number = number, .fresh = fresh, .all_present = index->told};
    part.host = pack_name_number(h->host);
    part.own = calloc(h->objects + 1, 1);
    part.gone = calloc(h->objects + 1, 1);
    if (part.own && part.gone)
        bytes_put(&index->parts, &part, sizeof part);
    if (!part.own || !part.gone || index->parts.failed) {
        free_part(&part);
        return error_memory(e);
    }
    hold(index, segment);
    for (size_t i = 0; i < h->objects; i++) {
        part.own[i] = index_object_is_own(index, &segment->objects[i]);
        index->crowded = index->crowded || segment->objects[i].crowded;
    }
    number_rows(index);
    return 0;
}

void index_part_remove(struct index *index, size_t i)
{
    size_t count;
    struct index_part *parts = index_parts(index, &count);
    index->held -= parts[i].segment->rows ? segment_size(parts[i].segment) : 0;
    free_part(&parts[i]);
    memmove(&parts[i], &parts[i + 1], (count - i - 1) * sizeof *parts);
    index->parts.length -= sizeof *parts;
    number_rows(index);
}

bool index_part_has(const struct index_part *part, size_t pack)
{
    if (part->all_present)
        return pack < part->segment->header.packs;
    return part->present && pack < part->segment->header.packs && (part->present[pack / 8] >> pack % 8 & 1);
}

/* Has another part the object, and all of it, or is that one before? */
static bool is_elsewhere(const struct index_part *parts, size_t count, size_t i, const struct segment_object *object)
{
    for (size_t k = 0; k < count && index_object_is_named(object); k++) {
        size_t found = k == i ? SIZE_MAX : segment_find_object(parts[k].segment, object->name);
        if (found == SIZE_MAX)
            continue;
        uint32_t crowded = parts[k].segment->objects[found].crowded;
        if (crowded < object->crowded || (crowded == object->crowded && k < i))
            return true;
    }
    return false;
}

void index_part_heed_crowded(struct index *index)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    index->crowded = false;
    for (const struct index_part *part = parts; part < parts + count; part++)
        for (size_t i = 0; i < part->segment->header.objects; i++)
            index->crowded = index->crowded || (part->segment->objects[i].crowded && !part->gone[i]);
}

static int compare_parts(const void *a, const void *b)
{
    const struct index_part *one = a, *other = b;
    uint64_t chunks = one->segment->header.chunks, others = other->segment->header.chunks;
    return chunks != others ? (chunks < others) - (chunks > others)
                            : (one->number > other->number) - (one->number < other->number);
}

void index_part_sort(struct index *index)
{
    size_t count;
    struct index_part *parts = index_parts(index, &count);
    if (count > 0)
        qsort(parts, count, sizeof *parts, compare_parts);
    number_rows(index);
    for (size_t i = 0; i < count; i++)
        for (size_t object = 0; object < parts[i].segment->header.objects; object++)
            parts[i].gone[object] = is_elsewhere(parts, count, i, &parts[i].segment->objects[object]);
    index_part_heed_crowded(index);
}
