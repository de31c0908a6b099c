#include "repository/lacking.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "repository/catalogue.h"
#include "repository/index.h"
#include "repository/pack.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

/* Has the target this very pack, under whoever's name? Then what is in it is what is in ours. */
static bool has_pack(const struct lacking *l, const uint8_t *id, const struct pack_name *pack,
                     struct index_location *there)
{
    for (unsigned n = 0; index_find(l->to->index, id, INDEX_RELY, n, there); n++)
        if (memcmp(there->pack.hash, pack->hash, SEAL_HASH_SIZE) == 0)
            return true;
    return false;
}

static int lacks(const struct lacking *l, struct error *e)
{
    error_set(e, ERROR_INTEGRITY, "lacks a chunk of the snapshot");
    return error_subject(e, "sink", sink_name(l->from->sink));
}

/* What only foreigners say of a pack is looked up in the pack itself; neighbours are in one pack. */
static int look_up(struct lacking *l, const struct index_location *at, bool *right, struct error *e)
{
    *right = false;
    if (!l->directory || !pack_name_is(&l->looked_into, &at->pack)) {
        free(l->directory);
        l->directory = NULL;
        l->looked_into = at->pack;
        if (repository_read_directory(l->from, &at->pack, at->pack_size, &l->directory, &l->directory_count, e) < 0)
            return reader_is_damage(e) ? 0 : -1;
    }
    for (uint32_t i = 0; i < l->directory_count && !*right; i++)
        *right = memcmp(&l->directory[i], &at->chunk, sizeof at->chunk) == 0;
    return 0;
}

/* Where to take it from: our own word, or that of whose snapshot it is, is proved when the pack is read. */
static int choose_place(struct lacking *l, const uint8_t *id, struct index_location *location, struct error *e)
{
    for (unsigned nth = 0; index_find(l->from->index, id, INDEX_READ, nth, location); nth++) {
        bool right = !location->foreign;
        if (!right && look_up(l, location, &right, e) < 0)
            return -1;
        if (right)
            return 0;
    }
    return lacks(l, e);
}

/* The first n bytes of a chunk, or some of them. One that another host has put into the target is not relied on, as in
 * a backup. */
static int want_chunk(struct lacking *l, const uint8_t *id, uint64_t n, struct error *e)
{
    struct index_location location, there;
    if (repository_has(l->to, id, &location) && location.chunk.plain >= n)
        return needs_add(&l->needs, &location.pack, e);
    if (choose_place(l, id, &location, e) < 0)
        return -1;
    if (location.chunk.plain < n) {
        error_set(e, ERROR_INTEGRITY, "has an entry in the snapshot that reaches beyond the end of a chunk");
        return error_subject(e, "sink", sink_name(l->from->sink));
    }
    if (has_pack(l, id, &location.pack, &there))
        return needs_add(&l->needs, &there.pack, e);
    const struct pack_name target = pack_name_of(l->host, location.pack.hash);
    l->packs[location.pack_row] = 1;
    l->chunks[location.row] = 1;
    return needs_add(&l->needs, &target, e);
}

static int want_extent(struct lacking *l, const struct catalogue_extent *extent, struct error *e)
{
    uint64_t end = extent->offset + extent->length;
    if (catalogue_is_hole(extent) || (memcmp(l->last, extent->id, sizeof l->last) == 0 && end <= l->last_end))
        return 0;
    memcpy(l->last, extent->id, sizeof l->last);
    l->last_end = end;
    return want_chunk(l, extent->id, end, e);
}

static int want_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)bytes;
    (void)n;
    for (size_t i = 0; i < record->extent_count; i++)
        if (want_extent(context, &record->extents[i], e) < 0)
            return -1;
    return 0;
}

static int want_source(struct lacking *l, struct reader *reader, const struct manifest_source *source, struct error *e)
{
    for (size_t i = 0; i < source->chunk_count; i++)
        if (want_chunk(l, source->chunks[i].id, source->chunks[i].length, e) < 0)
            return -1;
    return reader_catalogue(reader, source, NULL, want_record, l, e);
}

static int want_snapshot(struct lacking *l, const struct manifest *manifest, struct error *e)
{
    struct reader *reader;
    if (reader_new(l->from, &reader, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < manifest->source_count; i++)
        if (manifest->sources[i].status != MANIFEST_MISSING)
            result = want_source(l, reader, &manifest->sources[i], e);
    reader_free(reader);
    return result;
}

int lacking_find(struct lacking *lacking, struct repository *from, struct repository *to,
                 const struct manifest *manifest, struct error *e)
{
    lacking->from = from;
    lacking->to = to;
    lacking->host = manifest->host;
    lacking->packs = calloc(index_pack_count(from->index) + 1, 1);
    lacking->chunks = calloc(index_chunk_count(from->index) + 1, 1);
    if (!lacking->packs || !lacking->chunks)
        return error_memory(e);
    if (want_snapshot(lacking, manifest, e) < 0)
        return -1;
    needs_sort(&lacking->needs);
    return 0;
}

void lacking_free(struct lacking *lacking)
{
    free(lacking->packs);
    free(lacking->chunks);
    free(lacking->directory);
    needs_free(&lacking->needs);
}
