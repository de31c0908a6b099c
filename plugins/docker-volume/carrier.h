/* A container through which the daemon gives out what is in a volume: one that mounts it already, or one of ours, that
 * is made from an empty image and never started. What is made is named after the id of the run. */
#ifndef COFRE_DOCKER_VOLUME_CARRIER_H
#define COFRE_DOCKER_VOLUME_CARRIER_H

#include <limits.h>
#include <stdbool.h>

#include "docker-volume/survey.h"

#define CARRIER_LABEL "cofre.id"

struct carrier {
    char container[129];        /* its id */
    char destination[PATH_MAX]; /* where the volume is in it */
    bool own;
};

/* COFRE_E_NOT_FOUND: the volume is not there any more. carrier_end is due after success. */
int32_t carrier_begin(const struct source *source, struct cofre_call *call, const struct survey *survey,
                      const struct volume *volume, struct carrier *carrier, struct cofre_error *error);
/* One of ours in any case. writable: to be filled through it. */
int32_t carrier_make(const struct source *source, struct cofre_call *call, const struct volume *volume, bool writable,
                     struct carrier *carrier, struct cofre_error *error);
int32_t carrier_end(const struct source *source, struct cofre_call *call, const struct carrier *carrier,
                    struct cofre_error *error);

/* Remove what a run of that id made. Nothing is fine. */
int32_t carrier_clear(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error);

#endif
