/* Garbage: which packs of one host nothing needs. What a gc decides, without a sink, so that it can be tried apart.
 *
 * Packs are listed, then sorted; what each snapshot needs is marked in them, one after the other, so that memory is
 * that of the listing alone. All times are the store's, in ns.
 */
#ifndef COFRE_REPOSITORY_GARBAGE_H
#define COFRE_REPOSITORY_GARBAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/plan.h"
#include "repository/seal.h"

struct error;

/* What is known of a pack. */
#define GARBAGE_NEEDED 1u  /* a needs object names it */
#define GARBAGE_PLANNED 2u /* it stands in a plan */
#define GARBAGE_KEPT 4u    /* what of it is needed, nobody can tell: it stays as it is */
#define GARBAGE_MOVED 8u   /* what is needed of it is packed anew */
#define GARBAGE_GONE 16u   /* it was removed */
#define GARBAGE_SWEPT 32u  /* garbage_sweep has named it */

struct garbage_pack {
    uint8_t name[SEAL_HASH_SIZE];
    uint32_t time; /* s, of its object; 0 = the store tells none */
    uint32_t size;
};

struct garbage {
    int64_t now;
    struct bytes rows; /* of struct garbage_pack */
    size_t count;
    /* By row: what names begin with, in their order, and marks. Snapshots name millions: they pass through these alone.
     */
    uint64_t *starts;
    uint8_t *marks;
};

/* How long a plan has to stand: a day, or twice the longest run that there was. What took more than a year was no run,
 * but a clock that was set meanwhile. */
int64_t garbage_grace(int64_t longest_run);

/* now: read before anything is listed. */
void garbage_begin(struct garbage *garbage, int64_t now);
void garbage_free(struct garbage *garbage);
/* Is that time of an object so far in the future that the store's clock must have been wrong when it was stored? Then
 * it tells nothing. A day more or less passes. */
bool garbage_is_ahead(int64_t mtime, int64_t now);
/* One pack more of the listing. mtime: INT64_MIN where the store tells none: it may be planned at once, and the plan
 * stands for the longer. One that is ahead may be planned at once as well. */
int garbage_list(struct garbage *garbage, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, int64_t mtime,
                 struct error *e);
/* All are listed. ERROR_INTEGRITY when one is there twice: no listing to rely on. */
int garbage_sort(struct garbage *garbage, struct error *e);

/* The rows, by name, from garbage_sort on. */
const struct garbage_pack *garbage_packs(const struct garbage *garbage);
/* Bytes and number of those whose marks, as far as they are in mask, are these. */
uint64_t garbage_bytes(const struct garbage *garbage, uint32_t mask, uint32_t marks, uint64_t *packs);

/* Packs that somebody needs, by the first bytes of their names, ascending, get these marks. Returns how many of those
 * are not there: a snapshot that lacks packs is damaged, and that is none of gc's business. */
size_t garbage_need(struct garbage *garbage, const uint8_t *prefixes, size_t count, uint8_t marks);
/* Is the row's pack so old that it may be planned? */
bool garbage_is_old(const struct garbage *garbage, size_t row, int64_t grace);
/* The row of that very name; SIZE_MAX: there is none. */
size_t garbage_find(const struct garbage *garbage, const uint8_t name[SEAL_HASH_SIZE]);
/* What a plan names gets these marks: GARBAGE_PLANNED, and it is not planned again. Returns how many of its packs are
 * there. */
size_t garbage_mark(struct garbage *garbage, const struct plan *plan, uint8_t marks);

/* What may be planned, of the first PLAN_PACKS_MAX: all that is older than the grace, and neither needed nor planned.
 * count = 0: nothing. The caller frees. */
int garbage_plan(const struct garbage *garbage, int64_t created, int64_t grace, struct plan *plan, struct error *e);
/* Has the plan stood for its grace? placed: the time of its object in the store, INT64_MIN where the store tells none:
 * then it has to be twice as long, since `now` and what the plan itself says come from different machines. */
bool garbage_is_due(const struct plan *plan, int64_t placed, int64_t now);
/* Of a plan that is due: the names of packs that are there and that nobody needs, appended to *names; each once,
 * whatever other plans name it. */
int garbage_sweep(struct garbage *garbage, const struct plan *plan, struct bytes *names, struct error *e);

#endif
