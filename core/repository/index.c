#include "repository/index.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/index_body.h"
#include "repository/index_table.h"

#define BATCH_CHUNKS (256u << 10)
#define OPEN_TRIES 100

/* ---- opening ---- */

/* Damaged, made for somebody else: what it says is absorbed again. */
static int note_broken(struct index *index, uint64_t number, struct error *e)
{
    bytes_put(&index->broken, &number, sizeof number);
    return bytes_check(&index->broken, "index cache", e);
}

static int open_part(struct index *index, const struct index_entry *entry, struct error *e)
{
    char path[PATH_MAX + 32];
    struct segment *segment;
    index_list_path(index, entry->number, path);
    int fd = file_open(path, O_RDONLY, e);
    if (fd < 0)
        return -1;
    if (segment_open(fd, path, index->identity, &segment, e) == 0)
        return index_part_add(index, segment, entry->number, false, e);
    return e->class == ERROR_INTEGRITY ? note_broken(index, entry->number, e) : -1;
}

static void close_parts(struct index *index)
{
    size_t count;
    for (index_parts(index, &count); count > 0; count--)
        index_part_remove(index, count - 1);
}

/* *again: one of those listed is not there, as when somebody else has just merged it. */
static int open_parts(struct index *index, const struct index_list *list, bool last, bool *again, struct error *e)
{
    const struct index_entry *entries = (const void *)list->entries.data;
    *again = false;
    for (size_t i = 0; i < list->entries.length / sizeof *entries; i++) {
        if (index->host[0] != '\0' && strcmp(index->host, entries[i].host) != 0)
            continue;
        if (open_part(index, &entries[i], e) == 0)
            continue;
        if (e->class != ERROR_NOT_FOUND)
            return error_context(e, "index cache: ");
        *again = !last;
        if (*again)
            return 0;
        if (note_broken(index, entries[i].number, e) < 0)
            return -1;
    }
    return 0;
}

static int open_listed(struct index *index, struct error *e)
{
    bool again = true;
    for (unsigned i = 1; again; i++) {
        struct index_list list;
        close_parts(index);
        bytes_reset(&index->broken);
        if (index_list_read(index, &list, e) < 0)
            return -1;
        int result = open_parts(index, &list, i == OPEN_TRIES, &again, e);
        bytes_free(&list.entries);
        if (result < 0)
            return -1;
    }
    index_part_sort(index);
    return 0;
}

int index_open(const char *path, const uint8_t identity[SEAL_HASH_SIZE], const char *host, struct index **index,
               struct error *e)
{
    struct index *x = calloc(1, sizeof *x);
    if (!x)
        return error_memory(e);
    snprintf(x->path, sizeof x->path, "%s", path);
    snprintf(x->host, sizeof x->host, "%s", host ? host : "");
    memcpy(x->identity, identity, sizeof x->identity);
    x->parts.maximum = x->batches.maximum = x->broken.maximum = x->shares.maximum = x->unplaced.maximum = (size_t)1
                                                                                                          << 30;
    if (open_listed(x, e) < 0) {
        index_free(x);
        return -1;
    }
    *index = x;
    return 0;
}

static struct index_batch *batches(const struct index *index, size_t *count)
{
    *count = index->batches.length / sizeof(struct index_batch);
    return (struct index_batch *)(void *)index->batches.data;
}

static void clear_batches(struct index *index)
{
    size_t count;
    struct index_batch *batch = batches(index, &count);
    for (size_t i = 0; i < count; i++) {
        bytes_free(&batch[i].objects);
        bytes_free(&batch[i].packs);
        bytes_free(&batch[i].chunks);
    }
    bytes_reset(&index->batches);
    index->absorbed = 0;
}

void index_free(struct index *index)
{
    if (!index)
        return;
    close_parts(index);
    clear_batches(index);
    bytes_free(&index->parts);
    bytes_free(&index->batches);
    bytes_free(&index->broken);
    bytes_free(&index->shares);
    bytes_free(&index->unplaced);
    free(index->doubted);
    free(index->revoked);
    free(index->own);
    free(index);
}

void index_fix(struct index *index)
{
    index->fixed = true;
}

/* ---- objects ---- */

size_t index_object_count(const struct index *index)
{
    return index->objects;
}

bool index_covers(const struct index *index, const uint8_t name[SEAL_HASH_SIZE])
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    for (size_t i = 0; i < count; i++) {
        size_t object = segment_find_object(parts[i].segment, name);
        if (object != SIZE_MAX && !parts[i].gone[object])
            return true;
    }
    return false;
}

/* True when one of them has gone. With crowded, those of which something was left out go as well. */
static bool retain(struct index *index, const void *listed, size_t n, size_t size, bool crowded)
{
    size_t count;
    bool gone = false;
    struct index_part *parts = index_parts(index, &count);
    for (struct index_part *part = parts; part < parts + count; part++)
        for (size_t i = 0; i < part->segment->header.objects; i++) {
            const struct segment_object *object = &part->segment->objects[i];
            if (part->gone[i] || !index_object_is_named(object))
                continue;
            bool there = n > 0 && bsearch(object->name, listed, n, size, seal_hash_compare);
            part->gone[i] = !there || (crowded && object->crowded);
            gone = gone || part->gone[i];
        }
    return gone;
}

void index_retain(struct index *index, const void *listed, size_t count, size_t size)
{
    ASSERT(!index->fixed);
    if (!retain(index, listed, count, size, false))
        return;
    /* There may be room for what was left out, now that others are gone. */
    retain(index, listed, count, size, true);
    index_part_heed_crowded(index);
    bytes_reset(&index->shares);
}

int index_check(struct index *index, bool *damaged, struct error *e)
{
    size_t count;
    struct index_part *parts = index_parts(index, &count);
    ASSERT(!index->fixed);
    *damaged = false;
    for (size_t i = count; i-- > 0;) {
        if (segment_check(parts[i].segment, index->path, e) == 0)
            continue;
        if (e->class != ERROR_INTEGRITY || note_broken(index, parts[i].number, e) < 0)
            return -1;
        *damaged = true;
        index_part_remove(index, i);
    }
    if (*damaged)
        bytes_reset(&index->shares);
    return 0;
}

/* ---- absorbing ---- */

static struct index_batch *batch_of(struct index *index, const char *host, struct error *e)
{
    size_t count;
    struct index_batch *all = batches(index, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].host, host) == 0)
            return &all[i];
    struct index_batch fresh = {.objects = {.maximum = (size_t)1 << 30}};
    fresh.packs.maximum = fresh.chunks.maximum = (size_t)1 << 32;
    snprintf(fresh.host, sizeof fresh.host, "%s", host);
    bytes_put(&index->batches, &fresh, sizeof fresh);
    if (bytes_check(&index->batches, "index", e) < 0)
        return NULL;
    all = batches(index, &count);
    return &all[count - 1];
}

/* What no object describes is of one object without a name, or of two: ours, and that of others. */
static int add_object(struct index_batch *batch, const struct segment_object *object, uint32_t *number, struct error *e)
{
    const struct segment_object *all = (const void *)batch->objects.data;
    size_t count = batch->objects.length / sizeof *all;
    for (*number = 0; *number < count && !index_object_is_named(object); ++*number)
        if (all[*number].own == object->own)
            return 0;
    *number = (uint32_t)count;
    bytes_put(&batch->objects, object, sizeof *object);
    return bytes_check(&batch->objects, "index", e);
}

struct absorbing {
    struct index *index;
    struct index_batch *batch;
    uint32_t object; /* number in the batch */
};

static int absorb_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                       const struct pack_chunk *chunks, uint32_t count, struct error *e)
{
    struct absorbing *a = context;
    struct segment_object *object = (struct segment_object *)(void *)a->batch->objects.data + a->object;
    struct segment_pack pack = {.size = (uint32_t)size, .object = a->object};
    uint32_t number = (uint32_t)(a->batch->packs.length / sizeof pack);
    bool fits;
    if (index_share_take(a->index, object, count, &fits, e) < 0)
        return -1;
    if (!fits) {
        object->crowded = 1;
        a->index->crowded = true;
        return 0;
    }
    memcpy(pack.name, name, sizeof pack.name);
    bytes_put(&a->batch->packs, &pack, sizeof pack);
    for (uint32_t i = 0; i < count; i++) {
        struct segment_chunk chunk = {
            .pack = number, .offset = chunks[i].offset, .stored = chunks[i].stored, .plain = chunks[i].plain};
        memcpy(chunk.id, chunks[i].id, sizeof chunk.id);
        bytes_put(&a->batch->chunks, &chunk, sizeof chunk);
    }
    a->index->absorbed += count;
    if (bytes_check(&a->batch->packs, "index", e) < 0)
        return -1;
    return bytes_check(&a->batch->chunks, "index", e);
}

/* Where an object's rows go. What no object describes is kept apart: it gets a segment of its own. */
static int begin_object(struct index *index, const char *host, const struct index_origin *origin, struct absorbing *a,
                        struct error *e)
{
    struct segment_object object = {.own = origin->own};
    ASSERT(!index->fixed);
    if (index->batches.length > 0 && index->unnamed != !origin->object && index_settle(index, e) < 0)
        return -1;
    index->unnamed = !origin->object;
    if (origin->object)
        memcpy(object.name, origin->object, sizeof object.name);
    if (origin->signer)
        memcpy(object.signer, origin->signer, sizeof object.signer);
    *a = (struct absorbing){.index = index, .batch = batch_of(index, host, e)};
    return a->batch ? add_object(a->batch, &object, &a->object, e) : -1;
}

int index_pass_over(struct index *index, const char *host, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    struct absorbing ignored;
    return begin_object(index, host, &(struct index_origin){.object = name}, &ignored, e);
}

int index_absorb(struct index *index, const struct index_origin *origin, const void *body, size_t n, struct error *e)
{
    char host[SEGMENT_HOST_SIZE];
    struct absorbing a;
    if (index_body_host(body, n, host, e) < 0 || index_body_each(body, n, NULL, NULL, e) < 0)
        return -1;
    if (pack_name_number(host) == 0)
        return error_set(e, ERROR_INTEGRITY, "index object is of a host '%s', which is no name", host);
    if (begin_object(index, host, origin, &a, e) < 0 || index_body_each(body, n, absorb_pack, &a, e) < 0)
        return -1;
    return index->absorbed >= BATCH_CHUNKS ? index_settle(index, e) : 0;
}

/* ---- settling ---- */

static int settle_batch(struct index *index, struct index_batch *batch, struct index_list *list, struct error *e)
{
    struct segment_batch rows = {.objects = (void *)batch->objects.data,
                                 .packs = (void *)batch->packs.data,
                                 .chunks = (void *)batch->chunks.data,
                                 .object_count = batch->objects.length / sizeof *rows.objects,
                                 .pack_count = batch->packs.length / sizeof *rows.packs,
                                 .chunk_count = batch->chunks.length / sizeof *rows.chunks};
    AUTO_FREE uint8_t *unbounded = calloc(rows.object_count + 1, 1);
    if (!unbounded)
        return error_memory(e);
    for (size_t i = 0; i < rows.object_count; i++)
        unbounded[i] = !index_object_is_named(&rows.objects[i]) || index_object_is_own(index, &rows.objects[i]);
    const struct segment_source source = {.batch = &rows, .unbounded = unbounded};
    struct segment *segment;
    uint64_t number = index->unnamed ? 0 : list->next++;
    if (index_merge_write(index, number, batch->host, &source, 1, &segment, e) < 0)
        return -1;
    if (number > 0 && index_list_add(list, number, batch->host, e) < 0) {
        segment_close(segment);
        return -1;
    }
    return index_part_add(index, segment, number, true, e);
}

static int settle(struct index *index, struct index_list *list, struct error *e)
{
    size_t count;
    struct index_batch *all = batches(index, &count);
    const uint64_t *broken = (const void *)index->broken.data;
    for (size_t i = 0; i < index->broken.length / sizeof *broken; i++)
        index_list_remove(list, broken[i]);
    for (size_t i = 0; i < count; i++)
        if (settle_batch(index, &all[i], list, e) < 0)
            return -1;
    if (index_merge_fresh(index, list, e) < 0)
        return -1;
    return index->unnamed ? 0 : index_list_write(index, list, e);
}

int index_settle(struct index *index, struct error *e)
{
    struct index_list list;
    if (index->batches.length == 0)
        return 0;
    AUTO_CLOSE int lock = index_list_lock(index, e);
    if (lock < 0 || index_list_read(index, &list, e) < 0)
        return -1;
    int result = settle(index, &list, e);
    bytes_free(&list.entries);
    if (result < 0)
        return -1;
    clear_batches(index);
    return 0;
}
