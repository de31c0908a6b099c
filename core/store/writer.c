#include "store/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/line.h"
#include "store/chunker.h"
#include "store/idset.h"
#include "store/index.h"
#include "store/key.h"
#include "store/pack.h"
#include "store/repository.h"
#include "store/shipper.h"

#define WORKERS_MAX 16
#define SLOTS_MAX (WORKERS_MAX + 4)
/* New chunks remembered between two checkpoints; this many are 256 GiB of data. */
#define FRESH_MAX (256u << 10)

/* A chunk on its way to the shipper. */
struct item {
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
};

struct writer {
    struct shipper *shipper;
    const struct key *key;
    struct chunker_table table;
    struct lane lanes[WRITER_LANES];
    struct idset *fresh; /* chunks of this run that every sink has or is about to get */
    struct item items[SLOTS_MAX];
    void *slots[SLOTS_MAX];
    size_t slot_count;
    struct pack_compressor *compressors[WORKERS_MAX];
    struct line *line;
};

static int compress_item(void *context, size_t worker, void *slot, struct error *e)
{
    struct writer *w = context;
    struct item *item = slot;
    return pack_compress(w->compressors[worker], item->plain, item->length, item->compressed,
                         pack_compress_bound(CHUNKER_MAXIMUM), &item->compressed_length, e);
}

static int ship_item(void *context, void *slot, struct error *e)
{
    struct writer *w = context;
    const struct item *item = slot;
    return shipper_add(w->shipper, item->mask, item->id, (uint32_t)item->length, item->compressed,
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
        if (pack_compressor_new(spec->level, &w->compressors[i], e) < 0)
            return -1;
    if (make_items(w, e) < 0)
        return -1;
    struct line_spec line = {.slots = w->slot_count,
                             .workers = workers,
                             .items = w->slots,
                             .work = compress_item,
                             .consume = ship_item,
                             .context = w};
    return line_new(&line, &w->line, e);
}

int writer_new(const struct writer_spec *spec, struct writer **writer, struct error *e)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return error_memory(e);
    w->shipper = spec->shipper;
    w->key = shipper_sink(spec->shipper, 0)->repository->key;
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

/* The sinks that lack the chunk. Their indexes do not change between two checkpoints, so this thread may read them
 * while the shipper works. */
static uint32_t lacking(const struct writer *w, const uint8_t id[SEAL_HASH_SIZE])
{
    uint32_t mask = 0;
    struct index_location location;
    for (size_t i = 0; i < shipper_sink_count(w->shipper); i++) {
        const struct repository *r = shipper_sink(w->shipper, i)->repository;
        if (!index_find(r->index, id, !r->trust_hosts, 0, &location))
            mask |= UINT32_C(1) << i;
    }
    return mask;
}

bool writer_has(const struct writer *writer, const uint8_t id[SEAL_HASH_SIZE])
{
    return idset_has(writer->fresh, id) || lacking(writer, id) == 0;
}

/* Hand the lane's chunk to the line, by swapping buffers with a free item. */
static int submit(struct writer *w, struct lane *lane, const uint8_t id[SEAL_HASH_SIZE], uint32_t mask, struct error *e)
{
    void *slot;
    if (line_slot(w->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    uint8_t *buffer = item->plain;
    item->plain = lane->buffer;
    lane->buffer = buffer;
    item->length = lane->length;
    item->mask = mask;
    memcpy(item->id, id, SEAL_HASH_SIZE);
    return line_submit(w->line, e);
}

static int end_chunk(struct writer *w, struct lane *lane, uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    seal_chunk_id(w->key, lane->buffer, lane->length, id);
    uint32_t mask = idset_has(w->fresh, id) ? 0 : lacking(w, id);
    if (mask != 0) {
        if (idset_full(w->fresh) && writer_checkpoint(w, e) < 0)
            return -1;
        if (idset_add(w->fresh, id, e) < 0 || submit(w, lane, id, mask, e) < 0)
            return -1;
    }
    lane->length = 0;
    lane->chunker = (struct chunker){0};
    return 0;
}

int writer_append(struct writer *writer, enum writer_lane lane, const void *p, size_t n, struct writer_taken *taken,
                  struct error *e)
{
    struct lane *l = &writer->lanes[lane];
    taken->length = chunker_feed(&l->chunker, &writer->table, p, n, &taken->cut);
    taken->offset = (uint32_t)l->length;
    memcpy(l->buffer + l->length, p, taken->length);
    l->length += taken->length;
    return taken->cut ? end_chunk(writer, l, taken->id, e) : 0;
}

int writer_cut(struct writer *writer, enum writer_lane lane, bool *cut, uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    struct lane *l = &writer->lanes[lane];
    *cut = l->length > 0;
    return *cut ? end_chunk(writer, l, id, e) : 0;
}

int writer_checkpoint(struct writer *writer, struct error *e)
{
    if (line_drain(writer->line, e) < 0 || shipper_checkpoint(writer->shipper, e) < 0)
        return -1;
    idset_clear(writer->fresh);
    return 0;
}
