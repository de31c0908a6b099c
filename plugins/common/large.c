#include "common/large.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "common/delivery.h"

/* Smaller ones are better off in the system's cache. */
#define DIRECT_LEAST (1 << 20)

struct large {
    struct large *next;
    struct record *record;
    struct place_spot spot;
    int fd;
    uint64_t number;
    bool direct; /* past the cache, as far as we know */
    bool resize; /* what was written last does not reach to the end, or beyond it */
    bool ended;  /* no more comes */
    unsigned pending;
    int64_t at; /* so much came */
    struct delivery_block *block;
};

/* The owner's hand. Each file has its own temporary name: several are open at once. */
static struct place *hand_for(struct delivery *d, const struct large *large)
{
    struct place *hand = &d->hands[CREW_MAX];
    snprintf(hand->temporary, sizeof hand->temporary, "%.24s-%llx", d->place->temporary,
             (unsigned long long)large->number);
    return hand;
}

/* ---- the end of a file ---- */

static void forget(struct delivery *d, struct large *large)
{
    struct large **at = &d->larges;
    while (*at != large)
        at = &(*at)->next;
    *at = large->next;
    free(large->record->why);
    free(large->record);
    free(large);
}

/* When all pieces are there. */
static void settle(struct delivery *d, struct large *large)
{
    struct place *hand = hand_for(d, large);
    struct record *record = large->record;
    int32_t result = record->result;
    struct folder *folder = record->folder;
    place_close(hand, &large->spot, large->fd, record, large->resize ? large->at : -1, &result);
    if (result == COFRE_PARTLY)
        delivery_lost(d, record->path, record->path_length, &hand->lost, true);
    else if (result != COFRE_OK)
        delivery_report(d, record->path, record->path_length, result,
                        record->result == COFRE_OK ? hand->why : record->why);
    forget(d, large);
    delivery_release(d, folder);
}

/* The first failure is the one that counts. */
static void fail(struct large *large, int32_t result, const struct cofre_error *why)
{
    struct record *record = large->record;
    if (record->result != COFRE_OK)
        return;
    record->result = result;
    record->why = malloc(sizeof *why);
    if (record->why)
        *record->why = *why;
}

void large_arrived(struct delivery *d, struct delivery_block *block)
{
    struct place *hand = &d->hands[CREW_MAX];
    struct large *large = block->large;
    if (block->errnum)
        fail(large, place_not_written(hand, block->errnum, block->offset), hand->why);
    large->pending--;
    if (large->ended && large->pending == 0)
        settle(d, large);
}

void large_write(struct delivery_block *block)
{
    block->errnum = place_write(block->large->fd, block->bytes, block->used, block->offset);
}

/* ---- its pieces ---- */

/* Send the piece at hand. What goes past the cache is a multiple of PLACE_DIRECT_ALIGN; a last piece is filled up with
 * zeros, which are cut off at the end. */
static void send(struct delivery *d, struct large *large, bool last)
{
    struct delivery_block *block = large->block;
    if (!block)
        return;
    large->block = NULL;
    size_t odd = block->used % PLACE_DIRECT_ALIGN;
    if (large->direct && (block->offset % PLACE_DIRECT_ALIGN != 0 || (odd && !last))) {
        place_direct(large->fd, false);
        large->direct = false;
    }
    if (large->direct && odd) {
        memset(block->bytes + block->used, 0, PLACE_DIRECT_ALIGN - odd);
        block->used += PLACE_DIRECT_ALIGN - odd;
        large->resize = true;
    }
    large->pending++;
    delivery_send(d, block);
}

static void add(struct delivery *d, struct large *large, const uint8_t *bytes, uint64_t length)
{
    while (length > 0) {
        struct delivery_block *block = large->block;
        if (!block) {
            block = large->block = delivery_room(d);
            block->large = large;
            block->offset = large->at;
        }
        size_t n = DELIVERY_BLOCK - block->used;
        n = length < n ? (size_t)length : n;
        memcpy(block->bytes + block->used, bytes, n);
        block->used += n;
        large->at += (int64_t)n;
        bytes += n;
        length -= n;
        if (block->used == DELIVERY_BLOCK)
            send(d, large, false);
    }
}

/* Bytes, or a hole, which is left out; a last one needs the length to be set. */
static void add_piece(struct delivery *d, struct large *large, const void *bytes, uint64_t length)
{
    struct place *hand = &d->hands[CREW_MAX];
    if (length > (uint64_t)(INT64_MAX - large->at)) {
        fail(large, place_not_written(hand, EFBIG, large->at), hand->why);
        return;
    }
    if (length > 0)
        large->resize = !bytes;
    if (bytes) {
        add(d, large, bytes, length);
        return;
    }
    send(d, large, false);
    large->at += (int64_t)length;
}

static int32_t add_all(struct delivery *d, struct large *large, const struct large_beginning *beginning)
{
    const void *bytes;
    uint64_t length;
    if (beginning->length > 0)
        add_piece(d, large, beginning->bytes, beginning->length);
    if (beginning->has_piece)
        add_piece(d, large, beginning->piece, beginning->piece_length);
    while (large->record->result == COFRE_OK) {
        int32_t status = cofre->take(d->place->call, &bytes, &length, d->place->error);
        if (status == COFRE_END)
            break;
        if (status != COFRE_OK)
            return status;
        add_piece(d, large, bytes, length);
    }
    return COFRE_OK;
}

/* ---- its beginning ---- */

static struct large *begin(struct delivery *d, struct folder *folder, const struct cofre_entry *entry, int32_t *result)
{
    void *memory = aligned_alloc(RECORD_ALIGN, record_size(entry));
    struct large *large = calloc(1, sizeof *large);
    if (!memory || !large) {
        *result = cofre_fail_errno(d->place->why, ENOMEM, "put it back");
        free(memory);
        free(large);
        return NULL;
    }
    large->record = record_make(memory, entry, &d->place->rules, folder);
    large->spot = (struct place_spot){
        .dir = folder->fd, .name = large->record->name, .inherits = folder->inherits, .fresh = folder->fresh};
    large->number = ++d->larges_begun;
    struct place *hand = hand_for(d, large);
    large->fd = place_open(hand, &large->spot, result);
    if (large->fd < 0) {
        *d->place->why = *hand->why;
        free(memory);
        free(large);
        return NULL;
    }
    large->direct = (entry->size < 0 || entry->size >= DIRECT_LEAST) && place_direct(large->fd, true);
    large->next = d->larges;
    d->larges = large;
    return large;
}

int32_t large_put(struct delivery *d, struct folder *folder, const struct cofre_entry *entry,
                  const struct large_beginning *beginning, int32_t *result)
{
    *result = COFRE_OK;
    struct large *large = begin(d, folder, entry, result);
    if (!large) {
        delivery_release(d, folder);
        return COFRE_OK;
    }
    int32_t status = add_all(d, large, beginning);
    if (status != COFRE_OK)
        fail(large, status, d->place->error); /* the rest will never come: away with it */
    send(d, large, true);
    large->ended = true;
    if (large->pending == 0)
        settle(d, large);
    /* Content that is damaged is a matter of this entry, told when its pieces are back. */
    return status == COFRE_E_INTEGRITY ? COFRE_OK : status;
}

bool large_is_out(const struct delivery *d, const char *path, size_t length)
{
    for (const struct large *l = d->larges; l; l = l->next)
        if (l->record->path_length == length && memcmp(l->record->path, path, length) == 0)
            return true;
    return false;
}
