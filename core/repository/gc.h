/* Gc: remove the packs of a repository that no snapshot needs.
 *
 * Without a lock, beside runs of any host. A pack that nothing needs is planned first (plan.h), and removed by a later
 * gc, when its plan has stood for its grace by the store's own clock and nothing needs it still. In this order, all of
 * it before anything is removed:
 *
 *   the clock of the store ─ plans ─ packs ─ needs ─ manifests       gc_read.c
 *   packs go ─ index objects ─ a new plan ─ old plans ─ old needs    gc_remove.c, gc_index.c
 *   what is needed of packs of which little is, is packed anew       gc_repack.h
 *
 * After that all is read once more, and the old packs are planned.
 *
 * Needs after the clock: a plan that is due by it was there for its grace when they were listed. Manifests after the
 * needs: each has had its own before. Whatever cannot be read is a doubt, and then nothing is removed.
 */
#ifndef COFRE_REPOSITORY_GC_H
#define COFRE_REPOSITORY_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/vault.h"
#include "repository/garbage.h"
#include "repository/manifest_object.h"
#include "repository/plan.h"

struct needs;
struct repository;

/* One host whose packs are looked at. */
struct gc_host {
    char name[64];
    uint32_t number; /* pack_name_number */
    struct garbage garbage;
    size_t unlisted;   /* packs that snapshots need and that no listing named: one more or less may be missing in it */
    struct bytes gone; /* hashes of planned packs that are not there any more, sorted before use */
    uint64_t *used;    /* by row of garbage: bytes that snapshots need (gc_used_count); NULL = nobody has looked */
    int64_t newest;    /* start of its newest snapshot; and has that been signed with the full key? */
    bool has_full_key;
    int64_t stored; /* when the last of its manifests was, by the store; INT64_MIN: that is not known */
    struct vault_garbage found;
};

struct gc_plan {
    char key[201];
    size_t host;
    struct plan plan;
    int64_t placed; /* the time of its object; INT64_MIN: the store tells none */
    bool ahead;     /* that is of the future: nobody knows how long it has stood, so what it names is planned anew */
    bool due;
    bool ended; /* none of its packs is listed */
    bool stood; /* for as long as somebody may go by a listing from before it (repository_look.c) */
};

/* A needs object that was listed. Of one snapshot there may be several, side by side. */
struct gc_needs {
    char name[152]; /* HOST/JOB/ID */
    char end[18];   /* what its key has behind that */
    uint8_t manifest[SEAL_HASH_SIZE];
    int64_t placed;
    bool read, has_manifest;
    bool bad; /* it cannot be read, or is of another manifest */
};

/* Of the snapshots of one job, which come one after the other: the last of its chain. */
struct gc_last {
    char key[201]; /* "" = there is none yet */
    uint64_t sequence;
    bool ahead; /* it lies in the future */
};

/* Clocks as this machine saw them at its last gc here. */
struct gc_memory {
    int64_t store, machine; /* 0 = never */
    int64_t since;          /* of the store: before it, nobody knows how long anything has stood */
};

struct gc {
    struct repository *repository;
    const struct vault_gc *request;
    bool plan_only;      /* nothing is due */
    bool repack;         /* packs are still to be packed anew */
    bool more_to_repack; /* not all that is worth it could be, this time */
    size_t healed;       /* snapshots whose needs were made anew */
    struct gc_memory memory;
    int64_t now;     /* of the store */
    int64_t machine; /* ns, when that was read */
    int64_t read_at; /* clock_monotonic, when all was read: however long that took, some of what is due goes by it */
    int64_t grace;
    struct gc_last last;
    struct gc_host *hosts;
    size_t host_count;
    struct bytes plans;        /* struct gc_plan */
    struct bytes needs;        /* struct gc_needs, sorted by name */
    struct bytes stale_clocks; /* keys of clocks that others left */
    struct error doubt;        /* ERROR_NONE = none */
};

/* As vault_gc says. */
int gc_run(struct repository *repository, const struct vault_gc *request, vault_collected *told, void *context,
           struct vault_gc_result *result, struct error *e);

/* ---- between the files ---- */

struct gc_plan *gc_plans(const struct gc *gc, size_t *count);
struct gc_needs *gc_needs_of(const struct gc *gc, size_t *count);
void gc_needs_key(const struct gc_needs *row, char key[201]);
/* How many of the rows, from this one on, are of the same snapshot? At least one. */
size_t gc_needs_group(const struct gc *gc, const struct gc_needs *row);
/* The object, read again. */
int gc_needs_read(struct gc *gc, const struct gc_needs *row, struct needs *needs, struct error *e);
/* Of a number of pack_name_number; NULL: nothing of it was found. */
struct gc_host *gc_find_host(const struct gc *gc, uint32_t number);

/* The packs that those needs name get these marks. */
void gc_mark_needs(struct gc *gc, const struct needs *needs, uint8_t marks);
/* All that is read. 0 also with a doubt. */
int gc_read(struct gc *gc, struct error *e);
/* The manifest under key, with these bytes, has no needs that can be read: store them anew. With the full key alone. */
int gc_heal(struct gc *gc, const char *key, const struct bytes *manifest, struct error *e);
/* How long the run took, for the grace; and when it was: ERROR_PERMANENT where the last of the job before lies in the
 * future, as gc_check_last says. A snapshot that does is no doubt when its job has gone on in the past from there: a
 * clock was wrong, and is right again. key: those of one job come together. */
int gc_note_time(struct gc *gc, const char *key, const struct manifest_clear *clear, struct error *e);
int gc_check_last(const struct gc *gc, struct error *e);
/* Needs that cannot be read and have no manifest keep what nobody knows: a doubt, unless they are as old as those that
 * gc_remove_needs takes away, and no manifest is there by its own name. */
int gc_check_orphans(const struct gc *gc, struct error *e);
/* Which plans are due, and which have ended. */
void gc_mark_plans(struct gc *gc);
/* Take away what is due. *late: so much time has gone by since needs were read that they are to be read again. */
int gc_remove_packs(struct gc *gc, bool *late, struct error *e);
int gc_make_plans(struct gc *gc, struct error *e);
int gc_end_plans(struct gc *gc, struct error *e);
int gc_remove_needs(struct gc *gc, struct error *e);
/* Index objects say nothing more of what is gone. */
int gc_clean_index(struct gc *gc, struct error *e);

#endif
