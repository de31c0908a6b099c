#include "repository/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "repository/segment_layout.h"

#define CHECK_BLOCK ((size_t)1 << 20)

/* Each step is reversible, so that no single change of a word is lost. */
uint32_t segment_row_check(const void *row, size_t n)
{
    uint64_t sum = n;
    for (const uint8_t *at = row, *end = at + n; at < end; at += sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 32;
    }
    return (uint32_t)sum;
}

bool segment_chunk_is_whole(const struct segment_chunk *chunk)
{
    return segment_row_check(chunk, offsetof(struct segment_chunk, check)) == chunk->check;
}

bool segment_pack_is_whole(const struct segment_pack *pack)
{
    return segment_row_check(pack, offsetof(struct segment_pack, check)) == pack->check;
}

/* ---- opening ---- */

uint64_t segment_packs_place(const struct segment_header *h)
{
    return sizeof *h + h->objects * sizeof(struct segment_object) + ((UINT64_C(1) << h->bits) + 1) * sizeof(uint32_t) +
           h->blocks * sizeof(struct segment_block);
}

uint64_t segment_chunks_place(const struct segment_header *h)
{
    return segment_packs_place(h) + h->packs * sizeof(struct segment_pack);
}

void segment_head_hash(const struct segment *s, uint8_t hash[SEAL_HASH_SIZE])
{
    const struct segment_header *h = &s->header;
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, h, offsetof(struct segment_header, hash));
    if (h->objects > 0)
        seal_hasher_add(&hasher, s->objects, h->objects * sizeof *s->objects);
    seal_hasher_add(&hasher, s->fanout, ((UINT64_C(1) << h->bits) + 1) * sizeof *s->fanout);
    if (h->blocks > 0)
        seal_hasher_add(&hasher, s->filter, h->blocks * sizeof *s->filter);
    seal_hasher_end(&hasher, hash);
}

static int damaged(const char *name, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "index cache '%s' is damaged, or of another version, or made for another key",
                     name);
}

/* Is the file as large as the header says? Numbers that cannot be are met before anything is computed of them. */
static bool fits(const struct segment_header *h, uint64_t size)
{
    if (h->magic != SEGMENT_MAGIC || h->bits > SEGMENT_BITS_MAX || h->objects > UINT32_MAX || h->packs > UINT32_MAX ||
        h->chunks > UINT32_MAX || h->blocks > SEGMENT_FILTERED_MAX || h->host[sizeof h->host - 1] != '\0')
        return false;
    return segment_chunks_place(h) + h->chunks * sizeof(struct segment_chunk) == size;
}

/* From nothing to all chunks. */
static bool is_rising(const struct segment *s)
{
    size_t count = (size_t)1 << s->header.bits;
    for (size_t i = 0; i < count; i++)
        if (s->fanout[i] > s->fanout[i + 1])
            return false;
    return s->fanout[0] == 0 && s->fanout[count] == s->header.chunks;
}

static int read_head(struct segment *s, const char *name, struct error *e)
{
    const struct segment_header *h = &s->header;
    size_t objects = h->objects * sizeof *s->objects, fanout = ((UINT64_C(1) << h->bits) + 1) * sizeof *s->fanout;
    size_t filter = h->blocks * sizeof *s->filter;
    s->objects = malloc(objects + 1);
    s->fanout = malloc(fanout);
    s->filter = malloc(filter + 1);
    if (!s->objects || !s->fanout || !s->filter)
        return error_memory(e);
    if (file_read_at(s->fd, s->objects, objects, sizeof *h, name, e) < 0 ||
        file_read_at(s->fd, s->fanout, fanout, sizeof *h + objects, name, e) < 0 ||
        file_read_at(s->fd, s->filter, filter, sizeof *h + objects + fanout, name, e) < 0)
        return -1;
    uint8_t hash[SEAL_HASH_SIZE];
    segment_head_hash(s, hash);
    return memcmp(hash, h->hash, sizeof hash) == 0 && is_rising(s) ? 0 : damaged(name, e);
}

static int read_segment(struct segment *s, const char *name, const uint8_t identity[SEAL_HASH_SIZE], struct error *e)
{
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return error_system(e, errno, "stat '%s'", name);
    if (file_read_at(s->fd, &s->header, sizeof s->header, 0, name, e) < 0)
        return -1;
    if (!fits(&s->header, (uint64_t)st.st_size) || memcmp(s->header.identity, identity, SEAL_HASH_SIZE) != 0)
        return damaged(name, e);
    return read_head(s, name, e);
}

int segment_open(int fd, const char *name, const uint8_t identity[SEAL_HASH_SIZE], struct segment **segment,
                 struct error *e)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return error_memory(e);
    }
    static _Atomic uint64_t opened;
    s->fd = fd;
    s->serial = ++opened;
    if (read_segment(s, name, identity, e) < 0) {
        segment_close(s);
        return -1;
    }
    *segment = s;
    return 0;
}

void segment_close(struct segment *segment)
{
    if (!segment)
        return;
    close(segment->fd);
    free(segment->objects);
    free(segment->fanout);
    free(segment->filter);
    free(segment->rows);
    free(segment);
}

uint64_t segment_size(const struct segment *segment)
{
    return segment->header.packs * sizeof(struct segment_pack) + segment->header.chunks * sizeof(struct segment_chunk);
}

void segment_hold(struct segment *segment)
{
    struct error ignored;
    size_t n = segment_size(segment);
    uint8_t *rows = malloc(n + 1);
    if (rows && file_read_at(segment->fd, rows, n, segment_packs_place(&segment->header), "index cache", &ignored) == 0)
        segment->rows = rows;
    else
        free(rows);
}

int segment_check(const struct segment *segment, const char *name, struct error *e)
{
    const struct segment_header *h = &segment->header;
    uint64_t at = segment_packs_place(h), end = segment_chunks_place(h) + h->chunks * sizeof(struct segment_chunk);
    AUTO_FREE uint8_t *block = malloc(CHECK_BLOCK);
    if (!block)
        return error_memory(e);
    struct seal_hasher hasher;
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hasher_init(&hasher);
    for (size_t n; at < end; at += n) {
        n = end - at < CHECK_BLOCK ? (size_t)(end - at) : CHECK_BLOCK;
        if (file_read_at(segment->fd, block, n, at, name, e) < 0)
            return -1;
        seal_hasher_add(&hasher, block, n);
    }
    seal_hasher_end(&hasher, hash);
    return memcmp(hash, h->rows, sizeof hash) == 0 ? 0 : damaged(name, e);
}

/* ---- reading ---- */

static int compare_objects(const void *a, const void *b)
{
    return memcmp(((const struct segment_object *)a)->name, ((const struct segment_object *)b)->name, SEAL_HASH_SIZE);
}

size_t segment_find_object(const struct segment *segment, const uint8_t name[SEAL_HASH_SIZE])
{
    struct segment_object wanted;
    memcpy(wanted.name, name, sizeof wanted.name);
    const struct segment_object *found =
        bsearch(&wanted, segment->objects, segment->header.objects, sizeof wanted, compare_objects);
    return found ? (size_t)(found - segment->objects) : SIZE_MAX;
}

/* Rows that there are, by the header. */
static bool read_rows(const struct segment *segment, void *to, size_t n, uint64_t offset)
{
    struct error ignored;
    if (!segment->rows)
        return file_read_at(segment->fd, to, n, offset, "index cache", &ignored) == 0;
    memcpy(to, segment->rows + (offset - segment_packs_place(&segment->header)), n);
    return true;
}

static bool read_chunks(const struct segment *segment, size_t first, size_t count, struct segment_chunk *chunks)
{
    return read_rows(segment, chunks, count * sizeof *chunks,
                     segment_chunks_place(&segment->header) + first * sizeof *chunks);
}

static void fill(const struct segment *segment, size_t first, size_t count, struct segment_window *window)
{
    const size_t packs = segment->header.packs * sizeof(struct segment_pack);
    window->first = first;
    window->at =
        segment->rows ? (const struct segment_chunk *)(const void *)(segment->rows + packs) + first : window->rows;
    window->count = segment->rows || read_chunks(segment, first, count, window->rows) ? count : 0;
}

bool segment_may_have(const struct segment *segment, const uint8_t id[SEAL_HASH_SIZE])
{
    if (segment->header.blocks == 0)
        return true;
    const struct segment_block *block = &segment->filter[segment_block(id, segment->header.blocks)];
    for (unsigned n = 0; n < SEGMENT_MARKS; n++) {
        unsigned mark = segment_mark(id, n);
        if (!(block->bits[mark / 8] >> mark % 8 & 1))
            return false;
    }
    return true;
}

size_t segment_first(const struct segment *segment, const uint8_t id[SEAL_HASH_SIZE], struct segment_window *window)
{
    size_t bucket = segment_bucket(id, segment->header.bits);
    size_t low = segment->fanout[bucket], high = segment->fanout[bucket + 1];
    window->end = high;
    while (high - low > SEGMENT_WINDOW) {
        size_t middle = low + (high - low) / 2;
        struct segment_chunk row;
        if (!read_chunks(segment, middle, 1, &row))
            break;
        if (memcmp(row.id, id, SEAL_HASH_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    fill(segment, low, high - low < SEGMENT_WINDOW ? high - low : SEGMENT_WINDOW, window);
    size_t from = 0, to = window->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (memcmp(window->at[middle].id, id, SEAL_HASH_SIZE) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return low + from;
}

const struct segment_chunk *segment_row(const struct segment *segment, size_t i, struct segment_window *window)
{
    if (i >= window->end)
        return NULL;
    if (i < window->first || i - window->first >= window->count)
        fill(segment, i, window->end - i < SEGMENT_WINDOW ? window->end - i : SEGMENT_WINDOW, window);
    return window->count > 0 ? &window->at[i - window->first] : NULL;
}

bool segment_chunk_at(const struct segment *segment, size_t i, struct segment_chunk *chunk)
{
    return i < segment->header.chunks && read_chunks(segment, i, 1, chunk) && segment_chunk_is_whole(chunk);
}

static bool read_pack(const struct segment *segment, size_t i, struct segment_pack *pack)
{
    return read_rows(segment, pack, sizeof *pack, segment_packs_place(&segment->header) + i * sizeof *pack);
}

/* The chunks of a file follow each other in a pack. */
bool segment_pack_at(const struct segment *segment, size_t i, struct segment_pack *pack)
{
    static _Thread_local struct {
        uint64_t segment;
        size_t row;
        struct segment_pack pack;
    } last;
    if (last.segment == segment->serial && last.row == i) {
        *pack = last.pack;
        return true;
    }
    if (i >= segment->header.packs || !read_pack(segment, i, pack) || !segment_pack_is_whole(pack) ||
        pack->object >= segment->header.objects)
        return false;
    last.segment = segment->serial;
    last.row = i;
    last.pack = *pack;
    return true;
}

size_t segment_first_pack(const struct segment *segment, const uint8_t name[SEAL_HASH_SIZE])
{
    size_t low = 0, high = segment->header.packs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct segment_pack pack;
        if (!read_pack(segment, middle, &pack))
            return segment->header.packs;
        if (memcmp(pack.name, name, SEAL_HASH_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void segment_packs_begin(const struct segment *segment, size_t first, struct segment_packs *packs)
{
    packs->segment = segment;
    packs->next = first;
    packs->count = packs->at = 0;
}

const struct segment_pack *segment_packs_next(struct segment_packs *packs)
{
    const struct segment_header *h = &packs->segment->header;
    size_t most = sizeof packs->buffer / sizeof packs->buffer[0];
    if (packs->at == packs->count) {
        packs->count = h->packs - packs->next < most ? h->packs - packs->next : most;
        packs->at = 0;
        if (packs->count == 0 || !read_rows(packs->segment, packs->buffer, packs->count * sizeof packs->buffer[0],
                                            segment_packs_place(h) + packs->next * sizeof packs->buffer[0])) {
            packs->count = 0;
            return NULL;
        }
    }
    packs->next++;
    return &packs->buffer[packs->at++];
}
