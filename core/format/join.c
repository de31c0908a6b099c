#include "format/join.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
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

bool join_is_within(const struct verify_link *row, uint64_t sequence, const char *id)
{
    return row->first_sequence != 0 && row->first_sequence <= sequence && sequence <= row->sequence &&
           strcmp(row->first_id, id) <= 0 && strcmp(id, row->id) <= 0;
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

/* Another claim to the place where a range ends: the next one may have followed it. */
static struct verify_link alone(struct verify_link row)
{
    row.first_sequence = 0;
    row.first_id[0] = '\0';
    return row;
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
        else if (rows[i].sequence == last->sequence && memcmp(rows[i].hash, last->hash, sizeof last->hash) != 0)
            rows[kept++] = alone(rows[i]);
    }
    return kept;
}

static bool goes_on(const struct verify_link *range, const struct verify_link *next)
{
    return is_same_job(range, next) && join_first_sequence(next) == range->sequence + 1 && join_follows(next, range) &&
           strcmp(join_first_id(next), range->id) > 0;
}

size_t join_rows(struct verify_link *rows, size_t count)
{
    size_t kept = 0;
    count = join_cover(rows, count);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && goes_on(&rows[kept - 1], &rows[i]))
            extend(&rows[kept - 1], &rows[i]);
        else
            rows[kept++] = rows[i];
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
    struct rows together, apart;
    struct bytes keys;  /* of the records, each NUL terminated */
    struct bytes times; /* int64_t each: when they were made */
    size_t last;        /* where the last key begins */
    int64_t newest;     /* of those that were joined; 0 = none was */
    int64_t now;        /* ns */
    uint64_t *taken;    /* the places in the history of what was here, ascending */
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

static int compare_places(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Something of it may be left; or its place is that of another that is there, which no range may hide. */
static bool was_here(const struct joining *j, const struct verify_link *row)
{
    return j->standing_count > 0 &&
           (bsearch(row->id, j->standings, j->standing_count, sizeof *j->standings, compare_id) ||
            bsearch(&row->sequence, j->taken, j->standing_count, sizeof *j->taken, compare_places));
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
    if (row->joined && row->recorded > j->newest && !clock_is_ahead(row->recorded, j->now, CLOCK_APART))
        j->newest = row->recorded;
    bool apart = !is_range(row) && was_here(j, row);
    if (add_row(apart ? &j->apart : &j->together, row, !apart, e) < 0)
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
    j->apart.count = join_cover(j->apart.items, j->apart.count);
    for (size_t i = 0; i < j->apart.count; i++)
        if (add_row(rows, &j->apart.items[i], false, e) < 0)
            return -1;
    for (size_t done = 0, n; done < rows->count; done += n) {
        n = rows->count - done < VAULT_REMOVALS_MAX ? rows->count - done : VAULT_REMOVALS_MAX;
        if (vault->format->record(vault, host, job, rows->items + done, n, e) < 0)
            return -1;
    }
    return vault->format->forget(vault, &j->keys, e);
}

/* Where there are enough of them. */
static int collect_all(struct vault *vault, const char *host, const char *job, struct joining *j, struct error *e)
{
    AUTO_BYTES struct bytes listed = {.maximum = KEYS_MAX};
    if (vault_records(vault, host, job, &listed, e) < 0)
        return -1;
    if (count_keys(&listed) < JOIN_RECORDS)
        return 0;
    j->taken = calloc(j->standing_count + 1, sizeof *j->taken);
    if (!j->taken)
        return error_memory(e);
    for (size_t i = 0; i < j->standing_count; i++)
        j->taken[i] = j->standings[i].sequence;
    qsort(j->taken, j->standing_count, sizeof *j->taken, compare_places);
    return vault_removals(vault, host, job, collect, j, e);
}

int join_records(struct vault *vault, const char *host, const char *job, const struct vault_standing *standings,
                 size_t count, struct error *e)
{
    struct joining j = {.standings = standings,
                        .standing_count = count,
                        .keys = {.maximum = KEYS_MAX},
                        .times = {.maximum = KEYS_MAX},
                        .now = clock_now()};
    int result = collect_all(vault, host, job, &j, e);
    if (result == 0 && count_fresh(&j) >= JOIN_RECORDS)
        result = replace(vault, host, job, &j, e);
    free(j.together.items);
    free(j.apart.items);
    free(j.taken);
    bytes_free(&j.keys);
    bytes_free(&j.times);
    return result;
}
