/* Index objects under verification: each as it is in the sink, whatever the cache says. */
#ifndef COFRE_REPOSITORY_VERIFY_INDEX_H
#define COFRE_REPOSITORY_VERIFY_INDEX_H

#include <stdint.h>

struct error;
struct repository;

/* damage is called for each that is wrong; *objects grows by those that were read. */
int verify_index_each(struct repository *repository,
                      void (*damage)(void *context, const char *key, const struct error *why), void *context,
                      uint64_t *objects, struct error *e);

#endif
