/* copy: bring a snapshot from one sink to another of the same key. */
#ifndef COFRE_JOB_COPY_H
#define COFRE_JOB_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct error;
struct manifest;
struct repository;

struct copy_result {
    bool existed;            /* it was there already, and whole */
    uint64_t objects, bytes; /* copied */
};

/* Packs that hold what the snapshot needs and the target lacks go over byte for byte, then an index, then the manifest;
 * the same commit as in a backup. A pack that was found damaged in the target is replaced by the whole one. Sinks of
 * different keys: ERROR_UNSUPPORTED. Needs the full key. */
int copy_run(const struct engine *engine, struct repository *from, struct repository *to,
             const struct manifest *manifest, struct copy_result *result, struct error *e);

#endif
