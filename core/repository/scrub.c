#include "repository/scrub.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "flow/line.h"
#include "flow/task.h"
#include "repository/chunker.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/pack.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define WORKERS_MAX 8
#define ITEMS_MAX (WORKERS_MAX + 1)

/* A pack under the lens. */
struct item {
    struct pack_name name;
    struct bytes pack;
    struct pack_chunk *chunks;
    uint8_t *whole; /* per chunk: opened and right */
    uint32_t count;
    struct error damage; /* class ERROR_NONE = none */
};

struct scrub {
    struct repository *repository;
    const struct scrub_audience *audience;
    struct item items[ITEMS_MAX];
    void *slots[ITEMS_MAX];
    size_t slot_count;
    struct pack_decompressor *decompressors[WORKERS_MAX];
    uint8_t *plain[WORKERS_MAX];
    struct line *line;
};

static int open_chunks(struct scrub *s, size_t worker, struct item *item, const struct seal_box *box, const char *key,
                       struct error *e)
{
    for (uint32_t i = 0; i < item->count; i++) {
        const struct pack_chunk *chunk = &item->chunks[i];
        struct error why;
        if (chunk->plain > CHUNKER_MAXIMUM)
            error_set(&why, ERROR_INTEGRITY, "'%s' has a chunk of %u bytes", key, chunk->plain);
        else if (pack_open_chunk(s->decompressors[worker], s->repository->key, box, chunk,
                                 item->pack.data + chunk->offset, s->plain[worker], key, &why) == 0)
            item->whole[i] = 1;
        if (!item->whole[i] && item->damage.class == ERROR_NONE)
            item->damage = why;
    }
    return item->damage.class == ERROR_MEMORY ? error_memory(e) : 0;
}

/* Everything that can be said of the pack's content. */
static int open_pack(struct scrub *s, size_t worker, struct item *item, const char *key, struct error *e)
{
    struct seal_box box;
    size_t need = 0;
    if (item->pack.length < PACK_HEADER_SIZE)
        return error_set(e, ERROR_INTEGRITY, "'%s' has only %zu bytes", key, item->pack.length);
    if (pack_open_header(s->repository->key, item->pack.data, key, &box, e) < 0 ||
        pack_read_directory(&box, item->pack.data, item->pack.length, item->pack.length, key, &item->chunks,
                            &item->count, &need, e) < 0)
        return -1;
    if (need > 0)
        return error_set(e, ERROR_INTEGRITY, "'%s' has no directory", key);
    item->whole = calloc(item->count + 1u, 1);
    return item->whole ? open_chunks(s, worker, item, &box, key, e) : error_memory(e);
}

/* A pack that is gone or cannot be read is damage; a sink that cannot be reached is not. */
static int fetch_pack(struct scrub *s, struct item *item, const char *key, struct error *e)
{
    bytes_reset(&item->pack);
    if (sink_get(s->repository->sink, key, PACK_SIZE_MAX, &item->pack, e) == 0)
        return 0;
    if (!reader_is_damage(e) && e->class != ERROR_PERMANENT)
        return -1;
    item->damage = *e;
    return 0;
}

static int look(void *context, size_t worker, void *slot, struct error *e)
{
    struct scrub *s = context;
    struct item *item = slot;
    char key[201];
    uint8_t hash[SEAL_HASH_SIZE];
    pack_name_key(&item->name, key);
    if (fetch_pack(s, item, key, e) < 0)
        return -1;
    if (item->damage.class != ERROR_NONE)
        return 0; /* it could not even be read */
    seal_hash(item->pack.data, item->pack.length, hash);
    if (memcmp(hash, item->name.hash, sizeof hash) != 0)
        error_set(&item->damage, ERROR_INTEGRITY, "its bytes are not those that its name stands for");
    struct error why;
    if (!s->repository->key->full || open_pack(s, worker, item, key, &why) == 0)
        return 0;
    if (why.class == ERROR_MEMORY) {
        *e = why;
        return -1;
    }
    if (item->damage.class == ERROR_NONE)
        item->damage = why;
    return 0;
}

static int tell(void *context, void *slot, struct error *e)
{
    struct scrub *s = context;
    struct item *item = slot;
    (void)e;
    const struct scrub_audience *audience = s->audience;
    for (uint32_t i = 0; i < item->count; i++)
        audience->chunk(audience->context, &item->name, &item->chunks[i], item->whole && item->whole[i]);
    if (item->damage.class != ERROR_NONE)
        audience->damage(audience->context, &item->name, item->damage.message);
    else
        audience->sound(audience->context, &item->name);
    audience->progress(audience->context, item->pack.length);
    free(item->chunks);
    free(item->whole);
    item->chunks = NULL;
    item->whole = NULL;
    item->count = 0;
    return 0;
}

static void free_scrub(struct scrub *s)
{
    line_free(s->line);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        bytes_free(&s->items[i].pack);
        free(s->items[i].chunks);
        free(s->items[i].whole);
    }
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        pack_decompressor_free(s->decompressors[i]);
        free(s->plain[i]);
    }
    free(s);
}

static int make_scrub(struct scrub *s, struct error *e)
{
    /* Those who wait for the sink leave the processors to others. */
    size_t workers = sink_parallel(s->repository->sink);
    workers = workers > task_processors() ? workers : task_processors();
    workers = workers < WORKERS_MAX ? workers : WORKERS_MAX;
    s->slot_count = workers + 1;
    for (size_t i = 0; i < s->slot_count; i++) {
        s->items[i].pack.maximum = PACK_SIZE_MAX + 1;
        s->slots[i] = &s->items[i];
    }
    for (size_t i = 0; i < workers; i++) {
        if (pack_decompressor_new(&s->decompressors[i], e) < 0)
            return -1;
        if (!(s->plain[i] = malloc(CHUNKER_MAXIMUM)))
            return error_memory(e);
    }
    struct line_spec spec = {
        .slots = s->slot_count, .workers = workers, .items = s->slots, .work = look, .consume = tell, .context = s};
    return line_new(&spec, &s->line, e);
}

static int submit(struct scrub *s, const struct index_pack *pack, struct error *e)
{
    void *slot;
    if (line_slot(s->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    item->name = pack->name;
    item->damage = (struct error){0};
    return line_submit(s->line, e);
}

int scrub_packs(struct repository *repository, const struct index_pack *packs, size_t count,
                const struct scrub_audience *audience, struct error *e)
{
    struct scrub *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    s->repository = repository;
    s->audience = audience;
    int result = make_scrub(s, e);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = submit(s, &packs[i], e);
    if (result == 0)
        result = line_drain(s->line, e);
    free_scrub(s);
    return result;
}
