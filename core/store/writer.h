/* The writer: bytes into chunks, known chunks left out, new ones compressed side by side and shipped in order.
 *
 * Bytes go into a lane, where the chunker cuts them. Small files share the chunks of one lane, end to end; content that
 * is large enough for chunks of its own goes through the other, which is cut at its beginning and end, so that a large
 * file gives the same chunks wherever it stands.
 */
#ifndef COFRE_STORE_WRITER_H
#define COFRE_STORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/seal.h"

struct error;
struct shipper;
struct writer;

enum writer_lane { WRITER_SMALL, WRITER_LARGE, WRITER_LANES };

struct writer_spec {
    struct shipper *shipper; /* borrowed */
    int level;               /* zstd */
    unsigned workers;        /* compressing threads; 0 = inline */
};
int writer_new(const struct writer_spec *spec, struct writer **writer, struct error *e);
void writer_free(struct writer *writer);

struct writer_taken {
    size_t length;   /* bytes taken, at least 1 */
    uint32_t offset; /* where they begin in the chunk */
    bool cut;        /* the chunk ends with them, and this is its id */
    uint8_t id[SEAL_HASH_SIZE];
};
/* Append bytes of p to the lane's chunk, up to its next cut. */
int writer_append(struct writer *writer, enum writer_lane lane, const void *p, size_t n, struct writer_taken *taken,
                  struct error *e);
/* End the lane's chunk here. False in *cut when it is empty. */
int writer_cut(struct writer *writer, enum writer_lane lane, bool *cut, uint8_t id[SEAL_HASH_SIZE], struct error *e);

/* Everything that was cut is durable and indexed in every sink that is left (shipper_checkpoint). Lanes with open
 * chunks are not touched. */
int writer_checkpoint(struct writer *writer, struct error *e);

/* Is this chunk present in every sink that is left? */
bool writer_has(const struct writer *writer, const uint8_t id[SEAL_HASH_SIZE]);

#endif
