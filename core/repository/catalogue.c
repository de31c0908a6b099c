#include "repository/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "repository/chunker.h"
#include "snapshot/path.h"
#include "snapshot/record.h"

#define LENGTH_SIZE 4
#define HEAD_SIZE 8   /* length, kind, status, fields, 0 */
#define RECORD_MIN 12 /* a continuation without extents */
#define EXTENT_SIZE 44
#define KIND_CONTINUATION 0
#define KIND_LAST COFRE_STREAM
#define MODE_MASK 07777u

enum field {
    FIELD_FINGERPRINT = 1,
    FIELD_LINK = 2,
    FIELD_OWNER = 4,
    FIELD_ATTRIBUTES = 8,
    FIELD_DEVICE = 16,
    FIELD_ERROR = 32,
    FIELD_MORE = 64,
    FIELDS_ALL = 127
};

/* What a kind of entry must have and may have. */
struct kind_rule {
    bool content, device;
    bool link; /* any text */
    bool link_is_path;
};
static const struct kind_rule rules[] = {
    [COFRE_FILE] = {.content = true},
    [COFRE_DIRECTORY] = {0},
    [COFRE_SYMLINK] = {.link = true},
    [COFRE_HARDLINK] = {.link = true, .link_is_path = true},
    [COFRE_FIFO] = {0},
    [COFRE_CHARACTER] = {.device = true},
    [COFRE_BLOCK] = {.device = true},
    [COFRE_SOCKET] = {0},
    [COFRE_STREAM] = {.content = true},
};

bool catalogue_is_hole(const struct catalogue_extent *extent)
{
    static const uint8_t zero[SEAL_HASH_SIZE];
    return memcmp(extent->id, zero, SEAL_HASH_SIZE) == 0;
}

/* ---- encoding ---- */

static unsigned fields_of(const struct record *record)
{
    const struct snapshot_entry *entry = &record->entry;
    const struct kind_rule *rule = &rules[entry->kind];
    unsigned fields = record->more ? FIELD_MORE : 0;
    fields |= entry->has_fingerprint ? FIELD_FINGERPRINT : 0;
    fields |= rule->link ? FIELD_LINK : 0;
    fields |= entry->user || entry->group ? FIELD_OWNER : 0;
    fields |= entry->attribute_count > 0 ? FIELD_ATTRIBUTES : 0;
    fields |= rule->device ? FIELD_DEVICE : 0;
    fields |= record->status != RECORD_WHOLE ? FIELD_ERROR : 0;
    return fields;
}

static void put_short(struct bytes *out, const void *p, size_t n)
{
    bytes_put_u16(out, (uint16_t)n);
    bytes_put(out, p, n);
}

static void put_name(struct bytes *out, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    bytes_put_u8(out, (uint8_t)n);
    bytes_put(out, name, n);
}

static void put_attributes(struct bytes *out, const struct snapshot_entry *entry)
{
    bytes_put_u16(out, (uint16_t)entry->attribute_count);
    for (size_t i = 0; i < entry->attribute_count; i++) {
        put_name(out, entry->attributes[i].name);
        bytes_put_blob(out, entry->attributes[i].value, entry->attributes[i].length);
    }
}

static void put_optional(struct bytes *out, const struct record *record, unsigned fields)
{
    const struct snapshot_entry *entry = &record->entry;
    if (fields & FIELD_FINGERPRINT)
        bytes_put(out, entry->fingerprint, sizeof entry->fingerprint);
    if (fields & FIELD_LINK)
        put_short(out, entry->link, entry->link_length);
    if (fields & FIELD_OWNER) {
        put_name(out, entry->user);
        put_name(out, entry->group);
    }
    if (fields & FIELD_ATTRIBUTES)
        put_attributes(out, entry);
    if (fields & FIELD_DEVICE) {
        bytes_put_u32(out, entry->device_major);
        bytes_put_u32(out, entry->device_minor);
    }
    if (fields & FIELD_ERROR)
        put_short(out, record->error, record->error ? strlen(record->error) : 0);
}

static void put_entry(struct bytes *out, const struct record *record)
{
    const struct snapshot_entry *entry = &record->entry;
    const struct kind_rule *rule = &rules[entry->kind];
    unsigned fields = fields_of(record);
    bytes_put_u8(out, (uint8_t)entry->kind);
    bytes_put_u8(out, (uint8_t)record->status);
    bytes_put_u8(out, (uint8_t)fields);
    bytes_put_u8(out, 0);
    put_short(out, entry->path, entry->path_length);
    bytes_put_u32(out, entry->mode);
    bytes_put_u32(out, entry->uid);
    bytes_put_u32(out, entry->gid);
    bytes_put_u64(out, (uint64_t)entry->mtime);
    bytes_put_u64(out, rule->content && entry->size > 0 ? (uint64_t)entry->size : 0);
    put_optional(out, record, fields);
}

static void put_continuation(struct bytes *out, const struct record *record)
{
    bytes_put_u8(out, KIND_CONTINUATION);
    bytes_put_u8(out, RECORD_WHOLE);
    bytes_put_u8(out, record->more ? FIELD_MORE : 0);
    bytes_put_u8(out, 0);
}

static void put_extents(struct bytes *out, const struct record *record)
{
    bytes_put_u32(out, (uint32_t)record->extent_count);
    for (size_t i = 0; i < record->extent_count; i++) {
        bytes_put(out, record->extents[i].id, SEAL_HASH_SIZE);
        bytes_put_u32(out, record->extents[i].offset);
        bytes_put_u64(out, record->extents[i].length);
    }
}

/* What the widths of the format cannot hold. */
static int check_widths(const struct snapshot_entry *entry, struct error *e)
{
    bool fits = entry->path_length <= PATH_LONGEST && entry->link_length <= UINT16_MAX &&
                entry->attribute_count <= UINT16_MAX && (!entry->user || strlen(entry->user) <= UINT8_MAX) &&
                (!entry->group || strlen(entry->group) <= UINT8_MAX);
    for (size_t i = 0; fits && i < entry->attribute_count; i++)
        fits = strlen(entry->attributes[i].name) <= UINT8_MAX && entry->attributes[i].length <= CATALOGUE_RECORD_MAX;
    if (!fits)
        return error_set(e, ERROR_RANGE, "record entry '%.*s': a name or its number of attributes is too large",
                         (int)(entry->path_length < 512 ? entry->path_length : 512), entry->path);
    return 0;
}

int catalogue_encode(const struct record *record, struct bytes *out, struct error *e)
{
    ASSERT(record->extent_count <= CATALOGUE_EXTENTS_MAX);
    ASSERT(record->continuation || (record->entry.kind > KIND_CONTINUATION && record->entry.kind <= KIND_LAST));
    ASSERT(!record->error || strlen(record->error) <= UINT16_MAX);
    size_t start = out->length;
    if (!record->continuation && check_widths(&record->entry, e) < 0)
        return -1;
    bytes_put_u32(out, 0);
    if (record->continuation)
        put_continuation(out, record);
    else
        put_entry(out, record);
    put_extents(out, record);
    if (bytes_check(out, "catalogue", e) < 0) {
        out->length = start;
        return -1;
    }
    size_t n = out->length - start;
    if (n > CATALOGUE_RECORD_MAX) {
        out->length = start;
        return error_set(e, ERROR_RANGE, "record an entry: its attributes take more than %u bytes",
                         CATALOGUE_RECORD_MAX);
    }
    bytes_set_u32(out->data + start, (uint32_t)(n - LENGTH_SIZE));
    return 0;
}

/* ---- decoding ---- */

void catalogue_decoder_free(struct catalogue_decoder *d)
{
    free(d->attributes);
    free(d->extents);
    bytes_free(&d->text);
    *d = (struct catalogue_decoder){0};
}

int catalogue_record_length(const uint8_t *p, size_t n, size_t *length, struct error *e)
{
    *length = 0;
    if (n < LENGTH_SIZE)
        return 0;
    uint32_t rest = bytes_get_u32(p);
    if (rest < RECORD_MIN - LENGTH_SIZE || rest > CATALOGUE_RECORD_MAX - LENGTH_SIZE)
        return error_set(e, ERROR_INTEGRITY, "read a catalogue: a record of %u bytes cannot be", rest);
    *length = LENGTH_SIZE + (size_t)rest;
    return 0;
}

/* Terminated copy; the decoder's text has room for a whole record, so it never moves while one is read. */
static const char *keep(struct catalogue_decoder *d, const uint8_t *p, size_t n)
{
    char *copy = (char *)d->text.data + d->text.length;
    memcpy(copy, p, n);
    copy[n] = '\0';
    d->text.length += n + 1;
    return copy;
}

/* The next n bytes as text; anything with a NUL in it is none. "" when it failed. */
static const char *take_text(struct catalogue_decoder *d, struct cursor *c, size_t n)
{
    const uint8_t *p = cursor_bytes(c, n);
    if (!p || n == 0)
        return "";
    if (memchr(p, '\0', n)) {
        c->failed = true;
        return "";
    }
    return keep(d, p, n);
}

static const char *take_name(struct catalogue_decoder *d, struct cursor *c)
{
    size_t n = cursor_u8(c);
    const char *name = take_text(d, c, n);
    return n == 0 ? NULL : name;
}

/* Room for count elements; what was there is not kept. */
static bool make_room(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count <= *capacity)
        return true;
    size_t wanted = count < 64 ? 64 : count;
    void *larger = malloc(wanted * size);
    if (!larger)
        return false;
    free(*array);
    *array = larger;
    *capacity = wanted;
    return true;
}

static int take_attributes(struct catalogue_decoder *d, struct cursor *c, struct snapshot_entry *entry, struct error *e)
{
    size_t count = cursor_u16(c);
    void *array = d->attributes;
    /* Each takes six bytes at least, so that a false count asks for no memory. */
    if (count == 0 || count > c->left / 6) {
        c->failed = true;
        return 0;
    }
    if (!make_room(&array, &d->attribute_capacity, count, sizeof d->attributes[0]))
        return error_memory(e);
    d->attributes = array;
    for (size_t i = 0; i < count && !c->failed; i++) {
        struct snapshot_attribute *attribute = &d->attributes[i];
        attribute->name = take_name(d, c);
        attribute->value = cursor_blob(c, CATALOGUE_RECORD_MAX, &attribute->length);
        if (!attribute->name)
            c->failed = true;
    }
    entry->attributes = d->attributes;
    entry->attribute_count = count;
    return 0;
}

static void take_link(struct catalogue_decoder *d, struct cursor *c, struct snapshot_entry *entry)
{
    entry->link_length = cursor_u16(c);
    entry->link = take_text(d, c, entry->link_length);
    if (c->failed || entry->link_length == 0 ||
        (rules[entry->kind].link_is_path && !path_valid(entry->link, entry->link_length)))
        c->failed = true;
}

/* The optional fields must be those that the kind and the status ask for. */
static bool fields_fit(const struct record *record, unsigned fields)
{
    const struct kind_rule *rule = &rules[record->entry.kind];
    return ((fields & FIELD_LINK) != 0) == rule->link && ((fields & FIELD_DEVICE) != 0) == rule->device &&
           ((fields & FIELD_ERROR) != 0) == (record->status != RECORD_WHOLE) &&
           (!(fields & FIELD_MORE) || rule->content);
}

static int take_optional(struct catalogue_decoder *d, struct cursor *c, unsigned fields, struct record *record,
                         struct error *e)
{
    struct snapshot_entry *entry = &record->entry;
    const uint8_t *fingerprint = fields & FIELD_FINGERPRINT ? cursor_bytes(c, sizeof entry->fingerprint) : NULL;
    if (fingerprint) {
        memcpy(entry->fingerprint, fingerprint, sizeof entry->fingerprint);
        entry->has_fingerprint = 1;
    }
    if (fields & FIELD_LINK)
        take_link(d, c, entry);
    if (fields & FIELD_OWNER) {
        entry->user = take_name(d, c);
        entry->group = take_name(d, c);
    }
    if ((fields & FIELD_ATTRIBUTES) && take_attributes(d, c, entry, e) < 0)
        return -1;
    if (fields & FIELD_DEVICE) {
        entry->device_major = cursor_u32(c);
        entry->device_minor = cursor_u32(c);
    }
    if (fields & FIELD_ERROR)
        record->error = take_text(d, c, cursor_u16(c));
    return 0;
}

static int take_entry(struct catalogue_decoder *d, struct cursor *c, unsigned fields, struct record *record,
                      struct error *e)
{
    struct snapshot_entry *entry = &record->entry;
    entry->path_length = cursor_u16(c);
    entry->path = take_text(d, c, entry->path_length);
    entry->mode = cursor_u32(c);
    entry->uid = cursor_u32(c);
    entry->gid = cursor_u32(c);
    entry->mtime = (int64_t)cursor_u64(c);
    uint64_t size = cursor_u64(c);
    entry->size = (int64_t)size;
    /* Only a directory can be the source's root. */
    bool rooted = entry->path_length > 0 || entry->kind == COFRE_DIRECTORY;
    if (c->failed || !rooted || !path_valid(entry->path, entry->path_length) || (entry->mode & ~MODE_MASK) ||
        size > INT64_MAX || (size > 0 && !rules[entry->kind].content) || !fields_fit(record, fields))
        c->failed = true;
    return take_optional(d, c, fields, record, e);
}

/* One extent, checked; its length is added to *total. */
static bool take_extent(struct cursor *c, struct catalogue_extent *extent, uint64_t *total)
{
    const uint8_t *p = cursor_bytes(c, EXTENT_SIZE);
    if (!p)
        return false;
    memcpy(extent->id, p, SEAL_HASH_SIZE);
    extent->offset = bytes_get_u32(p + 32);
    extent->length = bytes_get_u64(p + 36);
    if (extent->length == 0 || extent->length > INT64_MAX - *total)
        return false;
    *total += extent->length;
    if (catalogue_is_hole(extent))
        return extent->offset == 0;
    return extent->offset < CHUNKER_MAXIMUM && extent->length <= CHUNKER_MAXIMUM - extent->offset;
}

static int take_extents(struct catalogue_decoder *d, struct cursor *c, struct record *record, uint64_t *total,
                        struct error *e)
{
    size_t count = cursor_u32(c);
    void *array = d->extents;
    if (c->failed || count > CATALOGUE_EXTENTS_MAX || count != c->left / EXTENT_SIZE) {
        c->failed = true;
        return 0;
    }
    if (!make_room(&array, &d->extent_capacity, count, sizeof d->extents[0]))
        return error_memory(e);
    d->extents = array;
    for (size_t i = 0; i < count; i++)
        if (!take_extent(c, &d->extents[i], total))
            c->failed = true;
    record->extents = d->extents;
    record->extent_count = count;
    return 0;
}

/* Do the extents fit the entry's size? Over several records only their reader can tell. */
static bool size_fits(const struct record *record, uint64_t total)
{
    uint64_t size = (uint64_t)record->entry.size;
    if (record->continuation)
        return true;
    if (record->status == RECORD_UNREADABLE)
        return record->extent_count == 0 && !record->more;
    return record->more ? total < size : total == size;
}

static int take_record(struct catalogue_decoder *d, struct cursor *c, struct record *record, struct error *e)
{
    unsigned kind = cursor_u8(c), status = cursor_u8(c), fields = cursor_u8(c), reserved = cursor_u8(c);
    uint64_t total = 0;
    *record = (struct record){.continuation = kind == KIND_CONTINUATION,
                              .status = (enum record_status)status,
                              .more = (fields & FIELD_MORE) != 0};
    record->entry.kind = kind;
    unsigned allowed = record->continuation ? FIELD_MORE : FIELDS_ALL;
    if (kind > KIND_LAST || status > RECORD_UNREADABLE || reserved != 0 || (fields & ~allowed) ||
        (record->continuation && status != RECORD_WHOLE)) {
        c->failed = true;
        return 0;
    }
    if (!record->continuation && take_entry(d, c, fields, record, e) < 0)
        return -1;
    if (take_extents(d, c, record, &total, e) < 0)
        return -1;
    if (!size_fits(record, total))
        c->failed = true;
    return 0;
}

int catalogue_decode(struct catalogue_decoder *d, const uint8_t *p, size_t n, struct record *record, struct error *e)
{
    size_t length;
    if (catalogue_record_length(p, n, &length, e) < 0)
        return -1;
    if (length != n || n == 0)
        return error_set(e, ERROR_INTEGRITY, "read a catalogue: a record is cut");
    d->text.maximum = 2 * (size_t)CATALOGUE_RECORD_MAX;
    bytes_reset(&d->text);
    /* Every text has at least one byte of length before it, which pays for the NUL. */
    if (!bytes_reserve(&d->text, n))
        return bytes_check(&d->text, "a record", e);
    struct cursor c = cursor_of(p + LENGTH_SIZE, n - LENGTH_SIZE);
    if (take_record(d, &c, record, e) < 0)
        return -1;
    if (cursor_done(&c))
        return 0;
    size_t shown = record->entry.path_length < 512 ? record->entry.path_length : 512;
    return error_set(e, ERROR_INTEGRITY, "read a catalogue: the record of entry '%.*s' is malformed", (int)shown,
                     record->entry.path ? record->entry.path : "");
}
