#include "repository/index.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/index_body.h"
#include "repository/index_table.h"

#define FILE_MAGIC UINT64_C(0x0331786572666f63)
#define BATCH_CHUNKS (256u << 10)

static size_t object_count(const struct index *index)
{
    return index->header ? index->header->objects : 0;
}

static void unmap(struct index *index)
{
    if (index->map)
        munmap(index->map, index->map_size);
    free(index->present);
    free(index->is_own);
    free(index->numbers);
    index->map = NULL;
    index->header = NULL;
    index->hosts = NULL;
    index->numbers = NULL;
    index->present = NULL;
    index->is_own = NULL;
}

static void hash_rows(const struct header *h, const void *rows, size_t n, uint8_t hash[SEAL_HASH_SIZE])
{
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, rows, n);
    seal_hasher_add(&hasher, h, offsetof(struct header, hash));
    seal_hasher_end(&hasher, hash);
}

/* Is the mapped file whole and made for us? Then point into it. */
static bool accept_map(struct index *index)
{
    const struct header *h = index->map;
    if (index->map_size < sizeof *h || h->magic != FILE_MAGIC ||
        memcmp(h->identity, index->identity, sizeof h->identity) != 0)
        return false;
    if (h->objects > index->map_size || h->hosts > index->map_size || h->packs > index->map_size ||
        h->chunks > index->map_size)
        return false;
    size_t rows = h->objects * SEAL_HASH_SIZE + h->hosts * INDEX_HOST_SIZE + h->packs * sizeof(struct pack_row) +
                  h->chunks * sizeof(struct chunk_row);
    if (index->map_size != sizeof *h + rows)
        return false;
    const uint8_t *at = (const uint8_t *)(h + 1);
    uint8_t hash[SEAL_HASH_SIZE];
    hash_rows(h, at, rows, hash);
    if (memcmp(hash, h->hash, sizeof hash) != 0)
        return false;
    index->header = h;
    index->objects = at;
    at += h->objects * SEAL_HASH_SIZE;
    index->hosts = (const char *)at;
    at += h->hosts * INDEX_HOST_SIZE;
    index->packs = (const void *)at;
    at += h->packs * sizeof(struct pack_row);
    index->chunks = (const void *)at;
    return true;
}

/* Which rows are our own word? */
static int mark_own(struct index *index, struct error *e)
{
    size_t count = index_pack_count(index);
    free(index->is_own);
    index->is_own = calloc(count + 1, 1);
    if (!index->is_own)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        index->is_own[i] = index_row_is_own(index, &index->packs[i]);
    return 0;
}

static int number_hosts(struct index *index, struct error *e)
{
    size_t count = index->header->hosts;
    free(index->numbers);
    index->numbers = calloc(count + 1, sizeof *index->numbers);
    if (!index->numbers)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        index->numbers[i] = pack_name_number(index->hosts + i * INDEX_HOST_SIZE);
    return 0;
}

static int map_file(struct index *index, struct error *e)
{
    unmap(index);
    AUTO_CLOSE int fd = file_open(index->path, O_RDONLY, e);
    if (fd < 0 && e->class == ERROR_NOT_FOUND)
        return 0;
    if (fd < 0)
        return error_context(e, "index cache: ");
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_system(e, errno, "stat index cache '%s'", index->path);
    if (st.st_size < (off_t)sizeof(struct header))
        return 0;
    index->map_size = (size_t)st.st_size;
    index->map = mmap(NULL, index->map_size, PROT_READ, MAP_SHARED, fd, 0);
    if (index->map == MAP_FAILED) {
        index->map = NULL;
        return error_system(e, errno, "map index cache '%s'", index->path);
    }
    if (!accept_map(index))
        unmap(index);
    if (index->map && (number_hosts(index, e) < 0 || mark_own(index, e) < 0))
        return -1;
    /* Lookups are scattered; and what the check above read need not stay. */
    if (index->map)
        madvise(index->map, index->map_size, MADV_DONTNEED);
    return 0;
}

int index_open(const char *path, const uint8_t identity[SEAL_HASH_SIZE], struct index **index, struct error *e)
{
    struct index *x = calloc(1, sizeof *x);
    if (!x)
        return error_memory(e);
    snprintf(x->path, sizeof x->path, "%s", path);
    memcpy(x->identity, identity, sizeof x->identity);
    x->new_objects.maximum = x->shares.maximum = (size_t)1 << 30;
    x->new_hosts.maximum = (size_t)1 << 30;
    x->new_packs.maximum = (size_t)1 << 32;
    x->new_chunks.maximum = (size_t)1 << 32;
    if (map_file(x, e) < 0) {
        index_free(x);
        return -1;
    }
    /* Whoever wrote them ended before an index object did. Taken for known, those packs would never get one. */
    if (x->header && x->header->unnamed)
        unmap(x);
    x->crowded = x->header && x->header->crowded;
    *index = x;
    return 0;
}

void index_free(struct index *index)
{
    if (!index)
        return;
    unmap(index);
    free(index->doubted);
    free(index->revoked);
    free(index->own);
    bytes_free(&index->shares);
    bytes_free(&index->new_objects);
    bytes_free(&index->new_hosts);
    bytes_free(&index->new_packs);
    bytes_free(&index->new_chunks);
    free(index);
}

size_t index_object_count(const struct index *index)
{
    return object_count(index);
}

const uint8_t *index_object_name(const struct index *index, size_t i)
{
    return index->objects + i * SEAL_HASH_SIZE;
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

bool index_covers(const struct index *index, const uint8_t name[SEAL_HASH_SIZE])
{
    size_t count = object_count(index);
    return count > 0 && bsearch(name, index->objects, count, SEAL_HASH_SIZE, compare_names);
}

void index_fix(struct index *index)
{
    index->fixed = true;
}

void index_clear(struct index *index)
{
    ASSERT(!index->fixed);
    unmap(index);
    index->unnamed = index->crowded = false;
    bytes_reset(&index->shares);
    bytes_reset(&index->new_objects);
    bytes_reset(&index->new_hosts);
    bytes_reset(&index->new_packs);
    bytes_reset(&index->new_chunks);
}

/* ---- the merge ----
 *
 * The file is sorted by id; what index objects say comes in the order of packs. New rows are kept in memory, unsorted,
 * until there are BATCH_CHUNKS of them or somebody wants to look; index_settle sorts them and merges both into a new
 * file, in one pass over each:
 *
 *   file    objects (sorted) | hosts, packs 0..n-1  | chunks, sorted by id
 *   memory  objects          | hosts, packs n..     | chunks                       index_absorb
 *   new     merged           | old ones, new ones   | merged                       index_settle
 *
 * A chunk row names its pack by number, and a pack row its host: they are only ever appended, so that old rows stay
 * right and new ones count on from index_pack_count. The fan-out (how many ids begin with a smaller byte) is the sum of
 * both counts. Rows of one id stand side by side, the older first: a chunk may be in several packs, but of one signer,
 * ourselves aside, only INDEX_PLACES are kept, so that nobody makes a search long for others. The new file takes the
 * place of the old one by a rename and is mapped before the lock is let go, so that nobody maps half of it, and whoever
 * has the old one mapped keeps it. It is not synced: it is a cache, and its hash tells whether it is whole. `present`
 * and `doubted` are of this process and no part of the file.
 */

/* ---- absorbing ---- */

struct absorbing {
    struct index *index;
    struct pack_row row; /* what all packs of the object have in common */
};

static int absorb_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                       const struct pack_chunk *chunks, uint32_t count, struct error *e)
{
    struct absorbing *a = context;
    struct index *index = a->index;
    struct pack_row row = a->row;
    memcpy(row.name, name, sizeof row.name);
    row.size = size;
    row.chunks = count;
    bool fits;
    if (index_share_take(index, &row, &fits, e) < 0)
        return -1;
    if (!fits) {
        index->crowded = true;
        return 0;
    }
    uint32_t number = (uint32_t)(index_pack_count(index) + index->new_packs.length / sizeof row);
    bytes_put(&index->new_packs, &row, sizeof row);
    for (uint32_t i = 0; i < count; i++) {
        struct chunk_row chunk = {
            .pack = number, .offset = chunks[i].offset, .stored = chunks[i].stored, .plain = chunks[i].plain};
        memcpy(chunk.id, chunks[i].id, sizeof chunk.id);
        bytes_put(&index->new_chunks, &chunk, sizeof chunk);
    }
    if (bytes_check(&index->new_packs, "index", e) < 0)
        return -1;
    return bytes_check(&index->new_chunks, "index", e);
}

int index_pass_over(struct index *index, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    ASSERT(!index->fixed);
    bytes_put(&index->new_objects, name, SEAL_HASH_SIZE);
    return bytes_check(&index->new_objects, "index", e);
}

int index_absorb(struct index *index, const struct index_origin *origin, const void *body, size_t n, struct error *e)
{
    char host[64];
    ASSERT(!index->fixed);
    if (index_body_host(body, n, host, e) < 0 || index_body_each(body, n, NULL, NULL, e) < 0)
        return -1;
    struct absorbing a = {.index = index, .row = {.own = origin->own}};
    if (index_host_row(index, host, &a.row.host, e) < 0)
        return -1;
    if (origin->object)
        memcpy(a.row.object, origin->object, sizeof a.row.object);
    if (origin->signer)
        memcpy(a.row.signer, origin->signer, sizeof a.row.signer);
    if (index_body_each(body, n, absorb_pack, &a, e) < 0)
        return -1;
    if (!origin->object)
        index->unnamed = true;
    else if (index_pass_over(index, origin->object, e) < 0)
        return -1;
    if (index->new_chunks.length / sizeof(struct chunk_row) >= BATCH_CHUNKS)
        return index_settle(index, e);
    return 0;
}

/* Of one id, the older first. */
static int compare_chunks(const void *a, const void *b)
{
    const struct chunk_row *one = a, *other = b;
    int order = memcmp(one->id, other->id, SEAL_HASH_SIZE);
    return order != 0 ? order : (one->pack > other->pack) - (one->pack < other->pack);
}

/* A file being written through a small buffer, hashed as it goes. */
struct output {
    FILE *file;
    struct seal_hasher hasher;
};

static void emit(struct output *out, const void *p, size_t n)
{
    if (n == 0)
        return;
    fwrite(p, 1, n, out->file); /* errors are sticky: looked at in finish_file */
    seal_hasher_add(&out->hasher, p, n);
}

/* The packs whose rows of the chunk at hand were kept, one for each signer, with how many. */
#define SIGNERS 64
struct places {
    const uint8_t *id;
    struct {
        const struct pack_row *pack;
        unsigned rows;
    } of[SIGNERS];
    size_t count;
};

static const struct pack_row *pack_of(const struct index *index, uint32_t number)
{
    size_t old = index_pack_count(index);
    return number < old ? &index->packs[number]
                        : (const struct pack_row *)(const void *)index->new_packs.data + number - old;
}

static bool is_kept(const struct index *index, struct places *p, const struct chunk_row *row)
{
    const struct pack_row *pack = pack_of(index, row->pack);
    if (!p->id || memcmp(p->id, row->id, sizeof row->id) != 0)
        p->count = 0;
    p->id = row->id;
    size_t i = 0;
    while (i < p->count && memcmp(p->of[i].pack->signer, pack->signer, sizeof pack->signer) != 0)
        i++;
    if (i == p->count && i < SIGNERS)
        p->of[p->count++].pack = pack, p->of[i].rows = 0;
    return (i < SIGNERS && p->of[i].rows++ < INDEX_PLACES) || !index_row_is_bounded(index, pack);
}

/* Tells how many were written, by the first byte of their ids. */
static void emit_merged(struct output *out, struct index *index, uint32_t counts[256])
{
    struct places places = {.id = NULL};
    const struct chunk_row *a = index->chunks, *a_end = a + index_chunk_count(index);
    const struct chunk_row *b = (const void *)index->new_chunks.data;
    const struct chunk_row *b_end = b + index->new_chunks.length / sizeof *b;
    while (a < a_end || b < b_end) {
        bool first = b == b_end || (a < a_end && compare_chunks(a, b) <= 0);
        const struct chunk_row *row = first ? a++ : b++;
        if (!is_kept(index, &places, row)) {
            index->crowded = true;
            continue;
        }
        emit(out, row, sizeof *row);
        counts[row->id[0]]++;
    }
}

/* Not synced: after a power cut its hash fails and it is made anew. */
static int finish_file(struct output *out, struct header *h, const struct file_temporary *t, const char *path,
                       struct error *e)
{
    seal_hasher_add(&out->hasher, h, offsetof(struct header, hash));
    seal_hasher_end(&out->hasher, h->hash);
    rewind(out->file);
    fwrite(h, 1, sizeof *h, out->file);
    int result = fflush(out->file) != 0 || ferror(out->file) ? error_system(e, errno, "write index cache '%s'", t->path)
                                                             : file_temporary_name(t, path, FILE_REPLACE, e);
    if (result < 0)
        unlink(t->path);
    fclose(out->file);
    return result;
}

/* Two jobs may use one repository at a time, and so write this file. Whose file comes last stays; what it lacks is
 * absorbed again. Held until our file is mapped, so that it is ours that is. */
static int lock_file(const struct index *index, struct error *e)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s.lock", index->path);
    int fd = file_open(path, O_RDWR | O_CREAT, e);
    if (fd < 0)
        return error_context(e, "lock: ");
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        error_system(e, errno, "lock '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}

/* The names of objects, known ones and new ones, both sorted. */
static void emit_objects(struct output *out, const struct index *index)
{
    size_t old = 0, olds = object_count(index), new = 0, news = index->new_objects.length / SEAL_HASH_SIZE;
    while (old < olds || new < news) {
        const uint8_t *a = old < olds ? index_object_name(index, old) : NULL;
        const uint8_t *b = new < news ? index->new_objects.data + new *SEAL_HASH_SIZE : NULL;
        bool first = a && (!b || compare_names(a, b) < 0);
        emit(out, first ? a : b, SEAL_HASH_SIZE);
        old += first;
        new += !first;
    }
}

static int write_file(struct index *index, struct error *e)
{
    struct file_temporary temporary;
    struct header h = {.magic = FILE_MAGIC,
                       .objects = object_count(index) + index->new_objects.length / SEAL_HASH_SIZE,
                       .hosts = (index->header ? index->header->hosts : 0) + index->new_hosts.length / INDEX_HOST_SIZE,
                       .packs = index_pack_count(index) + index->new_packs.length / sizeof(struct pack_row)};
    h.unnamed = index->unnamed;
    memcpy(h.identity, index->identity, sizeof h.identity);
    if (file_temporary_make(&temporary, index->path, e) < 0)
        return -1;
    struct output out = {.file = fdopen(temporary.fd, "w")};
    if (!out.file) {
        unlink(temporary.path);
        close(temporary.fd);
        return error_memory(e);
    }
    fwrite(&h, 1, sizeof h, out.file);
    seal_hasher_init(&out.hasher);
    emit_objects(&out, index);
    emit(&out, index->hosts, index->header ? index->header->hosts * INDEX_HOST_SIZE : 0);
    emit(&out, index->new_hosts.data, index->new_hosts.length);
    emit(&out, index->packs, index_pack_count(index) * sizeof(struct pack_row));
    emit(&out, index->new_packs.data, index->new_packs.length);
    uint32_t counts[256] = {0};
    emit_merged(&out, index, counts);
    for (size_t i = 0; i < 256; i++)
        h.fanout[i + 1] = h.fanout[i] + counts[i];
    h.chunks = h.fanout[256];
    h.crowded = index->crowded;
    return finish_file(&out, &h, &temporary, index->path, e);
}

int index_settle(struct index *index, struct error *e)
{
    if (index->new_objects.length == 0 && index->new_packs.length == 0)
        return 0;
    if (index->new_objects.length > 0)
        qsort(index->new_objects.data, index->new_objects.length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, compare_names);
    if (index->new_chunks.length > 0)
        qsort(index->new_chunks.data, index->new_chunks.length / sizeof(struct chunk_row), sizeof(struct chunk_row),
              compare_chunks);
    AUTO_CLOSE int lock = lock_file(index, e);
    if (lock < 0 || write_file(index, e) < 0)
        return -1;
    size_t packs_before = index_pack_count(index);
    uint8_t *present = index->present;
    index->present = NULL;
    if (map_file(index, e) < 0 || !index->map) {
        free(present);
        return index->map ? -1 : error_set(e, ERROR_INTEGRITY, "index cache '%s' is not what was written", index->path);
    }
    if (present) { /* packs that were just absorbed by their writer are there */
        uint8_t *longer = realloc(present, index_pack_count(index));
        if (!longer) {
            free(present);
            return error_memory(e);
        }
        memset(longer + packs_before, 1, index_pack_count(index) - packs_before);
        index->present = longer;
    }
    bytes_reset(&index->new_objects);
    bytes_reset(&index->new_hosts);
    bytes_reset(&index->new_packs);
    bytes_reset(&index->new_chunks);
    return 0;
}
