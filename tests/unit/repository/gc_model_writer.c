/* Writers. */
#include "gc_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/needs.h"

static bool reads_plans_of(const struct actor *a, int host)
{
    return a->trusts || a->host == host;
}

static void learn_plans(struct world *w, struct actor *a)
{
    a->began = w->now;
    for (int i = 0; i < w->plan_count; i++)
        a->known[i] = reads_plans_of(a, w->plans[i].host) && model_is_listed(w, &w->plans[i].life);
}

static bool is_planned(const struct world *w, const struct actor *a, const struct stored_pack *pack)
{
    for (int i = 0; i < w->plan_count && w->without != PLANNED_IS_ABSENT; i++)
        if (a->known[i] && plan_has(&w->plans[i].plan, pack->name))
            return true;
    return false;
}

static int find_chunk(const struct world *w, const struct actor *a, int chunk)
{
    for (int i = w->pack_count; i-- > 0;) {
        const struct stored_pack *pack = &w->packs[i];
        if (pack->chunk == chunk && reads_plans_of(a, pack->host) && model_is_listed(w, &pack->life) &&
            !is_planned(w, a, pack))
            return i;
    }
    return -1;
}

static void choose(struct world *w, struct actor *a)
{
    int first = (int)model_below(w, CHUNKS);
    a->snapshot = w->snapshot_count++;
    a->relies = false;
    struct snapshot *s = &w->snapshots[a->snapshot];
    s->count = 1 + (int)model_below(w, WANTED);
    for (int i = 0; i < s->count; i++) {
        a->chunks[i] = (first + i) % CHUNKS;
        s->packs[i] = find_chunk(w, a, a->chunks[i]);
        a->relies |= s->packs[i] >= 0;
    }
}

static void store_pack(struct world *w, struct actor *a, int i)
{
    struct stored_pack *pack = &w->packs[w->pack_count];
    w->snapshots[a->snapshot].packs[i] = w->pack_count++;
    *pack = (struct stored_pack){.host = a->host, .chunk = a->chunks[i], .first = w->pack_count - 1};
    bytes_set_u64(pack->name, model_draw(w));
    model_put(w, &pack->life);
}

/* One pack more, or false: all are there. */
static bool store_next(struct world *w, struct actor *a)
{
    const struct snapshot *s = &w->snapshots[a->snapshot];
    for (int i = 0; i < s->count; i++)
        if (s->packs[i] < 0) {
            store_pack(w, a, i);
            return true;
        }
    return false;
}

static void note_doubtful(struct world *w, struct actor *a, const struct bytes *names)
{
    const struct snapshot *s = &w->snapshots[a->snapshot];
    for (size_t n = 0; n < names->length; n += SEAL_HASH_SIZE)
        for (int i = 0; i < s->count; i++)
            if (memcmp(w->packs[s->packs[i]].name, names->data + n, SEAL_HASH_SIZE) == 0 && a->doubtful_count < WANTED)
                a->doubtful[a->doubtful_count++] = s->packs[i];
}

/* May it commit? */
static bool heed_plans(struct world *w, struct actor *a)
{
    const struct snapshot *s = &w->snapshots[a->snapshot];
    uint8_t prefixes[WANTED * NEEDS_NAME_SIZE];
    size_t count = model_prefixes(w, s->packs, s->count, -1, prefixes);
    int64_t age = w->now - a->began;
    bool may = true;
    struct error e;
    a->doubtful_count = 0;
    for (int i = 0; i < w->plan_count; i++) {
        const struct stored_plan *p = &w->plans[i];
        struct bytes names = {.maximum = sizeof prefixes * SEAL_HASH_SIZE};
        if (a->known[i] || !reads_plans_of(a, p->host) || !model_is_listed(w, &p->life))
            continue;
        if (plan_among(&p->plan, prefixes, count, &names, &e) < 0)
            abort();
        may = may && (names.length == 0 || plan_spares(&p->plan, age));
        note_doubtful(w, a, &names);
        bytes_free(&names);
    }
    return may && (age <= GRACE / 2 || model_are_there(w, s->packs, s->count));
}

/* After the commit. Needs that stood alone for long may be on the way to be removed. */
static bool still_there(const struct world *w, const struct actor *a)
{
    if (w->now - a->needs_put > GRACE / 2)
        return false;
    for (int i = 0; i < a->doubtful_count; i++)
        if (!model_is_there(&w->packs[a->doubtful[i]].life))
            return false;
    return model_has_needs(&w->snapshots[a->snapshot]);
}

static void refuse(struct world *w, struct actor *a)
{
    w->count.refused++;
    /* That what is young is not planned spares runs, and no snapshot: all that a run needs is looked for in plans. */
    bool told = w->without == NONE || w->without == GRACE_AT_PLAN;
    if (told && !a->relies && w->now - a->began < GRACE)
        w->fault = "a run that is shorter than the grace and re-uses nothing was refused";
    a->phase = -1;
}

static void say_committed(struct world *w, struct actor *a)
{
    w->snapshots[a->snapshot].committed = true;
    w->count.committed++;
    a->phase = -1;
    model_check(w);
}

static void store_needs(struct world *w, struct actor *a)
{
    a->needs_put = w->now;
    struct snapshot *s = &w->snapshots[a->snapshot];
    model_put_needs(w, s, s->packs, s->count);
}

/* One operation of the store. */
void model_write(struct world *w, struct actor *a)
{
    struct snapshot *s = &w->snapshots[a->snapshot];
    const bool last = w->without == NEEDS_BEFORE_MANIFEST;
    switch (a->phase++) {
    case 0:
        learn_plans(w, a);
        break;
    case 1:
        choose(w, a);
        break;
    case 2:
        a->phase = store_next(w, a) ? 2 : 3;
        break;
    case 3:
        if (!last)
            store_needs(w, a);
        break;
    case 4:
        if (w->without != PLANS_READ_BEFORE_COMMIT && !heed_plans(w, a))
            refuse(w, a);
        break;
    case 5:
        model_put(w, &s->manifest);
        break;
    case 6:
        if (last)
            store_needs(w, a);
        break;
    default:
        if (w->without == LOOK_AFTER_COMMIT || still_there(w, a)) {
            say_committed(w, a);
        } else {
            w->count.lost_race++;
            a->phase = -1;
        }
    }
}
