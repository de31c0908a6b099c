/* A model of all that is at work in a repository at once: six writers, two machines that collect garbage, one that
 * prunes. They run on a store in memory whose listings are late, are held up between any two operations for longer than
 * the grace, are killed, and their clocks are days off. What they decide by is the real code (garbage.h, plan.h).
 * Whatever happens, what was said to be committed is there. Each of the collectors packs anew whatever it comes upon,
 * of any host, whether that host runs, or has not for months and comes back: who does it for whom is no matter of
 * safety.
 *
 * Without arguments: some hundred schedules, and each safeguard is taken away in turn, which must be found.
 *   unit_gc_model SCHEDULES [SEED [SAFEGUARD]]
 */
#include "gc_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const safeguards[SAFEGUARDS] = {
    [NONE] = "none",
    [GRACE_AT_PLAN] = "what is young is not planned",
    [GRACE_AT_SWEEP] = "a plan stands for its grace",
    [NEEDS_READ_AT_SWEEP] = "needs are read again at the sweep",
    [CLOCK_OF_THE_STORE] = "times are the store's",
    [PLANNED_IS_ABSENT] = "writers rely on nothing that is planned",
    [PLANS_READ_BEFORE_COMMIT] = "writers read the plans again before the commit",
    [LOOK_AFTER_COMMIT] = "writers look once more after the commit",
    [NEEDS_BEFORE_MANIFEST] = "needs are stored, and plans read, before the manifest",
    [NEEDS_COUNT_ALONE] = "needs without a manifest count",
    [MANIFEST_ALONE_IS_A_DOUBT] = "a manifest without needs is a doubt",
    [PLAN_STAYS] = "a plan stays as long as its packs",
    [MOVED_NEEDS_ARE_ADDED] = "who packs anew replaces no needs",
    [LOOK_BEFORE_OLD_NEEDS_GO] = "who packs anew looks at plans and packs before old needs go",
    [LOOK_HEEDS_PLANS] = "writers go by an earlier listing only where no plan is or was",
    [LOOK_LASTS] = "a listing is gone by for less than the grace",
};

/* Some are found after many schedules only: so many are passed over. */
static const long passed_over[SAFEGUARDS] = {
    [CLOCK_OF_THE_STORE] = 3600,
    [NEEDS_COUNT_ALONE] = 50900,
    [MOVED_NEEDS_ARE_ADDED] = 20700,
    [LOOK_BEFORE_OLD_NEEDS_GO] = 28400,
};

#define RETIRED (61 * 24 * HOUR)

/* ---- the pruner ---- */

static void remove_needs(struct world *w, struct snapshot *s)
{
    for (int i = 0; i < s->needs_count; i++)
        model_remove(w, &s->needs[i].life);
}

static void prune_on(struct world *w, struct actor *a)
{
    if (a->phase == 1) {
        remove_needs(w, &w->snapshots[a->snapshot]);
        a->phase = -1;
        return;
    }
    a->phase = -1;
    if (w->snapshot_count <= KEPT)
        return;
    a->snapshot = (int)model_below(w, w->snapshot_count - KEPT);
    struct snapshot *s = &w->snapshots[a->snapshot];
    if (!model_is_listed(w, &s->manifest) || !model_is_there(&s->manifest))
        return;
    if (model_chance(w, 3) && w->now - s->manifest.put > GRACE) {
        remove_needs(w, s); /* somebody has removed what he did not know */
        return;
    }
    s->pruned = true;
    model_remove(w, &s->manifest);
    w->count.pruned++;
    a->phase = 1;
}

/* ---- schedules ---- */

/* How long until the next operation of an actor: most often seconds, sometimes longer than the grace, or as long as is
 * just allowed. */
static int64_t pause_of(struct world *w)
{
    int64_t kind = model_below(w, 100);
    if (kind < 70)
        return 1 + model_below(w, 60 * SECOND);
    if (kind < 91)
        return model_below(w, 2 * HOUR);
    if (kind < 95)
        return GRACE / 2 - model_below(w, HOUR);
    if (kind < 97)
        return model_below(w, GRACE);
    return GRACE / 2 + model_below(w, 3 * GRACE);
}

static int64_t rest_of(struct world *w, int i)
{
    int64_t rest = model_below(w, i >= WRITERS ? 6 * HOUR : w->quiet ? 20 * 24 * HOUR : 20 * HOUR);
    return w->retires && i < WRITERS && w->actors[i].host == 0 ? rest + RETIRED : rest;
}

static void step(struct world *w, int i)
{
    struct actor *a = &w->actors[i];
    if (model_chance(w, 1) && a->phase > 0) {
        a->phase = -1;
        w->count.killed++;
    } else if (i < WRITERS) {
        model_write(w, a);
    } else if (i < WRITERS + COLLECTORS) {
        model_collect(w, a);
    } else {
        prune_on(w, a);
    }
    a->wake = w->now + pause_of(w);
    if (a->phase < 0) {
        a->phase = 0;
        a->wake += rest_of(w, i);
    }
}

static void begin_world(struct world *w, uint64_t seed, enum safeguard without)
{
    memset(w, 0, sizeof *w);
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    w->without = without;
    w->quiet = seed % 4 == 0;
    w->retires = seed % 8 == 0;
    w->now = 20000 * 24 * HOUR;
    for (int i = 0; i < 8; i++)
        model_draw(w);
    for (int i = 0; i < ACTORS; i++) {
        w->actors[i].wake = w->now + model_below(w, 24 * HOUR);
        w->actors[i].host = i % HOSTS;
        w->actors[i].trusts = i == WRITERS - 1;
        w->actors[i].offset = model_below(w, 96 * HOUR) - 48 * HOUR;
    }
}

static void end_world(struct world *w)
{
    for (int i = 0; i < w->plan_count; i++)
        plan_free(&w->plans[i].plan);
    for (int i = 0; i < ACTORS; i++)
        garbage_free(&w->actors[i].garbage);
}

static bool is_out_of_room(const struct world *w)
{
    return w->pack_count + WANTED + COLLECTORS > PACKS || w->plan_count + COLLECTORS > PLANS ||
           w->snapshot_count == SNAPSHOTS;
}

static void run_world(struct world *w)
{
    for (int n = 0; n < (w->quiet ? QUIET_STEPS : STEPS) && !w->fault && !is_out_of_room(w); n++) {
        int next = 0;
        for (int i = 1; i < ACTORS; i++)
            if (w->actors[i].wake < w->actors[next].wake)
                next = i;
        w->now = w->actors[next].wake;
        step(w, next);
    }
    model_check(w);
}

/* The first schedule with a fault, or 0. */
static long search(long from, long count, enum safeguard without, const char **fault, bool tell)
{
    static struct world w;
    long sums[11] = {0};
    for (long seed = from; seed < from + count; seed++) {
        begin_world(&w, (uint64_t)seed, without);
        run_world(&w);
        end_world(&w);
        const long *counted = &w.count.committed;
        for (int i = 0; i < 11; i++)
            sums[i] += counted[i];
        if (w.fault) {
            *fault = w.fault;
            return seed;
        }
    }
    if (tell)
        printf("%ld schedules: %ld committed, %ld refused, %ld not found after the commit, %ld pruned, %ld packs "
               "planned, %ld removed, %ld doubts, %ld killed, %ld packed anew, %ld of that given up, %ld went by an "
               "earlier "
               "listing\n",
               count, sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7], sums[8], sums[9],
               sums[10]);
    return 0;
}

int main(int argc, char **argv)
{
    const char *fault;
    long schedules = argc > 1 ? atol(argv[1]) : 400, seed = argc > 2 ? atol(argv[2]) : 1, found;
    enum safeguard without = argc > 3 ? (enum safeguard)atoi(argv[3]) : NONE;
    if ((found = search(seed, schedules, without, &fault, true)) != 0) {
        printf("schedule %ld, without '%s': %s\n", found, safeguards[without], fault);
        return 1;
    }
    for (int i = 1; argc < 2 && i < SAFEGUARDS; i++) {
        found = search(1 + passed_over[i], 50000, (enum safeguard)i, &fault, false);
        printf("without '%s': schedule %ld: %s\n", safeguards[i], found, found ? fault : "NOTHING WAS FOUND");
        if (!found)
            return 1;
    }
    return 0;
}
