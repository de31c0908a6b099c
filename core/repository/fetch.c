#include "repository/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "repository/pack.h"
#include "repository/readahead.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define BOXES 256
#define WINDOW ((size_t)4 << 20)

struct boxed {
    struct pack_name pack;
    struct seal_box box;
    uint64_t used; /* 0 = free */
};

struct fetch {
    struct repository *repository;
    struct boxed boxes[BOXES]; /* of packs used lately */
    uint64_t clock;
    /* bytes [from, to) of one pack are in the window */
    uint8_t *window;
    struct pack_name pack;
    uint64_t from, to;
    uint64_t expected;           /* where the next chunk lies when they are wanted in order */
    struct readahead *readahead; /* NULL: one connection only */
};

int fetch_new(struct repository *repository, struct fetch **fetch, struct error *e)
{
    struct fetch *f = calloc(1, sizeof *f);
    uint8_t *window = malloc(WINDOW);
    if (!f || !window) {
        free(f);
        free(window);
        return error_memory(e);
    }
    f->repository = repository;
    f->window = window;
    if (readahead_new(repository, &f->readahead, e) < 0) {
        fetch_free(f);
        return -1;
    }
    *fetch = f;
    return 0;
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    readahead_free(fetch->readahead);
    free(fetch->window);
    free(fetch);
}

static int read_range(struct fetch *f, const struct pack_name *pack, uint64_t offset, void *p, size_t n,
                      struct error *e)
{
    char key[201];
    pack_name_key(pack, key);
    return sink_get_range(f->repository->sink, key, offset, p, n, e);
}

/* header: of the pack, when it is there already; else it is read. */
static int find_box(struct fetch *f, const struct pack_name *pack, const uint8_t *header, struct seal_box *box,
                    struct error *e)
{
    struct boxed *oldest = &f->boxes[0];
    for (size_t i = 0; i < BOXES; i++) {
        struct boxed *b = &f->boxes[i];
        if (b->used && pack_name_is(&b->pack, pack)) {
            b->used = ++f->clock;
            *box = b->box;
            return 0;
        }
        if (b->used < oldest->used)
            oldest = b;
    }
    char key[201];
    uint8_t read[PACK_HEADER_SIZE];
    pack_name_key(pack, key);
    if ((!header && read_range(f, pack, 0, read, sizeof read, e) < 0) ||
        pack_open_header(f->repository->key, header ? header : read, key, box, e) < 0)
        return -1;
    oldest->pack = *pack;
    oldest->box = *box;
    oldest->used = ++f->clock;
    return 0;
}

static bool in_window(const struct fetch *f, const struct index_location *l)
{
    return pack_name_is(&f->pack, &l->pack) && l->chunk.offset >= f->from &&
           (uint64_t)l->chunk.offset + l->chunk.stored <= f->to;
}

/* Read on from the chunk: far, when chunks are wanted in order or this is the first of its pack; else just the chunk.
 */
static int fill_window(struct fetch *f, const struct index_location *l, struct error *e)
{
    bool in_order =
        l->chunk.offset == PACK_HEADER_SIZE || (pack_name_is(&f->pack, &l->pack) && l->chunk.offset == f->expected);
    uint64_t left = l->pack_size - l->chunk.offset;
    size_t n = in_order ? WINDOW : l->chunk.stored;
    if (n > left)
        n = (size_t)left;
    if (n < l->chunk.stored || n > WINDOW)
        return error_set(e, ERROR_INTEGRITY, "a chunk of %u bytes does not fit its pack", l->chunk.stored);
    f->from = f->to = 0; /* empty, should reading fail */
    if (read_range(f, &l->pack, l->chunk.offset, f->window, n, e) < 0)
        return -1;
    f->pack = l->pack;
    f->from = l->chunk.offset;
    f->to = f->from + n;
    return 0;
}

void fetch_expect(struct fetch *fetch, const struct index_location *location)
{
    if (fetch->readahead)
        readahead_expect(fetch->readahead, location);
}

int fetch_chunk(struct fetch *fetch, const struct index_location *location, uint8_t *out, struct seal_box *box,
                struct error *e)
{
    uint8_t header[PACK_HEADER_SIZE];
    bool has_header;
    if (readahead_is_next(fetch->readahead, location)) {
        if (readahead_take(fetch->readahead, location, out, header, &has_header, e) == 0)
            return find_box(fetch, &location->pack, has_header ? header : NULL, box, e);
        /* What is wrong with a neighbour need not be wrong with this one: it is read alone. */
        if (e->class == ERROR_CANCELLED || e->class == ERROR_RETRY)
            return -1;
    }
    if (find_box(fetch, &location->pack, NULL, box, e) < 0)
        return -1;
    if (!in_window(fetch, location) && fill_window(fetch, location, e) < 0)
        return -1;
    memcpy(out, fetch->window + (location->chunk.offset - fetch->from), location->chunk.stored);
    fetch->expected = (uint64_t)location->chunk.offset + location->chunk.stored;
    return 0;
}
