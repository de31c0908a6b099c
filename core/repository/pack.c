#include "repository/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/chunker.h"
#include "repository/key.h"

#define MAGIC "cofrepk1"
#define MAGIC_SIZE 8
#define TRAILER_MAGIC "1kpc"
#define TRAILER_MAGIC_SIZE 4
#define CHUNK_CONTEXT "chunk"
#define CHUNK_CONTEXT_SIZE (sizeof CHUNK_CONTEXT - 1 + SEAL_HASH_SIZE)
#define DIRECTORY_CONTEXT "directory"
#define DIRECTORY_CONTEXT_SIZE (sizeof DIRECTORY_CONTEXT - 1)
#define DIRECTORY_POSITION UINT64_MAX

_Static_assert(PACK_HEADER_SIZE == MAGIC_SIZE + KEY_ID_SIZE + SEAL_WRAPPED_SIZE, "a pack's header");

/* ---- writing ---- */

int pack_new(const struct key *key, struct pack **pack, struct error *e)
{
    /* The hasher's state asks for more alignment than malloc gives. */
    struct pack *p = aligned_alloc(_Alignof(struct pack), sizeof *p);
    if (!p)
        return error_memory(e);
    memset(p, 0, sizeof *p);
    p->key = key;
    p->capacity = PACK_TARGET + pack_compress_bound(CHUNKER_MAXIMUM) + SEAL_OVERHEAD +
                  PACK_CHUNKS_MAX * PACK_ENTRY_SIZE + SEAL_OVERHEAD + PACK_TRAILER_SIZE;
    ASSERT(p->capacity <= PACK_SIZE_MAX);
    p->data = malloc(p->capacity);
    p->chunk_capacity = PACK_CHUNKS_MAX;
    p->chunks = malloc(p->chunk_capacity * sizeof p->chunks[0]);
    if (!p->data || !p->chunks) {
        pack_free(p);
        return error_memory(e);
    }
    pack_begin(p);
    *pack = p;
    return 0;
}

void pack_free(struct pack *pack)
{
    if (!pack)
        return;
    free(pack->data);
    free(pack->chunks);
    explicit_bzero(&pack->box, sizeof pack->box);
    free(pack);
}

/* While what was just written is still in the processor's cache. */
static void hash_up(struct pack *pack)
{
    seal_hasher_add(&pack->hasher, pack->data + pack->hashed, pack->length - pack->hashed);
    pack->hashed = pack->length;
}

void pack_begin(struct pack *pack)
{
    memcpy(pack->data, MAGIC, MAGIC_SIZE);
    memcpy(pack->data + MAGIC_SIZE, pack->key->public.id, KEY_ID_SIZE);
    seal_box_new(pack->key, &pack->box, pack->data + MAGIC_SIZE + KEY_ID_SIZE);
    pack->length = PACK_HEADER_SIZE;
    pack->count = 0;
    pack->hashed = 0;
    seal_hasher_init(&pack->hasher);
    hash_up(pack);
}

static void chunk_context(const uint8_t id[SEAL_HASH_SIZE], uint8_t context[CHUNK_CONTEXT_SIZE])
{
    memcpy(context, CHUNK_CONTEXT, strlen(CHUNK_CONTEXT));
    memcpy(context + strlen(CHUNK_CONTEXT), id, SEAL_HASH_SIZE);
}

int pack_add(struct pack *pack, const uint8_t id[SEAL_HASH_SIZE], uint32_t plain, const void *compressed, size_t n,
             struct error *e)
{
    ASSERT(!pack_full(pack) && n <= pack_compress_bound(CHUNKER_MAXIMUM) && plain > 0 && plain <= CHUNKER_MAXIMUM);
    struct pack_chunk *chunk = &pack->chunks[pack->count];
    memcpy(chunk->id, id, SEAL_HASH_SIZE);
    chunk->offset = (uint32_t)pack->length;
    chunk->stored = (uint32_t)(n + SEAL_OVERHEAD);
    chunk->plain = plain;
    uint8_t context[CHUNK_CONTEXT_SIZE];
    chunk_context(id, context);
    if (seal_encrypt(&pack->box, chunk->offset, context, sizeof context, compressed, n, pack->data + pack->length, e) <
        0)
        return -1;
    pack->count++;
    pack->length += chunk->stored;
    hash_up(pack);
    return 0;
}

bool pack_full(const struct pack *pack)
{
    return pack->length >= PACK_TARGET || pack->count >= pack->chunk_capacity;
}

static size_t write_directory(const struct pack *pack, uint8_t *out)
{
    uint8_t *to = out;
    for (uint32_t i = 0; i < pack->count; i++, to += PACK_ENTRY_SIZE) {
        const struct pack_chunk *chunk = &pack->chunks[i];
        memcpy(to, chunk->id, SEAL_HASH_SIZE);
        bytes_set_u32(to + 32, chunk->offset);
        bytes_set_u32(to + 36, chunk->stored);
        bytes_set_u32(to + 40, chunk->plain);
    }
    return (size_t)(to - out);
}

int pack_finish(struct pack *pack, struct error *e)
{
    if (pack->count == 0)
        return error_set(e, ERROR_BUG, "finish a pack: it holds no chunk");
    uint8_t *directory = pack->data + pack->length;
    size_t n = write_directory(pack, directory);
    if (seal_encrypt(&pack->box, DIRECTORY_POSITION, DIRECTORY_CONTEXT, DIRECTORY_CONTEXT_SIZE, directory, n, directory,
                     e) < 0)
        return -1;
    n += SEAL_OVERHEAD;
    bytes_set_u32(directory + n, (uint32_t)n);
    memcpy(directory + n + 4, TRAILER_MAGIC, TRAILER_MAGIC_SIZE);
    pack->length += n + PACK_TRAILER_SIZE;
    ASSERT(pack->length <= pack->capacity);
    hash_up(pack);
    seal_hasher_end(&pack->hasher, pack->name);
    return 0;
}

struct pack_compressor {
    ZSTD_CCtx *context;
};

/* The table of 128 KiB leaves room for the chunk in the second-level cache, which in many processors has 512 KiB.
 * Against level 3 with tables of 160 KiB that fit likewise (and were faster than its usual ones of 768 KiB), one look
 * instead of two for each match compresses 316 MB/s of programs and texts instead of 253, and 335 MB/s of SQL instead
 * of 299; what comes out is 1.0 and 2.8 % larger. Matches of at least 7 bytes pay for themselves: shorter ones win
 * nothing here and lose time. */
static size_t set_parameters(ZSTD_CCtx *context)
{
    static const struct {
        ZSTD_cParameter name;
        int value;
    } parameters[] = {{ZSTD_c_compressionLevel, 1},
                      {ZSTD_c_strategy, ZSTD_fast},
                      {ZSTD_c_hashLog, 15},
                      {ZSTD_c_minMatch, 7},
                      {ZSTD_c_contentSizeFlag, 1}};
    size_t result = 0;
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0] && !ZSTD_isError(result); i++)
        result = ZSTD_CCtx_setParameter(context, parameters[i].name, parameters[i].value);
    return result;
}

int pack_compressor_new(struct pack_compressor **compressor, struct error *e)
{
    struct pack_compressor *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(e);
    c->context = ZSTD_createCCtx();
    if (!c->context) {
        free(c);
        return error_memory(e);
    }
    size_t result = set_parameters(c->context);
    if (ZSTD_isError(result)) {
        pack_compressor_free(c);
        return error_set(e, ERROR_UNSUPPORTED, "set up zstd: %s", ZSTD_getErrorName(result));
    }
    *compressor = c;
    return 0;
}

void pack_compressor_free(struct pack_compressor *compressor)
{
    if (!compressor)
        return;
    ZSTD_freeCCtx(compressor->context);
    free(compressor);
}

size_t pack_compress_bound(size_t n)
{
    return ZSTD_compressBound(n);
}

int pack_compress(struct pack_compressor *compressor, const void *p, size_t n, uint8_t *out, size_t capacity,
                  size_t *length, struct error *e)
{
    *length = ZSTD_compress2(compressor->context, out, capacity, p, n);
    if (ZSTD_isError(*length))
        return error_set(e, ERROR_BUG, "compress a chunk of %zu bytes: %s", n, ZSTD_getErrorName(*length));
    return 0;
}

/* ---- reading ---- */

bool pack_chunk_can_be(const struct pack_chunk *chunk, uint64_t end)
{
    static const uint8_t hole[SEAL_HASH_SIZE];
    return memcmp(chunk->id, hole, sizeof hole) != 0 && chunk->offset >= PACK_HEADER_SIZE &&
           chunk->stored > SEAL_OVERHEAD && chunk->stored <= pack_compress_bound(CHUNKER_MAXIMUM) + SEAL_OVERHEAD &&
           (uint64_t)chunk->offset + chunk->stored <= end && chunk->plain > 0 && chunk->plain <= CHUNKER_MAXIMUM;
}

bool pack_chunks_fit(const struct pack_chunk *chunks, uint32_t count, uint64_t end)
{
    uint64_t offset = PACK_HEADER_SIZE;
    if (count == 0 || count > PACK_CHUNKS_MAX)
        return false;
    for (uint32_t i = 0; i < count; offset += chunks[i++].stored)
        if (chunks[i].offset != offset || !pack_chunk_can_be(&chunks[i], end))
            return false;
    return offset == end;
}

int pack_open_header(const struct key *key, const uint8_t header[PACK_HEADER_SIZE], const char *name,
                     struct seal_box *box, struct error *e)
{
    if (memcmp(header, MAGIC, MAGIC_SIZE) != 0)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': it does not begin like a pack", name);
    if (memcmp(header + MAGIC_SIZE, key->public.id, KEY_ID_SIZE) != 0)
        return error_set(e, ERROR_AUTH, "read pack '%s': it was made with another key", name);
    if (seal_box_open(key, header + MAGIC_SIZE + KEY_ID_SIZE, box, e) < 0)
        return error_context(e, "pack '%s': ", name);
    return 0;
}

struct pack_decompressor {
    ZSTD_DCtx *context;
};

int pack_decompressor_new(struct pack_decompressor **decompressor, struct error *e)
{
    struct pack_decompressor *d = calloc(1, sizeof *d);
    if (!d)
        return error_memory(e);
    d->context = ZSTD_createDCtx();
    /* No frame of a chunk has a window larger than the largest chunk. */
    if (!d->context || ZSTD_isError(ZSTD_DCtx_setParameter(d->context, ZSTD_d_windowLogMax, 21))) {
        pack_decompressor_free(d);
        return error_memory(e);
    }
    *decompressor = d;
    return 0;
}

void pack_decompressor_free(struct pack_decompressor *decompressor)
{
    if (!decompressor)
        return;
    ZSTD_freeDCtx(decompressor->context);
    free(decompressor);
}

/* Exactly one frame, of exactly the size that was promised. */
static int decompress(ZSTD_DCtx *context, const uint8_t *frame, size_t n, uint8_t *out, size_t size, const char *name,
                      struct error *e)
{
    if (n < 4 || bytes_get_u32(frame) != ZSTD_MAGICNUMBER || ZSTD_getFrameContentSize(frame, n) != size ||
        ZSTD_findFrameCompressedSize(frame, n) != n)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': a chunk is not one zstd frame of %zu bytes", name, size);
    size_t done = ZSTD_decompressDCtx(context, out, size, frame, n);
    if (ZSTD_isError(done))
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': a chunk does not decompress: %s", name,
                         ZSTD_getErrorName(done));
    if (done != size)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': a chunk has %zu bytes instead of %zu", name, done, size);
    return 0;
}

int pack_open_chunk(struct pack_decompressor *decompressor, const struct key *key, const struct seal_box *box,
                    const struct pack_chunk *chunk, uint8_t *sealed, uint8_t *out, const char *name, struct error *e)
{
    uint8_t context[CHUNK_CONTEXT_SIZE], id[SEAL_HASH_SIZE];
    /* out is as large as a chunk can be, whatever an index says. */
    if (!pack_chunk_can_be(chunk, UINT32_MAX))
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': a chunk of %u bytes cannot be", name, chunk->plain);
    chunk_context(chunk->id, context);
    if (seal_decrypt(box, chunk->offset, context, sizeof context, sealed, chunk->stored, sealed, name, e) < 0)
        return error_context(e, "chunk at offset %u: ", chunk->offset);
    size_t n = chunk->stored - SEAL_OVERHEAD;
    if (decompress(decompressor->context, sealed, n, out, chunk->plain, name, e) < 0)
        return -1;
    seal_chunk_id(key, out, chunk->plain, id);
    if (memcmp(id, chunk->id, SEAL_HASH_SIZE) != 0)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': the chunk at offset %u is not the one of its id", name,
                         chunk->offset);
    return 0;
}

/* A directory of this many sealed bytes can be: whole entries, at least one, and room for them in the pack. */
static bool is_directory_length(uint64_t n, uint64_t size)
{
    return n >= SEAL_OVERHEAD + PACK_ENTRY_SIZE && (n - SEAL_OVERHEAD) % PACK_ENTRY_SIZE == 0 &&
           n <= (uint64_t)PACK_CHUNKS_MAX * PACK_ENTRY_SIZE + SEAL_OVERHEAD &&
           n + PACK_HEADER_SIZE + PACK_TRAILER_SIZE <= size;
}

int pack_read_directory(const struct seal_box *box, const uint8_t *tail, size_t tail_length, uint64_t size,
                        const char *name, struct pack_chunk **chunks, uint32_t *count, size_t *need, struct error *e)
{
    *chunks = NULL;
    *count = 0;
    *need = 0;
    if (size < PACK_HEADER_SIZE + PACK_TRAILER_SIZE || tail_length > size)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': it is too short for a pack", name);
    if (tail_length < PACK_TRAILER_SIZE) {
        *need = PACK_TRAILER_SIZE;
        return 0;
    }
    const uint8_t *trailer = tail + tail_length - PACK_TRAILER_SIZE;
    size_t n = bytes_get_u32(trailer);
    if (memcmp(trailer + 4, TRAILER_MAGIC, TRAILER_MAGIC_SIZE) != 0 || !is_directory_length(n, size))
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': it does not end like a pack, or is cut", name);
    if (tail_length < n + PACK_TRAILER_SIZE) {
        *need = n + PACK_TRAILER_SIZE;
        return 0;
    }
    uint8_t *directory = malloc(n);
    if (!directory)
        return error_memory(e);
    int result = seal_decrypt(box, DIRECTORY_POSITION, DIRECTORY_CONTEXT, DIRECTORY_CONTEXT_SIZE, trailer - n, n,
                              directory, name, e);
    if (result == 0)
        result =
            pack_parse_directory(directory, n - SEAL_OVERHEAD, size - n - PACK_TRAILER_SIZE, name, chunks, count, e);
    free(directory);
    return result;
}

int pack_parse_directory(const uint8_t *p, size_t n, uint64_t end, const char *name, struct pack_chunk **chunks,
                         uint32_t *count, struct error *e)
{
    *chunks = NULL;
    *count = 0;
    size_t entries = n / PACK_ENTRY_SIZE;
    if (entries == 0 || entries > PACK_CHUNKS_MAX || n % PACK_ENTRY_SIZE != 0)
        return error_set(e, ERROR_INTEGRITY, "read pack '%s': its directory has an impossible length", name);
    struct pack_chunk *list = malloc(entries * sizeof list[0]);
    if (!list)
        return error_memory(e);
    for (size_t i = 0; i < entries; i++, p += PACK_ENTRY_SIZE) {
        memcpy(list[i].id, p, SEAL_HASH_SIZE);
        list[i].offset = bytes_get_u32(p + 32);
        list[i].stored = bytes_get_u32(p + 36);
        list[i].plain = bytes_get_u32(p + 40);
    }
    if (pack_chunks_fit(list, (uint32_t)entries, end)) {
        *chunks = list;
        *count = (uint32_t)entries;
        return 0;
    }
    free(list);
    return error_set(e, ERROR_INTEGRITY, "read pack '%s': its directory does not fit its chunks", name);
}
