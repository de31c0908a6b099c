/* Many small objects, read one after another: side by side, where the sink takes several requests at once. */
#ifndef COFRE_REPOSITORY_OBJECTS_H
#define COFRE_REPOSITORY_OBJECTS_H

#include <stddef.h>

#include "base/bytes.h"

struct error;
struct objects;
struct repository;

/* keys: each NUL terminated, n bytes in all; they outlive it. maximum: bytes of one object. Until it is freed nobody
 * else may use the repository's workers. */
int objects_new(struct repository *repository, const char *keys, size_t n, size_t maximum, struct objects **objects,
                struct error *e);
void objects_free(struct objects *objects);

/* The next object, lent until the following call; there must be one. -1: this one could not be read, as sink_get says;
 * the next ones can. */
int objects_next(struct objects *objects, const struct bytes **object, struct error *e);

#endif
