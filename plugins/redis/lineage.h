/* Which server this is. Redis has no name of its own that stays: run_id changes at each start, the replication id at
 * most of them, and an hour after the last replica left. So the servers that were saved are remembered in the source's
 * own directory, and one that is met is the same as one of them when
 *   - its run_id is the same (it is the same process), or
 *   - its replication id, or the one before, is the one that was known (a start from an RDB, a failover), or
 *   - neither tells, and its keys are of a common family (redis/family.h), or
 *   - neither tells, and the one that was known had no keys.
 * Else it is another one, such as an empty one in the place of one that had keys. */
#ifndef COFRE_REDIS_LINEAGE_H
#define COFRE_REDIS_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/family.h"

#define LINEAGE_ID 40
#define LINEAGES_MAX 16

struct lineage {
    char name[LINEAGE_ID + 1]; /* the run_id under which it was met first */
    char run_id[LINEAGE_ID + 1], replid[LINEAGE_ID + 1];
    struct family_set families;
};

/* Those that are known, the last one met first. */
struct lineages {
    struct lineage known[LINEAGES_MAX];
    size_t count;
};

/* 40 hexadecimal digits, not all of them 0. */
bool lineage_is_id(const char *text);

/* now: as it was met, its name yet unknown, its run_id one; others: two more replication ids that it knows as its own,
 * or anything. It becomes the first of
 * those known; when there are too many, the one that was not met for longest is forgotten. An empty one that is another
 * is not remembered: when its keys are back, it is the one that had them. Returns its name, which is in *now or in
 * *lineages. */
const char *lineage_meet(struct lineages *lineages, const struct lineage *now, const char *const others[2]);

/* The file of a source: 0, or an errno. Lines that are none are passed over; no file is none known. */
int lineage_load(struct lineages *lineages, const char *path);
/* Replaced as a whole, or not at all. */
int lineage_store(const struct lineages *lineages, const char *path);

#endif
