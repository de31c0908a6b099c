/* copy: bring a snapshot from one sink to another of the same key. */
#ifndef COFRE_REPOSITORY_REPOSITORY_COPY_H
#define COFRE_REPOSITORY_REPOSITORY_COPY_H

#include <stdint.h>

struct bytes;
struct copy_result;
struct error;
struct manifest;
struct repository;

struct repository_copy_progress {
    void (*report)(void *context, uint64_t objects, uint64_t bytes);
    void *context;
};

/* Packs that hold what the snapshot needs and the target lacks go over byte for byte, several at once, then an index.
 * object, key: the manifest, which is to be committed then. A pack that was found damaged in the target is replaced by
 * the whole one. Sinks of different keys: ERROR_UNSUPPORTED. Needs the full key. progress is told from this thread. */
int repository_copy(struct repository *from, struct repository *to, const struct manifest *manifest,
                    const struct repository_copy_progress *progress, struct copy_result *result, struct bytes *object,
                    char key[201], struct error *e);

#endif
