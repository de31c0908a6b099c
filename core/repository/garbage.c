#include "repository/garbage.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "repository/needs.h"

#define SECOND INT64_C(1000000000)
#define SIZE_BOUND 0xfffffffu
#define ROWS_MAX ((size_t)1 << 30) /* 25 million packs: 400 TB of one host */

int64_t garbage_grace(int64_t longest_run)
{
    if (longest_run > PLAN_GRACE_MAX / 2)
        return PLAN_GRACE_MAX;
    return 2 * longest_run > PLAN_GRACE ? 2 * longest_run : PLAN_GRACE;
}

/* ---- what is there ---- */

void garbage_begin(struct garbage *garbage, int64_t now)
{
    *garbage = (struct garbage){.now = now, .rows = {.maximum = ROWS_MAX}};
}

void garbage_free(struct garbage *garbage)
{
    bytes_free(&garbage->rows);
    garbage->count = 0;
}

/* Have that many ns gone by? Times may be anything. */
static bool has_passed(int64_t since, int64_t wait, int64_t now)
{
    int64_t gone;
    return !__builtin_sub_overflow(now, since, &gone) && gone >= wait;
}

/* Rounded up: no pack is older than it is. */
static uint32_t time_of(int64_t mtime)
{
    if (mtime == INT64_MIN)
        return 0;
    if (mtime <= 0)
        return 1;
    int64_t seconds = mtime / SECOND + (mtime % SECOND != 0);
    return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static bool is_old(const struct garbage_pack *row, int64_t grace, int64_t now)
{
    return grace == 0 || row->time == 0 || (row->time < UINT32_MAX && has_passed(row->time * SECOND, grace, now));
}

int garbage_list(struct garbage *garbage, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, int64_t mtime,
                 struct error *e)
{
    struct garbage_pack row = {.size = (uint32_t)(size < SIZE_BOUND ? size : SIZE_BOUND) & SIZE_BOUND,
                               .time = time_of(mtime)};
    memcpy(row.name, name, sizeof row.name);
    bytes_put(&garbage->rows, &row, sizeof row);
    return bytes_check(&garbage->rows, "listing of packs", e);
}

static struct garbage_pack *rows_of(const struct garbage *garbage)
{
    return (struct garbage_pack *)(void *)garbage->rows.data;
}

const struct garbage_pack *garbage_packs(const struct garbage *garbage)
{
    return rows_of(garbage);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

/* In place: a merge sort, as qsort may be, would take the memory twice. */
static void sift(struct garbage_pack *rows, size_t from, size_t count)
{
    struct garbage_pack row = rows[from];
    size_t at = from;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare_names(&rows[child], &rows[child + 1]) < 0)
            child++;
        if (compare_names(&row, &rows[child]) >= 0)
            break;
        rows[at] = rows[child];
    }
    rows[at] = row;
}

static void heap_sort(struct garbage_pack *rows, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(rows, i, count);
    for (size_t left = count; left > 1; left--) {
        struct garbage_pack largest = rows[0];
        rows[0] = rows[left - 1];
        rows[left - 1] = largest;
        sift(rows, 0, left - 1);
    }
}

static bool ascends(const struct garbage_pack *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_names(&rows[i - 1], &rows[i]) >= 0)
            return false;
    return true;
}

int garbage_sort(struct garbage *garbage, struct error *e)
{
    struct garbage_pack *rows = rows_of(garbage);
    garbage->count = garbage->rows.length / sizeof *rows;
    if (!ascends(rows, garbage->count))
        heap_sort(rows, garbage->count);
    if (!ascends(rows, garbage->count))
        return error_set(e, ERROR_INTEGRITY, "the listing names a pack twice");
    return 0;
}

uint64_t garbage_bytes(const struct garbage *garbage, uint32_t mask, uint32_t marks, uint64_t *packs)
{
    uint64_t bytes = 0;
    *packs = 0;
    for (size_t i = 0; i < garbage->count; i++) {
        const struct garbage_pack *row = &rows_of(garbage)[i];
        if ((row->marks & mask) != marks)
            continue;
        bytes += row->size;
        ++*packs;
    }
    return bytes;
}

/* ---- who needs it ---- */

/* The first row at or after `from` whose name is not less than the n bytes. What is looked for ascends, and is mostly
 * near: steps double until it is passed. */
static size_t seek(const struct garbage *garbage, size_t from, const uint8_t *name, size_t n)
{
    const struct garbage_pack *rows = rows_of(garbage);
    size_t step = 1, to = from;
    while (to < garbage->count && memcmp(rows[to].name, name, n) < 0) {
        from = to + 1;
        to += step;
        step *= 2;
    }
    if (to > garbage->count)
        to = garbage->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (memcmp(rows[middle].name, name, n) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return to;
}

/* Mark all rows that begin so; *at goes on behind them. */
static bool mark(struct garbage *garbage, size_t *at, const uint8_t *name, size_t n, uint32_t marks)
{
    bool found = false;
    *at = seek(garbage, *at, name, n);
    for (; *at < garbage->count && memcmp(rows_of(garbage)[*at].name, name, n) == 0; ++*at) {
        rows_of(garbage)[*at].marks |= marks & 3u;
        found = true;
    }
    return found;
}

size_t garbage_need(struct garbage *garbage, const uint8_t *prefixes, size_t count)
{
    size_t at = 0, missing = 0;
    for (size_t i = 0; i < count; i++, prefixes += NEEDS_NAME_SIZE)
        missing += !mark(garbage, &at, prefixes, NEEDS_NAME_SIZE, GARBAGE_NEEDED);
    return missing;
}

size_t garbage_mark(struct garbage *garbage, const struct plan *plan)
{
    size_t at = 0, there = 0;
    for (size_t i = 0; i < plan->count; i++)
        there += mark(garbage, &at, plan->packs[i], SEAL_HASH_SIZE, GARBAGE_PLANNED);
    return there;
}

/* ---- what goes ---- */

int garbage_plan(const struct garbage *garbage, int64_t created, int64_t grace, struct plan *plan, struct error *e)
{
    struct bytes names = {.maximum = (size_t)PLAN_PACKS_MAX * SEAL_HASH_SIZE};
    *plan = (struct plan){.created = created, .grace = grace};
    for (size_t i = 0; i < garbage->count && names.length < names.maximum; i++)
        if (rows_of(garbage)[i].marks == 0 && is_old(&rows_of(garbage)[i], grace, garbage->now))
            bytes_put(&names, rows_of(garbage)[i].name, SEAL_HASH_SIZE);
    if (bytes_check(&names, "plan", e) < 0) {
        bytes_free(&names);
        return -1;
    }
    plan->packs = (void *)names.data;
    plan->count = names.length / SEAL_HASH_SIZE;
    return 0;
}

bool garbage_is_due(const struct plan *plan, int64_t placed, int64_t now)
{
    if (placed == INT64_MIN)
        return has_passed(plan->created, 2 * plan->grace, now);
    return has_passed(placed, plan->grace, now);
}

int garbage_sweep(const struct garbage *garbage, const struct plan *plan, struct bytes *names, struct error *e)
{
    size_t at = 0;
    for (size_t i = 0; i < plan->count; i++) {
        at = seek(garbage, at, plan->packs[i], SEAL_HASH_SIZE);
        if (at == garbage->count)
            break;
        const struct garbage_pack *row = &rows_of(garbage)[at];
        if (memcmp(row->name, plan->packs[i], SEAL_HASH_SIZE) == 0 && !(row->marks & GARBAGE_NEEDED))
            bytes_put(names, row->name, SEAL_HASH_SIZE);
    }
    return bytes_check(names, "list of packs", e);
}
