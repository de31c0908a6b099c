#include "repository/writer.h"

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

/* Ids that wait for writer_next_id: more than there can be items in the line. */
#define IDS 64

/* A chunk on its way to the uploader. */
struct item {
    uint64_t chunk;
    uint8_t id[SEAL_HASH_SIZE];
    uint32_t mask;
    size_t length, compressed_length;
    uint8_t *plain; /* CHUNKER_MAXIMUM bytes */
    uint8_t *compressed;
};

struct lane {
    struct chunker chunker;
    uint8_t *buffer; /* CHUNKER_MAXIMUM bytes */
    size_t length;
    uint64_t chunk; /* its number, when length > 0 */
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
    size_t since;    /* chunks submitted since the last checkpoint */
    /* The consumer's: chunks that every sink has got or is about to get since the last checkpoint, and the ids of the
     * chunks consumed, in the order in which they were submitted, round and round. */
    struct idset *fresh;
    struct named names[IDS];
    uint64_t named; /* how many ids were asked for (the producer's) */
    struct item items[SLOTS_MAX];
    void *slots[SLOTS_MAX];
    size_t slot_count;
    struct pack_compressor *compressors[WORKERS_MAX];
    struct line *line;
};

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

/* A worker's part: name the chunk, and compress it when a sink lacks it. */
static int compress_item(void *context, size_t worker, void *slot, struct error *e)
{
    struct writer *w = context;
    struct item *item = slot;
    uint64_t stored;
    seal_chunk_id(w->key, item->plain, item->length, item->id);
    item->mask = lacking(w, item->id, 0, &stored);
    if (item->mask == 0)
        return 0;
    return pack_compress(w->compressors[worker], item->plain, item->length, item->compressed,
                         pack_compress_bound(CHUNKER_MAXIMUM), &item->compressed_length, e);
}

/* The consumer's part, in order: send what is new, and publish the id. */
static int send_item(void *context, void *slot, struct error *e)
{
    struct writer *w = context;
    const struct item *item = slot;
    struct named *name = &w->names[line_consumed(w->line) % IDS];
    name->chunk = item->chunk;
    memcpy(name->id, item->id, SEAL_HASH_SIZE);
    if (item->mask == 0 || idset_has(w->fresh, item->id))
        return 0;
    if (idset_add(w->fresh, item->id, e) < 0)
        return -1;
    return uploader_add(w->uploader, item->mask, item->id, (uint32_t)item->length, item->compressed,
                        item->compressed_length, e);
}

static int make_items(struct writer *w, struct error *e)
{
    for (size_t i = 0; i < w->slot_count; i++) {
        w->items[i].plain = malloc(CHUNKER_MAXIMUM);
        w->items[i].compressed = malloc(pack_compress_bound(CHUNKER_MAXIMUM));
        w->slots[i] = &w->items[i];
        if (!w->items[i].plain || !w->items[i].compressed)
            return error_memory(e);
    }
    for (size_t i = 0; i < WRITER_LANES; i++)
        if (!(w->lanes[i].buffer = malloc(CHUNKER_MAXIMUM)))
            return error_memory(e);
    return 0;
}

static int make_line(struct writer *w, const struct writer_spec *spec, struct error *e)
{
    unsigned workers = spec->workers < WORKERS_MAX ? spec->workers : WORKERS_MAX;
    w->slot_count = workers + 3;
    for (unsigned i = 0; i < workers || i == 0; i++)
        if (pack_compressor_new(&w->compressors[i], e) < 0)
            return -1;
    if (make_items(w, e) < 0)
        return -1;
    struct line_spec line = {.slots = w->slot_count,
                             .workers = workers,
                             .items = w->slots,
                             .work = compress_item,
                             .consume = send_item,
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
    for (size_t i = 0; i < writer->slot_count; i++) {
        free(writer->items[i].plain);
        free(writer->items[i].compressed);
    }
    for (size_t i = 0; i < WORKERS_MAX; i++)
        pack_compressor_free(writer->compressors[i]);
    for (size_t i = 0; i < WRITER_LANES; i++)
        free(writer->lanes[i].buffer);
    idset_free(writer->fresh);
    free(writer);
}

bool writer_has(const struct writer *writer, const uint8_t id[SEAL_HASH_SIZE], uint64_t n, uint64_t *length)
{
    return lacking(writer, id, n, length) == 0 || idset_has(writer->fresh, id);
}

/* Hand the lane's chunk to the line, by swapping buffers with a free item. */
static int end_chunk(struct writer *w, struct lane *lane, struct error *e)
{
    void *slot;
    if (w->since == FRESH_MAX && writer_checkpoint(w, e) < 0)
        return -1;
    if (line_slot(w->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    uint8_t *buffer = item->plain;
    item->plain = lane->buffer;
    item->length = lane->length;
    item->chunk = lane->chunk;
    *lane = (struct lane){.buffer = buffer};
    w->since++;
    return line_submit(w->line, e);
}

int writer_append(struct writer *writer, enum writer_lane lane, const void *p, size_t n, struct writer_taken *taken,
                  struct error *e)
{
    struct lane *l = &writer->lanes[lane];
    bool cut;
    if (l->length == 0)
        l->chunk = writer->chunks++;
    taken->length = chunker_feed(&l->chunker, &writer->table, p, n, &cut);
    taken->chunk = l->chunk;
    taken->offset = (uint32_t)l->length;
    memcpy(l->buffer + l->length, p, taken->length);
    l->length += taken->length;
    return cut ? end_chunk(writer, l, e) : 0;
}

int writer_cut(struct writer *writer, enum writer_lane lane, struct error *e)
{
    struct lane *l = &writer->lanes[lane];
    return l->length > 0 ? end_chunk(writer, l, e) : 0;
}

bool writer_next_id(struct writer *writer, uint64_t *chunk, uint8_t id[SEAL_HASH_SIZE])
{
    if (writer->named == line_consumed(writer->line))
        return false;
    const struct named *name = &writer->names[writer->named++ % IDS];
    *chunk = name->chunk;
    memcpy(id, name->id, SEAL_HASH_SIZE);
    return true;
}

int writer_drain(struct writer *writer, struct error *e)
{
    return line_drain(writer->line, e);
}

int writer_checkpoint(struct writer *writer, struct error *e)
{
    if (line_drain(writer->line, e) < 0 || uploader_checkpoint(writer->uploader, e) < 0)
        return -1;
    idset_clear(writer->fresh);
    writer->since = 0;
    return 0;
}
