#include "archive/untar.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/libarchive.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "snapshot/entry.h"
#include "snapshot/path.h"

#define BLOCK ((size_t)128 << 10)
#define ATTRIBUTES_MAX 4096
#define SECONDS_MAX (INT64_MAX / 1000000000 - 1)

struct untar {
    int (*read)(void *context, void *p, size_t n, size_t *got, struct error *e);
    void *context;
    struct error failed; /* of read */
    bool ended;          /* read gave its end */
    struct archive *archive;
    struct archive_entry *entry; /* libarchive's */
    locale_t bytes;
    char *path, *link; /* of the entry at hand, our copies */
    struct snapshot_attribute attributes[ATTRIBUTES_MAX];
    uint8_t block[BLOCK];
};

static la_ssize_t on_read(struct archive *archive, void *context, const void **p)
{
    struct untar *u = context;
    size_t got;
    *p = u->block;
    if (u->ended)
        return 0;
    if (u->failed.class == ERROR_NONE && u->read(u->context, u->block, sizeof u->block, &got, &u->failed) == 0) {
        u->ended = got == 0;
        return (la_ssize_t)got;
    }
    libarchive.set_error(archive, 5, "it could not be read");
    return -1;
}

static int explain(struct untar *u, struct error *e)
{
    const char *why = libarchive.error_string(u->archive);
    if (u->failed.class != ERROR_NONE) {
        *e = u->failed;
        return -1;
    }
    return error_set(e, ERROR_INTEGRITY, "the tar archive is damaged: %s", why ? why : "it cannot be read");
}

int untar_new(int (*read)(void *, void *, size_t, size_t *, struct error *), void *context, struct untar **untar,
              struct error *e)
{
    if (libarchive_load(e) < 0)
        return -1;
    struct untar *u = calloc(1, sizeof *u);
    if (!u)
        return error_memory(e);
    u->read = read;
    u->context = context;
    u->bytes = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    u->archive = libarchive.read_new();
    if (!u->bytes || !u->archive) {
        untar_free(u);
        return error_memory(e);
    }
    if (libarchive.read_support_format_tar(u->archive) != ARCHIVE_OK ||
        libarchive.read_support_filter_none(u->archive) != ARCHIVE_OK ||
        libarchive.read_open(u->archive, u, NULL, on_read, NULL) != ARCHIVE_OK) {
        explain(u, e);
        untar_free(u);
        return -1;
    }
    *untar = u;
    return 0;
}

void untar_free(struct untar *untar)
{
    if (!untar)
        return;
    if (untar->archive)
        libarchive.read_free(untar->archive);
    if (untar->bytes)
        freelocale(untar->bytes);
    free(untar->path);
    free(untar->link);
    free(untar);
}

/* ---- entries ---- */

static int refuse(const char *path, const char *why, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "the tar archive holds '%.400s', which %s", path ? path : "?", why);
}

/* Without "./" in front and "/" behind; "." is the root. */
static char *tidy(const char *text)
{
    while (strncmp(text, "./", 2) == 0)
        for (text += 2; *text == '/'; text++)
            ;
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '/')
        n--;
    return n == 1 && text[0] == '.' ? strdup("") : strndup(text, n);
}

static int take_path(char **out, const char *text, const char *what, struct error *e)
{
    free(*out);
    *out = NULL;
    if (!text)
        return refuse(NULL, "has no name", e);
    if (!(*out = tidy(text)))
        return error_memory(e);
    if (text[0] == '/' || !path_valid(*out, strlen(*out)))
        return refuse(text, what, e);
    return 0;
}

static const struct {
    mode_t type;
    uint32_t kind;
} kinds[] = {
    {AE_IFREG, COFRE_FILE}, {AE_IFDIR, COFRE_DIRECTORY}, {AE_IFLNK, COFRE_SYMLINK},
    {AE_IFIFO, COFRE_FIFO}, {AE_IFCHR, COFRE_CHARACTER}, {AE_IFBLK, COFRE_BLOCK},
};

static int take_kind(struct untar *u, struct snapshot_entry *entry, struct error *e)
{
    const char *hard = libarchive.entry_hardlink(u->entry);
    mode_t type = libarchive.entry_filetype(u->entry);
    if (hard) {
        entry->kind = COFRE_HARDLINK;
        return take_path(&u->link, hard, "is a hard link to an impossible path", e);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].type == type)
            entry->kind = kinds[i].kind;
    if (entry->kind == 0)
        return refuse(u->path, "is of an unknown kind", e);
    if (entry->kind != COFRE_SYMLINK)
        return 0;
    const char *target = libarchive.entry_symlink(u->entry);
    free(u->link);
    u->link = NULL;
    if (!target || target[0] == '\0' || strlen(target) > PATH_LONGEST)
        return refuse(u->path, "is a symlink to nothing", e);
    return (u->link = strdup(target)) ? 0 : error_memory(e);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* libarchive writes some bytes of an attribute's name as %41, and leaves that so when it reads it. In the place of the
 * name, at which it does not look again. */
static void unescape(char *name)
{
    char *to = name;
    for (const char *p = name; *p != '\0'; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
        *to++ = (char)(low >= 0 ? 16 * high + low : *p);
        p += low >= 0 ? 2 : 0;
    }
    *to = '\0';
}

static int take_attributes(struct untar *u, struct snapshot_entry *entry, struct error *e)
{
    const char *name;
    const void *value;
    size_t n;
    libarchive.entry_xattr_reset(u->entry);
    while (libarchive.entry_xattr_next(u->entry, &name, &value, &n) == ARCHIVE_OK) {
        if (name)
            unescape((char *)(uintptr_t)name);
        if (entry->attribute_count == ATTRIBUTES_MAX || !name || name[0] == '\0' || strlen(name) > 255)
            return refuse(u->path, "has impossible attributes", e);
        u->attributes[entry->attribute_count++] =
            (struct snapshot_attribute){.name = name, .value = value, .length = n};
    }
    entry->attributes = u->attributes;
    return 0;
}

static int64_t time_of(struct archive_entry *entry)
{
    int64_t seconds = libarchive.entry_mtime(entry);
    if (!libarchive.entry_mtime_is_set(entry) || seconds > SECONDS_MAX || seconds < -SECONDS_MAX)
        return COFRE_NO_TIME;
    int64_t rest = libarchive.entry_mtime_nsec(entry);
    return seconds * 1000000000 + (seconds < 0 ? -rest : rest); /* see set_time in tarball.c */
}

static const char *name_or_null(const char *name)
{
    return name && name[0] != '\0' && strlen(name) <= 255 ? name : NULL;
}

static int take_entry(struct untar *u, struct snapshot_entry *entry, struct error *e)
{
    struct archive_entry *from = u->entry;
    *entry = (struct snapshot_entry){.mode = libarchive.entry_perm(from) & 07777, .mtime = time_of(from)};
    if (take_path(&u->path, libarchive.entry_pathname(from), "is an impossible path", e) < 0 ||
        take_kind(u, entry, e) < 0 || take_attributes(u, entry, e) < 0)
        return -1;
    int64_t uid = libarchive.entry_uid(from), gid = libarchive.entry_gid(from), size = libarchive.entry_size(from);
    if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
        return refuse(u->path, "has an impossible owner", e);
    if (size < 0 || (u->path[0] == '\0' && entry->kind != COFRE_DIRECTORY))
        return refuse(u->path, "has an impossible size or kind", e);
    entry->path = u->path;
    entry->path_length = strlen(u->path);
    entry->size = entry->kind == COFRE_FILE ? size : 0;
    entry->uid = (uint32_t)uid;
    entry->gid = (uint32_t)gid;
    entry->user = name_or_null(libarchive.entry_uname(from));
    entry->group = name_or_null(libarchive.entry_gname(from));
    if (entry->kind == COFRE_SYMLINK || entry->kind == COFRE_HARDLINK) {
        entry->link = u->link;
        entry->link_length = strlen(u->link);
    }
    if (entry->kind == COFRE_CHARACTER || entry->kind == COFRE_BLOCK) {
        entry->device_major = (uint32_t)libarchive.entry_rdevmajor(from);
        entry->device_minor = (uint32_t)libarchive.entry_rdevminor(from);
    }
    return 0;
}

/* After the end of the archive nothing but zeros may come, and then the end of the bytes, which is when they are known
 * to be whole. */
static int drain(struct untar *u, struct error *e)
{
    while (!u->ended) {
        size_t got;
        if (u->read(u->context, u->block, sizeof u->block, &got, e) < 0)
            return -1;
        u->ended = got == 0;
        for (size_t i = 0; i < got; i++)
            if (u->block[i] != 0)
                return error_set(e, ERROR_INTEGRITY, "something follows the end of the tar archive");
    }
    return 0;
}

/* In a locale of UTF-8 libarchive takes names for text, and composes accents; in "C" it leaves them as they are. */
int untar_next(struct untar *untar, struct snapshot_entry *entry, bool *end, struct error *e)
{
    struct untar *u = untar;
    locale_t before = uselocale(u->bytes);
    int got = libarchive.read_next_header(u->archive, &u->entry);
    int result = got == ARCHIVE_OK || got == ARCHIVE_WARN ? take_entry(u, entry, e) : 0;
    uselocale(before);
    *end = got == ARCHIVE_EOF;
    if (*end)
        return u->failed.class != ERROR_NONE ? explain(u, e) : drain(u, e);
    return got == ARCHIVE_OK || got == ARCHIVE_WARN ? result : explain(u, e);
}

/* ---- content ---- */

static int give_hole(const struct untar_audience *audience, uint64_t *at, uint64_t to, struct error *e)
{
    uint64_t n = to - *at;
    *at = to;
    return n > 0 ? audience->hole(audience->context, n, e) : 0;
}

int untar_content(struct untar *untar, uint64_t limit, const struct untar_audience *audience, struct error *e)
{
    uint64_t at = 0, size = (uint64_t)libarchive.entry_size(untar->entry);
    limit = limit < size ? limit : size;
    for (;;) {
        const void *p;
        size_t n;
        la_int64_t offset;
        int got = libarchive.read_data_block(untar->archive, &p, &n, &offset);
        if (got == ARCHIVE_EOF)
            return give_hole(audience, &at, limit, e);
        if (got != ARCHIVE_OK)
            return explain(untar, e);
        if (offset < 0 || (uint64_t)offset < at || (uint64_t)offset > size || n > size - (uint64_t)offset)
            return error_set(e, ERROR_INTEGRITY, "the tar archive is damaged: content at an impossible place");
        if ((uint64_t)offset >= limit)
            return give_hole(audience, &at, limit, e);
        if (n > limit - (uint64_t)offset)
            n = (size_t)(limit - (uint64_t)offset);
        if (give_hole(audience, &at, (uint64_t)offset, e) < 0 ||
            (n > 0 && audience->data(audience->context, p, n, e) < 0))
            return -1;
        at += n;
    }
}
