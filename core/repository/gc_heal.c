/* Of gc: needs of a snapshot that lost them, or whose cannot be read, are made anew, with the full key. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "repository/catalogue.h"
#include "repository/gc.h"
#include "repository/index.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

struct healing {
    struct repository *repository;
    struct needs needs;
    uint8_t last[SEAL_HASH_SIZE]; /* neighbours are mostly in one chunk */
};

/* An index is a hint: wherever the chunk may be is needed. */
static int need_chunk(struct healing *h, const uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    struct index_location location;
    char hex[2 * SEAL_HASH_SIZE + 1];
    unsigned nth = 0;
    if (memcmp(h->last, id, sizeof h->last) == 0)
        return 0;
    memcpy(h->last, id, sizeof h->last);
    for (; index_find(h->repository->index, id, INDEX_READ, nth, &location); nth++)
        if (needs_add(&h->needs, &location.pack, e) < 0)
            return -1;
    if (nth > 0)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "chunk %s of the snapshot is in no pack", text_hex(id, SEAL_HASH_SIZE, hex));
}

static int need_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)bytes;
    (void)n;
    for (size_t i = 0; i < record->extent_count; i++)
        if (!catalogue_is_hole(&record->extents[i]) && need_chunk(context, record->extents[i].id, e) < 0)
            return -1;
    return 0;
}

static int walk(struct healing *h, const struct manifest *m, struct error *e)
{
    struct reader *reader;
    int result = 0;
    if (reader_new(h->repository, &reader, e) < 0)
        return -1;
    for (size_t i = 0; result == 0 && i < m->source_count; i++) {
        for (size_t k = 0; result == 0 && k < m->sources[i].chunk_count; k++)
            result = need_chunk(h, m->sources[i].chunks[k].id, e);
        if (result == 0 && m->sources[i].status != MANIFEST_MISSING)
            result = reader_catalogue(reader, &m->sources[i], NULL, need_record, h, e);
    }
    reader_free(reader);
    return result;
}

int gc_heal(struct gc *gc, const char *key, const struct bytes *manifest, struct error *e)
{
    struct healing h = {.repository = gc->repository};
    struct manifest *m;
    if (manifest_object_take(gc->repository, manifest->data, manifest->length, key, &m, e) < 0)
        return -1;
    int result = repository_load_index(gc->repository, REPOSITORY_ALL, e);
    if (result == 0)
        result = walk(&h, m, e);
    needs_sort(&h.needs);
    if (result == 0)
        result = needs_put(gc->repository, &h.needs, m, manifest, true, e);
    needs_free(&h.needs);
    manifest_free(m);
    return result;
}
