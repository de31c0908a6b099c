#include "redis/family.h"

#include <string.h>

/* In ASCII, whatever the locale. */
static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static bool is_punctuation(uint8_t c)
{
    return c > ' ' && c < 0x7f && !is_letter(c) && (uint8_t)(c - '0') > 9;
}

/* FNV-1a */
static uint64_t hash_word(const uint8_t *p, size_t n)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n && is_letter(p[i]); i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

void family_add(struct family_set *set, const uint8_t *name, size_t n)
{
    n = n < FAMILY_NAME ? n : FAMILY_NAME;
    while (n > 0 && is_punctuation(*name)) {
        name++;
        n--;
    }
    uint64_t hash = hash_word(name, n);
    size_t at = set->count;
    while (at > 0 && set->hashes[at - 1] > hash)
        at--;
    if (at == FAMILY_MAX || (at > 0 && set->hashes[at - 1] == hash))
        return;
    size_t behind = (set->count < FAMILY_MAX ? set->count : FAMILY_MAX - 1) - at;
    memmove(set->hashes + at + 1, set->hashes + at, behind * sizeof *set->hashes);
    set->hashes[at] = hash;
    set->count += set->count < FAMILY_MAX;
}

bool family_meet(const struct family_set *a, const struct family_set *b)
{
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        if (a->hashes[i] == b->hashes[j])
            return true;
        *(a->hashes[i] < b->hashes[j] ? &i : &j) += 1;
    }
    return false;
}
