/* The header of a dump and its table of contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/archive_reader.h"

#define ENTRIES_MAX 50000000
#define ITEMS_STEP 256

static int out_of_memory(struct archive *a)
{
    a->no_memory = true;
    return archive_wrong(a, "out of memory");
}

/* ---- the table of contents ---- */

static int entry_field(struct archive *a);

static int contents_end(struct archive *a)
{
    a->listed = true;
    archive_begin_blocks(a);
    return 0;
}

static int entry_end(struct archive *a)
{
    struct archive_item item = a->item;
    a->item = (struct archive_item){.rows = -1};
    bool fine = namelist_add(&a->owners, a->owner) && (!item.schema || namelist_add(&a->schemas, item.schema));
    if (fine && item.schema && item.name && strcmp(a->kind, "TABLE") == 0)
        fine = namelist_print(&a->tables, "%s.%s", item.schema, item.name);
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
    enum archive_form form;
    int since; /* minor version */
    int (*keep)(struct archive *);
} entry_fields[] = {
    {ARCHIVE_INTEGER, 0, keep_id},    {ARCHIVE_INTEGER, 0, keep_has_data},
    {ARCHIVE_STRING, 0, NULL}, /* number of the catalogue */
    {ARCHIVE_STRING, 0, NULL}, /* number in it */
    {ARCHIVE_STRING, 0, keep_name},   {ARCHIVE_STRING, 0, keep_kind},
    {ARCHIVE_INTEGER, 11, NULL}, /* section */
    {ARCHIVE_STRING, 0, NULL},   /* definition */
    {ARCHIVE_STRING, 0, NULL},   /* how to drop it */
    {ARCHIVE_STRING, 0, NULL},   /* COPY statement */
    {ARCHIVE_STRING, 0, keep_schema}, {ARCHIVE_STRING, 0, keep_tablespace},
    {ARCHIVE_STRING, 14, NULL},                                  /* access method */
    {ARCHIVE_INTEGER, 16, NULL},                                 /* kind of relation */
    {ARCHIVE_STRING, 0, keep_owner},  {ARCHIVE_STRING, 0, NULL}, /* with oids */
};
#define FIELDS (sizeof entry_fields / sizeof entry_fields[0])

static int next_entry(struct archive *a)
{
    if (a->entries_left-- == 0)
        return contents_end(a);
    a->field = 0;
    archive_expect(a, ARCHIVE_INTEGER, entry_field);
    return 0;
}

static int entry_offset(struct archive *a)
{
    a->item.offset_at = a->fed - a->need;
    return entry_end(a) < 0 ? -1 : next_entry(a);
}

static int entry_dependency(struct archive *a)
{
    if (a->number >= 0)
        archive_expect(a, ARCHIVE_STRING, entry_dependency);
    else
        archive_expect(a, ARCHIVE_OFFSET, entry_offset);
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
        archive_expect(a, entry_fields[a->field].form, entry_field);
    else
        archive_expect(a, ARCHIVE_STRING, entry_dependency);
    return 0;
}

/* ---- the header ---- */

static int header_count(struct archive *a)
{
    if (a->number < 0 || a->number > ENTRIES_MAX)
        return archive_wrong(a, "its table of contents has an impossible length");
    a->entries_left = a->number;
    return next_entry(a);
}

/* After the compression: seven numbers of the date, then three strings: database, server, program. */
static int header_field(struct archive *a)
{
    a->field++;
    if (a->field < 7)
        archive_expect(a, ARCHIVE_INTEGER, header_field);
    else if (a->field < 10)
        archive_expect(a, ARCHIVE_STRING, header_field);
    else
        archive_expect(a, ARCHIVE_INTEGER, header_count);
    return 0;
}

static int header_compression(struct archive *a)
{
    a->compressed = a->number != 0;
    a->field = 0;
    archive_expect(a, ARCHIVE_INTEGER, header_field);
    return 0;
}

static int header_magic(struct archive *a)
{
    enum { CUSTOM = 1, OLDEST = 14, NEWEST = 16 };
    const unsigned char *p = a->small;
    if (memcmp(p, "PGDMP", 5) != 0)
        return archive_wrong(a, "it does not begin as a dump does");
    a->minor = p[6];
    a->integer_size = p[8];
    a->offset_size = p[9];
    if (p[5] != 1 || a->minor < OLDEST || a->minor > NEWEST || p[10] != CUSTOM)
        return archive_wrong(a, "it is of a version or format that this cofre does not know");
    if (a->integer_size == 0 || a->integer_size > 8 || a->offset_size == 0 || a->offset_size > 8)
        return archive_wrong(a, "its numbers are of an impossible size");
    archive_expect(a, a->minor >= 15 ? ARCHIVE_BYTE : ARCHIVE_INTEGER, header_compression);
    return 0;
}

void archive_begin_contents(struct archive *a)
{
    archive_expect(a, ARCHIVE_MAGIC, header_magic);
}
