#include "worker/seen.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Open addressing at half load at most. */
#define FIRST_ROWS 1024

void seen_free(struct seen *seen)
{
    free(seen->marks);
    *seen = (struct seen){0};
}

static uint64_t hash(const char *key, size_t n)
{
    static const uint8_t no_key[crypto_shorthash_KEYBYTES];
    uint64_t out;
    _Static_assert(sizeof out == crypto_shorthash_BYTES, "a mark is a hash");
    crypto_shorthash((uint8_t *)&out, (const uint8_t *)key, n, no_key);
    return out == 0 ? 1 : out;
}

/* The row of the mark, or the free one where it would go. */
static uint64_t *row_of(const struct seen *seen, uint64_t mark)
{
    size_t at = mark & (seen->rows - 1);
    while (seen->marks[at] != 0 && seen->marks[at] != mark)
        at = (at + 1) & (seen->rows - 1);
    return &seen->marks[at];
}

static int grow(struct seen *seen, struct error *e)
{
    struct seen larger = {.rows = seen->rows == 0 ? FIRST_ROWS : 2 * seen->rows, .count = seen->count};
    larger.marks = calloc(larger.rows, sizeof *larger.marks);
    if (!larger.marks)
        return error_memory(e);
    for (size_t i = 0; i < seen->rows; i++)
        if (seen->marks[i] != 0)
            *row_of(&larger, seen->marks[i]) = seen->marks[i];
    free(seen->marks);
    *seen = larger;
    return 0;
}

int seen_add(struct seen *seen, const char *key, size_t n, bool *before, struct error *e)
{
    if (2 * seen->count >= seen->rows && seen->count < SEEN_MAX && grow(seen, e) < 0)
        return -1;
    uint64_t mark = hash(key, n), *row = row_of(seen, mark);
    *before = *row == mark;
    if (*before || seen->count == SEEN_MAX)
        return 0;
    *row = mark;
    seen->count++;
    return 0;
}
