#include "repository/garbage.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "format/vault.h"
#include "repository/needs.h"

#define GROUPS 65536u
#define SECOND INT64_C(1000000000)
#define ROWS_MAX ((size_t)1 << 30) /* 25 million packs: 400 TB of one host */

int64_t garbage_grace(int64_t longest_run)
{
    if (longest_run > VAULT_RUN_MAX)
        return PLAN_GRACE;
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
    free(garbage->starts);
    free(garbage->marks);
    *garbage = (struct garbage){.count = 0};
}

/* Have that many ns gone by? Times may be anything. */
static bool has_passed(int64_t since, int64_t wait, int64_t now)
{
    int64_t gone;
    return !__builtin_sub_overflow(now, since, &gone) && gone >= wait;
}

bool garbage_is_ahead(int64_t mtime, int64_t now)
{
    return mtime != INT64_MIN && now != INT64_MIN && clock_is_ahead(mtime, now, PLAN_GRACE);
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

bool garbage_is_old(const struct garbage *garbage, size_t row, int64_t grace)
{
    return is_old(&garbage_packs(garbage)[row], grace, garbage->now);
}

int garbage_list(struct garbage *garbage, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, int64_t mtime,
                 struct error *e)
{
    struct garbage_pack row = {.size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX,
                               .time = time_of(garbage_is_ahead(mtime, garbage->now) ? INT64_MIN : mtime)};
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

static uint64_t start_of(const uint8_t *name)
{
    uint64_t start;
    memcpy(&start, name, sizeof start);
    return be64toh(start);
}

static bool ascends(const struct garbage_pack *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (seal_hash_compare(&rows[i - 1], &rows[i]) >= 0)
            return false;
    return true;
}

static size_t group_of(const struct garbage_pack *row)
{
    return (size_t)row->name[0] << 8 | row->name[1];
}

static void swap(struct garbage_pack *a, struct garbage_pack *b)
{
    const struct garbage_pack kept = *a;
    *a = *b;
    *b = kept;
}

/* In place, since there are many: names are spread evenly, so each goes to the group of its first two bytes, and groups
 * are small. ends: GROUPS of them; next: likewise. */
static void sort_groups(struct garbage_pack *rows, size_t count, size_t *next, size_t *ends)
{
    for (size_t i = 0; i < count; i++)
        ends[group_of(&rows[i])]++;
    for (size_t g = 0, at = 0; g < GROUPS; g++) {
        next[g] = at;
        ends[g] = at += ends[g];
    }
    for (size_t g = 0, first = 0; g < GROUPS; first = ends[g++]) {
        while (next[g] < ends[g]) {
            size_t from = next[g], to = next[group_of(&rows[from])]++;
            swap(&rows[from], &rows[to]);
        }
        if (ends[g] - first > 1)
            qsort(rows + first, ends[g] - first, sizeof *rows, seal_hash_compare);
    }
}

static int sort_rows(struct garbage_pack *rows, size_t count, struct error *e)
{
    if (count < GROUPS) {
        qsort(rows, count, sizeof *rows, seal_hash_compare);
        return 0;
    }
    size_t *places = calloc(2 * GROUPS, sizeof *places);
    if (!places)
        return error_memory(e);
    sort_groups(rows, count, places, places + GROUPS);
    free(places);
    return 0;
}

int garbage_sort(struct garbage *garbage, struct error *e)
{
    struct garbage_pack *rows = rows_of(garbage);
    garbage->count = garbage->rows.length / sizeof *rows;
    if (!ascends(rows, garbage->count) && sort_rows(rows, garbage->count, e) < 0)
        return -1;
    if (!ascends(rows, garbage->count))
        return error_set(e, ERROR_INTEGRITY, "the listing names a pack twice");
    free(garbage->starts);
    free(garbage->marks);
    garbage->starts = calloc(garbage->count + 1, sizeof *garbage->starts);
    garbage->marks = calloc(garbage->count + 1, 1);
    if (!garbage->starts || !garbage->marks)
        return error_memory(e);
    for (size_t i = 0; i < garbage->count; i++)
        garbage->starts[i] = start_of(rows[i].name);
    return 0;
}

uint64_t garbage_bytes(const struct garbage *garbage, uint32_t mask, uint32_t marks, uint64_t *packs)
{
    uint64_t bytes = 0;
    *packs = 0;
    for (size_t i = 0; i < garbage->count; i++) {
        const struct garbage_pack *row = &rows_of(garbage)[i];
        if ((garbage->marks[i] & mask) != marks)
            continue;
        bytes += row->size;
        ++*packs;
    }
    return bytes;
}

/* ---- who needs it ---- */

/* The first row at or after `from` that does not begin with less. What is looked for ascends, and is mostly near: steps
 * double until it is passed. */
static size_t seek(const struct garbage *garbage, size_t from, uint64_t start)
{
    const uint64_t *starts = garbage->starts;
    size_t step = 1, to = from;
    while (to < garbage->count && starts[to] < start) {
        from = to + 1;
        to += step;
        step *= 2;
    }
    if (to > garbage->count)
        to = garbage->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (starts[middle] < start)
            from = middle + 1;
        else
            to = middle;
    }
    return to;
}

size_t garbage_need(struct garbage *garbage, const uint8_t *prefixes, size_t count, uint8_t marks)
{
    size_t at = 0, missing = 0;
    for (size_t i = 0; i < count; i++, prefixes += NEEDS_NAME_SIZE) {
        const uint64_t start = start_of(prefixes);
        at = seek(garbage, at, start);
        missing += at == garbage->count || garbage->starts[at] != start;
        for (; at < garbage->count && garbage->starts[at] == start; at++)
            garbage->marks[at] |= marks;
    }
    return missing;
}

/* The row of that very name, at or after *at, which goes there; false: there is none. */
static bool find(const struct garbage *garbage, size_t *at, const uint8_t name[SEAL_HASH_SIZE])
{
    *at = seek(garbage, *at, start_of(name));
    while (*at < garbage->count && seal_hash_compare(&rows_of(garbage)[*at], name) < 0)
        ++*at;
    return *at < garbage->count && seal_hash_compare(&rows_of(garbage)[*at], name) == 0;
}

size_t garbage_find(const struct garbage *garbage, const uint8_t name[SEAL_HASH_SIZE])
{
    size_t at = 0;
    return find(garbage, &at, name) ? at : SIZE_MAX;
}

size_t garbage_mark(struct garbage *garbage, const struct plan *plan, uint8_t marks)
{
    size_t at = 0, there = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (!find(garbage, &at, plan->packs[i]))
            continue;
        garbage->marks[at] |= marks;
        there++;
    }
    return there;
}

/* ---- what goes ---- */

int garbage_plan(const struct garbage *garbage, int64_t created, int64_t grace, struct plan *plan, struct error *e)
{
    struct bytes names = {.maximum = (size_t)PLAN_PACKS_MAX * SEAL_HASH_SIZE};
    *plan = (struct plan){.created = created, .grace = grace};
    for (size_t i = 0; i < garbage->count && names.length < names.maximum; i++)
        if (garbage->marks[i] == 0 && is_old(&rows_of(garbage)[i], grace, garbage->now))
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

int garbage_sweep(struct garbage *garbage, const struct plan *plan, struct bytes *names, struct error *e)
{
    size_t at = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (!find(garbage, &at, plan->packs[i]) || (garbage->marks[at] & (GARBAGE_NEEDED | GARBAGE_SWEPT)))
            continue;
        garbage->marks[at] |= GARBAGE_SWEPT;
        bytes_put(names, plan->packs[i], SEAL_HASH_SIZE);
    }
    return bytes_check(names, "list of packs", e);
}
