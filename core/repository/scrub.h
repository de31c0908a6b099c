/* Scrubbing: packs read whole, their bytes compared with their names, their chunks opened and compared with their ids.
 */
#ifndef COFRE_REPOSITORY_SCRUB_H
#define COFRE_REPOSITORY_SCRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct index_pack;
struct pack_chunk;
struct pack_name;
struct repository;

struct scrub_audience {
    /* A chunk of a pack's own directory, and whether it is whole. Not without the full key. */
    void (*chunk)(void *context, const struct pack_name *pack, const struct pack_chunk *chunk, bool whole);
    /* A pack is not, or a part of it. */
    void (*damage)(void *context, const struct pack_name *pack, const char *text);
    /* It is whole. */
    void (*sound)(void *context, const struct pack_name *pack);
    /* One more pack was read. */
    void (*progress)(void *context, uint64_t bytes);
    void *context;
};

/* Read all of these packs, several at once. audience is called from one thread, in order. -1 only when looking failed.
 */
int scrub_packs(struct repository *repository, const struct index_pack *packs, size_t count,
                const struct scrub_audience *audience, struct error *e);

#endif
