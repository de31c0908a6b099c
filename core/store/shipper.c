#include "store/shipper.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "flow/task.h"
#include "store/index.h"
#include "store/index_body.h"
#include "store/journal.h"
#include "store/pack.h"
#include "store/repository.h"
#include "worker/sink.h"

#define BUILDERS 2
#define INDEX_BODY_MAX ((size_t)256 << 20)

struct builder {
    uint32_t mask; /* 0 = free */
    struct pack *pack;
};

struct upload {
    struct shipper_sink *sink;
    const struct pack *pack;
    struct task *task;
};

struct shipper {
    struct shipper_sink sinks[SHIPPER_SINKS_MAX];
    size_t sink_count;
    const struct key *key;
    struct builder builders[BUILDERS];
    struct pack *spare; /* free, or in flight */
    struct upload uploads[SHIPPER_SINKS_MAX];
    size_t upload_count;
};

static uint32_t live_mask(const struct shipper *s)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < s->sink_count; i++)
        if (!s->sinks[i].failed)
            mask |= UINT32_C(1) << i;
    return mask;
}

static int check_live(const struct shipper *s, struct error *e)
{
    if (live_mask(s) != 0)
        return 0;
    *e = s->sinks[0].error;
    return -1;
}

static void fail_sink(struct shipper_sink *sink, const struct error *why)
{
    if (sink->failed)
        return;
    sink->failed = true;
    sink->error = *why;
    error_context(&sink->error, "sink '%s': ", sink->repository->sink);
    log_error(LOG_ERROR, &sink->error);
}

/* ---- adopting what an earlier run sent ---- */

struct adoption {
    struct shipper_sink *sink;
    struct index_pack *packs; /* that the sink has */
    size_t count;
};

static int compare_packs(const void *a, const void *b)
{
    return memcmp(((const struct index_pack *)a)->name, ((const struct index_pack *)b)->name, SEAL_HASH_SIZE);
}

static int adopt_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                      uint32_t count, struct error *e)
{
    const struct adoption *a = context;
    struct index_pack wanted;
    memcpy(wanted.name, name, sizeof wanted.name);
    const struct index_pack *found = bsearch(&wanted, a->packs, a->count, sizeof wanted, compare_packs);
    if (!found || found->known || found->size != size)
        return 0;
    index_body_add_pack(&a->sink->index_body, name, size, chunks, count);
    a->sink->index_packs++;
    return bytes_check(&a->sink->index_body, "index", e);
}

static void begin_index_body(struct shipper_sink *sink)
{
    bytes_reset(&sink->index_body);
    sink->index_packs = 0;
    index_body_begin(&sink->index_body, sink->repository->host, clock_now());
}

static int adopt(struct shipper_sink *sink, struct error *e)
{
    AUTO_FREE struct index_pack *packs = NULL;
    struct adoption a = {.sink = sink};
    if (repository_list_packs(sink->repository, &packs, &a.count, e) < 0 ||
        index_set_present(sink->repository->index, packs, a.count, e) < 0)
        return -1;
    a.packs = packs;
    if (journal_each(sink->journal, adopt_pack, &a, e) < 0)
        return -1;
    if (sink->index_packs == 0)
        return 0;
    index_body_end(&sink->index_body, sink->index_packs);
    struct index *index = sink->repository->index;
    if (index_absorb(index, NULL, sink->index_body.data, sink->index_body.length, true, e) < 0)
        return -1;
    return index_settle(index, e);
}

static int open_sink(struct shipper_sink *sink, struct repository *repository, const char *state_dir, struct error *e)
{
    sink->repository = repository;
    sink->index_body.maximum = INDEX_BODY_MAX;
    sink->indexes.maximum = (size_t)1 << 20;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/sent-%s", state_dir, repository->id_text) >= (int)sizeof path)
        return error_set(e, ERROR_RANGE, "path '%s' is too long", state_dir);
    if (journal_open(path, &sink->journal, e) < 0)
        return -1;
    begin_index_body(sink);
    return adopt(sink, e);
}

int shipper_new(struct repository *const *repositories, size_t count, const char *state_dir, struct shipper **shipper,
                struct error *e)
{
    ASSERT(count > 0 && count <= SHIPPER_SINKS_MAX);
    struct shipper *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    s->key = repositories[0]->key;
    s->sink_count = count;
    for (size_t i = 0; i < count; i++) {
        struct error why;
        if (open_sink(&s->sinks[i], repositories[i], state_dir, &why) < 0)
            fail_sink(&s->sinks[i], &why);
    }
    if (check_live(s, e) < 0) {
        shipper_free(s);
        return -1;
    }
    *shipper = s;
    return 0;
}

static void wait_uploads(struct shipper *s);

void shipper_free(struct shipper *shipper)
{
    if (!shipper)
        return;
    wait_uploads(shipper);
    for (size_t i = 0; i < shipper->sink_count; i++) {
        journal_close(shipper->sinks[i].journal);
        bytes_free(&shipper->sinks[i].index_body);
        bytes_free(&shipper->sinks[i].indexes);
    }
    for (size_t i = 0; i < BUILDERS; i++)
        pack_free(shipper->builders[i].pack);
    pack_free(shipper->spare);
    free(shipper);
}

size_t shipper_sink_count(const struct shipper *shipper)
{
    return shipper->sink_count;
}

struct shipper_sink *shipper_sink(struct shipper *shipper, size_t i)
{
    return &shipper->sinks[i];
}

/* ---- sending ---- */

static int upload(void *context, struct error *e)
{
    const struct upload *u = context;
    char key[201];
    repository_pack_key(u->pack->name, key);
    if (journal_add(u->sink->journal, u->pack->name, u->pack->length, u->pack->chunks, u->pack->count, e) < 0)
        return -1;
    return sink_put(u->sink->repository->worker, key, u->pack->data, u->pack->length, true, e);
}

/* The pack is durable in that sink: it goes into the next index object. */
static int note_pack(struct shipper_sink *sink, const struct pack *pack, struct error *e)
{
    index_body_add_pack(&sink->index_body, pack->name, pack->length, pack->chunks, pack->count);
    sink->index_packs++;
    sink->added += pack->length;
    return bytes_check(&sink->index_body, "index", e);
}

static void wait_uploads(struct shipper *s)
{
    for (size_t i = 0; i < s->upload_count; i++) {
        struct upload *u = &s->uploads[i];
        struct error e;
        if (task_join(u->task, &e) < 0 || note_pack(u->sink, u->pack, &e) < 0)
            fail_sink(u->sink, &e);
    }
    s->upload_count = 0;
}

static void start_upload(struct shipper *s, struct shipper_sink *sink, const struct pack *pack)
{
    struct upload *u = &s->uploads[s->upload_count];
    struct error e;
    u->sink = sink;
    u->pack = pack;
    if (task_start(&u->task, upload, u, &e) < 0)
        fail_sink(sink, &e);
    else
        s->upload_count++;
}

/* Send the builder's pack. Its buffer stays busy until the next wait_uploads; the builder goes on with the spare one.
 */
static int ship(struct shipper *s, struct builder *b, struct error *e)
{
    if (pack_finish(b->pack, e) < 0)
        return -1;
    wait_uploads(s);
    struct pack *full = b->pack;
    b->pack = s->spare;
    s->spare = full;
    for (size_t i = 0; i < s->sink_count; i++)
        if ((b->mask >> i & 1) && !s->sinks[i].failed)
            start_upload(s, &s->sinks[i], full);
    b->mask = 0;
    return check_live(s, e);
}

/* ---- building ---- */

static struct builder *find_builder(struct shipper *s, uint32_t mask)
{
    for (size_t i = 0; i < BUILDERS; i++)
        if (s->builders[i].mask == mask)
            return &s->builders[i];
    return NULL;
}

static int start_builder(struct shipper *s, struct builder *b, uint32_t mask, struct error *e)
{
    if (!b->pack && pack_new(s->key, &b->pack, e) < 0)
        return -1;
    pack_begin(b->pack);
    b->mask = mask;
    return 0;
}

/* The builder for this set of sinks; a new set takes a free builder, or sends the fuller of the others first. */
static int builder_for(struct shipper *s, uint32_t mask, struct builder **builder, struct error *e)
{
    *builder = find_builder(s, mask);
    if (*builder)
        return 0;
    struct builder *free_one = find_builder(s, 0);
    if (!free_one) {
        free_one = &s->builders[0];
        for (size_t i = 1; i < BUILDERS; i++)
            if (s->builders[i].pack->length > free_one->pack->length)
                free_one = &s->builders[i];
        if (ship(s, free_one, e) < 0)
            return -1;
    }
    *builder = free_one;
    return start_builder(s, free_one, mask, e);
}

int shipper_add(struct shipper *shipper, uint32_t mask, const uint8_t id[SEAL_HASH_SIZE], uint32_t plain,
                const void *compressed, size_t n, struct error *e)
{
    mask &= live_mask(shipper);
    if (mask == 0)
        return 0;
    struct builder *b;
    if (builder_for(shipper, mask, &b, e) < 0)
        return -1;
    pack_add(b->pack, id, plain, compressed, n);
    return pack_full(b->pack) ? ship(shipper, b, e) : 0;
}

/* ---- checkpoint ---- */

static int put_index(struct shipper_sink *sink, struct error *e)
{
    if (sink->index_packs == 0)
        return 0;
    index_body_end(&sink->index_body, sink->index_packs);
    AUTO_BYTES struct bytes object = {.maximum = INDEX_BODY_MAX};
    struct repository *r = sink->repository;
    if (seal_envelope(r->key, SEAL_INDEX, NULL, 0, sink->index_body.data, sink->index_body.length, &object, e) < 0)
        return -1;
    uint8_t name[SEAL_HASH_SIZE];
    char key[201];
    seal_hash(object.data, object.length, name);
    repository_index_key(name, key);
    /* Twice: the packs are there before what describes them, and that before we rely on it. */
    if (sink_sync(r->worker, e) < 0 || sink_put(r->worker, key, object.data, object.length, true, e) < 0 ||
        sink_sync(r->worker, e) < 0)
        return -1;
    sink->added += object.length;
    bytes_put(&sink->indexes, name, sizeof name);
    if (bytes_check(&sink->indexes, "list of index objects", e) < 0)
        return -1;
    if (index_absorb(r->index, name, sink->index_body.data, sink->index_body.length, true, e) < 0 ||
        index_settle(r->index, e) < 0)
        return -1;
    begin_index_body(sink);
    return journal_clear(sink->journal, e);
}

int shipper_checkpoint(struct shipper *shipper, struct error *e)
{
    for (size_t i = 0; i < BUILDERS; i++)
        if (shipper->builders[i].mask != 0 && ship(shipper, &shipper->builders[i], e) < 0)
            return -1;
    wait_uploads(shipper);
    for (size_t i = 0; i < shipper->sink_count; i++) {
        struct error why;
        if (!shipper->sinks[i].failed && put_index(&shipper->sinks[i], &why) < 0)
            fail_sink(&shipper->sinks[i], &why);
    }
    return check_live(shipper, e);
}
