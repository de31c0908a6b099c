/* The uploader: compressed chunks into packs, packs to the sinks that lack them, and the index objects that describe
 * them.
 *
 * A chunk goes to a set of sinks (a mask). Each set in use has a pack being built; a full pack is sent to all its sinks
 * at once, and to each sink as many packs at once as it takes (`parallel`), while the next ones are built. A sink that
 * fails is dropped with its error and the others go on; when none is left, that is the uploader's error.
 */
#ifndef COFRE_REPOSITORY_UPLOADER_H
#define COFRE_REPOSITORY_UPLOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/confirm.h"
#include "repository/seal.h"

struct index_pack;
struct journal;
struct repository;
struct uploader;

#define UPLOADER_SINKS_MAX 32

struct uploader_sink {
    struct repository *repository;
    bool failed;
    struct error error;
    uint64_t added; /* stored bytes, packs and index objects */
    struct journal *journal;
    struct bytes index_body; /* packs that no index object describes yet */
    uint32_t index_packs;
    struct confirm confirm;
    struct bytes indexes; /* names of the index objects put, SEAL_HASH_SIZE each */
};

/* repositories: of one key, their index loaded. state_dir: where the journals are; one per repository. Adopts what the
 * journals hold, and reads one of the packs back that would be relied on. */
int uploader_new(struct repository *const *repositories, size_t count, const char *state_dir,
                 struct uploader **uploader, struct error *e);
void uploader_free(struct uploader *uploader);

size_t uploader_sink_count(const struct uploader *uploader);
struct uploader_sink *uploader_sink(struct uploader *uploader, size_t i);

/* Add a chunk for the sinks in mask (bit i = sink i); those that have failed are left out. */
int uploader_add(struct uploader *uploader, uint32_t mask, const uint8_t id[SEAL_HASH_SIZE], uint32_t plain,
                 const void *compressed, size_t n, struct error *e);

/* Finish and send everything, wait until it is durable, put the index objects, and make it findable in each
 * repository's index. A sink that has not kept what it was given (confirm.h) fails. After it, all that was added is
 * committed data. */
int uploader_checkpoint(struct uploader *uploader, struct error *e);

#endif
