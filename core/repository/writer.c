#include "repository/writer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/line.h"
#include "repository/chunker.h"
#include "repository/idset.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/key.h"
#include "repository/pack.h"
#include "repository/repository.h"
#include "repository/uploader.h"

#define WORKERS_MAX 16
#define SLOTS_MAX (WORKERS_MAX + 4)
/* New chunks remembered between two checkpoints, each of which puts an index object; this many are 64 GiB of data. */
#define FRESH_MAX INDEX_BODY_CHUNKS

/* Batches.
 *
 * A tree has chunks of a few KiB, one for each file of that size, and of up to CHUNKER_MAXIMUM. If each were an item of
 * the line, a large one at its head would soon leave the workers without work behind it, and a small one would cost
 * more in handing over than in compressing. So a lane gathers ended chunks, end to end, until they are BATCH_LEAST
 * bytes or BATCH_CHUNKS, and these are one item:
 *
 *   plain       | chunk | chunk .. | open chunk ..      |     chunks[]: where each begins and ends, in both
 *   compressed  | chunk | chunk .. |
 *
 * A chunk that the chunker cuts is a batch of its own, unless small ones wait before it. Batches are exchanged between
 * lanes and items, never copied; only what is open behind a batch that has to go early is.
 */
#define BATCH_LEAST CHUNKER_MINIMUM
#define BATCH_CHUNKS 32
#define BATCH_PLAIN (BATCH_LEAST + CHUNKER_MAXIMUM)

/* Ids that wait for writer_next_id: more than there can be chunks in the line and in the lanes. */
#define IDS 1024

_Static_assert((SLOTS_MAX + WRITER_LANES) * BATCH_CHUNKS <= IDS, "an id would be overwritten before it was asked for");

/* A chunk on its way to the uploader. */
struct chunk {
    uint64_t number;
    uint8_t id[SEAL_HASH_SIZE];
    uint32_t mask;
    size_t at, length;                       /* in plain */
    size_t compressed_at, compressed_length; /* in compressed, when a sink lacks it */
};

struct batch {
    struct chunk chunks[BATCH_CHUNKS];
    size_t count;
    size_t length; /* of all of them */
    uint8_t *plain, *compressed;
};

/* Of the line. */
struct item {
    struct batch *batch;
};

struct lane {
    struct chunker chunker;
    struct batch *batch;
    size_t open;     /* bytes of the open chunk, behind the batch's */
    uint64_t number; /* its number, when open > 0 */
};

struct named {
    uint64_t chunk;
    uint8_t id[SEAL_HASH_SIZE];
};

struct writer {
    struct uploader *uploader;
    const struct key *key;
    struct chunker_table table;
    struct lane lanes[WRITER_LANES];
    uint64_t chunks; /* begun so far */
    size_t since;    /* chunks ended since the last checkpoint */
    /* The consumer's: chunks that every sink has got or is about to get since the last checkpoint, and the ids of the
     * chunks consumed, in the order in which they were, round and round. */
    struct idset *fresh;
    struct named names[IDS];
    _Atomic uint64_t published; /* how many ids there are */
    uint64_t named;             /* how many of them were asked for (the producer's) */
    struct batch batches[SLOTS_MAX + WRITER_LANES];
    struct item items[SLOTS_MAX];
    void *slots[SLOTS_MAX];
    size_t slot_count;
    struct pack_compressor *compressors[WORKERS_MAX];
    struct line *line;
};

/* Each chunk's bound has its own small constant, whatever it is a part of. */
static size_t compressed_capacity(void)
{
    return pack_compress_bound(BATCH_PLAIN) + BATCH_CHUNKS * pack_compress_bound(0);
}

/* The sinks that lack a chunk of at least n bytes. *length: as the first sink has it; 0 = it has none. Their indexes
 * change only in a checkpoint, when the line is empty. */
static uint32_t lacking(const struct writer *w, const uint8_t id[SEAL_HASH_SIZE], uint64_t n, uint64_t *length)
{
    uint32_t mask = 0;
    struct index_location location;
    *length = 0;
    for (size_t i = 0; i < uploader_sink_count(w->uploader); i++) {
        bool has = repository_has(uploader_sink(w->uploader, i)->repository, id, &location);
        if (has && i == 0)
            *length = location.chunk.plain;
        if (!has || location.chunk.plain < n)
            mask |= UINT32_C(1) << i;
    }
    return mask;
}

/* A worker's part: name the chunks, and compress those that a sink lacks. */
static int compress_batch(void *context, size_t worker, void *slot, struct error *e)
{
    struct writer *w = context;
    struct batch *batch = ((struct item *)slot)->batch;
    size_t end = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct chunk *chunk = &batch->chunks[i];
        const uint8_t *plain = batch->plain + chunk->at;
        uint64_t stored;
        seal_chunk_id(w->key, plain, chunk->length, chunk->id);
        chunk->mask = lacking(w, chunk->id, 0, &stored);
        chunk->compressed_at = end;
        if (chunk->mask == 0)
            continue;
        if (pack_compress(w->compressors[worker], plain, chunk->length, batch->compressed + end,
                          compressed_capacity() - end, &chunk->compressed_length, e) < 0)
            return -1;
        end += chunk->compressed_length;
    }
    return 0;
}

static int send_chunk(struct writer *w, const struct batch *batch, const struct chunk *chunk, struct error *e)
{
    if (chunk->mask == 0 || idset_has(w->fresh, chunk->id))
        return 0;
    if (idset_add(w->fresh, chunk->id, e) < 0)
        return -1;
    return uploader_add(w->uploader, chunk->mask, chunk->id, (uint32_t)chunk->length,
                        batch->compressed + chunk->compressed_at, chunk->compressed_length, e);
}

/* The consumer's part, in order: send what is new, and publish the ids. */
static int send_batch(void *context, void *slot, struct error *e)
{
    struct writer *w = context;
    const struct batch *batch = ((const struct item *)slot)->batch;
    for (size_t i = 0; i < batch->count; i++) {
        const struct chunk *chunk = &batch->chunks[i];
        if (send_chunk(w, batch, chunk, e) < 0)
            return -1;
        uint64_t number = atomic_load_explicit(&w->published, memory_order_relaxed);
        struct named *name = &w->names[number % IDS];
        name->chunk = chunk->number;
        memcpy(name->id, chunk->id, SEAL_HASH_SIZE);
        atomic_store_explicit(&w->published, number + 1, memory_order_release);
    }
    return 0;
}

static int make_batches(struct writer *w, struct error *e)
{
    for (size_t i = 0; i < w->slot_count + WRITER_LANES; i++) {
        struct batch *batch = &w->batches[i];
        batch->plain = malloc(BATCH_PLAIN);
        batch->compressed = malloc(compressed_capacity());
        if (!batch->plain || !batch->compressed)
            return error_memory(e);
    }
    for (size_t i = 0; i < w->slot_count; i++) {
        w->items[i].batch = &w->batches[i];
        w->slots[i] = &w->items[i];
    }
    for (size_t i = 0; i < WRITER_LANES; i++)
        w->lanes[i].batch = &w->batches[w->slot_count + i];
    return 0;
}

static int make_line(struct writer *w, const struct writer_spec *spec, struct error *e)
{
    unsigned workers = spec->workers < WORKERS_MAX ? spec->workers : WORKERS_MAX;
    w->slot_count = workers + 3;
    for (unsigned i = 0; i < workers || i == 0; i++)
        if (pack_compressor_new(&w->compressors[i], e) < 0)
            return -1;
    if (make_batches(w, e) < 0)
        return -1;
    struct line_spec line = {.slots = w->slot_count,
                             .workers = workers,
                             .items = w->slots,
                             .work = compress_batch,
                             .consume = send_batch,
                             .context = w};
    return line_new(&line, &w->line, e);
}

int writer_new(const struct writer_spec *spec, struct writer **writer, struct error *e)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return error_memory(e);
    w->uploader = spec->uploader;
    w->key = uploader_sink(spec->uploader, 0)->repository->key;
    chunker_table_init(&w->table, w->key->chunker_seed);
    if (idset_new(FRESH_MAX, &w->fresh, e) < 0 || make_line(w, spec, e) < 0) {
        writer_free(w);
        return -1;
    }
    *writer = w;
    return 0;
}

void writer_free(struct writer *writer)
{
    if (!writer)
        return;
    line_free(writer->line);
    for (size_t i = 0; i < SLOTS_MAX + WRITER_LANES; i++) {
        free(writer->batches[i].plain);
        free(writer->batches[i].compressed);
    }
    for (size_t i = 0; i < WORKERS_MAX; i++)
        pack_compressor_free(writer->compressors[i]);
    idset_free(writer->fresh);
    free(writer);
}

bool writer_has(const struct writer *writer, const uint8_t id[SEAL_HASH_SIZE], uint64_t n, uint64_t *length)
{
    return lacking(writer, id, n, length) == 0 || idset_has(writer->fresh, id);
}

/* Hand the lane's batch to the line, for a free one. What is open goes on in that. */
static int submit(struct writer *w, struct lane *lane, struct error *e)
{
    void *slot;
    if (line_slot(w->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    struct batch *full = lane->batch;
    lane->batch = item->batch;
    item->batch = full;
    lane->batch->count = lane->batch->length = 0;
    memcpy(lane->batch->plain, full->plain + full->length, lane->open);
    return line_submit(w->line, e);
}

static int submit_all(struct writer *w, struct error *e)
{
    for (size_t i = 0; i < WRITER_LANES; i++)
        if (w->lanes[i].batch->count > 0 && submit(w, &w->lanes[i], e) < 0)
            return -1;
    return 0;
}

/* The lane's open chunk is one of its batch from now on. */
static int end_chunk(struct writer *w, struct lane *lane, struct error *e)
{
    if (w->since == FRESH_MAX && writer_checkpoint(w, e) < 0)
        return -1;
    struct batch *batch = lane->batch;
    batch->chunks[batch->count++] = (struct chunk){.number = lane->number, .at = batch->length, .length = lane->open};
    batch->length += lane->open;
    lane->open = 0;
    lane->chunker = (struct chunker){0};
    w->since++;
    return batch->length >= BATCH_LEAST || batch->count == BATCH_CHUNKS ? submit(w, lane, e) : 0;
}

int writer_append(struct writer *writer, enum writer_lane lane, const void *p, size_t n, struct writer_taken *taken,
                  struct error *e)
{
    struct lane *l = &writer->lanes[lane];
    bool cut;
    if (l->open == 0)
        l->number = writer->chunks++;
    taken->length = chunker_feed(&l->chunker, &writer->table, p, n, &cut);
    taken->chunk = l->number;
    taken->offset = (uint32_t)l->open;
    memcpy(l->batch->plain + l->batch->length + l->open, p, taken->length);
    l->open += taken->length;
    return cut ? end_chunk(writer, l, e) : 0;
}

int writer_cut(struct writer *writer, enum writer_lane lane, struct error *e)
{
    struct lane *l = &writer->lanes[lane];
    return l->open > 0 ? end_chunk(writer, l, e) : 0;
}

bool writer_next_id(struct writer *writer, uint64_t *chunk, uint8_t id[SEAL_HASH_SIZE])
{
    if (writer->named == atomic_load_explicit(&writer->published, memory_order_acquire))
        return false;
    const struct named *name = &writer->names[writer->named++ % IDS];
    *chunk = name->chunk;
    memcpy(id, name->id, SEAL_HASH_SIZE);
    return true;
}

int writer_drain(struct writer *writer, struct error *e)
{
    return submit_all(writer, e) < 0 ? -1 : line_drain(writer->line, e);
}

int writer_checkpoint(struct writer *writer, struct error *e)
{
    if (writer_drain(writer, e) < 0 || uploader_checkpoint(writer->uploader, e) < 0)
        return -1;
    idset_clear(writer->fresh);
    writer->since = 0;
    return 0;
}
