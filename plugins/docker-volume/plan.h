/* The volumes of a snapshot that is being restored, as it describes them. */
#ifndef COFRE_DOCKER_VOLUME_PLAN_H
#define COFRE_DOCKER_VOLUME_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/volume.h"
#include "cofre/plugin.h"

struct plan_volume {
    char name[VOLUME_NAME_MAX + 1];
    json_t *description;
    bool met; /* its content came */
};

struct plan {
    struct plan_volume *items;
    size_t count;
};

void plan_free(struct plan *plan);

/* Is this the path of a description? name: of its volume. */
bool plan_is_description(const char *path, size_t length, char name[VOLUME_NAME_MAX + 1]);

/* Take the content of the entry at hand, the description of that volume. COFRE_E_INTEGRITY: it is none. */
int32_t plan_take(struct plan *plan, struct cofre_call *call, const char *name, struct cofre_error *error);

/* NULL: it is not described. */
struct plan_volume *plan_find(const struct plan *plan, const char *name);

/* A fact of the snapshot, such as "bytes." of a volume. false: it has none. */
int32_t plan_fact(struct cofre_call *call, const char *key, const char *volume, bool *found, uint64_t *value,
                  struct cofre_error *error);

#endif
