/* Of segment.h: making one of several.
 *
 * Objects are few and are put together in memory. Packs are merged by name; from then on it is known which number each
 * has got, and chunks are merged by id. Header, objects and fan-out are written last, to the front.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "repository/segment.h"
#include "repository/segment_layout.h"

#define BUFFER ((size_t)1 << 20)
#define INPUT_CHUNKS 4096
#define LEFT_OUT UINT32_MAX

/* A source being merged. */
struct input {
    const struct segment_source *source;
    uint32_t *objects, *packs; /* the new number of each, or LEFT_OUT */
    size_t object_count, pack_count, chunk_count;
    size_t next; /* pack or chunk */
    /* of a batch */
    uint32_t *order; /* of packs by name */
    /* of a segment */
    struct segment_packs *reader;
    struct segment_chunk *chunks;
    size_t at, filled;
    /* what stands at next; NULL = the end */
    const struct segment_pack *pack;
    const struct segment_chunk *chunk;
};

/* The packs whose rows of the chunk at hand were kept, by signer, with how many. */
#define SIGNERS 64
struct places {
    uint8_t id[SEAL_HASH_SIZE];
    struct {
        const uint8_t *signer;
        unsigned rows;
    } of[SIGNERS];
    size_t count;
};

struct merge {
    int fd;
    const char *name;
    struct input *inputs;
    size_t count;
    unsigned most; /* places of a chunk, of one signer */
    struct segment_header header;
    struct segment_object *objects;
    uint8_t *unbounded;    /* for each of objects */
    uint32_t *pack_object; /* for each pack that is written */
    uint32_t *fanout;
    struct segment_block *filter;
    struct places places;
    uint8_t *buffer;
    size_t used;
    struct seal_hasher hasher;
};

/* ---- output ---- */

static int flush(struct merge *m, struct error *e)
{
    seal_hasher_add(&m->hasher, m->buffer, m->used);
    int result = file_write_all(m->fd, m->buffer, m->used, m->name, e);
    m->used = 0;
    return result;
}

static int emit(struct merge *m, const void *row, size_t n, struct error *e)
{
    if (BUFFER - m->used < n && flush(m, e) < 0)
        return -1;
    memcpy(m->buffer + m->used, row, n);
    m->used += n;
    return 0;
}

/* ---- input ---- */

static int damaged(const struct merge *m, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "index cache: what is merged into '%s' is damaged", m->name);
}

static int next_pack(const struct merge *m, struct input *in, struct error *e)
{
    in->pack = NULL;
    if (in->next == in->pack_count)
        return 0;
    in->pack = in->order ? &in->source->batch->packs[in->order[in->next]] : segment_packs_next(in->reader);
    in->next++;
    if (in->pack && in->pack->object < in->object_count && (in->order || segment_pack_is_whole(in->pack)))
        return 0;
    return damaged(m, e);
}

static int next_chunk(const struct merge *m, struct input *in, struct error *e)
{
    in->chunk = NULL;
    if (in->next == in->chunk_count)
        return 0;
    const struct segment *segment = in->source->segment;
    if (!segment) {
        in->chunk = &in->source->batch->chunks[in->next++];
        return 0;
    }
    if (in->at == in->filled) {
        size_t left = in->chunk_count - in->next;
        in->at = 0;
        in->filled = left < INPUT_CHUNKS ? left : INPUT_CHUNKS;
        if (file_read_at(segment->fd, in->chunks, in->filled * sizeof *in->chunks,
                         segment_chunks_place(&segment->header) + in->next * sizeof *in->chunks, m->name, e) < 0)
            return -1;
    }
    in->chunk = &in->chunks[in->at++];
    in->next++;
    return in->chunk->pack < in->pack_count && segment_chunk_is_whole(in->chunk) ? 0 : damaged(m, e);
}

static int compare_packs(const void *a, const void *b, void *packs)
{
    const struct segment_pack *all = packs;
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    int order = memcmp(all[one].name, all[other].name, SEAL_HASH_SIZE);
    return order != 0 ? order : (one > other) - (one < other);
}

/* Of one id, the older first: packs are numbered as they came. */
static int compare_chunks(const void *a, const void *b)
{
    const struct segment_chunk *one = a, *other = b;
    int order = memcmp(one->id, other->id, SEAL_HASH_SIZE);
    return order != 0 ? order : (one->pack > other->pack) - (one->pack < other->pack);
}

static int begin_batch(struct input *in, struct error *e)
{
    struct segment_batch *batch = in->source->batch;
    in->object_count = batch->object_count;
    in->pack_count = batch->pack_count;
    in->chunk_count = batch->chunk_count;
    in->order = malloc((in->pack_count + 1) * sizeof *in->order);
    if (!in->order)
        return error_memory(e);
    for (uint32_t i = 0; i < in->pack_count; i++)
        in->order[i] = i;
    if (in->pack_count > 0)
        qsort_r(in->order, in->pack_count, sizeof *in->order, compare_packs, batch->packs);
    if (in->chunk_count > 0)
        qsort(batch->chunks, in->chunk_count, sizeof *batch->chunks, compare_chunks);
    return 0;
}

static int begin_segment(struct input *in, struct error *e)
{
    const struct segment_header *h = &in->source->segment->header;
    in->object_count = h->objects;
    in->pack_count = h->packs;
    in->chunk_count = h->chunks;
    in->reader = malloc(sizeof *in->reader);
    in->chunks = malloc(INPUT_CHUNKS * sizeof *in->chunks);
    if (!in->reader || !in->chunks)
        return error_memory(e);
    segment_packs_begin(in->source->segment, 0, in->reader);
    return 0;
}

static int begin_input(struct input *in, struct error *e)
{
    if ((in->source->segment ? begin_segment(in, e) : begin_batch(in, e)) < 0)
        return -1;
    in->objects = malloc((in->object_count + 1) * sizeof *in->objects);
    in->packs = malloc((in->pack_count + 1) * sizeof *in->packs);
    return in->objects && in->packs ? 0 : error_memory(e);
}

static void end_input(struct input *in)
{
    free(in->objects);
    free(in->packs);
    free(in->order);
    free(in->reader);
    free(in->chunks);
}

/* ---- objects ---- */

struct origin {
    const struct segment_object *object;
    struct input *input;
    size_t number;
};

static int compare_origins(const void *a, const void *b)
{
    const struct origin *one = a, *other = b;
    int order = memcmp(one->object->name, other->object->name, SEAL_HASH_SIZE);
    if (order != 0 || one->input == other->input)
        return order != 0 ? order : (one->number > other->number) - (one->number < other->number);
    return (one->input > other->input) - (one->input < other->input);
}

static size_t list_origins(struct merge *m, struct origin *origins)
{
    size_t count = 0;
    for (struct input *in = m->inputs; in < m->inputs + m->count; in++) {
        const struct segment_source *source = in->source;
        const struct segment_object *objects = source->segment ? source->segment->objects : source->batch->objects;
        for (size_t i = 0; i < in->object_count; i++) {
            in->objects[i] = LEFT_OUT;
            if (!source->dropped || !source->dropped[i])
                origins[count++] = (struct origin){.object = &objects[i], .input = in, .number = i};
        }
    }
    return count;
}

static int merge_objects(struct merge *m, struct error *e)
{
    size_t most = 1;
    for (size_t i = 0; i < m->count; i++)
        most += m->inputs[i].object_count;
    AUTO_FREE struct origin *origins = malloc(most * sizeof *origins);
    m->objects = calloc(most, sizeof *m->objects);
    m->unbounded = calloc(most, 1);
    if (!origins || !m->objects || !m->unbounded)
        return error_memory(e);
    m->header.objects = list_origins(m, origins);
    qsort(origins, m->header.objects, sizeof *origins, compare_origins);
    for (uint32_t i = 0; i < m->header.objects; i++) {
        const struct segment_source *source = origins[i].input->source;
        m->objects[i] = *origins[i].object;
        m->unbounded[i] = source->unbounded && source->unbounded[origins[i].number];
        origins[i].input->objects[origins[i].number] = i;
    }
    return 0;
}

/* ---- packs ---- */

static struct input *first_pack(struct merge *m)
{
    struct input *first = NULL;
    for (struct input *in = m->inputs; in < m->inputs + m->count; in++)
        if (in->pack && (!first || memcmp(in->pack->name, first->pack->name, SEAL_HASH_SIZE) < 0))
            first = in;
    return first;
}

static int take_pack(struct merge *m, struct input *in, struct error *e)
{
    struct segment_pack pack = *in->pack;
    uint32_t *number = &in->packs[in->order ? in->order[in->next - 1] : in->next - 1];
    *number = LEFT_OUT;
    pack.object = in->objects[pack.object];
    if (pack.object == LEFT_OUT)
        return 0;
    *number = (uint32_t)m->header.packs++;
    m->pack_object[*number] = pack.object;
    pack.check = segment_row_check(&pack, offsetof(struct segment_pack, check));
    return emit(m, &pack, sizeof pack, e);
}

static int merge_packs(struct merge *m, struct error *e)
{
    size_t most = 1;
    for (size_t i = 0; i < m->count; i++) {
        most += m->inputs[i].pack_count;
        if (next_pack(m, &m->inputs[i], e) < 0)
            return -1;
    }
    m->pack_object = malloc(most * sizeof *m->pack_object);
    if (!m->pack_object)
        return error_memory(e);
    for (struct input *in; (in = first_pack(m));)
        if (take_pack(m, in, e) < 0 || next_pack(m, in, e) < 0)
            return -1;
    return 0;
}

/* ---- chunks ---- */

static struct input *first_chunk(struct merge *m)
{
    struct input *first = NULL;
    for (struct input *in = m->inputs; in < m->inputs + m->count; in++)
        if (in->chunk && (!first || memcmp(in->chunk->id, first->chunk->id, SEAL_HASH_SIZE) < 0))
            first = in;
    return first;
}

static bool is_kept(struct merge *m, const uint8_t *id, uint32_t object)
{
    struct places *p = &m->places;
    const uint8_t *signer = m->objects[object].signer;
    if (memcmp(p->id, id, sizeof p->id) != 0)
        p->count = 0;
    memcpy(p->id, id, sizeof p->id);
    size_t i = 0;
    while (i < p->count && memcmp(p->of[i].signer, signer, SEAL_HASH_SIZE) != 0)
        i++;
    if (i == p->count && i < SIGNERS)
        p->of[p->count++].signer = signer, p->of[i].rows = 0;
    return (i < SIGNERS && p->of[i].rows++ < m->most) || m->unbounded[object];
}

static void mark(struct merge *m, const uint8_t *id)
{
    if (m->header.blocks == 0)
        return;
    struct segment_block *block = &m->filter[segment_block(id, m->header.blocks)];
    for (unsigned n = 0; n < SEGMENT_MARKS; n++) {
        unsigned bit = segment_mark(id, n);
        block->bits[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

static int take_chunk(struct merge *m, const struct input *in, struct error *e)
{
    struct segment_chunk chunk = *in->chunk;
    chunk.pack = in->packs[chunk.pack];
    if (chunk.pack == LEFT_OUT)
        return 0;
    uint32_t object = m->pack_object[chunk.pack];
    if (!is_kept(m, chunk.id, object)) {
        m->objects[object].crowded = 1;
        return 0;
    }
    m->header.chunks++;
    m->fanout[segment_bucket(chunk.id, m->header.bits) + 1]++;
    mark(m, chunk.id);
    chunk.check = segment_row_check(&chunk, offsetof(struct segment_chunk, check));
    return emit(m, &chunk, sizeof chunk, e);
}

static int merge_chunks(struct merge *m, struct error *e)
{
    for (size_t i = 0; i < m->count; i++) {
        m->inputs[i].next = 0;
        if (next_chunk(m, &m->inputs[i], e) < 0)
            return -1;
    }
    for (struct input *in; (in = first_chunk(m));)
        if (take_chunk(m, in, e) < 0 || next_chunk(m, in, e) < 0)
            return -1;
    for (size_t i = 0; i < (size_t)1 << m->header.bits; i++)
        m->fanout[i + 1] += m->fanout[i];
    return 0;
}

/* ---- all ---- */

static int begin(struct merge *m, const struct segment_source *sources, struct error *e)
{
    size_t chunks = 0;
    m->inputs = calloc(m->count + 1, sizeof *m->inputs);
    if (!m->inputs)
        return error_memory(e);
    for (size_t i = 0; i < m->count; i++) {
        m->inputs[i].source = &sources[i];
        if (begin_input(&m->inputs[i], e) < 0)
            return -1;
        chunks += m->inputs[i].chunk_count;
    }
    while (m->header.bits < SEGMENT_BITS_MAX && chunks >> m->header.bits > SEGMENT_BUCKET)
        m->header.bits++;
    m->header.blocks = chunks <= SEGMENT_FILTERED_MAX ? chunks / SEGMENT_BLOCK + 1 : 0;
    m->fanout = calloc(((size_t)1 << m->header.bits) + 1, sizeof *m->fanout);
    m->filter = calloc(m->header.blocks + 1, sizeof *m->filter);
    m->buffer = malloc(BUFFER);
    seal_hasher_init(&m->hasher);
    return m->fanout && m->filter && m->buffer ? 0 : error_memory(e);
}

static int seek(const struct merge *m, uint64_t offset, struct error *e)
{
    return lseek(m->fd, (off_t)offset, SEEK_SET) < 0 ? error_system(e, errno, "seek in '%s'", m->name) : 0;
}

static int write_head(struct merge *m, struct error *e)
{
    struct segment_header *h = &m->header;
    seal_hasher_end(&m->hasher, h->rows);
    segment_head_hash(&(struct segment){.header = *h, .objects = m->objects, .fanout = m->fanout, .filter = m->filter},
                      h->hash);
    if (seek(m, 0, e) < 0 || file_write_all(m->fd, h, sizeof *h, m->name, e) < 0 ||
        file_write_all(m->fd, m->objects, h->objects * sizeof *m->objects, m->name, e) < 0 ||
        file_write_all(m->fd, m->fanout, (((size_t)1 << h->bits) + 1) * sizeof *m->fanout, m->name, e) < 0 ||
        file_write_all(m->fd, m->filter, h->blocks * sizeof *m->filter, m->name, e) < 0)
        return -1;
    return fdatasync(m->fd) < 0 ? error_system(e, errno, "sync '%s'", m->name) : 0;
}

static int run(struct merge *m, const struct segment_source *sources, struct error *e)
{
    if (begin(m, sources, e) < 0 || merge_objects(m, e) < 0 || seek(m, segment_packs_place(&m->header), e) < 0)
        return -1;
    return merge_packs(m, e) < 0 || merge_chunks(m, e) < 0 || flush(m, e) < 0 ? -1 : write_head(m, e);
}

int segment_write(int fd, const char *name, const uint8_t identity[SEAL_HASH_SIZE], const char *host,
                  const struct segment_source *sources, size_t count, unsigned places, struct error *e)
{
    struct merge m = {.fd = fd, .name = name, .count = count, .most = places};
    m.header.magic = SEGMENT_MAGIC;
    memcpy(m.header.identity, identity, sizeof m.header.identity);
    strncpy(m.header.host, host, sizeof m.header.host - 1);
    int result = run(&m, sources, e);
    for (size_t i = 0; m.inputs && i < count; i++)
        end_input(&m.inputs[i]);
    free(m.inputs);
    free(m.objects);
    free(m.unbounded);
    free(m.pack_object);
    free(m.fanout);
    free(m.filter);
    free(m.buffer);
    return result;
}
