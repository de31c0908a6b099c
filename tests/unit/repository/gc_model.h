/* The model of test_gc_model.c: its store, and who is at work. */
#ifndef TESTS_UNIT_REPOSITORY_GC_MODEL_H
#define TESTS_UNIT_REPOSITORY_GC_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/garbage.h"
#include "repository/plan.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define GRACE PLAN_GRACE
#define LATE (GRACE / 8) /* a listing may be so much behind the store */
#define NEVER INT64_MAX

enum { HOSTS = 3, WRITERS = 6, COLLECTORS = 2, ACTORS = WRITERS + COLLECTORS + 1 };
enum {
    CHUNKS = 8,
    WANTED = 4,
    NAMED = 16,
    KEPT = 4,
    PACKS = 1024,
    SNAPSHOTS = 256,
    PLANS = 128,
    STEPS = 600,
    QUIET_STEPS = 2000,
    NEEDS = 6
};

/* What can be taken away. */
enum safeguard {
    NONE,
    GRACE_AT_PLAN,
    GRACE_AT_SWEEP,
    NEEDS_READ_AT_SWEEP,
    CLOCK_OF_THE_STORE,
    PLANNED_IS_ABSENT,
    PLANS_READ_BEFORE_COMMIT,
    LOOK_AFTER_COMMIT,
    NEEDS_BEFORE_MANIFEST,
    NEEDS_COUNT_ALONE,
    MANIFEST_ALONE_IS_A_DOUBT,
    PLAN_STAYS,
    MOVED_NEEDS_ARE_ADDED,
    LOOK_BEFORE_OLD_NEEDS_GO,
    LOOK_HEEDS_PLANS,
    LOOK_LASTS,
    SAFEGUARDS
};

/* ---- the store ---- */

/* Of an object: when it is there, and when listings say so. */
struct life {
    int64_t put, listed, removed, unlisted;
};

struct stored_pack {
    struct life life;
    uint8_t name[SEAL_HASH_SIZE];
    int host, chunk;
    int first; /* the pack that its chunk was moved from, by however many moves; or itself */
};
struct stored_plan {
    struct life life;
    struct plan plan;
    int host;
};
struct stored_needs {
    struct life life;
    int packs[NAMED], count;
};
/* Its manifest and its needs: those of its writer, and those of who has packed anew. */
struct snapshot {
    struct life manifest;
    struct stored_needs needs[NEEDS];
    int needs_count;
    int packs[WANTED], count; /* as its writer chose them: it wants the chunks in them */
    bool committed;           /* its writer has said so */
    bool pruned;
};
/* A needs object. */
struct place {
    int snapshot, needs;
};

struct actor {
    int phase, at;
    int64_t wake;
    int64_t began, needs_put;
    /* Of a writer: what it goes by. */
    int host;
    bool trusts; /* re-uses what other hosts have stored */
    int snapshot;
    bool relies; /* re-uses anything at all */
    int chunks[WANTED];
    bool known[PLANS];
    int doubtful[WANTED], doubtful_count; /* needed, and in a plan that is not known */
    /* What it remembers from one run to the next: packs that were listed, and when; 0 = nothing. */
    int64_t looked;
    bool seen[PACKS];
    /* Of a collector: what it has read, and what it is going to do. */
    int64_t offset, now;
    bool there[SNAPSHOTS][NEEDS], read[SNAPSHOTS][NEEDS]; /* needs that were listed, and were read */
    bool known_manifests[SNAPSHOTS], listed[SNAPSHOTS];
    struct garbage garbage;
    int victims[PACKS], victim_count;
    int ended[PLANS], ended_count;
    struct place stale[SNAPSHOTS * NEEDS]; /* needs without a manifest */
    int stale_count;
    bool asked; /* for the manifest of the next of them */
    /* What it packs anew: the old pack and the new one; needs that were stored for it, and those that they replace. */
    int from, to;
    int moved[NAMED], moved_count;
    struct place fresh[SNAPSHOTS], old[SNAPSHOTS * NEEDS];
    int fresh_count, old_count;
};

struct world {
    uint64_t random;
    enum safeguard without;
    bool quiet;   /* there are few runs, and so much time */
    bool retires; /* one of the hosts runs so seldom that all take it to run no more; it comes back in the middle of
                     whatever they do */
    int64_t now;
    struct stored_pack packs[PACKS];
    struct stored_plan plans[PLANS];
    struct snapshot snapshots[SNAPSHOTS];
    int pack_count, plan_count, snapshot_count;
    struct actor actors[ACTORS];
    const char *fault;
    struct {
        long committed, refused, lost_race, pruned, planned, removed, doubts, killed, moved, kept, recalled;
    } count;
};

uint64_t model_draw(struct world *w);
int64_t model_below(struct world *w, int64_t n);
bool model_chance(struct world *w, int percent);

/* Objects come to be and go; listings are late. */
void model_put(struct world *w, struct life *life);
void model_remove(struct world *w, struct life *life);
bool model_is_there(const struct life *life);
bool model_is_listed(const struct world *w, const struct life *life);

/* A pack that has what was in this one; -1: there is none. That another run has stored the same is luck. */
int model_find(const struct world *w, int pack);
bool model_is_whole(const struct world *w, const struct snapshot *s);
bool model_are_there(const struct world *w, const int *packs, int count);
bool model_has_needs(const struct snapshot *s);
/* One more needs object, that names these packs; false: there is no room. */
bool model_put_needs(struct world *w, struct snapshot *s, const int *packs, int count);
/* What was said to be committed is there, or it is a fault. */
void model_check(struct world *w);
/* Those packs, of that host (-1: of any): prefixes of names, ascending. */
size_t model_prefixes(const struct world *w, const int *packs, int count, int host, uint8_t *prefixes);

/* ---- who is at work: one operation of the store ---- */

void model_write(struct world *w, struct actor *a);
void model_collect(struct world *w, struct actor *a);
/* A part of that, when all else is done: pack one pack anew. a->phase: from 0; below 0 when it has ended. */
void model_repack(struct world *w, struct actor *a, int *phase);

#endif
