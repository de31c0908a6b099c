/* Collectors of garbage. */
#include "gc_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/needs.h"

static void list_packs(struct world *w, struct actor *a)
{
    struct error e;
    garbage_free(&a->garbage);
    garbage_begin(&a->garbage, a->now);
    for (int i = 0; i < w->pack_count; i++) {
        const struct stored_pack *pack = &w->packs[i];
        if (pack->host == a->host && model_is_listed(w, &pack->life) &&
            garbage_list(&a->garbage, pack->name, 1, pack->life.put, &e) < 0)
            abort();
    }
    if (garbage_sort(&a->garbage, &e) < 0)
        abort();
}

/* Plans that are due: what of them goes. Those of which nothing is left. */
static void sweep(struct world *w, struct actor *a)
{
    a->victim_count = a->ended_count = 0;
    for (int i = 0; i < w->plan_count; i++) {
        const struct stored_plan *p = &w->plans[i];
        struct bytes names = {.maximum = 1 << 20};
        struct plan plan = p->plan;
        struct error e;
        if (p->host != a->host || !a->known[i])
            continue;
        bool gone = garbage_mark(&a->garbage, &plan, GARBAGE_PLANNED) == 0;
        if (w->without == GRACE_AT_SWEEP)
            plan.grace = 0;
        bool due = garbage_is_due(&plan, p->life.put, a->now);
        if (due && garbage_sweep(&a->garbage, &plan, &names, &e) < 0)
            abort();
        for (int k = 0; k < w->pack_count; k++)
            for (size_t n = 0; n < names.length; n += SEAL_HASH_SIZE)
                if (memcmp(w->packs[k].name, names.data + n, SEAL_HASH_SIZE) == 0)
                    a->victims[a->victim_count++] = k;
        if (gone || (due && w->without == PLAN_STAYS))
            a->ended[a->ended_count++] = i;
        bytes_free(&names);
    }
}

static void need(struct world *w, struct actor *a, int i, int k)
{
    const struct stored_needs *needs = &w->snapshots[i].needs[k];
    uint8_t prefixes[NAMED * NEEDS_NAME_SIZE];
    size_t count = model_prefixes(w, needs->packs, needs->count, a->host, prefixes);
    a->read[i][k] = true;
    garbage_need(&a->garbage, prefixes, count, GARBAGE_NEEDED);
}

/* Needs that were listed, and are still there. */
static void read_needs(struct world *w, struct actor *a)
{
    memset(a->read, 0, sizeof a->read);
    for (int i = 0; i < w->snapshot_count; i++)
        for (int k = 0; k < w->snapshots[i].needs_count; k++)
            if (a->there[i][k] && model_is_there(&w->snapshots[i].needs[k].life) &&
                (w->without != NEEDS_COUNT_ALONE || a->known_manifests[i]))
                need(w, a, i, k);
}

static bool has_read(const struct actor *a, int i)
{
    for (int k = 0; k < NEEDS; k++)
        if (a->read[i][k])
            return true;
    return false;
}

/* Wherever what it wants may be, whoever has stored it. */
static void heal(struct world *w, struct snapshot *s)
{
    int packs[NAMED], count = 0;
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < w->pack_count && count < NAMED; k++)
            if (w->packs[k].first == w->packs[s->packs[i]].first && model_is_there(&w->packs[k].life))
                packs[count++] = k;
    model_put_needs(w, s, packs, count);
}

/* A manifest of which no needs were read: either they were not listed yet, or it is gone by now. Else a doubt, but for
 * who has the full key, and can tell what it needs if all is there. */
static bool is_doubt(struct world *w, struct actor *a, int i)
{
    struct snapshot *s = &w->snapshots[i];
    for (int k = 0; k < s->needs_count; k++)
        if (model_is_there(&s->needs[k].life)) {
            need(w, a, i, k);
            return false;
        }
    if (!model_is_there(&s->manifest))
        return false;
    if (a == &w->actors[WRITERS] && model_is_whole(w, s))
        heal(w, s);
    return w->without != MANIFEST_ALONE_IS_A_DOUBT;
}

static void note_stale(struct world *w, struct actor *a, int i)
{
    for (int k = 0; k < w->snapshots[i].needs_count; k++)
        if (a->read[i][k] && a->now - w->snapshots[i].needs[k].life.put >= GRACE)
            a->stale[a->stale_count++] = (struct place){.snapshot = i, .needs = k};
}

/* Manifests are listed after the needs: who has needs had them before. */
static bool compare_manifests(struct world *w, struct actor *a)
{
    a->stale_count = 0;
    for (int i = 0; i < w->snapshot_count; i++) {
        const struct snapshot *s = &w->snapshots[i];
        a->listed[i] = w->without == NEEDS_COUNT_ALONE ? a->known_manifests[i] : model_is_listed(w, &s->manifest);
        if (a->listed[i] && !has_read(a, i) && is_doubt(w, a, i))
            return false;
        if (!a->listed[i])
            note_stale(w, a, i);
    }
    return true;
}

static void decide(struct world *w, struct actor *a)
{
    a->at = 0;
    if (!compare_manifests(w, a)) {
        w->count.doubts++;
        a->phase = -1;
    } else if (w->without != NEEDS_READ_AT_SWEEP) {
        sweep(w, a);
    }
}

static void make_plan(struct world *w, struct actor *a)
{
    struct stored_plan *p = &w->plans[w->plan_count];
    struct error e;
    if (garbage_plan(&a->garbage, w->now + a->offset, w->without == GRACE_AT_PLAN ? 0 : GRACE, &p->plan, &e) < 0)
        abort();
    if (p->plan.count == 0)
        return;
    p->plan.grace = GRACE;
    p->host = a->host;
    model_put(w, &p->life);
    w->plan_count++;
    w->count.planned += (long)p->plan.count;
}

/* One thing more that goes; false when all are gone. */
static bool remove_next(struct world *w, struct actor *a)
{
    if (a->at == a->victim_count)
        return false;
    model_remove(w, &w->packs[a->victims[a->at++]].life);
    w->count.removed++;
    model_check(w);
    return true;
}

static bool end_next(struct world *w, struct actor *a)
{
    if (a->at == a->ended_count)
        return false;
    model_remove(w, &w->plans[a->ended[a->at++]].life);
    return true;
}

static bool forget_next(struct world *w, struct actor *a)
{
    if (a->at == a->stale_count)
        return false;
    const struct place *place = &a->stale[a->at];
    struct snapshot *s = &w->snapshots[place->snapshot];
    if (a->asked)
        model_remove(w, &s->needs[place->needs].life);
    /* The manifest is asked for, and then, a while later, the needs go. */
    a->asked = !a->asked && !model_is_there(&s->manifest);
    a->at += !a->asked;
    return true;
}

static void list_plans(struct world *w, struct actor *a)
{
    for (int i = 0; i < w->plan_count; i++)
        a->known[i] = model_is_listed(w, &w->plans[i].life);
}

static void list_needs(struct world *w, struct actor *a)
{
    memset(a->there, 0, sizeof a->there);
    memset(a->listed, 0, sizeof a->listed);
    for (int i = 0; i < w->snapshot_count; i++)
        for (int k = 0; k < w->snapshots[i].needs_count; k++)
            a->there[i][k] = model_is_listed(w, &w->snapshots[i].needs[k].life);
}

static void begin(struct world *w, struct actor *a)
{
    a->host = (int)model_below(w, HOSTS);
    a->now = w->now + (w->without == CLOCK_OF_THE_STORE ? a->offset : 0);
    /* Who reads the needs of manifests alone lists those first. */
    for (int i = 0; i < SNAPSHOTS; i++)
        a->known_manifests[i] = model_is_listed(w, &w->snapshots[i].manifest);
}

static void read_all(struct world *w, struct actor *a)
{
    if (w->without == NEEDS_READ_AT_SWEEP)
        sweep(w, a);
    read_needs(w, a);
}

static void end_plans(struct world *w, struct actor *a)
{
    a->asked = false;
    if (!end_next(w, a)) {
        a->at = 0;
        a->phase++;
    }
}

static void plan_rest(struct world *w, struct actor *a)
{
    a->at = 0;
    make_plan(w, a);
    a->phase++;
}

typedef void operation(struct world *, struct actor *);

/* In their order; those that remove are done until nothing is left to remove. */
void model_collect(struct world *w, struct actor *a)
{
    static operation *const listing[] = {begin, list_plans, list_packs, list_needs, read_all, decide};
    enum { READ = sizeof listing / sizeof *listing };
    if (a->phase < READ) {
        /* A doubt ends it: the phase is then another. */
        listing[a->phase++](w, a);
        return;
    }
    int phase = a->phase - READ;
    switch (phase) {
    case 0:
        a->phase += !remove_next(w, a);
        break;
    case 1:
        plan_rest(w, a);
        break;
    case 2:
        end_plans(w, a);
        break;
    case 3:
        a->phase += !forget_next(w, a);
        break;
    default:
        phase -= 4;
        model_repack(w, a, &phase);
        a->phase = phase < 0 ? -1 : READ + 4 + phase;
    }
}
