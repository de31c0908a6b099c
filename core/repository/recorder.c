#include "repository/recorder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/catalogue_file.h"
#include "repository/spool.h"
#include "repository/writer.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"

/* The waiting list.
 *
 * A record names its content by the ids of chunks, and an id is known only when the chunk has ended, has been hashed by
 * some worker, and has had its turn. Small files share chunks, so that a record that is complete may lack an id for
 * megabytes to come, while the records behind it, being without content or in an older chunk, are ready. Records must
 * stand in the file in the order of paths. So they wait in memory, with holes where ids belong:
 *
 *   waiting   | record a | record b ..[id ?].. | record c | record d ..[id ?]..[id ?].. |
 *   patches                            ^ at, chunk                      ^        ^         ascending by `at`
 *             <----- written -------->                                                     up to the first open patch
 *
 * and the same for the entry at hand, whose extents (`pieces`) are not a record yet.
 *
 * Invariants: chunks are numbered in the order of their beginning in each lane, and writer_next_id gives each number
 * once; a patch is done if and only if its bytes in `waiting` are an id; nothing before the first open patch waits
 * longer than the next flush_waiting; when more than WAITING_MAX bytes wait, the small lane is cut and the writer
 * drained, after which every id is known: so memory is bounded whatever the files look like, at the cost of one chunk
 * that ends early. A restart or a failed source leaves bytes in chunks that nothing refers to; they are not looked for.
 */

/* Bytes of records that wait for the id of a chunk; when there are more, the writer is drained. */
#define WAITING_MAX ((size_t)1 << 20)
#define WAITING_STEP ((size_t)64 << 10) /* written to the file in pieces of at least this */
#define EXTENTS_MAX ((size_t)1 << 30)   /* bytes of extents of one entry: some 24 TiB of content */
#define META_MAX ((size_t)8 << 20)

/* An extent of the entry at hand. open: the id of its chunk is not known yet. */
struct piece {
    struct catalogue_extent extent;
    uint64_t chunk;
    bool open;
};

/* A place in `waiting` where the id of a chunk has to go. */
struct patch {
    size_t at;
    uint64_t chunk;
    bool done;
};

struct recorder {
    struct writer *writer;
    struct catalogue_output *output;
    char path[PATH_MAX];
    uint8_t fingerprint_key[16];
    /* the entry at hand */
    struct bytes meta; /* what the entry points to */
    struct snapshot_entry entry;
    enum writer_lane lane;
    struct bytes pieces; /* struct piece */
    size_t first_open;   /* all pieces before it have their ids */
    uint64_t size;
    /* records not yet in the file */
    struct bytes waiting;
    struct bytes patches; /* struct patch, in the order of their places */
    /* totals */
    uint64_t entries, bytes;
};

/* What a recorder before left open when its source failed is no part of ours. */
static int begin_chunks(struct writer *writer, struct error *e)
{
    uint64_t chunk;
    uint8_t id[SEAL_HASH_SIZE];
    for (int lane = 0; lane < WRITER_LANES; lane++)
        if (writer_cut(writer, (enum writer_lane)lane, e) < 0)
            return -1;
    if (writer_drain(writer, e) < 0)
        return -1;
    while (writer_next_id(writer, &chunk, id))
        continue;
    return 0;
}

int recorder_new(struct writer *writer, const char *path, const uint8_t fingerprint_key[16], struct recorder **recorder,
                 struct error *e)
{
    struct recorder *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(e);
    r->writer = writer;
    snprintf(r->path, sizeof r->path, "%s", path);
    r->meta.maximum = META_MAX;
    r->pieces.maximum = EXTENTS_MAX;
    r->waiting.maximum = WAITING_MAX + EXTENTS_MAX;
    r->patches.maximum = 4 * WAITING_MAX;
    memcpy(r->fingerprint_key, fingerprint_key, sizeof r->fingerprint_key);
    if (begin_chunks(writer, e) < 0 || catalogue_output_new(path, fingerprint_key, &r->output, e) < 0) {
        free(r);
        return -1;
    }
    *recorder = r;
    return 0;
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return;
    catalogue_output_free(recorder->output);
    bytes_free(&recorder->meta);
    bytes_free(&recorder->pieces);
    bytes_free(&recorder->waiting);
    bytes_free(&recorder->patches);
    free(recorder);
}

/* ---- waiting records ---- */

static struct piece *piece_at(const struct recorder *r, size_t i)
{
    return (struct piece *)(void *)r->pieces.data + i;
}

static struct patch *patch_at(const struct recorder *r, size_t i)
{
    return (struct patch *)(void *)r->patches.data + i;
}

/* A chunk got its id: put it wherever it was awaited. */
static void name_chunk(struct recorder *r, uint64_t chunk, const uint8_t id[SEAL_HASH_SIZE])
{
    size_t pieces = r->pieces.length / sizeof(struct piece), patches = r->patches.length / sizeof(struct patch);
    for (size_t i = r->first_open; i < pieces; i++) {
        struct piece *piece = piece_at(r, i);
        if (piece->open && piece->chunk == chunk) {
            memcpy(piece->extent.id, id, SEAL_HASH_SIZE);
            piece->open = false;
        }
    }
    while (r->first_open < pieces && !piece_at(r, r->first_open)->open)
        r->first_open++;
    for (size_t i = 0; i < patches; i++) {
        struct patch *patch = patch_at(r, i);
        if (patch->chunk != chunk || patch->done)
            continue;
        memcpy(r->waiting.data + patch->at, id, SEAL_HASH_SIZE);
        patch->done = true;
    }
}

/* Write what stands before the first place that still awaits an id. */
static int flush_waiting(struct recorder *r, struct error *e)
{
    size_t count = r->patches.length / sizeof(struct patch), first = 0;
    while (first < count && patch_at(r, first)->done)
        first++;
    size_t ready = first < count ? patch_at(r, first)->at : r->waiting.length;
    if (first < count && ready < WAITING_STEP)
        return 0;
    if (catalogue_output_add(r->output, r->waiting.data, ready, e) < 0)
        return -1;
    r->waiting.length -= ready;
    r->patches.length -= first * sizeof(struct patch);
    if (r->waiting.length > 0)
        memmove(r->waiting.data, r->waiting.data + ready, r->waiting.length);
    if (r->patches.length > 0)
        memmove(r->patches.data, patch_at(r, first), r->patches.length);
    for (size_t i = 0; i < count - first; i++)
        patch_at(r, i)->at -= ready;
    return 0;
}

/* Take the ids that have become known. */
static int take_ids(struct recorder *r, struct error *e)
{
    uint64_t chunk;
    uint8_t id[SEAL_HASH_SIZE];
    bool any = false;
    for (; writer_next_id(r->writer, &chunk, id); any = true)
        name_chunk(r, chunk, id);
    return any ? flush_waiting(r, e) : 0;
}

static int cut(struct recorder *r, enum writer_lane lane, struct error *e)
{
    return writer_cut(r->writer, lane, e) < 0 ? -1 : take_ids(r, e);
}

/* All ids, now. */
static int settle(struct recorder *r, struct error *e)
{
    if (cut(r, WRITER_SMALL, e) < 0 || writer_drain(r->writer, e) < 0)
        return -1;
    return take_ids(r, e);
}

/* Records were added to `waiting`: keep it short. */
static int settle_waiting(struct recorder *r, struct error *e)
{
    if (bytes_check(&r->waiting, "catalogue", e) < 0 || bytes_check(&r->patches, "catalogue", e) < 0)
        return -1;
    if (r->patches.length == 0)
        return flush_waiting(r, e);
    return r->waiting.length < WAITING_MAX ? 0 : settle(r, e);
}

/* ---- an entry ---- */

static const void *keep(struct bytes *meta, const void *p, size_t n)
{
    if (!p)
        return NULL;
    const void *at = bytes_reserve(meta, n + 1);
    bytes_put(meta, p, n);
    bytes_put_u8(meta, 0);
    return at;
}

static size_t meta_size(const struct snapshot_entry *entry)
{
    size_t n = entry->path_length + entry->link_length + 16;
    n += entry->user ? strlen(entry->user) + 1 : 0;
    n += entry->group ? strlen(entry->group) + 1 : 0;
    for (size_t i = 0; i < entry->attribute_count; i++)
        n += sizeof *entry->attributes + strlen(entry->attributes[i].name) + entry->attributes[i].length + 2;
    return n;
}

/* Copy what the entry points to, in one piece of memory that does not move: room for all of it is made first. */
static int keep_entry(struct recorder *r, const struct snapshot_entry *entry, struct error *e)
{
    struct bytes *meta = &r->meta;
    bytes_reset(meta);
    r->entry = *entry;
    size_t table = entry->attribute_count * sizeof *entry->attributes;
    uint8_t *memory = bytes_reserve(meta, meta_size(entry));
    if (!memory)
        return bytes_check(meta, "entry", e);
    struct snapshot_attribute *attributes = (struct snapshot_attribute *)(void *)memory;
    meta->length = table;
    for (size_t i = 0; i < entry->attribute_count; i++) {
        const struct snapshot_attribute *from = &entry->attributes[i];
        attributes[i].name = keep(meta, from->name, strlen(from->name));
        attributes[i].value = keep(meta, from->value ? from->value : "", from->length);
        attributes[i].length = from->length;
    }
    r->entry.attributes = attributes;
    r->entry.path = keep(meta, entry->path, entry->path_length);
    r->entry.link = keep(meta, entry->link, entry->link_length);
    r->entry.user = keep(meta, entry->user, entry->user ? strlen(entry->user) : 0);
    r->entry.group = keep(meta, entry->group, entry->group ? strlen(entry->group) : 0);
    return bytes_check(meta, "entry", e);
}

static void forget_content(struct recorder *r)
{
    bytes_reset(&r->pieces);
    r->first_open = 0;
    r->size = 0;
}

int recorder_entry(struct recorder *recorder, const struct snapshot_entry *entry, struct error *e)
{
    forget_content(recorder);
    bool large = entry->size < 0 || entry->size >= WRITER_LARGE_LEAST;
    recorder->lane = large ? WRITER_LARGE : WRITER_SMALL;
    return keep_entry(recorder, entry, e);
}

static int add_piece(struct recorder *r, const struct piece *piece, struct error *e)
{
    r->size += piece->extent.length;
    struct piece *last = r->pieces.length > 0 ? (struct piece *)(void *)(r->pieces.data + r->pieces.length) - 1 : NULL;
    if (last && last->open && piece->open && last->chunk == piece->chunk &&
        last->extent.offset + last->extent.length == piece->extent.offset) {
        last->extent.length += piece->extent.length;
        return 0;
    }
    bytes_put(&r->pieces, piece, sizeof *piece);
    return bytes_check(&r->pieces, "list of an entry's extents", e);
}

int recorder_data(struct recorder *recorder, const void *p, size_t n, struct error *e)
{
    const uint8_t *from = p;
    while (n > 0) {
        struct writer_taken taken;
        if (writer_append(recorder->writer, recorder->lane, from, n, &taken, e) < 0)
            return -1;
        struct piece piece = {
            .extent = {.offset = taken.offset, .length = taken.length}, .chunk = taken.chunk, .open = true};
        if (add_piece(recorder, &piece, e) < 0 || take_ids(recorder, e) < 0)
            return -1;
        from += taken.length;
        n -= taken.length;
    }
    return 0;
}

int recorder_hole(struct recorder *recorder, uint64_t n, struct error *e)
{
    struct piece piece = {.extent = {.length = n}};
    return n > 0 ? add_piece(recorder, &piece, e) : 0;
}

int recorder_restart(struct recorder *recorder, struct error *e)
{
    forget_content(recorder);
    /* What was sent stays in its chunk, unreferenced. Large content begins a chunk, so that it is cut as it would have
     * been. */
    return recorder->lane == WRITER_LARGE ? cut(recorder, WRITER_LARGE, e) : 0;
}

/* Encode one record with some of the pieces; note where ids are awaited. */
static int add_record(struct recorder *r, struct record *record, const struct piece *pieces, size_t count,
                      struct error *e)
{
    struct catalogue_extent *extents = malloc((count + 1) * sizeof *extents);
    if (!extents)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        extents[i] = pieces[i].extent;
    record->extents = extents;
    record->extent_count = count;
    int result = catalogue_encode(record, &r->waiting, e);
    free(extents);
    if (result < 0)
        return -1;
    size_t at = r->waiting.length - count * CATALOGUE_EXTENT_SIZE;
    for (size_t i = 0; i < count; i++, at += CATALOGUE_EXTENT_SIZE) {
        struct patch patch = {.at = at, .chunk = pieces[i].chunk};
        if (pieces[i].open)
            bytes_put(&r->patches, &patch, sizeof patch);
    }
    return 0;
}

/* The entry's record, and continuations when there are many extents. */
static int add_records(struct recorder *r, enum record_status status, const char *why, struct error *e)
{
    const struct piece *pieces = (const struct piece *)(const void *)r->pieces.data;
    size_t left = r->pieces.length / sizeof *pieces;
    struct record record = {.status = status, .entry = r->entry, .error = why};
    record.entry.size = (int64_t)r->size;
    do {
        size_t count = left < CATALOGUE_EXTENTS_MAX ? left : CATALOGUE_EXTENTS_MAX;
        left -= count;
        record.more = left > 0;
        if (add_record(r, &record, pieces, count, e) < 0)
            return -1;
        pieces += count;
        record = (struct record){.continuation = true};
    } while (left > 0);
    return 0;
}

int recorder_end(struct recorder *recorder, enum record_status status, const char *why, struct error *e)
{
    if (status == RECORD_UNREADABLE)
        forget_content(recorder);
    if (status != RECORD_WHOLE)
        recorder->entry.has_fingerprint = 0; /* to be read again next time */
    if (recorder->lane == WRITER_LARGE && cut(recorder, WRITER_LARGE, e) < 0)
        return -1;
    recorder->entries++;
    recorder->bytes += recorder->size;
    if (add_records(recorder, status, why, e) < 0)
        return -1;
    forget_content(recorder);
    return settle_waiting(recorder, e);
}

int recorder_unchanged(struct recorder *recorder, const void *records, size_t n, uint64_t size, struct error *e)
{
    recorder->entries++;
    recorder->bytes += size;
    bytes_put(&recorder->waiting, records, n);
    return settle_waiting(recorder, e);
}

/* ---- the end ---- */

int recorder_finish(struct recorder *recorder, struct manifest_source *source, struct error *e)
{
    if (settle(recorder, e) < 0 || flush_waiting(recorder, e) < 0 ||
        catalogue_output_end(recorder->output, &source->catalogue_bytes, e) < 0)
        return -1;
    ASSERT(recorder->patches.length == 0);
    source->entries = recorder->entries;
    source->bytes = recorder->bytes;
    memcpy(source->fingerprint_key, recorder->fingerprint_key, sizeof source->fingerprint_key);
    return spool_catalogue(recorder->writer, recorder->path, source, e);
}
