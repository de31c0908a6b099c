#include "postgres/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"
#include "postgres/namelist.h"

/* ---- the reader ---- */

/* What an element of the format is. An integer is a sign byte and the bytes of the value, the lowest first; a string is
 * an integer (its length, -1 = none) and its bytes. */
enum form { MAGIC, BYTE, INTEGER, STRING, OFFSET };

struct archive {
    int (*step)(struct archive *); /* takes the element that is complete; -1 = why is set */
    /* the element at hand */
    enum form form;
    size_t need, have; /* of the bytes in small, or of the string */
    unsigned char small[16];
    char *text; /* of a string; NULL = none. Cut to TEXT_MAX */
    size_t text_length;
    bool in_text;   /* its length is known, its bytes follow */
    int64_t number; /* of BYTE, INTEGER; the length of a string */
    /* the header */
    unsigned field;
    int32_t minor; /* of the version, 1.minor */
    size_t integer_size, offset_size;
    bool compressed;
    int64_t entries_left; /* of the table of contents */
    bool listed;
    /* the entry at hand */
    struct archive_item item;
    bool has_data;
    char kind[64], owner[256];
    /* blocks */
    struct archive_item *items, *current;
    size_t count, ended;
    int block;      /* its kind */
    uint64_t piece; /* bytes of the piece at hand that are still to come */
    int64_t lines;
    bool at_boundary; /* between two blocks */
    struct namelist owners, schemas, tablespaces;
    const char *why; /* what is wrong */
    bool no_memory;
};

#define TEXT_MAX 4096
#define ENTRIES_MAX 50000000
#define DATA_BLOCK 1
#define OBJECTS_BLOCK 3
#define ITEMS_STEP 256

static int wrong(struct archive *a, const char *why)
{
    a->why = why;
    return -1;
}

static int out_of_memory(struct archive *a)
{
    a->no_memory = true;
    return wrong(a, "out of memory");
}

static void expect(struct archive *a, enum form form, int (*step)(struct archive *))
{
    a->form = form;
    a->step = step;
    a->have = 0;
    a->in_text = false;
    a->text_length = 0;
    a->need = form == MAGIC ? 11 : form == BYTE ? 1 : form == OFFSET ? 1 + a->offset_size : 1 + a->integer_size;
}

/* ---- blocks of data ---- */

static int block_type(struct archive *a);
static int piece_length(struct archive *a);
static int object_id(struct archive *a);

static void next_block(struct archive *a)
{
    a->current = NULL;
    a->at_boundary = true;
    expect(a, BYTE, block_type);
}

static int compare_items(const void *one, const void *other)
{
    const struct archive_item *a = one, *b = other;
    return (a->id > b->id) - (a->id < b->id);
}

static int block_id(struct archive *a)
{
    struct archive_item key = {.id = (int32_t)a->number};
    a->current = a->count ? bsearch(&key, a->items, a->count, sizeof key, compare_items) : NULL;
    if (!a->current || a->current->begun)
        return wrong(a, "there is a block of data that its table of contents does not have");
    a->current->begun = true;
    a->lines = 0;
    expect(a, INTEGER, a->block == DATA_BLOCK ? piece_length : object_id);
    return 0;
}

static int block_type(struct archive *a)
{
    a->at_boundary = false;
    if (a->number != DATA_BLOCK && a->number != OBJECTS_BLOCK)
        return wrong(a, "there is a block of an unknown kind");
    a->block = (int)a->number;
    expect(a, INTEGER, block_id);
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
        return wrong(a, "a piece of data has a negative length");
    a->piece = (uint64_t)a->number;
    expect(a, INTEGER, piece_length);
    if (a->piece > 0)
        return 0;
    if (a->block == DATA_BLOCK)
        end_block(a);
    else
        expect(a, INTEGER, object_id);
    return 0;
}

static int object_id(struct archive *a)
{
    if (a->number == 0)
        end_block(a);
    else
        expect(a, INTEGER, piece_length);
    return 0;
}

/* ---- the table of contents ---- */

static int entry_field(struct archive *a);

static int contents_end(struct archive *a)
{
    if (a->count > 0)
        qsort(a->items, a->count, sizeof *a->items, compare_items);
    a->listed = true;
    next_block(a);
    return 0;
}

static int entry_end(struct archive *a)
{
    struct archive_item item = a->item;
    a->item = (struct archive_item){.rows = -1};
    bool fine = namelist_add(&a->owners, a->owner) && (!item.schema || namelist_add(&a->schemas, item.schema));
    if (fine && a->has_data) {
        if (a->count % ITEMS_STEP == 0) {
            struct archive_item *items = reallocarray(a->items, a->count + ITEMS_STEP, sizeof *items);
            fine = items != NULL;
            a->items = items ? items : a->items;
        }
        if (fine) {
            item.is_table = strcmp(a->kind, "TABLE DATA") == 0;
            a->items[a->count++] = item;
            item = (struct archive_item){.rows = -1};
        }
    }
    free(item.schema);
    free(item.name);
    return fine ? 0 : out_of_memory(a);
}

static int keep_id(struct archive *a)
{
    a->item.id = (int32_t)a->number;
    return 0;
}

static int keep_has_data(struct archive *a)
{
    a->has_data = a->number != 0;
    return 0;
}

static int keep_copy(struct archive *a, char **to)
{
    free(*to);
    *to = a->text_length ? strndup(a->text, a->text_length) : NULL;
    return a->text_length && !*to ? out_of_memory(a) : 0;
}

static int keep_name(struct archive *a)
{
    return keep_copy(a, &a->item.name);
}

static int keep_schema(struct archive *a)
{
    return keep_copy(a, &a->item.schema);
}

static int keep_tablespace(struct archive *a)
{
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)a->text_length, a->text_length ? a->text : "");
    return *name && !namelist_add(&a->tablespaces, name) ? out_of_memory(a) : 0;
}

static int keep_kind(struct archive *a)
{
    snprintf(a->kind, sizeof a->kind, "%.*s", (int)a->text_length, a->text_length ? a->text : "");
    return 0;
}

static int keep_owner(struct archive *a)
{
    snprintf(a->owner, sizeof a->owner, "%.*s", (int)a->text_length, a->text_length ? a->text : "");
    return 0;
}

/* An entry, field by field. Its dependencies, strings up to one that is none, and its offset follow. */
static const struct {
    enum form form;
    int since; /* minor version */
    int (*keep)(struct archive *);
} entry_fields[] = {
    {INTEGER, 0, keep_id},    {INTEGER, 0, keep_has_data},
    {STRING, 0, NULL}, /* number of the catalogue */
    {STRING, 0, NULL}, /* number in it */
    {STRING, 0, keep_name},   {STRING, 0, keep_kind},
    {INTEGER, 11, NULL}, /* section */
    {STRING, 0, NULL},   /* definition */
    {STRING, 0, NULL},   /* how to drop it */
    {STRING, 0, NULL},   /* COPY statement */
    {STRING, 0, keep_schema}, {STRING, 0, keep_tablespace},
    {STRING, 14, NULL},                          /* access method */
    {INTEGER, 16, NULL},                         /* kind of relation */
    {STRING, 0, keep_owner},  {STRING, 0, NULL}, /* with oids */
};
#define FIELDS (sizeof entry_fields / sizeof entry_fields[0])

static int next_entry(struct archive *a)
{
    if (a->entries_left-- == 0)
        return contents_end(a);
    a->field = 0;
    expect(a, INTEGER, entry_field);
    return 0;
}

static int entry_offset(struct archive *a)
{
    return entry_end(a) < 0 ? -1 : next_entry(a);
}

static int entry_dependency(struct archive *a)
{
    if (a->number >= 0)
        expect(a, STRING, entry_dependency);
    else
        expect(a, OFFSET, entry_offset);
    return 0;
}

static int entry_field(struct archive *a)
{
    if (entry_fields[a->field].keep && entry_fields[a->field].keep(a) < 0)
        return -1;
    do
        a->field++;
    while (a->field < FIELDS && entry_fields[a->field].since > a->minor);
    if (a->field < FIELDS)
        expect(a, entry_fields[a->field].form, entry_field);
    else
        expect(a, STRING, entry_dependency);
    return 0;
}

/* ---- the header ---- */

static int header_count(struct archive *a)
{
    if (a->number < 0 || a->number > ENTRIES_MAX)
        return wrong(a, "its table of contents has an impossible length");
    a->entries_left = a->number;
    return next_entry(a);
}

/* After the compression: seven numbers of the date, then three strings: database, server, program. */
static int header_field(struct archive *a)
{
    a->field++;
    if (a->field < 7)
        expect(a, INTEGER, header_field);
    else if (a->field < 10)
        expect(a, STRING, header_field);
    else
        expect(a, INTEGER, header_count);
    return 0;
}

static int header_compression(struct archive *a)
{
    a->compressed = a->number != 0;
    a->field = 0;
    expect(a, INTEGER, header_field);
    return 0;
}

static int header_magic(struct archive *a)
{
    enum { CUSTOM = 1, OLDEST = 14, NEWEST = 16 };
    const unsigned char *p = a->small;
    if (memcmp(p, "PGDMP", 5) != 0)
        return wrong(a, "it does not begin as a dump does");
    a->minor = p[6];
    a->integer_size = p[8];
    a->offset_size = p[9];
    if (p[5] != 1 || a->minor < OLDEST || a->minor > NEWEST || p[10] != CUSTOM)
        return wrong(a, "it is of a version or format that this cofre does not know");
    if (a->integer_size == 0 || a->integer_size > 8 || a->offset_size == 0 || a->offset_size > 8)
        return wrong(a, "its numbers are of an impossible size");
    expect(a, a->minor >= 15 ? BYTE : INTEGER, header_compression);
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
        expect(a, MAGIC, header_magic);
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
    if (a->form == BYTE)
        a->number = a->small[0];
    if (a->form == INTEGER || a->form == STRING)
        a->number = decode_integer(a);
    if (a->form == STRING && a->number > 0) {
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
    return take;
}

static size_t feed_piece(struct archive *a, const unsigned char *p, size_t n)
{
    size_t take = a->piece < n ? (size_t)a->piece : n;
    a->piece -= take;
    for (const unsigned char *at = p, *end = p + take; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        a->lines++;
    return take;
}

/* Returns the bytes taken, at least one. */
static size_t feed_some(struct archive *a, const unsigned char *p, size_t n)
{
    if (a->piece > 0)
        return feed_piece(a, p, n);
    if (a->in_text) {
        size_t take = feed_text(a, p, n);
        if (a->have == a->need)
            a->step(a);
        return take;
    }
    size_t take = smaller(n, a->need - a->have);
    memcpy(a->small + a->have, p, take);
    a->have += take;
    if (a->have == a->need)
        element(a);
    return take;
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
    return failure_set(error, a->no_memory ? COFRE_E_MEMORY : COFRE_E_PERMANENT, "the dump is not sound: %s", a->why);
}

int32_t archive_finish(const struct archive *a, struct cofre_error *error)
{
    if (!a->listed)
        return failure_set(error, COFRE_E_PERMANENT, "the dump ends within its table of contents");
    if (a->at_boundary && a->ended == a->count && a->have == 0)
        return COFRE_OK;
    return failure_set(error, COFRE_E_PERMANENT, "the dump ends early: %llu of its %llu blocks of data are whole",
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

const struct namelist *archive_owners(const struct archive *a)
{
    return &a->owners;
}

const struct namelist *archive_tablespaces(const struct archive *a)
{
    return &a->tablespaces;
}

const struct namelist *archive_schemas(const struct archive *a)
{
    return &a->schemas;
}
