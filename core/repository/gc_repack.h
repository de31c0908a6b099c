/* Packing anew: what is still needed of packs of which little is, goes into new ones; the old ones are garbage then,
 * and go as all garbage does. With the full key alone, which opens packs.
 *
 * Nothing that is there is changed before what replaces it is durable, and nothing is ever replaced:
 *
 *   new packs ─ their index object ─ more needs of each snapshot ─ a look at plans and packs ─ the needs before go
 *
 * A run that is at work relies on the old packs as long as it knows no better: its own needs name them, and they stay.
 * Which chunks of a pack are moved, the pack itself tells, and each is opened: nobody's word on where chunks are makes
 * one be left behind. Interrupted anywhere, the next one begins again: what is in new packs already, which the index of
 * the full key tells, is not stored twice.
 *
 * A host that has the full key packs its own anew, as long as it runs: what another has packed for it is not in its
 * ledger, and it has to look into those packs first (foundling.h). One that has stored no snapshot for 60 days, by the
 * store's clock, is taken to run no more. That spares work, and nothing else hangs on it: should it come back, all that
 * holds between any two machines with the full key does. A host with a put key goes by what the full key says of its
 * packs (index_set_authority).
 */
#ifndef COFRE_REPOSITORY_GC_REPACK_H
#define COFRE_REPOSITORY_GC_REPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/pack_name.h"

struct error;
struct gc;

/* An old pack, and one that has chunks of it from now on. */
struct gc_move {
    struct pack_name from, to;
};

/* Of all hosts: the emptiest packs first, until UNUSED_PERCENT of what is needed is left, or gc->request->repack bytes
 * of packs were moved. After gc_read; the index is loaded and fixed by it. In a dry run the packs are only counted, and
 * are no longer needed. Otherwise what was read before is out of date when *moved. */
int gc_repack(struct gc *gc, bool *moved, struct error *e);

/* Have so many snapshots gone since all was packed anew that is worth it, that it is worth to look? What is remembered
 * of it is in the state of this machine. */
int gc_is_worth_repacking(const struct gc *gc, bool *worth, struct error *e);
/* What is there now was looked at. */
int gc_remember_repacked(const struct gc *gc, struct error *e);

/* ---- between the files ---- */

/* Each snapshot that needs one of those packs needs the new ones in its place. moves: struct gc_move, sorted by from.
 * ERROR_CHANGED: another gc is going to remove what is new; all is as before. */
int gc_move_needs(struct gc *gc, const struct bytes *moves, struct error *e);

#endif
