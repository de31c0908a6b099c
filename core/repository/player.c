#include "repository/player.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "flow/line.h"
#include "format/audience.h"
#include "repository/chunker.h"
#include "repository/fetch.h"
#include "repository/index.h"
#include "repository/pack.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define WORKERS_MAX 16
#define SLOTS_MAX (WORKERS_MAX + 4)
#define CACHE 8
#define SCRIPT_MAX ((size_t)1 << 20)
/* The planner and the consumer.
 *
 * Content is given in the order of the catalogue, by one thread; chunks are opened by several. A chunk may be wanted by
 * many entries in a row (small files share one), and again a little later. So the last CACHE opened chunks are kept,
 * and who decides what is kept is not the consumer but the planner, which reads the catalogue far ahead of him:
 *
 *   records ──► plan ──► steps (a ring) ──► fetch ──► line: open chunks side by side ──► consume, in order
 *               plan[]: which chunk will              item: a chunk to open, its            cache[]: which chunk
 *               be in which place                     place, a script                       is in which place
 *
 * A step is at most one chunk to load into one place, and then a script of what to give (a record, bytes of a place, a
 * hole, an end). The planner simulates the cache: a chunk that `plan` has costs nothing, another takes the place that
 * was used longest ago and begins a new step. Since items are consumed in the order of the steps, and an item's chunk
 * takes its place right before its script runs, cache[] at the time of a script is what plan[] was when it was written.
 * Both sides need no word with each other.
 *
 * What the index says of a chunk is where to look, and no more. How long it is shows when it is opened: each piece that
 * is given is compared with that. A chunk that is not whole where it was fetched is looked for elsewhere by the
 * consumer, who waits for it; that is rare.
 *
 * Invariants: a script refers to a place only after the step that loaded it or with it; `plain` of an item and of a
 * place are exchanged, never copied, so that there are exactly slots + CACHE buffers; a chunk that could not be opened
 * takes its place as damage, and every entry that is given bytes of it ends as damaged; what is fetched is expected
 * (fetch_expect) in the same order in which it is fetched.
 */

/* Steps planned before the chunks of the first are needed, where a sink takes several requests at once; their scripts
 * have a limit of their own. */
#define STEPS (FETCH_AHEAD - 2)
#define SCRIPTS_MAX ((size_t)4 << 20)

/* What the consumer does with an item, one after another. */
enum op {
    OP_RECORD = 1, /* blob: the record */
    OP_DATA,       /* u32 cache place, u32 offset, u32 length */
    OP_HOLE,       /* u64 length */
    OP_END
};

/* A chunk to open (or none), the cache place it goes to, and a script. */
struct item {
    bool load;
    bool located;        /* there is a place to look at */
    struct error damage; /* class ERROR_NONE: the chunk is whole */
    uint32_t place;
    struct index_location location;
    struct seal_box box;
    uint8_t *sealed, *plain; /* plain: CHUNKER_MAXIMUM bytes */
    struct bytes script;
};

/* What will become an item. */
struct step {
    bool load;
    uint32_t place;
    struct index_location location;
    struct error damage; /* class ERROR_NONE: the chunk was located */
    struct bytes script;
};

struct player {
    struct repository *repository;
    struct reader *reader;
    struct reader *elsewhere; /* the consumer's; made when first needed */
    struct fetch *fetch;
    struct audience audience;
    struct item items[SLOTS_MAX];
    void *slots[SLOTS_MAX];
    size_t slot_count;
    struct pack_decompressor *decompressors[WORKERS_MAX];
    struct line *line;
    /* the planner's side */
    struct step steps[STEPS]; /* a ring: planned and not handed over; the last one is being filled */
    size_t first, count, depth;
    size_t scripts;  /* bytes in them, the last one aside */
    bool entry_open; /* an entry's end is not in the script yet */
    uint64_t clock;
    struct {
        uint8_t id[SEAL_HASH_SIZE];
        uint64_t used; /* 0 = empty */
    } plan[CACHE];
    /* the consumer's side */
    struct {
        uint8_t *plain;
        size_t length;       /* of what was opened; nothing behind it is anybody's */
        struct error damage; /* class ERROR_NONE: plain is there */
    } cache[CACHE];
    struct error damage; /* of the entry at hand */
    struct catalogue_decoder decoder;
};

/* ---- consuming ---- */

static int open_item(void *context, size_t worker, void *slot, struct error *e)
{
    struct player *p = context;
    struct item *item = slot;
    if (!item->load || item->damage.class != ERROR_NONE)
        return 0;
    char key[201];
    pack_name_key(&item->location.pack, key);
    if (pack_open_chunk(p->decompressors[worker], p->repository->key, &item->box, &item->location.chunk, item->sealed,
                        item->plain, key, &item->damage) == 0 ||
        reader_is_damage(&item->damage))
        return 0;
    *e = item->damage;
    return -1;
}

static int play_record(struct player *p, struct cursor *c, struct error *e)
{
    size_t n;
    const uint8_t *bytes = cursor_blob(c, CATALOGUE_RECORD_MAX + 4, &n);
    struct record record;
    if (catalogue_decode(&p->decoder, bytes, n, &record, e) < 0)
        return -1;
    p->damage.class = ERROR_NONE;
    return p->audience.entry(p->audience.context, &record, e);
}

static int play_data(struct player *p, struct cursor *c, struct error *e)
{
    uint32_t place = cursor_u32(c), offset = cursor_u32(c), length = cursor_u32(c);
    if (p->damage.class != ERROR_NONE)
        return 0;
    if (p->cache[place].damage.class != ERROR_NONE) {
        p->damage = p->cache[place].damage;
        p->damage.class = ERROR_INTEGRITY; /* whatever it looked like in the sink */
        return 0;
    }
    if (offset > p->cache[place].length || length > p->cache[place].length - offset) {
        error_set(&p->damage, ERROR_INTEGRITY, "its content reaches beyond the end of a chunk");
        return 0;
    }
    return p->audience.data(p->audience.context, p->cache[place].plain + offset, length, e);
}

static int play_hole(struct player *p, struct cursor *c, struct error *e)
{
    uint64_t length = cursor_u64(c);
    return p->damage.class != ERROR_NONE ? 0 : p->audience.hole(p->audience.context, length, e);
}

static int play_end(struct player *p, struct error *e)
{
    if (p->damage.class != ERROR_NONE)
        return p->audience.damaged(p->audience.context, &p->damage, e);
    return p->audience.end(p->audience.context, e);
}

/* It was not whole where it was fetched. *length becomes that of the chunk. When there is no other place, what was
 * wrong with the first remains. */
static int look_elsewhere(struct player *p, struct item *item, size_t *length, struct error *e)
{
    const uint8_t *bytes;
    struct error why;
    if (!p->elsewhere && reader_new(p->repository, &p->elsewhere, e) < 0)
        return -1;
    if (reader_chunk_elsewhere(p->elsewhere, &item->location, &item->damage, &bytes, length, &why) == 0) {
        memcpy(item->plain, bytes, *length);
        item->damage.class = ERROR_NONE;
    } else if (!reader_is_damage(&why)) {
        *e = why;
        return -1;
    }
    return 0;
}

static int take_chunk(struct player *p, struct item *item, struct error *e)
{
    size_t length = item->location.chunk.plain;
    if (item->damage.class != ERROR_NONE && item->located && look_elsewhere(p, item, &length, e) < 0)
        return -1;
    uint8_t *free_one = p->cache[item->place].plain;
    p->cache[item->place].plain = item->plain;
    p->cache[item->place].length = item->damage.class == ERROR_NONE ? length : 0;
    p->cache[item->place].damage = item->damage;
    item->plain = free_one;
    return 0;
}

static int play_item(void *context, void *slot, struct error *e)
{
    struct player *p = context;
    struct item *item = slot;
    if (item->load && take_chunk(p, item, e) < 0)
        return -1;
    struct cursor c = cursor_of(item->script.data, item->script.length);
    int result = 0;
    while (result == 0 && c.left > 0) {
        switch ((enum op)cursor_u8(&c)) {
        case OP_RECORD:
            result = play_record(p, &c, e);
            break;
        case OP_DATA:
            result = play_data(p, &c, e);
            break;
        case OP_HOLE:
            result = play_hole(p, &c, e);
            break;
        case OP_END:
            result = play_end(p, e);
            break;
        }
    }
    ASSERT(!c.failed);
    return result;
}

/* ---- making ---- */

static int make_buffers(struct player *p, struct error *e)
{
    for (size_t i = 0; i < p->slot_count; i++) {
        struct item *item = &p->items[i];
        item->script.maximum = SCRIPT_MAX + 2 * CATALOGUE_RECORD_MAX;
        item->sealed = malloc(reader_sealed_max());
        item->plain = malloc(CHUNKER_MAXIMUM);
        p->slots[i] = item;
        if (!item->sealed || !item->plain)
            return error_memory(e);
    }
    for (size_t i = 0; i < CACHE; i++)
        if (!(p->cache[i].plain = malloc(CHUNKER_MAXIMUM)))
            return error_memory(e);
    return 0;
}

static int make_line(struct player *p, unsigned workers, struct error *e)
{
    if (workers > WORKERS_MAX)
        workers = WORKERS_MAX;
    p->slot_count = workers + 3;
    for (unsigned i = 0; i < workers || i == 0; i++)
        if (pack_decompressor_new(&p->decompressors[i], e) < 0)
            return -1;
    if (make_buffers(p, e) < 0 || fetch_new(p->repository, &p->fetch, e) < 0)
        return -1;
    struct line_spec spec = {.slots = p->slot_count,
                             .workers = workers,
                             .items = p->slots,
                             .work = open_item,
                             .consume = play_item,
                             .context = p};
    return line_new(&spec, &p->line, e);
}

int player_new(struct repository *repository, struct reader *reader, unsigned workers, const struct audience *audience,
               struct player **player, struct error *e)
{
    struct player *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(e);
    p->repository = repository;
    p->reader = reader;
    p->audience = *audience;
    p->depth = sink_parallel(repository->sink) > 1 ? STEPS : 1;
    for (size_t i = 0; i < STEPS; i++)
        p->steps[i].script.maximum = SCRIPT_MAX + 2 * CATALOGUE_RECORD_MAX;
    if (make_line(p, workers, e) < 0) {
        player_free(p);
        return -1;
    }
    *player = p;
    return 0;
}

void player_free(struct player *player)
{
    if (!player)
        return;
    line_free(player->line);
    for (size_t i = 0; i < player->slot_count; i++) {
        free(player->items[i].sealed);
        free(player->items[i].plain);
        bytes_free(&player->items[i].script);
    }
    for (size_t i = 0; i < CACHE; i++)
        free(player->cache[i].plain);
    for (size_t i = 0; i < STEPS; i++)
        bytes_free(&player->steps[i].script);
    for (size_t i = 0; i < WORKERS_MAX; i++)
        pack_decompressor_free(player->decompressors[i]);
    fetch_free(player->fetch);
    reader_free(player->elsewhere);
    catalogue_decoder_free(&player->decoder);
    free(player);
}

/* ---- planning ---- */

/* Damage inside shows when the chunk is opened. */
static int fetch_into(struct player *p, struct item *item, const struct step *step, struct error *e)
{
    item->location = step->location;
    item->damage = step->damage;
    item->located = step->damage.class == ERROR_NONE;
    if (!item->located)
        return 0;
    struct error why;
    if (fetch_chunk(p->fetch, &step->location, item->sealed, &item->box, &why) == 0)
        return 0;
    if (!reader_is_damage(&why)) {
        *e = why;
        return -1;
    }
    item->damage = why;
    return 0;
}

/* The oldest step becomes an item of the line. */
static int hand_over(struct player *p, struct error *e)
{
    struct step *step = &p->steps[p->first];
    void *slot;
    if (bytes_check(&step->script, "restore script", e) < 0 || line_slot(p->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    struct bytes script = item->script;
    item->script = step->script;
    step->script = script;
    item->load = step->load;
    item->place = step->place;
    if (step->load && fetch_into(p, item, step, e) < 0)
        return -1;
    p->first = (p->first + 1) % STEPS;
    p->count--;
    p->scripts -= item->script.length;
    return line_submit(p->line, e);
}

static struct step *last_step(struct player *p)
{
    return p->count > 0 ? &p->steps[(p->first + p->count - 1) % STEPS] : NULL;
}

/* Nothing will be added to the last step. */
static void close_step(struct player *p)
{
    const struct step *last = last_step(p);
    p->scripts += last ? last->script.length : 0;
}

static int next_step(struct player *p, struct step **step, struct error *e)
{
    close_step(p);
    while (p->count > 0 && (p->count >= p->depth || p->scripts > SCRIPTS_MAX))
        if (hand_over(p, e) < 0)
            return -1;
    p->count++;
    *step = last_step(p);
    (*step)->load = false;
    bytes_reset(&(*step)->script);
    return 0;
}

/* The script to append to; behind a long one a new step begins. */
static int script(struct player *p, struct bytes **out, struct error *e)
{
    struct step *step = last_step(p);
    if ((!step || step->script.length >= SCRIPT_MAX) && next_step(p, &step, e) < 0)
        return -1;
    *out = &step->script;
    return 0;
}

static size_t least_used(const struct player *p)
{
    size_t place = 0;
    for (size_t i = 1; i < CACHE; i++)
        if (p->plan[i].used < p->plan[place].used)
            place = i;
    return place;
}

static int locate(struct player *p, struct step *step, const uint8_t *id, struct error *e)
{
    step->damage.class = ERROR_NONE;
    struct error why;
    if (reader_locate(p->reader, id, 0, &step->location, &why) == 0) {
        fetch_expect(p->fetch, &step->location);
        return 0;
    }
    if (!reader_is_damage(&why)) {
        *e = why;
        return -1;
    }
    step->damage = why;
    return 0;
}

static int load(struct player *p, const uint8_t *id, size_t *place, struct error *e)
{
    struct step *step;
    if (next_step(p, &step, e) < 0 || locate(p, step, id, e) < 0)
        return -1;
    *place = least_used(p);
    step->load = true;
    step->place = (uint32_t)*place;
    memcpy(p->plan[*place].id, id, SEAL_HASH_SIZE);
    return 0;
}

static int plan_data(struct player *p, const struct catalogue_extent *extent, struct error *e)
{
    size_t place = 0;
    while (place < CACHE && (!p->plan[place].used || memcmp(p->plan[place].id, extent->id, SEAL_HASH_SIZE) != 0))
        place++;
    if (place == CACHE && load(p, extent->id, &place, e) < 0)
        return -1;
    p->plan[place].used = ++p->clock;
    struct bytes *out;
    if (script(p, &out, e) < 0)
        return -1;
    bytes_put_u8(out, OP_DATA);
    bytes_put_u32(out, (uint32_t)place);
    bytes_put_u32(out, extent->offset);
    bytes_put_u32(out, (uint32_t)extent->length);
    return 0;
}

static int plan_extents(struct player *p, const struct record *record, struct error *e)
{
    for (size_t i = 0; i < record->extent_count; i++) {
        const struct catalogue_extent *extent = &record->extents[i];
        if (!catalogue_is_hole(extent)) {
            if (plan_data(p, extent, e) < 0)
                return -1;
            continue;
        }
        struct bytes *out;
        if (script(p, &out, e) < 0)
            return -1;
        bytes_put_u8(out, OP_HOLE);
        bytes_put_u64(out, extent->length);
    }
    return 0;
}

int player_record(struct player *player, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    struct bytes *out;
    if (record->continuation != player->entry_open)
        return error_set(e, ERROR_INTEGRITY, "a catalogue record is out of place");
    if (!record->continuation) {
        if (script(player, &out, e) < 0)
            return -1;
        bytes_put_u8(out, OP_RECORD);
        bytes_put_blob(out, bytes, n);
    }
    if (plan_extents(player, record, e) < 0)
        return -1;
    player->entry_open = record->more;
    if (record->more)
        return 0;
    if (script(player, &out, e) < 0)
        return -1;
    bytes_put_u8(out, OP_END);
    return 0;
}

int player_finish(struct player *player, struct error *e)
{
    if (player->entry_open)
        return error_set(e, ERROR_INTEGRITY, "the catalogue ends in the middle of an entry");
    close_step(player);
    while (player->count > 0)
        if (hand_over(player, e) < 0)
            return -1;
    return line_drain(player->line, e);
}
