#include "repository/gc_uploader.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "flow/task.h"
#include "repository/confirm.h"
#include "repository/gc.h"
#include "repository/gc_repack.h"
#include "repository/index_body.h"
#include "repository/pack.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define PACKS 3u /* one that is filled; and on their way */
#define FROM_MAX ((size_t)256 << 20)

/* A new pack: it is free, being filled, or on its way, when it has a task. */
struct upload {
    struct gc_uploader *uploader;
    struct pack *pack;
    struct bytes from; /* hashes of the old packs that have chunks in it */
    char key[201];
};

struct gc_uploader {
    struct repository *repository;
    struct gc_host *host;
    struct bytes *moves;
    struct upload uploads[PACKS];
    struct task *tasks[PACKS];
    size_t count;           /* of uploads in use */
    struct upload *filling; /* NULL = none */
    struct bytes body;      /* of the index object for packs that none describes yet */
    uint32_t body_packs, body_chunks;
    struct confirm confirm;
};

int gc_uploader_new(struct repository *repository, struct gc_host *host, struct bytes *moves,
                    struct gc_uploader **uploader, struct error *e)
{
    struct gc_uploader *u = calloc(1, sizeof *u);
    if (!u)
        return error_memory(e);
    u->repository = repository;
    u->host = host;
    u->moves = moves;
    u->count = sink_parallel(repository->sink) < 2 ? PACKS - 1 : PACKS;
    u->body.maximum = INDEX_BODY_MAX;
    confirm_begin(&u->confirm);
    index_body_begin(&u->body, host->name, clock_now());
    for (size_t i = 0; i < u->count; i++) {
        u->uploads[i] = (struct upload){.uploader = u, .from = {.maximum = FROM_MAX}};
        if (pack_new(repository->key, &u->uploads[i].pack, e) < 0) {
            gc_uploader_free(u);
            return -1;
        }
    }
    *uploader = u;
    return 0;
}

void gc_uploader_free(struct gc_uploader *uploader)
{
    struct error ignored;
    if (!uploader)
        return;
    for (size_t i = 0; i < uploader->count; i++) {
        if (uploader->tasks[i])
            (void)task_join(uploader->tasks[i], &ignored);
        pack_free(uploader->uploads[i].pack);
        bytes_free(&uploader->uploads[i].from);
    }
    bytes_free(&uploader->body);
    confirm_free(&uploader->confirm);
    free(uploader);
}

/* ---- on their way ---- */

static int upload(void *context, struct error *e)
{
    const struct upload *p = context;
    return sink_put(p->uploader->repository->sink, p->key, p->pack->data, p->pack->length, true, e);
}

static int note_moves(const struct gc_uploader *u, const struct upload *p, const struct pack_name *to, struct error *e)
{
    for (size_t at = 0; at < p->from.length; at += SEAL_HASH_SIZE) {
        const struct gc_move move = {.from = pack_name_of(u->host->name, p->from.data + at), .to = *to};
        bytes_put(u->moves, &move, sizeof move);
    }
    return bytes_check(u->moves, "list of packs", e);
}

static int end_upload(struct gc_uploader *u, size_t i, struct error *e)
{
    const struct pack *pack = u->uploads[i].pack;
    const struct pack_name name = pack_name_of(u->host->name, pack->name);
    struct task *task = u->tasks[i];
    u->tasks[i] = NULL;
    if (task_join(task, e) < 0 || confirm_note(&u->confirm, &name, pack->length, pack->chunks, pack->count, e) < 0 ||
        note_moves(u, &u->uploads[i], &name, e) < 0)
        return -1;
    index_body_add_pack(&u->body, pack->name, pack->length, pack->chunks, pack->count);
    u->body_packs++;
    u->body_chunks += pack->count;
    u->host->found.made.objects++;
    u->host->found.made.bytes += pack->length;
    return bytes_check(&u->body, "index", e);
}

/* Those that have ended; with all, until none is on its way. */
static int wait_for(struct gc_uploader *u, bool all, struct error *e)
{
    bool busy;
    do {
        busy = false;
        for (size_t i = 0; i < u->count; i++)
            busy = busy || u->tasks[i];
        if (!busy)
            return 0;
        task_wait_any(u->tasks, u->count);
        for (size_t i = 0; i < u->count; i++)
            if (u->tasks[i] && task_ended(u->tasks[i]) && end_upload(u, i, e) < 0)
                return -1;
    } while (all);
    return 0;
}

static int put_index(struct gc_uploader *u, struct error *e)
{
    uint8_t name[SEAL_HASH_SIZE];
    uint64_t size;
    if (wait_for(u, true, e) < 0)
        return -1;
    if (u->body_packs == 0)
        return 0;
    index_body_end(&u->body, u->body_packs);
    if (sink_sync(u->repository->sink, e) < 0 || confirm_packs(&u->confirm, u->repository, e) < 0 ||
        repository_store_index(u->repository, u->host->name, &u->body, name, &size, e) < 0)
        return -1;
    bytes_reset(&u->body);
    index_body_begin(&u->body, u->host->name, clock_now());
    u->body_packs = u->body_chunks = 0;
    return 0;
}

static int send(struct gc_uploader *u, struct error *e)
{
    struct upload *p = u->filling;
    u->filling = NULL;
    if (pack_finish(p->pack, e) < 0)
        return -1;
    const struct pack_name name = pack_name_of(u->host->name, p->pack->name);
    pack_name_key(&name, p->key);
    if (task_start(&u->tasks[p - u->uploads], upload, p, e) < 0)
        return -1;
    return u->body_chunks >= INDEX_BODY_CHUNKS ? put_index(u, e) : 0;
}

/* ---- filling ---- */

/* One that is free; waits for one. */
static int begin(struct gc_uploader *u, struct error *e)
{
    for (;;) {
        for (size_t i = 0; i < u->count && !u->filling; i++)
            u->filling = u->tasks[i] ? NULL : &u->uploads[i];
        if (u->filling)
            break;
        if (wait_for(u, false, e) < 0)
            return -1;
    }
    pack_begin(u->filling->pack);
    bytes_reset(&u->filling->from);
    return 0;
}

static int note_from(struct bytes *from, const uint8_t *hash, struct error *e)
{
    size_t n = from->length;
    if (n > 0 && memcmp(from->data + n - SEAL_HASH_SIZE, hash, SEAL_HASH_SIZE) == 0)
        return 0;
    bytes_put(from, hash, SEAL_HASH_SIZE);
    return bytes_check(from, "list of packs", e);
}

int gc_uploader_add(struct gc_uploader *uploader, const uint8_t *from, const struct pack_chunk *chunk,
                    const void *compressed, size_t n, struct error *e)
{
    if (!uploader->filling && begin(uploader, e) < 0)
        return -1;
    struct upload *p = uploader->filling;
    if (pack_add(p->pack, chunk->id, chunk->plain, compressed, n, e) < 0 || note_from(&p->from, from, e) < 0)
        return -1;
    return pack_full(p->pack) ? send(uploader, e) : 0;
}

int gc_uploader_finish(struct gc_uploader *uploader, struct error *e)
{
    if (uploader->filling && send(uploader, e) < 0)
        return -1;
    return put_index(uploader, e);
}
