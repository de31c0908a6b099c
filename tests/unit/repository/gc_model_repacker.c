/* Collectors that pack anew: one pack, which is as good as many. */
#include "gc_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/needs.h"

/* One that is needed, and old; -1: there is none. */
static int choose(struct world *w, const struct actor *a)
{
    if (w->pack_count == PACKS || a->garbage.count == 0)
        return -1;
    size_t first = (size_t)model_below(w, (int64_t)a->garbage.count);
    for (size_t n = 0; n < a->garbage.count; n++) {
        size_t row = (first + n) % a->garbage.count;
        if (!(a->garbage.marks[row] & GARBAGE_NEEDED) || !garbage_is_old(&a->garbage, row, GRACE))
            continue;
        for (int i = 0; i < w->pack_count; i++)
            if (memcmp(w->packs[i].name, garbage_packs(&a->garbage)[row].name, SEAL_HASH_SIZE) == 0)
                return i;
    }
    return -1;
}

static bool begin(struct world *w, struct actor *a)
{
    a->began = w->now;
    a->at = a->fresh_count = a->old_count = 0;
    for (int i = 0; i < w->plan_count; i++)
        a->known[i] = model_is_listed(w, &w->plans[i].life);
    a->from = model_chance(w, 60) ? choose(w, a) : -1;
    return a->from >= 0;
}

static bool store(struct world *w, struct actor *a)
{
    if (w->pack_count == PACKS || !model_is_there(&w->packs[a->from].life))
        return false;
    struct stored_pack *pack = &w->packs[a->to = w->pack_count++];
    *pack = (struct stored_pack){.host = a->host, .chunk = w->packs[a->from].chunk, .first = w->packs[a->from].first};
    bytes_set_u64(pack->name, model_draw(w));
    model_put(w, &pack->life);
    return true;
}

/* ---- needs ---- */

static void add(int *packs, int *count, int pack)
{
    for (int i = 0; i < *count; i++)
        if (packs[i] == pack)
            return;
    if (*count < NAMED)
        packs[(*count)++] = pack;
}

/* What the objects that were read name, with the new pack for the old one. False: there is nothing to do, or one of
 * them is gone. */
static bool collect(const struct world *w, const struct actor *a, int i, int *packs, int *count)
{
    const struct snapshot *s = &w->snapshots[i];
    bool names = false;
    for (int k = 0; k < s->needs_count; k++) {
        if (!a->read[i][k])
            continue;
        if (!model_is_there(&s->needs[k].life))
            return false;
        for (int n = 0; n < s->needs[k].count; n++) {
            int pack = s->needs[k].packs[n];
            names = names || pack == a->from;
            add(packs, count, pack == a->from ? a->to : pack);
        }
    }
    return names;
}

/* What nobody should do. */
static void overwrite(struct world *w, struct actor *a, int i, const int *packs, int count)
{
    struct snapshot *s = &w->snapshots[i];
    for (int k = 0; k < s->needs_count; k++)
        if (a->read[i][k]) {
            memcpy(s->needs[k].packs, packs, (size_t)count * sizeof *packs);
            s->needs[k].count = count;
            return;
        }
}

/* All that is known of a snapshot was read a moment ago; storing it is an operation of its own. */
static void put_needs(struct world *w, struct actor *a, int i, const int *packs, int count)
{
    struct snapshot *s = &w->snapshots[i];
    if (w->without == MOVED_NEEDS_ARE_ADDED) {
        overwrite(w, a, i, packs, count);
        return;
    }
    if (!model_put_needs(w, s, packs, count))
        return;
    a->fresh[a->fresh_count++] = (struct place){.snapshot = i, .needs = s->needs_count - 1};
    for (int k = 0; k < s->needs_count - 1; k++)
        if (a->read[i][k])
            a->old[a->old_count++] = (struct place){.snapshot = i, .needs = k};
}

/* One snapshot more: read, and stored, each an operation; false when all were looked at. */
static bool move_next(struct world *w, struct actor *a)
{
    if (a->asked) {
        a->asked = false;
        put_needs(w, a, a->at++, a->moved, a->moved_count);
        return true;
    }
    for (; a->at < w->snapshot_count; a->at++) {
        a->moved_count = 0;
        a->asked = a->listed[a->at] && collect(w, a, a->at, a->moved, &a->moved_count);
        if (a->asked)
            return true;
    }
    return false;
}

/* ---- and whether it may ---- */

static bool is_planned(const struct world *w, const struct actor *a)
{
    for (int i = 0; i < w->plan_count; i++)
        if (!a->known[i] && model_is_listed(w, &w->plans[i].life) && plan_has(&w->plans[i].plan, w->packs[a->to].name))
            return true;
    return false;
}

static bool may(const struct world *w, const struct actor *a)
{
    if (w->without == LOOK_BEFORE_OLD_NEEDS_GO)
        return true;
    bool late = w->now - a->began > GRACE / 2;
    return !is_planned(w, a) && (!late || model_is_there(&w->packs[a->to].life));
}

static bool remove_next(struct world *w, struct actor *a, const struct place *places, int count)
{
    if (a->at == count)
        return false;
    const struct place *place = &places[a->at++];
    model_remove(w, &w->snapshots[place->snapshot].needs[place->needs].life);
    return true;
}

void model_repack(struct world *w, struct actor *a, int *phase)
{
    bool on = true;
    switch (*phase) {
    case 0:
        on = begin(w, a);
        ++*phase;
        break;
    case 1:
        on = store(w, a);
        ++*phase;
        break;
    case 2:
        *phase += !move_next(w, a);
        break;
    case 3:
        a->at = 0;
        *phase = may(w, a) ? 4 : 5;
        w->count.moved += *phase == 4 && a->fresh_count > 0;
        w->count.kept += *phase == 5;
        break;
    case 4:
        on = remove_next(w, a, a->old, a->old_count);
        break;
    default:
        on = remove_next(w, a, a->fresh, a->fresh_count);
    }
    if (!on)
        *phase = -1;
}
