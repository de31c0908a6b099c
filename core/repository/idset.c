#include "repository/idset.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

/* Open addressing at half load. Ids are keyed hashes, so their first bytes are as good as any hash. An all-zero row is
 * free; no chunk has that id (it is the mark of a hole). */
#define FIRST_ROWS 1024

struct idset {
    size_t capacity, count;
    size_t rows; /* a power of two */
    uint8_t (*ids)[SEAL_HASH_SIZE];
};

int idset_new(size_t capacity, struct idset **set, struct error *e)
{
    struct idset *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    s->capacity = FIRST_ROWS / 2;
    while (s->capacity < capacity)
        s->capacity *= 2;
    s->rows = FIRST_ROWS;
    s->ids = calloc(s->rows, sizeof *s->ids);
    if (!s->ids) {
        free(s);
        return error_memory(e);
    }
    *set = s;
    return 0;
}

void idset_free(struct idset *set)
{
    if (!set)
        return;
    free(set->ids);
    free(set);
}

/* The row of id, or the free one where it would go. */
static uint8_t *row_of(const struct idset *set, const uint8_t id[SEAL_HASH_SIZE])
{
    static const uint8_t zero[SEAL_HASH_SIZE];
    size_t at = bytes_get_u64(id) & (set->rows - 1);
    while (memcmp(set->ids[at], id, SEAL_HASH_SIZE) != 0 && memcmp(set->ids[at], zero, SEAL_HASH_SIZE) != 0)
        at = (at + 1) & (set->rows - 1);
    return set->ids[at];
}

bool idset_has(const struct idset *set, const uint8_t id[SEAL_HASH_SIZE])
{
    return memcmp(row_of(set, id), id, SEAL_HASH_SIZE) == 0;
}

bool idset_full(const struct idset *set)
{
    return set->count >= set->capacity;
}

static int grow(struct idset *set, struct error *e)
{
    struct idset larger = {.rows = set->rows * 2};
    larger.ids = calloc(larger.rows, sizeof *larger.ids);
    if (!larger.ids)
        return error_memory(e);
    for (size_t i = 0; i < set->rows; i++)
        memcpy(row_of(&larger, set->ids[i]), set->ids[i], SEAL_HASH_SIZE); /* free rows copy onto free rows */
    free(set->ids);
    set->ids = larger.ids;
    set->rows = larger.rows;
    return 0;
}

int idset_add(struct idset *set, const uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    ASSERT(!idset_full(set));
    if (set->count >= set->rows / 2 && grow(set, e) < 0)
        return -1;
    uint8_t *row = row_of(set, id);
    if (memcmp(row, id, SEAL_HASH_SIZE) == 0)
        return 0;
    memcpy(row, id, SEAL_HASH_SIZE);
    set->count++;
    return 0;
}

void idset_clear(struct idset *set)
{
    memset(set->ids, 0, set->rows * sizeof *set->ids);
    set->count = 0;
}
