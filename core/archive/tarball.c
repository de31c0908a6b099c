#include "archive/tarball.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/libarchive.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "snapshot/entry.h"

#define REGIONS_MAX 100000 /* of one entry; further holes are zeros */
#define BLOCK ((size_t)256 << 10)
/* Bytes of the attributes of an entry: libarchive writes more, and no libarchive reads a header of more than 1 MiB. */
#define ATTRIBUTES_MAX (((size_t)1 << 20) - ((size_t)64 << 10))

/* Where there is data. */
struct region {
    uint64_t offset, length;
};

struct tarball {
    int (*take)(void *context, const void *p, size_t n, struct error *e);
    void *context;
    struct error failed; /* of take */
    struct archive *archive;
    struct archive_entry *entry; /* the one at hand */
    locale_t utf8;
    uint32_t kind;
    int64_t announced;
    bool given_up; /* what comes is thrown away */
    bool out;      /* its header is written */
    bool sparse;   /* after that a hole came */
    uint64_t fed;  /* bytes of content so far, holes included */
    uint32_t voids;
    struct bytes pending; /* data, not yet written */
    struct region *regions;
    size_t region_count, region_capacity;
};

static const uint8_t zeros[BLOCK];

/* ---- libarchive ---- */

static la_ssize_t on_write(struct archive *archive, void *context, const void *p, size_t n)
{
    struct tarball *t = context;
    if (t->given_up)
        return (la_ssize_t)n;
    if (t->failed.class == ERROR_NONE && t->take(t->context, p, n, &t->failed) == 0)
        return (la_ssize_t)n;
    libarchive.set_error(archive, 5, "it could not be stored");
    return -1;
}

static int explain(struct tarball *t, const char *what, struct error *e)
{
    const char *path = t->entry ? libarchive.entry_pathname(t->entry) : NULL,
               *why = libarchive.error_string(t->archive);
    if (t->failed.class != ERROR_NONE) {
        *e = t->failed;
        return -1;
    }
    return error_set(e, ERROR_UNSUPPORTED, "%s '%.400s' in an archive: %s", what, path ? path : "?",
                     why ? why : "it cannot be held");
}

int tarball_new(int (*take)(void *, const void *, size_t, struct error *), void *context, struct tarball **tarball,
                struct error *e)
{
    if (libarchive_load(e) < 0)
        return -1;
    struct tarball *t = calloc(1, sizeof *t);
    if (!t)
        return error_memory(e);
    t->take = take;
    t->context = context;
    t->pending.maximum = TARBALL_BUFFER;
    t->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    t->archive = libarchive.write_new();
    t->entry = libarchive.entry_new();
    if (!t->utf8 || !t->archive || !t->entry) {
        tarball_free(t);
        return error_memory(e);
    }
    if (libarchive.write_set_format_pax(t->archive) != ARCHIVE_OK ||
        libarchive.write_set_format_option(t->archive, "pax", "xattrheader", "SCHILY") != ARCHIVE_OK ||
        libarchive.write_set_bytes_per_block(t->archive, BLOCK) != ARCHIVE_OK ||
        libarchive.write_set_bytes_in_last_block(t->archive, 1) != ARCHIVE_OK ||
        libarchive.write_open(t->archive, t, NULL, on_write, NULL) != ARCHIVE_OK) {
        explain(t, "begin", e);
        tarball_free(t);
        return -1;
    }
    *tarball = t;
    return 0;
}

void tarball_free(struct tarball *tarball)
{
    if (!tarball)
        return;
    /* It is closed on the way, which writes its end; one that is told to have failed leaks its buffers. */
    tarball->given_up = true;
    libarchive.write_free(tarball->archive);
    libarchive.entry_free(tarball->entry);
    if (tarball->utf8)
        freelocale(tarball->utf8);
    bytes_free(&tarball->pending);
    free(tarball->regions);
    free(tarball);
}

/* ---- the header ---- */

static const mode_t types[] = {
    [COFRE_FILE] = AE_IFREG, [COFRE_DIRECTORY] = AE_IFDIR, [COFRE_SYMLINK] = AE_IFLNK, [COFRE_HARDLINK] = AE_IFREG,
    [COFRE_FIFO] = AE_IFIFO, [COFRE_CHARACTER] = AE_IFCHR, [COFRE_BLOCK] = AE_IFBLK,
};

static void set_owner(struct archive_entry *to, const struct snapshot_entry *entry)
{
    libarchive.entry_set_perm(to, entry->mode & 07777);
    libarchive.entry_set_uid(to, entry->uid);
    libarchive.entry_set_gid(to, entry->gid);
    if (entry->user)
        libarchive.entry_set_uname(to, entry->user);
    if (entry->group)
        libarchive.entry_set_gname(to, entry->group);
}

/* libarchive writes seconds and fraction one after the other, and tar reads that as one number: before 1970 both count
 * away from it. */
static void set_time(struct archive_entry *to, int64_t ns)
{
    int64_t rest = ns % 1000000000;
    if (ns != COFRE_NO_TIME)
        libarchive.entry_set_mtime(to, ns / 1000000000, (long)(rest < 0 ? -rest : rest));
}

static int add_attributes(struct archive_entry *to, const struct snapshot_entry *entry, struct error *e)
{
    size_t total = 0;
    for (size_t i = 0; i < entry->attribute_count; i++) {
        const struct snapshot_attribute *a = &entry->attributes[i];
        /* A name may grow threefold, and stands between a length and a prefix. */
        total += 3 * strlen(a->name) + a->length + 32;
        libarchive.entry_xattr_add_entry(to, a->name, a->value, a->length);
    }
    if (total <= ATTRIBUTES_MAX)
        return 0;
    error_set(e, ERROR_UNSUPPORTED, "keep '%.400s' in an archive: it has %zu bytes of attributes, %zu can be read back",
              entry->path, total, ATTRIBUTES_MAX);
    return error_hint(e, "exclude it, or save it into a repository");
}

int tarball_entry(struct tarball *tarball, const struct snapshot_entry *entry, struct error *e)
{
    struct archive_entry *to = libarchive.entry_clear(tarball->entry);
    if (entry->kind >= sizeof types / sizeof types[0] || types[entry->kind] == 0)
        return error_set(e, ERROR_BUG, "entry '%s' cannot be in a tar archive", entry->path);
    libarchive.entry_set_pathname(to, entry->path_length > 0 ? entry->path : ".");
    libarchive.entry_set_filetype(to, (unsigned)types[entry->kind]);
    set_owner(to, entry);
    set_time(to, entry->mtime);
    libarchive.entry_set_size(to, 0);
    if (entry->kind == COFRE_SYMLINK)
        libarchive.entry_set_symlink(to, entry->link);
    if (entry->kind == COFRE_HARDLINK)
        libarchive.entry_set_hardlink(to, entry->link);
    if (entry->kind == COFRE_CHARACTER || entry->kind == COFRE_BLOCK) {
        libarchive.entry_set_rdevmajor(to, entry->device_major);
        libarchive.entry_set_rdevminor(to, entry->device_minor);
    }
    if (add_attributes(to, entry, e) < 0)
        return -1;
    tarball->kind = entry->kind;
    tarball->announced = entry->size;
    tarball->out = tarball->sparse = false;
    tarball->fed = tarball->voids = 0;
    tarball->region_count = 0;
    bytes_reset(&tarball->pending);
    return 0;
}

/* Where data is, when there are holes; the rest, of which nothing is known yet, counts as data. */
static void set_regions(struct tarball *t, uint64_t size)
{
    uint64_t data = 0;
    libarchive.entry_sparse_clear(t->entry);
    for (size_t i = 0; i < t->region_count; i++)
        data += t->regions[i].length;
    if (data == t->fed)
        return;
    for (size_t i = 0; i < t->region_count; i++) {
        struct region r = t->regions[i];
        bool last = i + 1 == t->region_count;
        if (last && size > t->fed && r.offset + r.length == t->fed)
            r.length += size - t->fed;
        libarchive.entry_sparse_add_entry(t->entry, (la_int64_t)r.offset, (la_int64_t)r.length);
    }
    const struct region *last = t->region_count > 0 ? &t->regions[t->region_count - 1] : NULL;
    if (size > t->fed && (!last || last->offset + last->length < t->fed))
        libarchive.entry_sparse_add_entry(t->entry, (la_int64_t)t->fed, (la_int64_t)(size - t->fed));
    else if (!last)
        libarchive.entry_sparse_add_entry(t->entry, 0, 0);
}

/* Names are bytes. libarchive writes those that are UTF-8 as they are, and marks an entry with any that is not with
 * hdrcharset=BINARY, of which GNU tar says that it does not know it: in a locale of UTF-8. In another, or with the
 * option "hdrcharset", it marks all. */
static int write_header(struct tarball *t, uint64_t size, struct error *e)
{
    libarchive.entry_set_size(t->entry, (la_int64_t)size);
    if (t->kind == COFRE_FILE)
        set_regions(t, size);
    locale_t before = uselocale(t->utf8);
    int result = libarchive.write_header(t->archive, t->entry);
    uselocale(before);
    t->out = result == ARCHIVE_OK || result == ARCHIVE_WARN;
    return t->out ? 0 : explain(t, "keep", e);
}

/* ---- content ---- */

static int write_content(struct tarball *t, const uint8_t *p, size_t n, struct error *e)
{
    while (n > 0) {
        la_ssize_t written = libarchive.write_data(t->archive, p, n);
        if (written <= 0 || t->failed.class != ERROR_NONE)
            return explain(t, "keep", e);
        p += written;
        n -= (size_t)written;
    }
    return 0;
}

static int write_zeros(struct tarball *t, uint64_t n, struct error *e)
{
    for (size_t piece; n > 0; n -= piece) {
        piece = n < sizeof zeros ? (size_t)n : sizeof zeros;
        if (write_content(t, zeros, piece, e) < 0)
            return -1;
    }
    return 0;
}

/* Everything kept back. */
static int write_pending(struct tarball *t, struct error *e)
{
    uint64_t at = 0;
    size_t from = 0;
    for (size_t i = 0; i < t->region_count; i++) {
        const struct region *r = &t->regions[i];
        if (write_zeros(t, r->offset - at, e) < 0 || write_content(t, t->pending.data + from, (size_t)r->length, e) < 0)
            return -1;
        from += (size_t)r->length;
        at = r->offset + r->length;
    }
    bytes_reset(&t->pending);
    return write_zeros(t, t->fed - at, e);
}

/* It does not fit any more: from here on the announced size holds. */
static int let_go(struct tarball *t, struct error *e)
{
    if (t->announced < 0 || (uint64_t)t->announced < t->fed)
        return error_set(e, ERROR_PLUGIN,
                         "entry '%s' has more content than was announced, which an archive cannot hold",
                         libarchive.entry_pathname(t->entry));
    return write_header(t, (uint64_t)t->announced, e) < 0 ? -1 : write_pending(t, e);
}

/* What of the next n bytes there is room for, when the size is already written. What is beyond is cut: the file grew
 * while it was read. */
static uint64_t clip(const struct tarball *t, uint64_t n)
{
    uint64_t size = (uint64_t)t->announced, left = t->fed < size ? size - t->fed : 0;
    return n < left ? n : left;
}

static int add_region(struct tarball *t, size_t n, struct error *e)
{
    struct region *last = t->region_count > 0 ? &t->regions[t->region_count - 1] : NULL;
    if (last && last->offset + last->length == t->fed) {
        last->length += n;
        return 0;
    }
    if (t->region_count == t->region_capacity) {
        size_t capacity = t->region_capacity ? 2 * t->region_capacity : 64;
        struct region *grown = realloc(t->regions, capacity * sizeof *grown);
        if (!grown)
            return error_memory(e);
        t->regions = grown;
        t->region_capacity = capacity;
    }
    t->regions[t->region_count++] = (struct region){.offset = t->fed, .length = n};
    return 0;
}

int tarball_data(struct tarball *tarball, const void *p, size_t n, struct error *e)
{
    struct tarball *t = tarball;
    if (!t->out && (n > TARBALL_BUFFER - t->pending.length || t->region_count == REGIONS_MAX) && let_go(t, e) < 0)
        return -1;
    if (t->out) {
        uint64_t room = clip(t, n);
        t->fed += n;
        return write_content(t, p, (size_t)room, e);
    }
    if (add_region(t, n, e) < 0)
        return -1;
    bytes_put(&t->pending, p, n);
    t->fed += n;
    return bytes_check(&t->pending, "content of an entry", e);
}

int tarball_hole(struct tarball *tarball, uint64_t n, struct error *e)
{
    uint64_t room = tarball->out ? clip(tarball, n) : 0;
    tarball->sparse |= room > 0;
    tarball->fed += n;
    return write_zeros(tarball, room, e);
}

/* Up to the size that was written. */
static int fill_up(struct tarball *t, struct error *e)
{
    uint64_t size = (uint64_t)t->announced;
    return t->fed < size ? write_zeros(t, size - t->fed, e) : 0;
}

int tarball_restart(struct tarball *tarball, struct error *e)
{
    struct tarball *t = tarball;
    if (t->out && fill_up(t, e) < 0)
        return -1;
    t->voids += t->out;
    t->out = t->sparse = false;
    t->fed = t->region_count = 0;
    bytes_reset(&t->pending);
    return 0;
}

static int end_written(struct tarball *t, enum tarball_state state, struct tarball_kept *kept, struct error *e)
{
    uint64_t size = (uint64_t)t->announced;
    if (t->fed != size && state == TARBALL_WHOLE)
        return error_set(e, ERROR_PLUGIN, "entry '%s' was announced with %llu bytes and has %llu",
                         libarchive.entry_pathname(t->entry), (unsigned long long)size, (unsigned long long)t->fed);
    kept->written = true;
    kept->voids += state == TARBALL_UNREADABLE;
    kept->size = state == TARBALL_UNREADABLE ? 0 : t->fed < size ? t->fed : size;
    return fill_up(t, e);
}

int tarball_end(struct tarball *tarball, enum tarball_state state, struct tarball_kept *kept, struct error *e)
{
    struct tarball *t = tarball;
    *kept = (struct tarball_kept){.sparse = t->sparse, .voids = t->voids};
    if (t->out)
        return end_written(t, state, kept, e);
    if (state == TARBALL_UNREADABLE && t->kind == COFRE_FILE) {
        kept->written = t->voids > 0;
        return 0;
    }
    kept->written = true;
    kept->size = t->fed;
    return write_header(t, t->fed, e) < 0 ? -1 : write_pending(t, e);
}

int tarball_finish(struct tarball *tarball, struct error *e)
{
    libarchive.entry_clear(tarball->entry);
    if (libarchive.write_close(tarball->archive) != ARCHIVE_OK || tarball->failed.class != ERROR_NONE)
        return explain(tarball, "end", e);
    return 0;
}
