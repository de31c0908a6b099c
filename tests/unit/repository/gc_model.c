#include "gc_model.h"

#include "repository/needs.h"

#include <stdlib.h>
#include <string.h>

uint64_t model_draw(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random * UINT64_C(0x2545f4914f6cdd1d);
}

int64_t model_below(struct world *w, int64_t n)
{
    return (int64_t)((model_draw(w) >> 11) % (uint64_t)n);
}

bool model_chance(struct world *w, int percent)
{
    return model_below(w, 100) < percent;
}

static int64_t late(struct world *w)
{
    return model_chance(w, 50) ? 0 : model_below(w, LATE);
}

void model_put(struct world *w, struct life *life)
{
    *life = (struct life){.put = w->now, .listed = w->now + late(w), .removed = NEVER, .unlisted = NEVER};
}

bool model_is_there(const struct life *life)
{
    return life->put != 0 && life->removed == NEVER;
}

bool model_is_listed(const struct world *w, const struct life *life)
{
    return life->put != 0 && life->listed <= w->now && w->now < life->unlisted;
}

void model_remove(struct world *w, struct life *life)
{
    if (!model_is_there(life))
        return;
    life->removed = w->now;
    life->unlisted = w->now + late(w);
    if (life->unlisted < life->listed)
        life->unlisted = life->listed;
}

/* ---- what may not happen ---- */

int model_find(const struct world *w, int pack)
{
    for (int i = 0; i < w->pack_count; i++)
        if (w->packs[i].first == w->packs[pack].first && model_is_there(&w->packs[i].life))
            return i;
    return -1;
}

bool model_is_whole(const struct world *w, const struct snapshot *s)
{
    for (int i = 0; i < s->count; i++)
        if (model_find(w, s->packs[i]) < 0)
            return false;
    return true;
}

bool model_are_there(const struct world *w, const int *packs, int count)
{
    for (int i = 0; i < count; i++)
        if (!model_is_there(&w->packs[packs[i]].life))
            return false;
    return true;
}

bool model_has_needs(const struct snapshot *s)
{
    for (int i = 0; i < s->needs_count; i++)
        if (model_is_there(&s->needs[i].life))
            return true;
    return false;
}

bool model_put_needs(struct world *w, struct snapshot *s, const int *packs, int count)
{
    if (s->needs_count == NEEDS)
        return false;
    struct stored_needs *needs = &s->needs[s->needs_count++];
    memcpy(needs->packs, packs, (size_t)count * sizeof *packs);
    needs->count = count;
    model_put(w, &needs->life);
    return true;
}

void model_check(struct world *w)
{
    for (int i = 0; i < w->snapshot_count; i++)
        if (w->snapshots[i].committed && !w->snapshots[i].pruned && !model_is_whole(w, &w->snapshots[i]))
            w->fault = "a snapshot that was committed lacks a pack";
}

static int compare_prefixes(const void *a, const void *b)
{
    return memcmp(a, b, NEEDS_NAME_SIZE);
}

size_t model_prefixes(const struct world *w, const int *packs, int packs_count, int host, uint8_t *prefixes)
{
    size_t count = 0;
    for (int i = 0; i < packs_count; i++)
        if (host < 0 || w->packs[packs[i]].host == host)
            memcpy(prefixes + NEEDS_NAME_SIZE * count++, w->packs[packs[i]].name, NEEDS_NAME_SIZE);
    qsort(prefixes, count, NEEDS_NAME_SIZE, compare_prefixes);
    return count;
}
