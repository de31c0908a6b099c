#include "common/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/large.h"

#define FOLDERS_MAX 64 /* descriptors */

struct delivery_report {
    struct delivery_report *next;
    int32_t result;
    struct cofre_error why;
    size_t length;
    char path[]; /* NUL terminated */
};

/* ---- in a thread ---- */

static void put_back(struct place *hand, struct record *record)
{
    const struct folder *folder = record->folder;
    struct place_spot spot = {
        .dir = folder->fd, .name = record->name, .inherits = folder->inherits, .fresh = folder->fresh};
    const uint8_t *content = (const uint8_t *)record + record->bytes - record->content_room;
    record->result = place_file(hand, &spot, record, content, record->content_length);
    if (record->result == COFRE_PARTLY) {
        record->lost = malloc(sizeof *record->lost);
        if (record->lost)
            *record->lost = hand->lost;
    } else if (record->result != COFRE_OK) {
        record->why = malloc(sizeof *record->why);
        if (record->why)
            *record->why = *hand->why;
    }
}

static struct record *record_at(uint8_t *bytes)
{
    return (struct record *)(void *)bytes;
}

static void run(void *context, unsigned thread, struct crew_job *job)
{
    struct delivery *d = context;
    struct delivery_block *block = (struct delivery_block *)(void *)job;
    if (block->large) {
        large_write(block);
        return;
    }
    uint8_t *at = block->bytes;
    for (unsigned i = 0; i < block->count; i++, at += record_at(at)->bytes)
        put_back(&d->hands[thread], record_at(at));
}

/* ---- reports ---- */

/* Bytes of a path as the host knows it. */
static size_t whole_length(const struct delivery *d, size_t length)
{
    size_t n = strlen(d->prefix);
    return n + (n > 0 && length > 0) + length;
}

/* That path. */
static void make_whole(const struct delivery *d, const char *path, size_t length, char *out)
{
    size_t n = strlen(d->prefix);
    memcpy(out, d->prefix, n);
    if (n > 0 && length > 0)
        out[n++] = '/';
    memcpy(out + n, path, length);
}

void delivery_report(struct delivery *d, const char *path, size_t length, int32_t result, const struct cofre_error *why)
{
    size_t whole = whole_length(d, length);
    struct delivery_report *report = why ? calloc(1, sizeof *report + whole + 1) : NULL;
    if (!report) {
        d->short_of_memory = true;
        return;
    }
    report->result = result;
    report->why = *why;
    report->length = whole;
    make_whole(d, path, length, report->path);
    *d->last = report;
    d->last = &report->next;
    if (result == COFRE_E_NO_SPACE && !d->full) {
        d->full = true;
        d->why_full = *why;
    }
}

void delivery_lost(struct delivery *d, const char *path, size_t length, const struct losses *losses, bool late)
{
    static const struct cofre_error said = {.struct_size = sizeof said, .message = "a part of its metadata is lost"};
    size_t n = whole_length(d, length);
    char *whole = losses ? malloc(n + 1) : NULL;
    if (!whole) {
        d->short_of_memory = true;
        return;
    }
    make_whole(d, path, length, whole);
    losses_count(&d->tally, losses, whole, n);
    free(whole);
    if (late)
        delivery_report(d, path, length, COFRE_PARTLY, &said);
}

int32_t delivery_tell(struct delivery *d)
{
    int32_t status = COFRE_OK;
    for (struct delivery_report *report; status == COFRE_OK && (report = d->reports);) {
        status =
            cofre->late(d->place->call, report->path, report->length, report->result, &report->why, d->place->error);
        d->late_partly += report->result == COFRE_PARTLY;
        if (report->result != COFRE_PARTLY && d->late_failed++ == 0) {
            d->class_failed = report->result;
            failure_about(&d->why_failed, report->path, report->length, &report->why);
        }
        d->reports = report->next;
        free(report);
    }
    if (!d->reports)
        d->last = &d->reports;
    if (status == COFRE_OK && d->short_of_memory)
        status = cofre_fail_errno(d->place->error, ENOMEM, "tell what was not put back");
    if (status == COFRE_OK && d->full) {
        *d->place->error = d->why_full;
        status = COFRE_E_NO_SPACE;
    }
    return status;
}

/* ---- what comes back ---- */

void delivery_release(struct delivery *d, struct folder *folder)
{
    if (--folder->pending > 0)
        return;
    d->settled(d->context, folder);
    close(folder->fd);
    free(folder);
    d->folders--;
}

static void arrived(struct delivery *d, struct record *record)
{
    if (record->result == COFRE_PARTLY)
        delivery_lost(d, record->path, record->path_length, record->lost, true);
    else if (record->result != COFRE_OK)
        delivery_report(d, record->path, record->path_length, record->result, record->why);
    free(record->why);
    free(record->lost);
    delivery_release(d, record->folder);
}

/* Take back a block. false: there is none, or, with wait, none is out. */
static bool take_back(struct delivery *d, bool wait)
{
    struct delivery_block *block = (struct delivery_block *)(void *)crew_take_back(d->crew, wait);
    if (!block)
        return false;
    if (block->large) {
        large_arrived(d, block);
    } else {
        uint8_t *at = block->bytes;
        for (unsigned i = 0; i < block->count; i++, at += record_at(at)->bytes)
            arrived(d, record_at(at));
    }
    block->busy = false;
    return true;
}

struct delivery_block *delivery_room(struct delivery *d)
{
    while (take_back(d, false))
        ;
    for (;;) {
        for (size_t i = 0; i < DELIVERY_BLOCKS; i++) {
            struct delivery_block *block = &d->blocks[i];
            if (block->busy)
                continue;
            *block = (struct delivery_block){.busy = true, .bytes = block->bytes};
            return block;
        }
        take_back(d, true);
    }
}

void delivery_send(struct delivery *d, struct delivery_block *block)
{
    crew_give(d->crew, &block->job);
}

static void send_current(struct delivery *d)
{
    struct delivery_block *block = d->current;
    d->current = NULL;
    if (block && block->count > 0)
        delivery_send(d, block);
    else if (block)
        block->busy = false;
}

void delivery_drain(struct delivery *d)
{
    send_current(d);
    while (take_back(d, true))
        ;
    for (unsigned i = 0; i <= CREW_MAX; i++) {
        d->place->rules.owners_kept += d->hands[i].rules.owners_kept;
        d->hands[i].rules.owners_kept = 0;
    }
}

static bool is_out(const struct delivery *d, const char *path, size_t length, uint64_t hash)
{
    for (size_t i = 0; i < DELIVERY_BLOCKS; i++)
        for (unsigned r = 0; d->blocks[i].busy && r < d->blocks[i].count; r++)
            if (d->blocks[i].hashes[r] == hash)
                return true;
    return large_is_out(d, path, length);
}

void delivery_wait(struct delivery *d, const char *path, size_t length)
{
    uint64_t hash = record_hash(path, length);
    if (!is_out(d, path, length, hash))
        return;
    send_current(d);
    while (is_out(d, path, length, hash) && take_back(d, true))
        ;
}

/* ---- folders ---- */

struct folder *delivery_folder(struct delivery *d, struct folder **slot, const struct level *level, size_t depth,
                               int dir, const char *path, size_t path_length, int32_t *result)
{
    if (*slot) {
        (*slot)->pending++;
        return *slot;
    }
    while (d->folders >= FOLDERS_MAX) {
        send_current(d);
        take_back(d, true);
    }
    struct folder *folder = calloc(1, sizeof *folder + path_length + 1);
    int fd = folder ? fcntl(dir, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0) {
        *result = cofre_fail_errno(d->place->why, folder ? errno : ENOMEM, "hold the directory");
        free(folder);
        return NULL;
    }
    folder->fd = fd;
    folder->inherits = level->inherits;
    folder->fresh = level->fresh;
    folder->pending = 1;
    folder->depth = depth;
    folder->path_length = path_length;
    memcpy(folder->path, path, path_length);
    d->folders++;
    return *slot = folder;
}

/* ---- small files ---- */

/* A block with room for that much more. */
static struct delivery_block *room_for(struct delivery *d, size_t bytes)
{
    if (d->current && (d->current->count == DELIVERY_RECORDS || d->current->used + bytes > DELIVERY_BLOCK))
        send_current(d);
    if (!d->current)
        d->current = delivery_room(d);
    return d->current;
}

static void lay_down(struct delivery_block *block, struct record *record, size_t length)
{
    record->content_length = length;
    record->content_room = record_aligned(length);
    record->bytes += record->content_room;
    block->hashes[block->count++] = record->hash;
    block->used += record->bytes;
}

/* take failed: for this entry alone when its content is damaged, else for good. */
static int32_t lost(struct delivery *d, int32_t status, int32_t *result)
{
    if (status != COFRE_E_INTEGRITY)
        return status;
    *d->place->why = *d->place->error;
    *result = status;
    return COFRE_OK;
}

/* head: bytes of its record. */
static int32_t put_small(struct delivery *d, struct folder *folder, const struct cofre_entry *entry, size_t head,
                         int32_t *result)
{
    struct delivery_block *block = room_for(d, head + record_aligned((size_t)entry->size));
    struct record *record = record_make(block->bytes + block->used, entry, &d->place->rules, folder);
    uint8_t *to = block->bytes + block->used + head;
    size_t room = DELIVERY_BLOCK - block->used - head;
    struct large_beginning b = {.bytes = to, .has_piece = true};
    for (;;) {
        int32_t status = cofre->take(d->place->call, &b.piece, &b.piece_length, d->place->error);
        if (status == COFRE_END)
            break;
        if (status != COFRE_OK) {
            delivery_release(d, folder);
            return lost(d, status, result);
        }
        if (!b.piece || b.piece_length > room - b.length)
            return large_put(d, folder, entry, &b, result);
        memcpy(to + b.length, b.piece, (size_t)b.piece_length);
        b.length += (size_t)b.piece_length;
    }
    lay_down(block, record, b.length);
    return COFRE_OK;
}

int32_t delivery_file(struct delivery *d, struct folder *folder, const struct cofre_entry *entry, int32_t *result)
{
    static const struct large_beginning none = {0};
    size_t size = record_size(entry);
    *result = COFRE_OK;
    if (entry->size < 0 || entry->size > DELIVERY_SMALL || size > DELIVERY_BLOCK - DELIVERY_SMALL)
        return large_put(d, folder, entry, &none, result);
    return put_small(d, folder, entry, size, result);
}

/* ---- the whole ---- */

int delivery_begin(struct delivery *d, struct place *place, void (*settled)(void *, struct folder *), void *context)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = processors < 1 ? 1 : processors >= CREW_MAX ? CREW_MAX : (unsigned)processors + 1;
    *d = (struct delivery){.place = place, .settled = settled, .context = context, .prefix = ""};
    d->why_failed.struct_size = sizeof d->why_failed;
    d->last = &d->reports;
    for (unsigned i = 0; i <= CREW_MAX; i++) {
        d->whys[i].struct_size = sizeof d->whys[i];
        d->hands[i] = *place;
        d->hands[i].why = &d->whys[i];
        d->hands[i].call = NULL;
        d->hands[i].error = NULL;
        d->hands[i].rules.names = NULL;
        snprintf(d->hands[i].temporary, sizeof d->hands[i].temporary, "%.24s_%u", place->temporary, i);
    }
    d->memory = aligned_alloc(PLACE_DIRECT_ALIGN, (size_t)DELIVERY_BLOCKS * DELIVERY_BLOCK);
    d->crew = d->memory ? crew_new(threads, run, d) : NULL;
    if (!d->crew) {
        free(d->memory);
        d->memory = NULL;
        return ENOMEM;
    }
    for (size_t i = 0; i < DELIVERY_BLOCKS; i++)
        d->blocks[i].bytes = d->memory + i * DELIVERY_BLOCK;
    return 0;
}

void delivery_end(struct delivery *d)
{
    if (!d->crew)
        return;
    delivery_drain(d);
    crew_free(d->crew);
    for (struct delivery_report *report; (report = d->reports);) {
        d->reports = report->next;
        free(report);
    }
    free(d->memory);
    d->crew = NULL;
}
