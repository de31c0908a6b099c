#include "postgres/archive.h"

#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/archive_reader.h"

#define TEXT_MAX 4096
#define DATA_BLOCK 1
#define OBJECTS_BLOCK 3

int archive_wrong(struct archive *a, const char *why)
{
    a->why = why;
    return -1;
}

void archive_expect(struct archive *a, enum archive_form form, int (*step)(struct archive *))
{
    a->form = form;
    a->step = step;
    a->have = 0;
    a->in_text = false;
    a->text_length = 0;
    a->need = form == ARCHIVE_MAGIC    ? 11
              : form == ARCHIVE_BYTE   ? 1
              : form == ARCHIVE_OFFSET ? 1 + a->offset_size
                                       : 1 + a->integer_size;
}

/* ---- blocks of data ---- */

static int block_type(struct archive *a);
static int piece_length(struct archive *a);
static int object_id(struct archive *a);

static void next_block(struct archive *a)
{
    a->current = NULL;
    a->at_boundary = true;
    archive_expect(a, ARCHIVE_BYTE, block_type);
}

static int compare_items(const void *one, const void *other)
{
    const struct archive_item *a = one, *b = other;
    return (a->id > b->id) - (a->id < b->id);
}

void archive_begin_blocks(struct archive *a)
{
    if (a->count > 0)
        qsort(a->items, a->count, sizeof *a->items, compare_items);
    next_block(a);
}

static int block_id(struct archive *a)
{
    struct archive_item key = {.id = (int32_t)a->number};
    a->current = a->count ? bsearch(&key, a->items, a->count, sizeof key, compare_items) : NULL;
    if (!a->current || a->current->begun)
        return archive_wrong(a, "there is a block of data that its table of contents does not have");
    a->current->begun = true;
    a->current->begins_at = a->block_at;
    a->lines = 0;
    archive_expect(a, ARCHIVE_INTEGER, a->block == DATA_BLOCK ? piece_length : object_id);
    return 0;
}

static int block_type(struct archive *a)
{
    a->at_boundary = false;
    if (a->number != DATA_BLOCK && a->number != OBJECTS_BLOCK)
        return archive_wrong(a, "there is a block of an unknown kind");
    a->block = (int)a->number;
    a->block_at = a->fed - 1;
    archive_expect(a, ARCHIVE_INTEGER, block_id);
    return 0;
}

static void end_block(struct archive *a)
{
    /* The rows are followed by "\.", and two empty lines. */
    a->current->ended = true;
    if (a->current->is_table && !a->compressed && a->lines >= 3)
        a->current->rows = a->lines - 3;
    a->ended++;
    next_block(a);
}

static int piece_length(struct archive *a)
{
    if (a->number < 0)
        return archive_wrong(a, "a piece of data has a negative length");
    a->piece = (uint64_t)a->number;
    archive_expect(a, ARCHIVE_INTEGER, piece_length);
    if (a->piece > 0)
        return 0;
    if (a->block == DATA_BLOCK)
        end_block(a);
    else
        archive_expect(a, ARCHIVE_INTEGER, object_id);
    return 0;
}

static int object_id(struct archive *a)
{
    if (a->number == 0)
        end_block(a);
    else
        archive_expect(a, ARCHIVE_INTEGER, piece_length);
    return 0;
}

/* ---- bytes to elements ---- */

struct archive *archive_new(void)
{
    struct archive *a = calloc(1, sizeof *a);
    if (a && !(a->text = malloc(TEXT_MAX))) {
        free(a);
        return NULL;
    }
    if (a) {
        a->item.rows = -1;
        archive_begin_contents(a);
    }
    return a;
}

void archive_free(struct archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++) {
        free(a->items[i].schema);
        free(a->items[i].name);
    }
    free(a->items);
    free(a->item.schema);
    free(a->item.name);
    free(a->text);
    namelist_free(&a->owners);
    namelist_free(&a->schemas);
    namelist_free(&a->tables);
    namelist_free(&a->tablespaces);
    free(a);
}

static int64_t decode_integer(const struct archive *a)
{
    uint64_t value = 0;
    for (size_t i = a->integer_size; i > 0; i--)
        value = value << 8 | a->small[i];
    return a->small[0] ? -(int64_t)value : (int64_t)value;
}

/* The bytes in small are complete. */
static int element(struct archive *a)
{
    if (a->form == ARCHIVE_BYTE)
        a->number = a->small[0];
    if (a->form == ARCHIVE_INTEGER || a->form == ARCHIVE_STRING)
        a->number = decode_integer(a);
    if (a->form == ARCHIVE_STRING && a->number > 0) {
        a->in_text = true;
        a->have = 0;
        a->need = (size_t)a->number;
        return 0;
    }
    return a->step(a);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t feed_text(struct archive *a, const unsigned char *p, size_t n)
{
    size_t take = smaller(n, a->need - a->have), keep = smaller(take, TEXT_MAX - a->text_length);
    memcpy(a->text + a->text_length, p, keep);
    a->text_length += keep;
    a->have += take;
    a->fed += take;
    if (a->have == a->need)
        a->step(a);
    return take;
}

static size_t feed_piece(struct archive *a, const unsigned char *p, size_t n)
{
    size_t take = a->piece < n ? (size_t)a->piece : n;
    a->piece -= take;
    a->fed += take;
    for (const unsigned char *at = p, *end = p + take; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        a->lines++;
    return take;
}

static size_t feed_small(struct archive *a, const unsigned char *p, size_t n)
{
    size_t take = smaller(n, a->need - a->have);
    memcpy(a->small + a->have, p, take);
    a->have += take;
    a->fed += take;
    if (a->have == a->need)
        element(a);
    return take;
}

/* Returns the bytes taken, at least one. */
static size_t feed_some(struct archive *a, const unsigned char *p, size_t n)
{
    if (a->piece > 0)
        return feed_piece(a, p, n);
    return a->in_text ? feed_text(a, p, n) : feed_small(a, p, n);
}

int32_t archive_feed(struct archive *a, const void *bytes, size_t length, struct cofre_error *error)
{
    const unsigned char *p = bytes;
    while (length > 0 && !a->why) {
        size_t taken = feed_some(a, p, length);
        p += taken;
        length -= taken;
    }
    if (!a->why)
        return COFRE_OK;
    return cofre_fail(error, a->no_memory ? COFRE_E_MEMORY : COFRE_E_PERMANENT, "the dump is not sound: %s", a->why);
}

int32_t archive_finish(const struct archive *a, struct cofre_error *error)
{
    if (!a->listed)
        return cofre_fail(error, COFRE_E_PERMANENT, "the dump ends within its table of contents");
    if (a->at_boundary && a->ended == a->count && a->have == 0)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_PERMANENT, "the dump ends early: %llu of its %llu blocks of data are whole",
                      (unsigned long long)a->ended, (unsigned long long)a->count);
}

bool archive_listed(const struct archive *a)
{
    return a->listed;
}

struct archive_item *archive_items(const struct archive *a, size_t *count)
{
    *count = a->count;
    return a->items;
}

size_t archive_offset(const struct archive *a, const struct archive_item *item, uint8_t out[ARCHIVE_OFFSET_MAX])
{
    enum { KNOWN = 2 };
    out[0] = KNOWN;
    for (size_t i = 0; i < a->offset_size; i++)
        out[1 + i] = (uint8_t)(item->begins_at >> 8 * i);
    return 1 + a->offset_size;
}

const struct namelist *archive_owners(const struct archive *a)
{
    return &a->owners;
}

const struct namelist *archive_tables(const struct archive *a)
{
    return &a->tables;
}

const struct namelist *archive_tablespaces(const struct archive *a)
{
    return &a->tablespaces;
}

const struct namelist *archive_schemas(const struct archive *a)
{
    return &a->schemas;
}
