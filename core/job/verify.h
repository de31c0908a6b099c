/* verify: is every byte there, and does it lead to every entry? */
#ifndef COFRE_JOB_VERIFY_H
#define COFRE_JOB_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/manifest.h"

struct engine;
struct error;
struct repository;

/* One thing that is wrong. */
struct verify_damage {
    const char *object;        /* key of the object: "packs/ab/..."; NULL when the history is broken without one */
    const char *text;          /* what is wrong with it */
    const char *snapshot;      /* "HOST/JOB/ID" that it affects; NULL = none or unknown */
    const char *source, *path; /* of an affected entry; NULL = the whole */
};

struct verify_request {
    const char *job, *host; /* which snapshots; NULL = any */
    const char *id;         /* one snapshot; NULL = all of the above */
    bool everything;        /* also objects that no snapshot refers to */
    bool quick;             /* manifests, catalogues, presence and sizes; content is not read */
};

struct verify_result {
    uint64_t snapshots, snapshots_damaged, objects, bytes, damages;
};

/* 0 also when damage was found: result->damages counts it. -1: could not look. Without the full key only hashes,
 * signatures and the history are checked, and a warning says so. */
int verify_run(const struct engine *engine, struct repository *repository, const struct verify_request *request,
               void (*damage)(void *context, const struct verify_damage *), void *context, struct verify_result *result,
               struct error *e);

#endif
