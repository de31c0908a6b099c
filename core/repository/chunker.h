/* The chunker: where a stream of bytes is cut, decided by the bytes themselves, so that an insertion moves only the
 * cuts near it.
 *
 * A gear hash with normalised chunk sizes (FastCDC, Xia et al., USENIX ATC 2016): hash = (hash << 1) + table[byte],
 * over the last 64 bytes; a cut falls after a byte where the top CHUNKER_STRICT_BITS bits of the hash are zero, or,
 * beyond the average size, the top CHUNKER_LOOSE_BITS. No cut before minimum, always at maximum. The table is 256 x u64
 * of ChaCha20 output (nonce 0, counter 0) keyed with the key's chunker seed, so that cut points tell nothing about
 * content to who lacks the key. Where cuts fall matters only for finding equal chunks again: readers need none of this.
 */
#ifndef COFRE_REPOSITORY_CHUNKER_H
#define COFRE_REPOSITORY_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNKER_MINIMUM (512u << 10)
#define CHUNKER_AVERAGE (1u << 20)
#define CHUNKER_MAXIMUM (2u << 20)
/* With these, random data gives chunks of 1.04 MiB in the mean, and cuts meet again 1.9 MiB behind a change in the
 * mean. */
#define CHUNKER_STRICT_BITS 20
#define CHUNKER_LOOSE_BITS 18

struct chunker_table {
    uint64_t gear[256];
};
void chunker_table_init(struct chunker_table *table, const uint8_t seed[32]);

/* The state of one chunk being cut. Zeroed = at the start of a chunk. */
struct chunker {
    uint64_t hash;
    size_t length; /* bytes of the chunk so far */
};

/* Of the n bytes at p, how many still belong to the chunk; *cut: the chunk ends after them (then the state is that of a
 * new chunk). Pieces may be of any size: the cuts are the same. */
size_t chunker_feed(struct chunker *chunker, const struct chunker_table *table, const uint8_t *p, size_t n, bool *cut);

#endif
