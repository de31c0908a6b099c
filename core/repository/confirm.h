/* Confirming: what a sink says that it has stored is looked at before anybody relies on it.
 *
 * Every new object is there and has its size; what is given to confirm_object (index, manifest) is read back and
 * compared, up to 4 MiB; and one pack, any of them, is read back whole, compared with its name, and, with the full key,
 * a chunk of it is opened.
 */
#ifndef COFRE_REPOSITORY_CONFIRM_H
#define COFRE_REPOSITORY_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/pack.h"
#include "repository/pack_name.h"

struct error;
struct repository;

/* One pack, and one chunk in it; neither is chosen by whoever stores it. */
struct confirm_sample {
    struct pack_name name;
    uint64_t size;
    struct pack_chunk chunk;
};

/* What was stored and not looked at yet. */
struct confirm {
    struct bytes packs; /* struct index_pack each */
    struct confirm_sample sample;
};

void confirm_begin(struct confirm *confirm);
void confirm_free(struct confirm *confirm);
/* One more pack was stored; it has at least one chunk. */
int confirm_note(struct confirm *confirm, const struct pack_name *name, uint64_t size, const struct pack_chunk *chunks,
                 uint32_t count, struct error *e);

/* Look at all that was noted, and forget it. Missing, of another size, other bytes: ERROR_PERMANENT, which names the
 * object. */
int confirm_packs(struct confirm *confirm, struct repository *repository, struct error *e);
/* An object that was stored, for who looks at it later. */
struct confirm_stored {
    char key[201];
    uint64_t size;
    uint8_t hash[SEAL_HASH_SIZE];
};
struct confirm_stored confirm_stored_of(const char *key, const struct bytes *object);
/* The same of one object: it is there, and what was stored; of a large one, that it has its size. What another
 * connection has stored is there once the sink was synced. */
int confirm_stored(struct repository *repository, const struct confirm_stored *stored, struct error *e);
int confirm_object(struct repository *repository, const char *key, const struct bytes *object, struct error *e);

/* Read a pack back: all of it, or, with the full key and without whole, its header and the chunk alone.
 * ERROR_INTEGRITY: it is not what its name stands for; other errors as of sink_get. */
int confirm_read(struct repository *repository, const struct confirm_sample *sample, bool whole, struct error *e);

/* One of the packs that a new snapshot may rely on, any of them, is read back: a chunk of it, so that an unchanged run
 * costs a far store little. Where that takes the whole pack, with a put key, which opens no chunk, or from a sink that
 * gives whole objects only, it is done in one run of eight, by chance. A pack that is damaged is doubted, so that what
 * it holds is stored again. That it cannot be read at all is a warning. Nothing to rely on: nothing happens.
 * -1: the run is cancelled, or memory is short. */
int confirm_reused(struct repository *repository, struct error *e);

#endif
