#include "store/recorder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/catalogue_file.h"
#include "store/chunker.h"
#include "store/manifest.h"
#include "store/writer.h"

/* Content that is known to be at least this long gets chunks of its own. */
#define LARGE CHUNKER_MINIMUM
/* Records that wait for the id of an open chunk; when there are more, the chunk is cut. */
#define WAITING_MAX ((size_t)1 << 20)
#define EXTENTS_MAX ((size_t)1 << 30) /* bytes of extents of one entry: some 24 TiB of content */
#define META_MAX ((size_t)8 << 20)

/* An extent of the entry at hand. open: its chunk is not cut yet, so its id is not known. */
struct piece {
    struct catalogue_extent extent;
    bool open;
};

struct recorder {
    struct writer *writer;
    struct catalogue_output *output;
    char path[PATH_MAX];
    uint8_t fingerprint_key[16];
    /* the entry at hand */
    struct bytes meta; /* what the entry points to */
    struct source_entry entry;
    enum writer_lane lane;
    struct bytes pieces; /* struct piece */
    uint64_t size;
    /* records not yet in the file, and where in them the id of the open small chunk has to go */
    struct bytes waiting;
    struct bytes patches; /* size_t each */
    /* totals */
    uint64_t entries, bytes;
};

/* What a recorder before left open when its source failed is no part of ours. */
static int begin_chunks(struct writer *writer, struct error *e)
{
    bool cut_one;
    uint8_t id[SEAL_HASH_SIZE];
    for (int lane = 0; lane < WRITER_LANES; lane++)
        if (writer_cut(writer, (enum writer_lane)lane, &cut_one, id, e) < 0)
            return -1;
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
    r->patches.maximum = WAITING_MAX;
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

/* Nothing in `waiting` lacks an id any more: into the file with it. */
static int flush_waiting(struct recorder *r, struct error *e)
{
    int result = catalogue_output_add(r->output, r->waiting.data, r->waiting.length, e);
    bytes_reset(&r->waiting);
    bytes_reset(&r->patches);
    return result;
}

/* A chunk of the lane got its id: put it wherever it was awaited. */
static int resolve(struct recorder *r, enum writer_lane lane, const uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    struct piece *pieces = (struct piece *)(void *)r->pieces.data;
    /* Back to the first piece whose chunk was cut before; holes between have none. */
    for (size_t i = r->pieces.length / sizeof *pieces; i-- > 0 && lane == r->lane;) {
        if (!pieces[i].open && !catalogue_is_hole(&pieces[i].extent))
            break;
        if (pieces[i].open)
            memcpy(pieces[i].extent.id, id, SEAL_HASH_SIZE);
        pieces[i].open = false;
    }
    if (lane != WRITER_SMALL)
        return 0;
    const size_t *patches = (const size_t *)(const void *)r->patches.data;
    for (size_t i = 0; i < r->patches.length / sizeof *patches; i++)
        memcpy(r->waiting.data + patches[i], id, SEAL_HASH_SIZE);
    return flush_waiting(r, e);
}

static int cut(struct recorder *r, enum writer_lane lane, struct error *e)
{
    bool done;
    uint8_t id[SEAL_HASH_SIZE];
    if (writer_cut(r->writer, lane, &done, id, e) < 0)
        return -1;
    return done ? resolve(r, lane, id, e) : 0;
}

/* Records were added to `waiting`: keep it short. */
static int settle_waiting(struct recorder *r, struct error *e)
{
    if (bytes_check(&r->waiting, "catalogue", e) < 0 || bytes_check(&r->patches, "catalogue", e) < 0)
        return -1;
    if (r->patches.length == 0)
        return flush_waiting(r, e);
    if (r->waiting.length < WAITING_MAX && r->patches.length < WAITING_MAX / 2)
        return 0;
    return cut(r, WRITER_SMALL, e);
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

static size_t meta_size(const struct source_entry *entry)
{
    size_t n = entry->path_length + entry->link_length + 16;
    n += entry->user ? strlen(entry->user) + 1 : 0;
    n += entry->group ? strlen(entry->group) + 1 : 0;
    for (size_t i = 0; i < entry->attribute_count; i++)
        n += sizeof *entry->attributes + strlen(entry->attributes[i].name) + entry->attributes[i].length + 2;
    return n;
}

/* Copy what the entry points to, in one piece of memory that does not move: room for all of it is made first. */
static int keep_entry(struct recorder *r, const struct source_entry *entry, struct error *e)
{
    struct bytes *meta = &r->meta;
    bytes_reset(meta);
    r->entry = *entry;
    size_t table = entry->attribute_count * sizeof *entry->attributes;
    uint8_t *memory = bytes_reserve(meta, meta_size(entry));
    if (!memory)
        return bytes_check(meta, "entry", e);
    struct source_attribute *attributes = (struct source_attribute *)(void *)memory;
    meta->length = table;
    for (size_t i = 0; i < entry->attribute_count; i++) {
        const struct source_attribute *from = &entry->attributes[i];
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

int recorder_entry(struct recorder *recorder, const struct source_entry *entry, struct error *e)
{
    bytes_reset(&recorder->pieces);
    recorder->size = 0;
    bool large = entry->size < 0 || entry->size >= (int64_t)LARGE;
    recorder->lane = large ? WRITER_LARGE : WRITER_SMALL;
    return keep_entry(recorder, entry, e);
}

static int add_piece(struct recorder *r, const struct piece *piece, struct error *e)
{
    r->size += piece->extent.length;
    struct piece *last = r->pieces.length > 0 ? (struct piece *)(void *)(r->pieces.data + r->pieces.length) - 1 : NULL;
    if (last && last->open && piece->open && last->extent.offset + last->extent.length == piece->extent.offset) {
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
        struct piece piece = {.extent = {.offset = taken.offset, .length = taken.length}, .open = true};
        if (add_piece(recorder, &piece, e) < 0)
            return -1;
        if (taken.cut && resolve(recorder, recorder->lane, taken.id, e) < 0)
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
    bytes_reset(&recorder->pieces);
    recorder->size = 0;
    /* What was sent stays in its chunk, unreferenced. Large content begins a chunk, so that it is cut as it would have
     * been. */
    return recorder->lane == WRITER_LARGE ? cut(recorder, WRITER_LARGE, e) : 0;
}

/* Encode one record with some of the pieces; note where ids are awaited. */
static int add_record(struct recorder *r, struct catalogue_record *record, const struct piece *pieces, size_t count,
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
    for (size_t i = 0; i < count; i++, at += CATALOGUE_EXTENT_SIZE)
        if (pieces[i].open)
            bytes_put(&r->patches, &at, sizeof at);
    return 0;
}

/* The entry's record, and continuations when there are many extents. */
static int add_records(struct recorder *r, enum catalogue_status status, const char *why, struct error *e)
{
    const struct piece *pieces = (const struct piece *)(const void *)r->pieces.data;
    size_t left = r->pieces.length / sizeof *pieces;
    struct catalogue_record record = {.status = status, .entry = r->entry, .error = why};
    record.entry.size = (int64_t)r->size;
    do {
        size_t count = left < CATALOGUE_EXTENTS_MAX ? left : CATALOGUE_EXTENTS_MAX;
        left -= count;
        record.more = left > 0;
        if (add_record(r, &record, pieces, count, e) < 0)
            return -1;
        pieces += count;
        record = (struct catalogue_record){.continuation = true};
    } while (left > 0);
    return 0;
}

int recorder_end(struct recorder *recorder, enum catalogue_status status, const char *why, struct error *e)
{
    if (status == CATALOGUE_UNREADABLE) {
        bytes_reset(&recorder->pieces);
        recorder->size = 0;
    }
    if (status != CATALOGUE_WHOLE)
        recorder->entry.has_fingerprint = 0; /* to be read again next time */
    if (recorder->lane == WRITER_LARGE && cut(recorder, WRITER_LARGE, e) < 0)
        return -1;
    recorder->entries++;
    recorder->bytes += recorder->size;
    if (add_records(recorder, status, why, e) < 0)
        return -1;
    bytes_reset(&recorder->pieces);
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

/* The catalogue's chunk being filled. */
struct spool {
    struct manifest_source *source;
    struct manifest_chunk chunk;
    bool has_record;
    char *last_path;
};

static int end_catalogue_chunk(struct spool *s, const uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    struct manifest_source *source = s->source;
    struct manifest_chunk *chunks = realloc(source->chunks, (source->chunk_count + 1) * sizeof *chunks);
    if (!chunks)
        return error_memory(e);
    source->chunks = chunks;
    memcpy(s->chunk.id, id, SEAL_HASH_SIZE);
    if (!s->has_record)
        s->chunk.first_record = s->chunk.length;
    s->chunk.first_path = strdup(s->last_path ? s->last_path : "");
    if (!s->chunk.first_path)
        return error_memory(e);
    chunks[source->chunk_count++] = s->chunk;
    s->chunk = (struct manifest_chunk){0};
    s->has_record = false;
    return 0;
}

/* The path of the first record that begins in the chunk is kept. */
static int note_record(struct spool *s, const struct catalogue_record *record, struct error *e)
{
    if (record->continuation || s->has_record)
        return 0;
    s->has_record = true;
    s->chunk.first_record = s->chunk.length;
    free(s->last_path);
    s->last_path = strndup(record->entry.path, record->entry.path_length);
    return s->last_path ? 0 : error_memory(e);
}

static int spool_record(struct recorder *r, struct spool *s, const uint8_t *p, size_t n, struct error *e)
{
    while (n > 0) {
        struct writer_taken taken;
        if (writer_append(r->writer, WRITER_LARGE, p, n, &taken, e) < 0)
            return -1;
        s->chunk.length += taken.length;
        if (taken.cut && end_catalogue_chunk(s, taken.id, e) < 0)
            return -1;
        p += taken.length;
        n -= taken.length;
    }
    return 0;
}

static int spool_catalogue(struct recorder *r, struct spool *s, struct error *e)
{
    struct catalogue_input *input;
    if (catalogue_input_open(r->path, &input, e) < 0)
        return -1;
    int result = 0;
    bool end = false;
    while (result == 0 && !end) {
        struct catalogue_record record;
        const uint8_t *p;
        size_t n;
        result = catalogue_input_next(input, &record, &p, &n, &end, e);
        if (result == 0 && !end)
            result = note_record(s, &record, e);
        if (result == 0 && !end)
            result = spool_record(r, s, p, n, e);
    }
    catalogue_input_close(input);
    bool cut_here = false;
    uint8_t id[SEAL_HASH_SIZE];
    if (result == 0)
        result = writer_cut(r->writer, WRITER_LARGE, &cut_here, id, e);
    return result == 0 && cut_here ? end_catalogue_chunk(s, id, e) : result;
}

int recorder_finish(struct recorder *recorder, struct manifest_source *source, struct error *e)
{
    if (cut(recorder, WRITER_SMALL, e) < 0 || flush_waiting(recorder, e) < 0 ||
        catalogue_output_end(recorder->output, &source->catalogue_bytes, e) < 0)
        return -1;
    source->entries = recorder->entries;
    source->bytes = recorder->bytes;
    memcpy(source->fingerprint_key, recorder->fingerprint_key, sizeof source->fingerprint_key);
    struct spool spool = {.source = source};
    int result = spool_catalogue(recorder, &spool, e);
    free(spool.last_path);
    return result;
}
