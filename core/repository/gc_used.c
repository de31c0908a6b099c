#include "repository/gc_used.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
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

#define NEEDS_MOST 4 /* of one snapshot: more stand side by side only where none may be removed */

struct walk {
    struct gc *gc;
    struct gc_used *used;
    struct reader *reader;
    uint8_t last[SEAL_HASH_SIZE]; /* neighbours are mostly in one chunk */
};

/* The bit of an id is that of its first row: it has one whatever is said of its places. */
static uint8_t *bit_of(const struct gc_used *used, const uint8_t id[SEAL_HASH_SIZE], uint8_t *mask)
{
    size_t row = index_first_row(used->index, id);
    if (row == SIZE_MAX)
        return NULL;
    *mask = (uint8_t)(1u << row % 8);
    return used->rows + row / 8;
}

bool gc_used_has(const struct gc_used *used, const uint8_t id[SEAL_HASH_SIZE])
{
    uint8_t mask;
    const uint8_t *bits = bit_of(used, id, &mask);
    return bits && (*bits & mask);
}

static int use(struct walk *w, const uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    char hex[2 * SEAL_HASH_SIZE + 1];
    uint8_t mask;
    if (memcmp(w->last, id, sizeof w->last) == 0)
        return 0;
    memcpy(w->last, id, sizeof w->last);
    uint8_t *bits = bit_of(w->used, id, &mask);
    if (!bits)
        return error_set(e, ERROR_INTEGRITY, "chunk %s is in no pack", text_hex(id, SEAL_HASH_SIZE, hex));
    *bits |= mask;
    return 0;
}

static int use_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)bytes;
    (void)n;
    for (size_t i = 0; i < record->extent_count; i++)
        if (!catalogue_is_hole(&record->extents[i]) && use(context, record->extents[i].id, e) < 0)
            return -1;
    return 0;
}

static int use_source(struct walk *w, struct manifest_source *source, struct error *e)
{
    for (size_t i = 0; i < source->chunk_count; i++)
        if (use(w, source->chunks[i].id, e) < 0)
            return -1;
    return source->status == MANIFEST_MISSING ? 0 : reader_catalogue(w->reader, source, NULL, use_record, w, e);
}

/* The signer of its newest snapshot is whoever packs for it. */
static void note_signer(struct gc *gc, const struct manifest *m)
{
    struct gc_host *host = gc_find_host(gc, pack_name_number(m->host));
    if (!host || m->started < host->newest)
        return;
    host->newest = m->started;
    host->has_full_key = memcmp(m->signer, gc->repository->full_signer, sizeof m->signer) == 0;
}

/* One that is gone by now needs nothing. */
static int walk_snapshot(struct walk *w, const char *key, struct error *e)
{
    struct manifest *m;
    int result = 0;
    if (manifest_object_read(w->gc->repository, key, &m, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    note_signer(w->gc, m);
    for (size_t i = 0; result == 0 && i < m->source_count; i++)
        result = use_source(w, &m->sources[i], e);
    manifest_free(m);
    return result;
}

/* ---- what cannot be told ---- */

/* One that is gone by now was replaced by another gc, and what that needs is not known here. */
static int keep(struct gc *gc, const struct gc_needs *row, struct error *e)
{
    AUTO_NEEDS struct needs needs = {0};
    if (gc_needs_read(gc, row, &needs, e) < 0)
        return e->class != ERROR_NOT_FOUND
                   ? -1
                   : error_set(e, ERROR_CHANGED, "what '%s' needs is being changed by another gc", row->name);
    gc_mark_needs(gc, &needs, GARBAGE_KEPT);
    return 0;
}

static int walk_or_keep(struct walk *w, const struct gc_needs *rows, size_t count, struct error *e)
{
    char key[201];
    snprintf(key, sizeof key, "snapshots/%s", rows->name);
    memset(w->last, 0, sizeof w->last);
    bool walked = walk_snapshot(w, key, e) == 0;
    if (walked && count < NEEDS_MOST)
        return 0;
    if (!walked && !sink_is_of_object(e))
        return -1;
    if (!walked) {
        error_context(e, "what it needs is not packed anew: '%s': ", key);
        repository_warn(w->gc->repository, e);
    }
    for (size_t i = 0; i < count; i++)
        if (!rows[i].bad && keep(w->gc, &rows[i], e) < 0)
            return -1;
    return 0;
}

int gc_used_find(struct gc *gc, struct gc_used *used, struct error *e)
{
    struct walk w = {.gc = gc, .used = used};
    size_t count, of;
    const struct gc_needs *rows = gc_needs_of(gc, &count);
    *used = (struct gc_used){.index = gc->repository->index};
    used->rows = calloc(index_chunk_count(used->index) / 8 + 1, 1);
    if (!used->rows)
        return error_memory(e);
    if (reader_new(gc->repository, &w.reader, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i += of) {
        of = gc_needs_group(gc, &rows[i]);
        if (cancel_requested())
            result = error_set(e, ERROR_CANCELLED, "gc was not finished");
        else if (rows[i].has_manifest)
            result = walk_or_keep(&w, &rows[i], of, e);
    }
    reader_free(w.reader);
    return result;
}

void gc_used_free(struct gc_used *used)
{
    free(used->rows);
}

/* ---- how much of each pack ---- */

int gc_used_count(const struct gc_used *used, struct gc *gc, struct error *e)
{
    for (size_t i = 0; i < gc->host_count; i++) {
        free(gc->hosts[i].used);
        gc->hosts[i].used = calloc(gc->hosts[i].garbage.count + 1, sizeof *gc->hosts[i].used);
        if (!gc->hosts[i].used)
            return error_memory(e);
    }
    for (size_t i = 0; i < index_chunk_count(used->index); i++) {
        struct index_location at;
        if (!index_chunk_at(used->index, i, INDEX_READ, &at) || !gc_used_has(used, at.chunk.id))
            continue;
        const struct gc_host *host = gc_find_host(gc, at.pack.host);
        size_t row = host ? garbage_find(&host->garbage, at.pack.hash) : SIZE_MAX;
        if (row != SIZE_MAX)
            host->used[row] += at.chunk.stored;
    }
    return 0;
}
