/* A set of chunk ids in memory, up to a capacity given at birth. */
#ifndef COFRE_REPOSITORY_IDSET_H
#define COFRE_REPOSITORY_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct error;
struct idset;

/* Room for capacity ids, which is rounded up to a power of two; memory grows as ids come. */
int idset_new(size_t capacity, struct idset **set, struct error *e);
void idset_free(struct idset *set);

bool idset_has(const struct idset *set, const uint8_t id[SEAL_HASH_SIZE]);
bool idset_full(const struct idset *set);
/* Not when it is full. After a failure the set is unchanged. */
int idset_add(struct idset *set, const uint8_t id[SEAL_HASH_SIZE], struct error *e);
void idset_clear(struct idset *set);

#endif
