/* Of needs: which packs a new snapshot needs. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "repository/cache_path.h"
#include "repository/catalogue.h"
#include "repository/catalogue_file.h"
#include "repository/index.h"
#include "repository/needs.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"

struct walk {
    const struct repository *repository;
    uint8_t *rows; /* by row of the index: the pack is needed */
    uint8_t last[SEAL_HASH_SIZE];
};

/* Neighbours are mostly in one chunk. */
static int need(struct walk *w, const uint8_t id[SEAL_HASH_SIZE], struct error *e)
{
    struct index_location location;
    char hex[2 * SEAL_HASH_SIZE + 1];
    if (memcmp(w->last, id, sizeof w->last) == 0)
        return 0;
    if (!repository_has(w->repository, id, &location))
        return error_set(e, ERROR_INTEGRITY, "chunk %s of the snapshot is in no pack that can be relied on",
                         text_hex(id, SEAL_HASH_SIZE, hex));
    w->rows[location.pack_row] = 1;
    memcpy(w->last, id, sizeof w->last);
    return 0;
}

static int need_record(struct walk *w, const struct record *record, struct error *e)
{
    for (size_t i = 0; i < record->extent_count; i++)
        if (!catalogue_is_hole(&record->extents[i]) && need(w, record->extents[i].id, e) < 0)
            return -1;
    return 0;
}

static int need_catalogue(struct walk *w, const char *path, struct error *e)
{
    struct catalogue_input *input;
    struct record record;
    const uint8_t *bytes;
    size_t n;
    bool end = false;
    if (catalogue_input_open(path, &input, e) < 0)
        return -1;
    int result = 0;
    while (result == 0 && !end) {
        result = catalogue_input_next(input, &record, &bytes, &n, &end, e);
        if (result == 0 && !end)
            result = need_record(w, &record, e);
    }
    catalogue_input_close(input);
    return result;
}

static int need_source(struct walk *w, const struct manifest_source *source, const char *cache, struct error *e)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    for (size_t k = 0; k < source->chunk_count; k++)
        if (need(w, source->chunks[k].id, e) < 0)
            return -1;
    if (source->status == MANIFEST_MISSING)
        return 0;
    return cache_path_catalogue(cache, source->name, path, fresh, e) < 0 ? -1 : need_catalogue(w, fresh, e);
}

static int add_rows(const struct walk *w, size_t rows, struct needs *needs, struct error *e)
{
    for (size_t i = 0; i < rows; i++) {
        struct pack_name name;
        uint64_t size;
        if (!w->rows[i])
            continue;
        if (!index_pack_at(w->repository->index, i, &name, &size))
            return error_set(e, ERROR_INTEGRITY, "what the index in '%s' said a moment ago cannot be read any more",
                             w->repository->cache);
        if (needs_add(needs, &name, e) < 0)
            return -1;
    }
    needs_sort(needs);
    return 0;
}

int needs_of_catalogues(const struct repository *repository, const struct manifest *manifest, const char *cache,
                        struct needs *needs, struct error *e)
{
    size_t rows = index_pack_count(repository->index);
    AUTO_FREE uint8_t *marks = calloc(rows + 1, 1);
    struct walk w = {.repository = repository, .rows = marks};
    if (!marks)
        return error_memory(e);
    for (size_t i = 0; i < manifest->source_count; i++)
        if (need_source(&w, &manifest->sources[i], cache, e) < 0)
            return -1;
    return add_rows(&w, rows, needs, e);
}
