#include "repository/usage.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/catalogue.h"
#include "repository/writer.h"
#include "snapshot/record.h"

/* What is wasted and what is stored again are weighed here: a chunk of which a part p may be unused costs at most
 * 1 / (1 - p) of its files, and storing the rest again at most (1 - p) / p of what has changed. */
#define LEAST_PERCENT 75u
#define FIRST_ROWS 1024u
#define ROWS_MAX (1u << 21)

/* Open addressing, at half load. An id is known by its first bytes: two that are taken for one make a file be read
 * again, or not, and nothing worse. */
struct row {
    uint64_t id; /* 0 = free */
    uint64_t used;
};

struct usage {
    struct row *rows;
    size_t capacity, count;
};

int usage_new(struct usage **usage, struct error *e)
{
    struct usage *u = calloc(1, sizeof *u);
    if (!u || !(u->rows = calloc(FIRST_ROWS, sizeof *u->rows))) {
        free(u);
        return error_memory(e);
    }
    u->capacity = FIRST_ROWS;
    *usage = u;
    return 0;
}

void usage_free(struct usage *usage)
{
    if (usage)
        free(usage->rows);
    free(usage);
}

static uint64_t short_id(const uint8_t id[SEAL_HASH_SIZE])
{
    uint64_t n = bytes_get_u64(id);
    return n > 0 ? n : 1;
}

/* The row of the id, or the free one where it would go. */
static struct row *find(const struct usage *u, uint64_t id)
{
    size_t at = id & (u->capacity - 1);
    while (u->rows[at].id != 0 && u->rows[at].id != id)
        at = (at + 1) & (u->capacity - 1);
    return &u->rows[at];
}

static int grow(struct usage *u, struct error *e)
{
    struct usage larger = {.capacity = 2 * u->capacity, .count = u->count};
    larger.rows = calloc(larger.capacity, sizeof *larger.rows);
    if (!larger.rows)
        return error_memory(e);
    for (size_t i = 0; i < u->capacity; i++)
        if (u->rows[i].id != 0)
            *find(&larger, u->rows[i].id) = u->rows[i];
    free(u->rows);
    *u = larger;
    return 0;
}

static int add(struct usage *u, uint64_t id, uint64_t bytes, struct error *e)
{
    struct row *row = find(u, id);
    if (row->id == 0 && 2 * (u->count + 1) > u->capacity) {
        if (u->capacity >= ROWS_MAX)
            return 0;
        if (grow(u, e) < 0)
            return -1;
        row = find(u, id);
    }
    u->count += row->id == 0;
    row->id = id;
    row->used += bytes;
    return 0;
}

/* Larger files have chunks of their own. */
int usage_count(struct usage *usage, const struct record *record, struct error *e)
{
    if (record->continuation || record->entry.size >= WRITER_LARGE_LEAST)
        return 0;
    for (size_t i = 0; i < record->extent_count; i++) {
        const struct catalogue_extent *extent = &record->extents[i];
        if (!catalogue_is_hole(extent) && add(usage, short_id(extent->id), extent->length, e) < 0)
            return -1;
    }
    return 0;
}

bool usage_is_low(const struct usage *usage, const uint8_t id[SEAL_HASH_SIZE], uint64_t plain)
{
    const struct row *row = find(usage, short_id(id));
    return row->id != 0 && row->used < plain / 100 * LEAST_PERCENT;
}
