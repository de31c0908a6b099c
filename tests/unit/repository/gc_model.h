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
enum { CHUNKS = 8, WANTED = 4, KEPT = 4, PACKS = 1024, SNAPSHOTS = 256, PLANS = 128, STEPS = 600 };

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
};
struct stored_plan {
    struct life life;
    struct plan plan;
    int host;
};
/* Its manifest and its needs. */
struct snapshot {
    struct life manifest, needs;
    int packs[WANTED], count;
    bool committed; /* its writer has said so */
    bool pruned;
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
    bool there[SNAPSHOTS], read[SNAPSHOTS]; /* needs that were listed, and were read */
    bool known_manifests[SNAPSHOTS];
    struct garbage garbage;
    int victims[PACKS], victim_count;
    int ended[PLANS], ended_count;
    int stale[SNAPSHOTS], stale_count; /* needs without a manifest */
    bool asked;                        /* for the manifest of the next of them */
};

struct world {
    uint64_t random;
    enum safeguard without;
    int64_t now;
    struct stored_pack packs[PACKS];
    struct stored_plan plans[PLANS];
    struct snapshot snapshots[SNAPSHOTS];
    int pack_count, plan_count, snapshot_count;
    struct actor actors[ACTORS];
    const char *fault;
    struct {
        long committed, refused, lost_race, pruned, planned, removed, doubts, killed, recalled;
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

bool model_is_whole(const struct world *w, const struct snapshot *s);
/* What was said to be committed is there, or it is a fault. */
void model_check(struct world *w);
/* What a snapshot needs of that host (-1: of any): prefixes of names, ascending. */
size_t model_needs(const struct world *w, const struct snapshot *s, int host, uint8_t *prefixes);

/* ---- who is at work: one operation of the store ---- */

void model_write(struct world *w, struct actor *a);
void model_collect(struct world *w, struct actor *a);

#endif
