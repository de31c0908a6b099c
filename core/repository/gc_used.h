/* Which chunks snapshots need: their catalogues tell, and nothing less. */
#ifndef COFRE_REPOSITORY_GC_USED_H
#define COFRE_REPOSITORY_GC_USED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct error;
struct gc;
struct index;

struct gc_used {
    const struct index *index;
    uint8_t *rows; /* a bit for each row of the index: the first of an id that is needed is set */
};

/* The index is loaded, and fixed. Every snapshot that is there is opened and walked. What the needs of one that cannot
 * be opened name, or of one that lacks something, is marked GARBAGE_KEPT, and it is said. Which hosts have the full key
 * themselves is noted as well. */
int gc_used_find(struct gc *gc, struct gc_used *used, struct error *e);
void gc_used_free(struct gc_used *used);

bool gc_used_has(const struct gc_used *used, const uint8_t id[SEAL_HASH_SIZE]);
/* Fill in `used` of each host, as far as the index tells: so that the emptiest come first, no more. */
int gc_used_count(const struct gc_used *used, struct gc *gc, struct error *e);

#endif
