/* The writer: bytes into chunks, hashed side by side, known ones left out, new ones compressed and sent in order.
 *
 * Bytes go into a lane, where the chunker cuts them. Small files share the chunks of one lane, end to end; content that
 * is large enough for chunks of its own goes through the other, which is cut at its beginning and end, so that a large
 * file gives the same chunks wherever it stands. Chunks that have ended go on in batches: an id may be known only much
 * later, or after writer_drain.
 */
#ifndef COFRE_REPOSITORY_WRITER_H
#define COFRE_REPOSITORY_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct error;
struct uploader;
struct writer;

enum writer_lane { WRITER_SMALL, WRITER_LARGE, WRITER_LANES };

/* Content that is known to have at least so many bytes goes through the large lane. Of what shares a chunk, the whole
 * chunk is kept, and is stored again when its neighbours are others; of what has its own, a chunk costs some 120 bytes
 * in packs and index, and is compressed a little less well. Measured on a tree like /usr: 2 % more stored, 4 % more
 * time, and a seventh less kept after 60 days of which 7 stay. */
#define WRITER_LARGE_LEAST 16384

struct writer_spec {
    struct uploader *uploader; /* borrowed */
    unsigned workers;          /* compressing threads; 0 = inline */
};
int writer_new(const struct writer_spec *spec, struct writer **writer, struct error *e);
void writer_free(struct writer *writer);

/* A chunk is known by its number, counted from 0 as chunks are cut, until its id has been computed. */
struct writer_taken {
    size_t length;   /* bytes taken, at least 1 */
    uint64_t chunk;  /* number of the chunk they went into */
    uint32_t offset; /* where they begin in it */
};
/* Append bytes of p to the lane's chunk, up to its next cut. */
int writer_append(struct writer *writer, enum writer_lane lane, const void *p, size_t n, struct writer_taken *taken,
                  struct error *e);
/* End the lane's chunk here, when it is not empty. */
int writer_cut(struct writer *writer, enum writer_lane lane, struct error *e);

/* The id of the next chunk whose id is known; false when there is none yet. To be asked until false after every append
 * and cut: ids are kept for a while only. */
bool writer_next_id(struct writer *writer, uint64_t *chunk, uint8_t id[SEAL_HASH_SIZE]);
/* Send all chunks that were cut on their way, and wait until each has its id. */
int writer_drain(struct writer *writer, struct error *e);

/* Everything that was cut is durable and indexed in every sink that is left (uploader_checkpoint). Lanes with open
 * chunks are not touched. */
int writer_checkpoint(struct writer *writer, struct error *e);

/* Is this chunk, of at least n bytes, present in every sink? Lengths of those stored since the last checkpoint are not
 * looked at. *length: as the first sink's index has it; 0 = it has none, or the chunk is new. After writer_drain. */
bool writer_has(const struct writer *writer, const uint8_t id[SEAL_HASH_SIZE], uint64_t n, uint64_t *length);

#endif
