/* Of an index: which packs are there. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/index.h"
#include "repository/index_table.h"

/* ---- what the sink lists ---- */

/* The first of the packs, from that one on, that is not before the name. Both sides are walked in order: it is near. */
static size_t skip_to(const struct index_pack *packs, size_t count, size_t from, const struct pack_name *name)
{
    size_t low = from, step = 1;
    for (; low + step <= count && pack_name_compare(&packs[low + step - 1].name, name) < 0; step *= 2)
        low += step;
    size_t high = low + step - 1 < count ? low + step - 1 : count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pack_name_compare(&packs[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Nothing of it is present. */
static int clear_part(struct index_part *part, struct error *e)
{
    uint8_t *present = calloc(part->segment->header.packs / 8 + 1, 1);
    if (!present)
        return error_memory(e);
    free(part->present);
    part->present = present;
    part->all_present = false;
    return 0;
}

/* Does it count, what the row says? */
static bool counts(const struct index_part *part, const struct segment_pack *row)
{
    return segment_pack_is_whole(row) && row->object < part->segment->header.objects && !part->gone[row->object];
}

static struct pack_name name_of(const struct index_part *part, const struct segment_pack *row)
{
    struct pack_name name = {.host = part->host};
    memcpy(name.hash, row->name, sizeof name.hash);
    return name;
}

static void set_present(const struct index_part *part, size_t row)
{
    part->present[row / 8] |= (uint8_t)(1u << row % 8);
}

/* Those of its packs that are listed. */
static void tell_part(struct index_part *part, struct index_pack *packs, size_t count)
{
    struct segment_packs rows;
    size_t at = 0;
    if (count == 0)
        return;
    segment_packs_begin(part->segment, segment_first_pack(part->segment, packs[0].name.hash), &rows);
    for (const struct segment_pack *row; (row = segment_packs_next(&rows));) {
        const struct pack_name name = name_of(part, row);
        at = skip_to(packs, count, at, &name);
        if (at == count)
            break;
        if (packs[at].size != row->size || !pack_name_is(&packs[at].name, &name) || !counts(part, row))
            continue;
        set_present(part, rows.next - 1);
        packs[at].known = true;
    }
}

int index_set_present(struct index *index, struct index_pack *packs, size_t count, struct error *e)
{
    size_t n;
    struct index_part *parts = index_parts(index, &n);
    index->told = true;
    for (size_t i = 0; i < n; i++) {
        if (clear_part(&parts[i], e) < 0)
            return -1;
        tell_part(&parts[i], packs, count);
    }
    return 0;
}

/* ---- as it is listed ---- */

int index_present_begin(struct index *index, struct error *e)
{
    size_t n;
    struct index_part *parts = index_parts(index, &n);
    ASSERT(!index->fixed);
    index->told = false;
    bytes_reset(&index->unplaced);
    for (size_t i = 0; i < n; i++)
        if (clear_part(&parts[i], e) < 0)
            return -1;
    return 0;
}

/* Parts that this process has made may still be merged, and are told at the end. */
int index_present_take(struct index *index, struct index_pack *packs, size_t count, struct error *e)
{
    size_t n;
    struct index_part *parts = index_parts(index, &n);
    for (size_t i = 0; i < n; i++)
        if (!parts[i].fresh)
            tell_part(&parts[i], packs, count);
    for (size_t i = 0; i < count; i++)
        if (!packs[i].known)
            bytes_put(&index->unplaced, &packs[i], sizeof packs[i]);
    return bytes_check(&index->unplaced, "list of packs", e);
}

/* Has one of those parts it that were told, and is it present? */
static bool is_told(const struct index *index, const struct index_part *part, const struct segment_pack *row)
{
    size_t n;
    const struct index_part *parts = index_parts(index, &n);
    for (size_t i = 0; i < n; i++) {
        struct segment_pack other;
        if (parts[i].fresh || parts[i].host != part->host)
            continue;
        for (size_t k = segment_first_pack(parts[i].segment, row->name);
             segment_pack_at(parts[i].segment, k, &other) && memcmp(other.name, row->name, sizeof other.name) == 0; k++)
            if (other.size == row->size && index_part_has(&parts[i], k))
                return true;
    }
    return false;
}

/* What several objects describe is among the unplaced only when none of the parts before has it. */
static void tell_shared(const struct index *index, const struct index_part *part)
{
    struct segment_packs rows;
    segment_packs_begin(part->segment, 0, &rows);
    for (const struct segment_pack *row; (row = segment_packs_next(&rows));)
        if (!index_part_has(part, rows.next - 1) && counts(part, row) && is_told(index, part, row))
            set_present(part, rows.next - 1);
}

int index_present_end(struct index *index, struct error *e)
{
    size_t n;
    struct index_part *parts = index_parts(index, &n);
    struct index_pack *packs = (struct index_pack *)(void *)index->unplaced.data;
    for (size_t i = 0; i < n; i++) {
        if (!parts[i].fresh)
            continue;
        if (clear_part(&parts[i], e) < 0)
            return -1;
        tell_part(&parts[i], packs, index->unplaced.length / sizeof *packs);
        tell_shared(index, &parts[i]);
    }
    index->told = true;
    return 0;
}

bool index_is_unplaced(const struct index *index, const struct index_pack *pack)
{
    const struct index_pack *packs = (const void *)index->unplaced.data;
    size_t count = index->unplaced.length / sizeof *packs;
    const struct index_pack *found = count > 0 ? bsearch(pack, packs, count, sizeof *packs, pack_name_compare) : NULL;
    return found && !found->known && found->size == pack->size;
}

/* ---- as it was ---- */

int index_absent(const struct index *index, struct bytes *names, struct error *e)
{
    size_t n;
    const struct index_part *parts = index_parts(index, &n);
    for (size_t i = 0; i < n; i++) {
        struct segment_packs rows;
        segment_packs_begin(parts[i].segment, 0, &rows);
        for (const struct segment_pack *row; (row = segment_packs_next(&rows));)
            if (!index_part_has(&parts[i], rows.next - 1) && counts(&parts[i], row))
                bytes_put(names, row->name, sizeof row->name);
    }
    if (bytes_check(names, "list of packs", e) < 0)
        return -1;
    if (names->length > 0)
        qsort(names->data, names->length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
    return 0;
}

static void tell_all_but(const struct index_part *part, const uint8_t *absent, size_t count)
{
    struct segment_packs rows;
    size_t at = 0;
    segment_packs_begin(part->segment, 0, &rows);
    for (const struct segment_pack *row; (row = segment_packs_next(&rows));) {
        while (at < count && memcmp(absent + at * SEAL_HASH_SIZE, row->name, SEAL_HASH_SIZE) < 0)
            at++;
        bool is_absent = at < count && memcmp(absent + at * SEAL_HASH_SIZE, row->name, SEAL_HASH_SIZE) == 0;
        if (!is_absent && counts(part, row))
            set_present(part, rows.next - 1);
    }
}

int index_set_absent(struct index *index, const uint8_t *absent, size_t count, struct error *e)
{
    size_t n;
    struct index_part *parts = index_parts(index, &n);
    index->told = true;
    bytes_reset(&index->unplaced);
    for (size_t i = 0; i < n; i++) {
        if (clear_part(&parts[i], e) < 0)
            return -1;
        tell_all_but(&parts[i], absent, count);
    }
    return 0;
}
