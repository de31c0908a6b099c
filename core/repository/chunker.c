#include "repository/chunker.h"

#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

/* Bytes that the hash remembers: each shift moves a byte's contribution one bit further out of 64. Hashing starts this
 * many bytes before the first possible cut, so every test sees a full window and the rest of the minimum costs nothing.
 */
#define WINDOW 64u
#define SKIP (CHUNKER_MINIMUM - WINDOW)

/* The top bits, since the window is widest there. One mask holds the other, so a strict cut is a loose one as well. */
#define TOP_BITS(n) (~UINT64_C(0) << (64 - (n)))
#define STRICT_MASK TOP_BITS(CHUNKER_STRICT_BITS)
#define LOOSE_MASK TOP_BITS(CHUNKER_LOOSE_BITS)

void chunker_table_init(struct chunker_table *table, const uint8_t seed[32])
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t stream[sizeof table->gear];
    crypto_stream_chacha20(stream, sizeof stream, nonce, seed);
    for (size_t i = 0; i < 256; i++)
        table->gear[i] = bytes_get_u64(stream + 8 * i);
    sodium_memzero(stream, sizeof stream);
}

/* Hash until a cut or the end. How many bytes were taken; *cut: after the last of them is a cut. */
static size_t scan(uint64_t *state, const uint64_t *gear, uint64_t mask, const uint8_t *p, size_t n, bool *cut)
{
    uint64_t hash = *state;
    for (size_t i = 0; i < n; i++) {
        hash = (hash << 1) + gear[p[i]];
        if ((hash & mask) == 0) {
            *cut = true;
            return i + 1;
        }
    }
    *state = hash;
    return n;
}

static void warm_up(uint64_t *state, const uint64_t *gear, const uint8_t *p, size_t n)
{
    uint64_t hash = *state;
    for (size_t i = 0; i < n; i++)
        hash = (hash << 1) + gear[p[i]];
    *state = hash;
}

/* How many of n bytes lie before the chunk is end bytes long. */
static size_t up_to(size_t length, size_t end, size_t n)
{
    size_t room = length < end ? end - length : 0;
    return n < room ? n : room;
}

size_t chunker_feed(struct chunker *chunker, const struct chunker_table *table, const uint8_t *p, size_t n, bool *cut)
{
    static const struct {
        size_t end;
        uint64_t mask;
    } zones[] = {{CHUNKER_AVERAGE, STRICT_MASK}, {CHUNKER_MAXIMUM - 1, LOOSE_MASK}};

    size_t length = chunker->length;
    size_t taken = up_to(length, SKIP, n);
    size_t warm = up_to(length + taken, CHUNKER_MINIMUM - 1, n - taken);
    warm_up(&chunker->hash, table->gear, p + taken, warm);
    taken += warm;
    *cut = false;
    for (size_t i = 0; i < 2 && !*cut; i++) {
        size_t part = up_to(length + taken, zones[i].end, n - taken);
        taken += scan(&chunker->hash, table->gear, zones[i].mask, p + taken, part, cut);
    }
    if (!*cut && taken < n) { /* the byte that makes it as long as a chunk may be */
        taken++;
        *cut = true;
    }
    *chunker = *cut ? (struct chunker){0} : (struct chunker){chunker->hash, length + taken};
    return taken;
}
