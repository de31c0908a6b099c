#include "format/join.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

#define KEYS_MAX ((size_t)256 << 20)

uint64_t join_first_sequence(const struct verify_link *row)
{
    return row->first_sequence ? row->first_sequence : row->sequence;
}

const char *join_first_id(const struct verify_link *row)
{
    return row->first_sequence ? row->first_id : row->id;
}

bool join_follows(const struct verify_link *next, const struct verify_link *before)
{
    for (size_t i = 0; i < next->previous_count; i++)
        if (memcmp(next->previous[i], before->hash, sizeof before->hash) == 0)
            return true;
    return false;
}

/* ---- rows ---- */

static bool is_range(const struct verify_link *row)
{
    return row->first_sequence != 0;
}

static bool is_same_job(const struct verify_link *a, const struct verify_link *b)
{
    return strcmp(a->job, b->job) == 0 && strcmp(a->host, b->host) == 0;
}

/* What may stand within another comes behind it. */
static int compare_rows(const void *a, const void *b)
{
    const struct verify_link *x = a, *y = b;
    uint64_t first = join_first_sequence(x), other = join_first_sequence(y);
    int order = strcmp(x->host, y->host);
    order = order ? order : strcmp(x->job, y->job);
    order = order ? order : (first > other) - (first < other);
    order = order ? order : (x->sequence < y->sequence) - (x->sequence > y->sequence);
    order = order ? order : (int)is_range(y) - (int)is_range(x);
    order = order ? order : strcmp(x->id, y->id);
    return order ? order : memcmp(x->hash, y->hash, sizeof x->hash);
}

/* The range goes on to where next ends. */
static void extend(struct verify_link *range, const struct verify_link *next)
{
    const struct verify_link begun = *range;
    *range = *next;
    range->first_sequence = join_first_sequence(&begun);
    memcpy(range->first_id, join_first_id(&begun), sizeof range->first_id);
    memcpy(range->previous, begun.previous, sizeof range->previous);
    range->previous_count = begun.previous_count;
    range->own = begun.own && next->own;
}

static bool is_same(const struct verify_link *a, const struct verify_link *b)
{
    return a->sequence == b->sequence && join_first_sequence(a) == join_first_sequence(b) &&
           strcmp(a->id, b->id) == 0 && memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

size_t join_cover(struct verify_link *rows, size_t count)
{
    size_t kept = 0;
    if (count > 0)
        qsort(rows, count, sizeof *rows, compare_rows);
    for (size_t i = 0; i < count; i++) {
        struct verify_link *last = kept > 0 ? &rows[kept - 1] : NULL;
        bool beside = !last || !is_same_job(last, &rows[i]) || join_first_sequence(&rows[i]) > last->sequence;
        if (!beside && is_same(last, &rows[i]))
            continue;
        if (beside || !is_range(last))
            rows[kept++] = rows[i];
        else if (rows[i].sequence > last->sequence)
            extend(last, &rows[i]);
    }
    return kept;
}

/* Two rows begin where this one does. */
static bool is_contested(const struct verify_link *rows, size_t count, size_t i)
{
    uint64_t first = join_first_sequence(&rows[i]);
    return (i > 0 && is_same_job(&rows[i - 1], &rows[i]) && join_first_sequence(&rows[i - 1]) == first) ||
           (i + 1 < count && is_same_job(&rows[i + 1], &rows[i]) && join_first_sequence(&rows[i + 1]) == first);
}

size_t join_rows(struct verify_link *rows, size_t count)
{
    size_t kept = 0;
    bool open = false; /* the last that is kept may go on */
    count = join_cover(rows, count);
    for (size_t i = 0; i < count; i++) {
        const struct verify_link row = rows[i]; /* its neighbours still stand beside it: none moves behind its place */
        struct verify_link *last = kept > 0 ? &rows[kept - 1] : NULL;
        bool alone = is_contested(rows, count, i);
        if (open && !alone && is_same_job(last, &row) && join_first_sequence(&row) == last->sequence + 1 &&
            join_follows(&row, last) && strcmp(join_first_id(&row), last->id) > 0)
            extend(last, &row);
        else
            rows[kept++] = row;
        open = !alone;
    }
    return kept;
}

/* ---- records ---- */

struct rows {
    struct verify_link *items;
    size_t count, capacity;
};

struct joining {
    const struct vault_standing *standings;
    size_t standing_count;
    struct rows together, alone;
    struct bytes keys;  /* of the records, each NUL terminated */
    struct bytes times; /* int64_t each: when they were made */
    size_t last;        /* where the last key begins */
    int64_t newest;     /* of those that name ranges, which is what joining leaves; 0 = none does */
};

/* Before they get more room they are joined: many acts take no more than what comes of them. */
static int add_row(struct rows *rows, const struct verify_link *row, bool join, struct error *e)
{
    bool full = rows->count == rows->capacity;
    if (full && join)
        rows->count = join_rows(rows->items, rows->count);
    if (full && 2 * rows->count >= rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 256;
        struct verify_link *items = reallocarray(rows->items, capacity, sizeof *items);
        if (!items)
            return error_memory(e);
        rows->items = items;
        rows->capacity = capacity;
    }
    rows->items[rows->count++] = *row;
    return 0;
}

static int compare_id(const void *id, const void *standing)
{
    return strcmp(((const struct vault_standing *)standing)->name.id, id);
}

static bool was_here(const struct joining *j, const char *id)
{
    return j->standing_count > 0 &&
           bsearch(id, j->standings, j->standing_count, sizeof *j->standings, compare_id) != NULL;
}

static int collect(void *context, const struct verify_link *row, struct error *e)
{
    struct joining *j = context;
    if (!row->own)
        return 0;
    if (j->keys.length == 0 || strcmp((const char *)j->keys.data + j->last, row->object) != 0) {
        j->last = j->keys.length;
        bytes_put(&j->keys, row->object, strlen(row->object) + 1);
        bytes_put(&j->times, &row->recorded, sizeof row->recorded);
    }
    if (is_range(row) && row->recorded > j->newest)
        j->newest = row->recorded;
    bool alone = !is_range(row) && was_here(j, row->id);
    if (add_row(alone ? &j->alone : &j->together, row, !alone, e) < 0)
        return -1;
    return bytes_check(&j->keys, "list of removal records", e) < 0
               ? -1
               : bytes_check(&j->times, "list of removal records", e);
}

static size_t count_keys(const struct bytes *keys)
{
    size_t count = 0;
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1)
        count++;
    return count;
}

/* Records that were made since some were joined. */
static size_t count_fresh(const struct joining *j)
{
    const int64_t *times = (const int64_t *)(const void *)j->times.data;
    size_t count = 0;
    for (size_t i = 0; i < j->times.length / sizeof *times; i++)
        count += times[i] > j->newest;
    return count;
}

/* In as few records as hold them. What is protected for some time yet says the same as they, and goes at a later time.
 */
static int replace(struct vault *vault, const char *host, const char *job, struct joining *j, struct error *e)
{
    struct rows *rows = &j->together;
    rows->count = join_rows(rows->items, rows->count);
    for (size_t i = 0; i < j->alone.count; i++)
        if (add_row(rows, &j->alone.items[i], false, e) < 0)
            return -1;
    for (size_t done = 0, n; done < rows->count; done += n) {
        n = rows->count - done < VAULT_REMOVALS_MAX ? rows->count - done : VAULT_REMOVALS_MAX;
        if (vault->format->record(vault, host, job, rows->items + done, n, e) < 0)
            return -1;
    }
    return vault->format->forget(vault, &j->keys, e) == 0 || e->class == ERROR_LOCKED ? 0 : -1;
}

int join_records(struct vault *vault, const char *host, const char *job, const struct vault_standing *standings,
                 size_t count, struct error *e)
{
    AUTO_BYTES struct bytes listed = {.maximum = KEYS_MAX};
    struct joining j = {
        .standings = standings, .standing_count = count, .keys = {.maximum = KEYS_MAX}, .times = {.maximum = KEYS_MAX}};
    if (vault_records(vault, host, job, &listed, e) < 0)
        return -1;
    if (count_keys(&listed) < JOIN_RECORDS)
        return 0;
    int result = vault_removals(vault, host, job, collect, &j, e);
    if (result == 0 && count_fresh(&j) >= JOIN_RECORDS)
        result = replace(vault, host, job, &j, e);
    free(j.together.items);
    free(j.alone.items);
    bytes_free(&j.keys);
    bytes_free(&j.times);
    return result;
}
