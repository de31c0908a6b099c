#include "repository/uploader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "flow/task.h"
#include "repository/foundling.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/journal.h"
#include "repository/pack.h"
#include "repository/repository.h"
#include "worker/sink.h"

/* Packs, and who needs them.
 *
 * A chunk comes with the set of sinks that lack it, a mask. Usually that is all of them or one, so that packs are built
 * by set: each set of sinks has one pack under construction (a builder), and a chunk is sealed once, into the pack of
 * its set. A full pack is one block of memory that several uploads share and that is free again when the last has
 * ended:
 *
 *   chunk, mask ──► builder of that mask ──full──► upload to sink 0 ─┐
 *                                              ├─► upload to sink 2 ─┴─► users = 0: memory for the next pack
 *
 * Invariants: a pack in memory has as many users as its builder (1) and uploads under way; there are at most
 * shared_packs_max of them, so that memory is known: who needs one more waits for an upload, or sends the fullest
 * builder's. A pack is in the journal before its upload begins, so that what a killed run sent is found and described
 * by the next. It is in the index body of a sink only when that sink has stored it, and an index object is put only
 * after a sync of all connections and a look at what was sent: nothing describes what is not there. A sink that fails
 * is left out from then on; its uploads under way are waited for as any.
 */

/* Sets of sinks that have a pack under construction at once, and packs in memory: under construction, on their way,
 * free. Made when they are first needed. */
#define BUILDERS 8
#define PACKS_MAX (SINK_PARALLEL_MAX + BUILDERS + 1)
#define ADOPTED_MAX (INDEX_BODY_MAX / 2) /* bytes of index body: there has to be room for what comes */

struct builder {
    uint32_t mask; /* 0 = free */
    struct shared_pack *shared_pack;
};

/* A pack and how many still need it: its builder, or the uploads under way. */
struct shared_pack {
    struct pack *pack;
    unsigned users;
};

/* One upload to a sink, under way when it has a task. */
struct upload {
    struct uploader_sink *sink;
    struct shared_pack *shared_pack;
    struct task *task;
};

struct uploader {
    struct uploader_sink sinks[UPLOADER_SINKS_MAX];
    size_t sink_count;
    const struct key *key;
    struct builder builders[BUILDERS];
    struct shared_pack shared_packs[PACKS_MAX];
    size_t shared_packs_max;
    struct upload *uploads; /* of all sinks, one after another */
    struct task **tasks;    /* of the uploads, for waiting */
    size_t upload_count;
};

static uint32_t live_mask(const struct uploader *s)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < s->sink_count; i++)
        if (!s->sinks[i].failed)
            mask |= UINT32_C(1) << i;
    return mask;
}

static int check_live(const struct uploader *s, struct error *e)
{
    if (live_mask(s) != 0)
        return 0;
    *e = s->sinks[0].error;
    return -1;
}

static void fail_sink(struct uploader_sink *sink, const struct error *why)
{
    if (sink->failed)
        return;
    sink->failed = true;
    sink->error = *why;
    error_subject(&sink->error, "sink", sink_name(sink->repository->sink));
    log_error(LOG_ERROR, &sink->error);
}

/* ---- adopting what an earlier run sent ---- */

static int adopt_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                      uint32_t count, struct error *e)
{
    struct uploader_sink *sink = context;
    const struct repository *r = sink->repository;
    const struct index_pack pack = {.name = pack_name_of(r->host, name), .size = (uint32_t)size};
    if (size > PACK_SIZE_MAX || !index_is_unplaced(r->index, &pack) || repository_plans_pack(r, name) ||
        sink->index_body.length + (count + 1u) * PACK_ENTRY_SIZE > ADOPTED_MAX)
        return 0;
    index_body_add_pack(&sink->index_body, name, size, chunks, count);
    sink->index_packs++;
    return bytes_check(&sink->index_body, "index", e);
}

static void begin_index_body(struct uploader_sink *sink)
{
    bytes_reset(&sink->index_body);
    sink->index_packs = 0;
    index_body_begin(&sink->index_body, sink->repository->host, clock_now());
}

static int adopt(struct uploader_sink *sink, struct error *e)
{
    bool empty;
    if (journal_is_empty(sink->journal, &empty, e) < 0)
        return -1;
    if (empty)
        return 0;
    if (repository_look(sink->repository, e) < 0 || journal_each(sink->journal, adopt_pack, sink, e) < 0)
        return -1;
    if (sink->index_packs == 0)
        return 0;
    index_body_end(&sink->index_body, sink->index_packs);
    struct index *index = sink->repository->index;
    const struct index_origin origin = {.own = true};
    if (index_absorb(index, &origin, sink->index_body.data, sink->index_body.length, e) < 0)
        return -1;
    return index_settle(index, e);
}

static int open_sink(struct uploader_sink *sink, struct repository *repository, const char *state_dir, struct error *e)
{
    sink->repository = repository;
    sink->index_body.maximum = INDEX_BODY_MAX;
    sink->indexes.maximum = (size_t)1 << 20;
    confirm_begin(&sink->confirm);
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/sent-%s", state_dir, repository->id_text) >= (int)sizeof path)
        return error_set(e, ERROR_RANGE, "path '%s' is too long", state_dir);
    if (journal_open(path, &sink->journal, e) < 0)
        return -1;
    begin_index_body(sink);
    return foundling_prove(repository, e) < 0 || adopt(sink, e) < 0 ? -1 : confirm_reused(repository, e);
}

static int make_uploads(struct uploader *s, struct repository *const *repositories, struct error *e)
{
    size_t most = 1, count = 0, made = 0;
    for (size_t i = 0; i < s->sink_count; i++) {
        count += sink_parallel(repositories[i]->sink);
        most = sink_parallel(repositories[i]->sink) > most ? sink_parallel(repositories[i]->sink) : most;
    }
    size_t sets = s->sink_count < 4 ? ((size_t)1 << s->sink_count) - 1 : BUILDERS;
    s->shared_packs_max = most + sets + 1;
    s->uploads = calloc(count, sizeof *s->uploads);
    s->tasks = calloc(count, sizeof(struct task *));
    if (!s->uploads || !s->tasks)
        return error_memory(e);
    s->upload_count = count;
    for (size_t i = 0; i < s->sink_count; i++)
        for (unsigned k = 0; k < sink_parallel(repositories[i]->sink); k++)
            s->uploads[made++].sink = &s->sinks[i];
    return 0;
}

int uploader_new(struct repository *const *repositories, size_t count, const char *state_dir,
                 struct uploader **uploader, struct error *e)
{
    ASSERT(count > 0 && count <= UPLOADER_SINKS_MAX);
    struct uploader *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    s->key = repositories[0]->key;
    s->sink_count = count;
    if (make_uploads(s, repositories, e) < 0) {
        uploader_free(s);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct error why;
        if (open_sink(&s->sinks[i], repositories[i], state_dir, &why) < 0)
            fail_sink(&s->sinks[i], &why);
    }
    if (check_live(s, e) < 0) {
        uploader_free(s);
        return -1;
    }
    *uploader = s;
    return 0;
}

static void wait_all(struct uploader *s);

void uploader_free(struct uploader *uploader)
{
    if (!uploader)
        return;
    wait_all(uploader);
    for (size_t i = 0; i < uploader->sink_count; i++) {
        journal_close(uploader->sinks[i].journal);
        bytes_free(&uploader->sinks[i].index_body);
        bytes_free(&uploader->sinks[i].indexes);
        confirm_free(&uploader->sinks[i].confirm);
    }
    for (size_t i = 0; i < PACKS_MAX; i++)
        pack_free(uploader->shared_packs[i].pack);
    free(uploader->uploads);
    free(uploader->tasks);
    free(uploader);
}

size_t uploader_sink_count(const struct uploader *uploader)
{
    return uploader->sink_count;
}

struct uploader_sink *uploader_sink(struct uploader *uploader, size_t i)
{
    return &uploader->sinks[i];
}

/* ---- sending ---- */

static int upload(void *context, struct error *e)
{
    const struct upload *p = context;
    const struct pack *pack = p->shared_pack->pack;
    const struct pack_name name = pack_name_of(p->sink->repository->host, pack->name);
    char key[201];
    pack_name_key(&name, key);
    return sink_put(p->sink->repository->sink, key, pack->data, pack->length, true, e);
}

/* The pack is durable in that sink: it goes into the next index object. */
static int note_pack(struct uploader_sink *sink, const struct pack *pack, struct error *e)
{
    const struct pack_name name = pack_name_of(sink->repository->host, pack->name);
    index_body_add_pack(&sink->index_body, pack->name, pack->length, pack->chunks, pack->count);
    sink->index_packs++;
    sink->added += pack->length;
    return bytes_check(&sink->index_body, "index", e) < 0
               ? -1
               : confirm_note(&sink->confirm, &name, pack->length, pack->chunks, pack->count, e);
}

static void end_upload(struct uploader *s, size_t i)
{
    struct upload *p = &s->uploads[i];
    struct error e;
    if (task_join(p->task, &e) < 0 || note_pack(p->sink, p->shared_pack->pack, &e) < 0)
        fail_sink(p->sink, &e);
    p->shared_pack->users--;
    p->task = s->tasks[i] = NULL;
}

static bool is_busy(const struct uploader *s)
{
    for (size_t i = 0; i < s->upload_count; i++)
        if (s->tasks[i])
            return true;
    return false;
}

/* Wait until at least one of the uploads has ended. */
static void wait_one(struct uploader *s)
{
    task_wait_any(s->tasks, s->upload_count);
    for (size_t i = 0; i < s->upload_count; i++)
        if (s->tasks[i] && task_ended(s->tasks[i]))
            end_upload(s, i);
}

static void wait_all(struct uploader *s)
{
    while (is_busy(s))
        wait_one(s);
}

/* An upload of the sink that has nothing to do. */
static struct upload *idle_upload(struct uploader *s, const struct uploader_sink *sink)
{
    for (;;) {
        for (size_t i = 0; i < s->upload_count; i++)
            if (s->uploads[i].sink == sink && !s->tasks[i])
                return &s->uploads[i];
        wait_one(s);
    }
}

static void start_upload(struct uploader *s, struct uploader_sink *sink, struct shared_pack *shared_pack)
{
    struct upload *p = idle_upload(s, sink);
    const struct pack *pack = shared_pack->pack;
    struct error e;
    /* Waiting may have shown that the sink has failed. */
    if (sink->failed)
        return;
    p->shared_pack = shared_pack;
    if (journal_add(sink->journal, pack->name, pack->length, pack->chunks, pack->count, &e) < 0 ||
        task_start(&p->task, upload, p, &e) < 0) {
        fail_sink(sink, &e);
        return;
    }
    s->tasks[p - s->uploads] = p->task;
    shared_pack->users++;
}

/* Send the builder's pack, which stays where it is until every sink has it. */
static int send_pack(struct uploader *s, struct builder *b, struct error *e)
{
    struct shared_pack *shared_pack = b->shared_pack;
    uint32_t mask = b->mask;
    *b = (struct builder){.mask = 0};
    int result = pack_finish(shared_pack->pack, e);
    for (size_t i = 0; result == 0 && i < s->sink_count; i++)
        if ((mask >> i & 1) && !s->sinks[i].failed)
            start_upload(s, &s->sinks[i], shared_pack);
    shared_pack->users--;
    return result < 0 ? -1 : check_live(s, e);
}

/* ---- building ---- */

static struct builder *find_builder(struct uploader *s, uint32_t mask)
{
    for (size_t i = 0; i < BUILDERS; i++)
        if (s->builders[i].mask == mask)
            return &s->builders[i];
    return NULL;
}

static int send_fullest(struct uploader *s, struct error *e)
{
    struct builder *fullest = NULL;
    for (size_t i = 0; i < BUILDERS; i++) {
        struct builder *b = &s->builders[i];
        if (b->mask != 0 && (!fullest || b->shared_pack->pack->length > fullest->shared_pack->pack->length))
            fullest = b;
    }
    ASSERT(fullest);
    return send_pack(s, fullest, e);
}

static struct shared_pack *free_shared_pack(struct uploader *s)
{
    struct shared_pack *unmade = NULL;
    for (size_t i = 0; i < s->shared_packs_max; i++) {
        struct shared_pack *p = &s->shared_packs[i];
        if (p->pack && p->users == 0)
            return p;
        unmade = unmade || p->pack ? unmade : p;
    }
    return unmade;
}

/* Memory for one more pack: free, new, or what an upload leaves. */
static int take_shared_pack(struct uploader *s, struct shared_pack **shared_pack, struct error *e)
{
    while (!(*shared_pack = free_shared_pack(s))) {
        if (!is_busy(s) && send_fullest(s, e) < 0)
            return -1;
        if (is_busy(s))
            wait_one(s);
    }
    if (!(*shared_pack)->pack && pack_new(s->key, &(*shared_pack)->pack, e) < 0)
        return -1;
    pack_begin((*shared_pack)->pack);
    (*shared_pack)->users = 1;
    return 0;
}

/* The builder for this set of sinks. A new set takes a free builder, or sends the fullest of the others first. */
static int builder_for(struct uploader *s, uint32_t mask, struct builder **builder, struct error *e)
{
    struct shared_pack *shared_pack;
    *builder = find_builder(s, mask);
    if (*builder)
        return 0;
    if ((!find_builder(s, 0) && send_fullest(s, e) < 0) || take_shared_pack(s, &shared_pack, e) < 0)
        return -1;
    *builder = find_builder(s, 0);
    (*builder)->mask = mask;
    (*builder)->shared_pack = shared_pack;
    return 0;
}

int uploader_add(struct uploader *uploader, uint32_t mask, const uint8_t id[SEAL_HASH_SIZE], uint32_t plain,
                 const void *compressed, size_t n, struct error *e)
{
    mask &= live_mask(uploader);
    if (mask == 0)
        return 0;
    struct builder *b;
    if (builder_for(uploader, mask, &b, e) < 0)
        return -1;
    if (pack_add(b->shared_pack->pack, id, plain, compressed, n, e) < 0)
        return -1;
    return pack_full(b->shared_pack->pack) ? send_pack(uploader, b, e) : 0;
}

/* ---- checkpoint ---- */

/* Nothing of what a sink did not keep is adopted later. */
static int confirm_sent(struct uploader_sink *sink, struct error *e)
{
    struct error ignored;
    if (confirm_packs(&sink->confirm, sink->repository, e) == 0)
        return 0;
    if (e->class == ERROR_PERMANENT && journal_clear(sink->journal, &ignored) < 0)
        log_error(LOG_WARNING, &ignored);
    return -1;
}

static int put_index(struct uploader_sink *sink, struct error *e)
{
    if (sink->index_packs == 0)
        return 0;
    index_body_end(&sink->index_body, sink->index_packs);
    struct repository *r = sink->repository;
    uint8_t name[SEAL_HASH_SIZE];
    uint64_t size;
    /* The packs are there before what describes them, and that before we rely on it. */
    if (sink_sync(r->sink, e) < 0 || confirm_sent(sink, e) < 0 ||
        repository_store_index(r, r->host, &sink->index_body, name, &size, e) < 0)
        return -1;
    sink->added += size;
    bytes_put(&sink->indexes, name, sizeof name);
    if (bytes_check(&sink->indexes, "list of index objects", e) < 0)
        return -1;
    const struct index_origin origin = {.object = name, .signer = r->key->signer_public};
    if (index_absorb(r->index, &origin, sink->index_body.data, sink->index_body.length, e) < 0 ||
        index_settle(r->index, e) < 0)
        return -1;
    begin_index_body(sink);
    return journal_clear(sink->journal, e);
}

int uploader_checkpoint(struct uploader *uploader, struct error *e)
{
    for (size_t i = 0; i < BUILDERS; i++)
        if (uploader->builders[i].mask != 0 && send_pack(uploader, &uploader->builders[i], e) < 0)
            return -1;
    wait_all(uploader);
    for (size_t i = 0; i < uploader->sink_count; i++) {
        struct error why;
        if (!uploader->sinks[i].failed && put_index(&uploader->sinks[i], &why) < 0)
            fail_sink(&uploader->sinks[i], &why);
    }
    return check_live(uploader, e);
}
