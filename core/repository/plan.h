/* A plan: which packs of one host a gc is going to remove. It stands in the sink under "plans/HOST/ID", placed
 * (placed.h) and signed by somebody who may remove, and is never changed: what it names is relied on by no run that has
 * seen it, and is removed, when nothing needs it, once the plan has stood for its grace by the store's own clock. It
 * goes when none of its packs is there any more.
 *
 * Body: i64 created | i64 grace | u32 count | count names of packs, 32 bytes each, ascending
 */
#ifndef COFRE_REPOSITORY_PLAN_H
#define COFRE_REPOSITORY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"
#include "snapshot/manifest.h"

struct bytes;
struct error;
struct repository;

#define PLAN_PACKS_MAX 200000u
/* A listing of packs may be gone by for so long by who met no plan, neither then nor since: a plan outlasts it, by what
 * clocks are apart and listings late. */
#define PLAN_LOOK_LASTS (INT64_C(20) * 3600 * 1000000000)
#define PLAN_GRACE (INT64_C(86400) * 1000000000) /* at least, but when nobody else writes */
#define PLAN_GRACE_MAX (INT64_C(3650) * 86400 * 1000000000)
#define PLAN_BODY_MAX (20 + (size_t)PLAN_PACKS_MAX * SEAL_HASH_SIZE)
#define PLAN_OBJECT_MAX (PLAN_BODY_MAX + ((size_t)64 << 10)) /* names do not compress */

struct plan {
    int64_t created; /* ns, by the clock of the machine that made it: for people */
    int64_t grace;   /* ns: how long it stands before its packs may go, and twice as long as a run may have had */
    uint8_t (*packs)[SEAL_HASH_SIZE]; /* ascending, each once */
    size_t count;                     /* 1 to PLAN_PACKS_MAX */
};

void plan_free(struct plan *plan);

/* The body, appended to *body; the same bytes for the same plan. */
int plan_encode(const struct plan *plan, struct bytes *body, struct error *e);
/* Zeroed before, freed by the caller; name is for messages. ERROR_INTEGRITY: not what plan_encode writes. */
int plan_decode(const void *body, size_t n, const char *name, struct plan *plan, struct error *e);

/* The object for that key, appended to *object. Keys that may not remove: ERROR_DENIED of seal_envelope. */
int plan_seal(const struct repository *repository, const char *key, const struct plan *plan, struct bytes *object,
              struct error *e);
/* Of that host: verified, in its place, decoded, as placed_open says. */
int plan_open(const struct repository *repository, const char *host, const char *key, const struct bytes *object,
              struct plan *plan, struct error *e);

/* Does it name that pack? */
bool plan_has(const struct plan *plan, const uint8_t pack[SEAL_HASH_SIZE]);
/* Those that it names of the packs that somebody needs (count prefixes, ascending),
 * appended to *names. */
int plan_among(const struct plan *plan, const uint8_t *prefixes, size_t count, struct bytes *names, struct error *e);
/* May a run that has looked at the plans `age` ns ago, and does not know this one, need packs that it names? Its needs
 * are there by now: who sweeps this plan reads them, unless the run has taken too long. */
bool plan_spares(const struct plan *plan, int64_t age);

/* "plans/HOST/ID", into out[201]. */
void plan_key(const char *host, const char *id, char *out);
/* Split such a key; false when it is none. */
bool plan_parse_key(const char *key, char host[64], char id[MANIFEST_ID_SIZE]);

#endif
