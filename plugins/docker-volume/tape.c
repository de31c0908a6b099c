#include "docker-volume/tape.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"
#include "common/living.h"
#include "docker-volume/order.h"

#define BLOCK 65536
#define PATH_ROOM 65536
#define NAME_ROOM 256
#define ATTRIBUTES_MAX 256
#define END_ZEROS 1024 /* an archive ends with two blocks of them */
#define SECONDS_MAX (INT64_MAX / 1000000000 - 1)

static const struct pattern_set nothing;

struct tape {
    struct cofre_call *call;
    const struct tape_spec *spec;
    struct daemon_stream *stream;
    struct tree_read_counts *counts;
    struct cofre_error *error; /* of the host's calls, which end the run */
    struct cofre_error why;    /* of the archive */
    int32_t failed;            /* class of what is wrong with the archive as a whole */
    struct archive *archive;
    struct archive_entry *entry;
    locale_t bytes;                      /* names are bytes, and no text */
    bool ended;                          /* of the stream */
    size_t zeros;                        /* with which it ends so far */
    char *root;                          /* the name of the volume's root in the archive; NULL = it did not come yet */
    char *path, *link, *previous, *leaf; /* previous: announced last; leaf: the last that is no directory */
    struct cofre_attribute attributes[ATTRIBUTES_MAX];
    uint8_t block[BLOCK];
};

/* ---- bytes of the stream ---- */

static void count_zeros(struct tape *t, size_t got)
{
    size_t at = got;
    while (at > 0 && t->block[at - 1] == 0)
        at--;
    t->zeros = at == 0 ? t->zeros + got : got - at;
}

static la_ssize_t on_read(struct archive *archive, void *context, const void **bytes)
{
    struct tape *t = context;
    size_t got = 0;
    *bytes = t->block;
    if (t->ended)
        return 0;
    t->failed = daemon_stream_read(t->stream, t->block, sizeof t->block, &got, &t->why);
    if (t->failed != COFRE_OK) {
        archive_set_error(archive, EIO, "the daemon's answer broke off");
        return -1;
    }
    t->ended = got == 0;
    count_zeros(t, got);
    return (la_ssize_t)got;
}

/* What libarchive says, unless the stream was the cause. */
static void broken(struct tape *t)
{
    const char *text = archive_error_string(t->archive);
    if (t->failed == COFRE_OK)
        t->failed = cofre_fail(&t->why, COFRE_E_INTEGRITY, "read volume '%s': the daemon's archive is damaged: %.200s",
                               t->spec->volume, text ? text : "it cannot be read");
}

/* ---- what is wrong with one entry ---- */

static int32_t say_missing(struct tape *t, const char *path, int32_t class)
{
    return cofre->missing(t->call, path, strlen(path), class, &t->why, t->error);
}

/* Its name is no path in the volume: the volume is named as the place. */
static int32_t refuse(struct tape *t, const char *fault)
{
    const char *name = archive_entry_pathname(t->entry);
    char quoted[FAILURE_QUOTE_MAX];
    cofre_fail(&t->why, COFRE_E_INTEGRITY, "the daemon's archive has an entry '%s', which %s; it is not kept",
               failure_quote(name ? name : "", name ? strlen(name) : 0, quoted), fault);
    return say_missing(t, t->spec->volume, COFRE_E_INTEGRITY);
}

/* ---- names ---- */

/* Relative, with no empty, "." or ".." component. */
static bool is_path(const char *p)
{
    for (;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (p[n] == '\0')
            return true;
        p += n + 1;
    }
}

/* Text with the path in the snapshot of a name in the archive. false: it is none. */
static bool place_name(const struct tape *t, const char *name, char out[PATH_ROOM])
{
    size_t root = strlen(t->root), length = name ? strlen(name) : 0;
    while (length > 0 && name[length - 1] == '/')
        length--;
    if (length < root || strncmp(name, t->root, root) != 0 || (length > root && name[root] != '/'))
        return false;
    int n = snprintf(out, PATH_ROOM, "%s%.*s", t->spec->volume, (int)(length - root), name + root);
    return n > 0 && n < PATH_ROOM && is_path(out);
}

/* The first entry is the volume's root. */
static bool take_root(struct tape *t)
{
    const char *name = archive_entry_pathname(t->entry);
    size_t length = name ? strlen(name) : 0;
    while (length > 0 && name[length - 1] == '/')
        length--;
    if (length == 0 || archive_entry_filetype(t->entry) != AE_IFDIR)
        return false;
    t->root = strndup(name, length);
    return t->root != NULL;
}

/* NULL: it may be announced. */
static const char *fault_of(const struct tape *t)
{
    if (!place_name(t, archive_entry_pathname(t->entry), t->path))
        return "is not in the volume, or is no path";
    if (t->previous[0] && order_compare(t->path, t->previous) == 0)
        return "comes twice";
    if (t->previous[0] && order_compare(t->path, t->previous) < 0)
        return "comes out of order";
    if (t->leaf[0] && order_is_below(t->path, t->leaf))
        return "is in something that is no directory";
    return NULL;
}

/* ---- an entry ---- */

static uint32_t kind_of(struct archive_entry *entry)
{
    static const struct {
        unsigned type;
        uint32_t kind;
    } kinds[] = {
        {AE_IFREG, COFRE_FILE},  {AE_IFDIR, COFRE_DIRECTORY}, {AE_IFLNK, COFRE_SYMLINK}, {AE_IFIFO, COFRE_FIFO},
        {AE_IFBLK, COFRE_BLOCK}, {AE_IFCHR, COFRE_CHARACTER}, {AE_IFSOCK, COFRE_SOCKET},
    };
    if (archive_entry_hardlink(entry))
        return COFRE_HARDLINK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].type == archive_entry_filetype(entry))
            return kinds[i].kind;
    return 0;
}

static int64_t time_of(struct archive_entry *entry)
{
    int64_t seconds = archive_entry_mtime(entry);
    if (!archive_entry_mtime_is_set(entry) || seconds > SECONDS_MAX || seconds < -SECONDS_MAX)
        return COFRE_NO_TIME;
    return seconds * 1000000000 + archive_entry_mtime_nsec(entry);
}

static uint32_t take_attributes(struct tape *t)
{
    const char *name;
    const void *value;
    size_t length;
    uint32_t count = 0;
    archive_entry_xattr_reset(t->entry);
    while (count < ATTRIBUTES_MAX && archive_entry_xattr_next(t->entry, &name, &value, &length) == ARCHIVE_OK)
        if (name && name[0] && strlen(name) < NAME_ROOM)
            t->attributes[count++] = (struct cofre_attribute){.name = name, .value = value, .length = length};
    return count;
}

/* The first name of a file, by its path in the snapshot. false: it is not kept, and the content is nowhere else. */
static bool take_link(struct tape *t)
{
    return place_name(t, archive_entry_hardlink(t->entry), t->link) && order_compare(t->link, t->path) < 0 &&
           pattern_reaches(t->spec->exclude, &nothing, t->link, strlen(t->link), false);
}

static bool has_owner(struct archive_entry *entry)
{
    int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    return uid >= 0 && uid <= UINT32_MAX && gid >= 0 && gid <= UINT32_MAX;
}

static int32_t announce(struct tape *t, uint32_t kind, const char *link)
{
    bool device = kind == COFRE_CHARACTER || kind == COFRE_BLOCK;
    struct cofre_entry entry = {
        .struct_size = sizeof entry,
        .kind = kind,
        .path = t->path,
        .path_length = (uint32_t)strlen(t->path),
        .size = kind == COFRE_FILE ? archive_entry_size(t->entry) : 0,
        .mtime = time_of(t->entry),
        .mode = archive_entry_perm(t->entry) & 07777,
        .uid = (uint32_t)archive_entry_uid(t->entry),
        .gid = (uint32_t)archive_entry_gid(t->entry),
        .device_major = device ? (uint32_t)archive_entry_rdevmajor(t->entry) : 0,
        .device_minor = device ? (uint32_t)archive_entry_rdevminor(t->entry) : 0,
        .link = link,
        .link_length = link ? (uint32_t)strlen(link) : 0,
        .attributes = t->attributes,
        .attribute_count = kind == COFRE_HARDLINK ? 0 : take_attributes(t),
        .attribute_stride = sizeof(struct cofre_attribute),
    };
    t->counts->entries++;
    t->counts->files += kind == COFRE_FILE;
    t->counts->directories += kind == COFRE_DIRECTORY;
    t->counts->bytes += kind == COFRE_FILE && entry.size > 0 ? (uint64_t)entry.size : 0;
    return cofre->entry(t->call, &entry, t->error);
}

/* ---- content ---- */

static int32_t send_bytes(struct tape *t, const uint8_t *bytes, size_t length)
{
    int32_t status = COFRE_OK;
    for (size_t room; status == COFRE_OK && length > 0; bytes += room, length -= room) {
        void *buffer;
        room = length;
        status = cofre->reserve(t->call, &buffer, &room, t->error);
        if (status != COFRE_OK)
            break;
        memcpy(buffer, bytes, room);
        status = cofre->commit(t->call, room, t->error);
    }
    return status;
}

/* Up to the end of the entry, or of the archive when that breaks off: t->failed. */
static int32_t send_content(struct tape *t)
{
    uint64_t sent = 0, size = (uint64_t)archive_entry_size(t->entry);
    for (;;) {
        const void *bytes;
        size_t length;
        la_int64_t offset;
        int got = archive_read_data_block(t->archive, &bytes, &length, &offset);
        if (got == ARCHIVE_EOF)
            break;
        if ((got != ARCHIVE_OK && got != ARCHIVE_WARN) || offset < 0 || (uint64_t)offset < sent) {
            broken(t);
            return COFRE_OK;
        }
        int32_t status = COFRE_OK;
        if ((uint64_t)offset > sent)
            status = cofre->hole(t->call, (uint64_t)offset - sent, t->error);
        if (status == COFRE_OK)
            status = send_bytes(t, bytes, length);
        if (status != COFRE_OK)
            return status;
        sent = (uint64_t)offset + length;
    }
    return size > sent ? cofre->hole(t->call, size - sent, t->error) : COFRE_OK;
}

/* ---- one entry after another ---- */

static int32_t look_for_living(struct tape *t)
{
    const char *name = strrchr(t->path, '/');
    int64_t size = archive_entry_size(t->entry);
    const struct living *living =
        t->spec->container && name ? living_by_name(name + 1, size > 0 ? (uint64_t)size : 0) : NULL;
    if (!living)
        return COFRE_OK;
    living_explain(living, t->spec->container, &t->why);
    return say_missing(t, t->path, COFRE_E_CHANGED);
}

static void remember(struct tape *t, uint32_t kind)
{
    memcpy(t->previous, t->path, strlen(t->path) + 1);
    if (kind != COFRE_DIRECTORY)
        memcpy(t->leaf, t->path, strlen(t->path) + 1);
}

static int32_t keep(struct tape *t, uint32_t kind, const char *link)
{
    int32_t status = look_for_living(t);
    if (status == COFRE_OK)
        status = announce(t, kind, link);
    if (status == COFRE_E_RANGE) { /* it is too large to be told, with its attributes */
        t->why = *t->error;
        return say_missing(t, t->path, status);
    }
    remember(t, kind);
    if (status == COFRE_OK && kind == COFRE_FILE)
        status = send_content(t);
    return status == COFRE_OK ? cofre->end(t->call, t->failed, &t->why, t->error) : status;
}

static int32_t take_entry(struct tape *t)
{
    if (!t->root && !take_root(t)) {
        t->failed =
            cofre_fail(&t->why, COFRE_E_INTEGRITY,
                       "read volume '%s': the daemon's archive does not begin with a directory", t->spec->volume);
        return COFRE_OK;
    }
    const char *fault = fault_of(t);
    if (fault)
        return refuse(t, fault);
    uint32_t kind = kind_of(t->entry);
    if (!has_owner(t->entry) || kind == 0 || archive_entry_size(t->entry) < 0)
        return refuse(t, "has an impossible owner, size or kind");
    if (strchr(t->path, '/') &&
        !pattern_reaches(t->spec->exclude, &nothing, t->path, strlen(t->path), kind == COFRE_DIRECTORY))
        return COFRE_OK;
    if (kind == COFRE_HARDLINK && !take_link(t))
        return refuse(t, "is another name of a file that is not kept");
    const char *target = archive_entry_symlink(t->entry);
    if (kind == COFRE_SYMLINK && (!target || target[0] == '\0' || strlen(target) >= PATH_ROOM))
        return refuse(t, "is a symlink to nothing");
    return keep(t, kind, kind == COFRE_HARDLINK ? t->link : kind == COFRE_SYMLINK ? target : NULL);
}

static int32_t read_all(struct tape *t)
{
    for (;;) {
        int32_t status = cofre->cancelled(t->call, t->error);
        if (status != COFRE_OK)
            return status;
        int got = archive_read_next_header(t->archive, &t->entry);
        if (got == ARCHIVE_EOF)
            return COFRE_OK;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
            broken(t);
            return COFRE_OK;
        }
        status = take_entry(t);
        if (status != COFRE_OK || t->failed != COFRE_OK)
            return status;
    }
}

/* Behind the end of the archive nothing but zeros may come. The daemon ends it without them when it could not read on:
 * what it had not sent yet is then nowhere. */
static void drain(struct tape *t)
{
    const void *bytes;
    bool zeros = true;
    while (t->failed == COFRE_OK && !t->ended) {
        la_ssize_t got = on_read(t->archive, t, &bytes);
        for (la_ssize_t i = 0; i < got; i++)
            zeros &= t->block[i] == 0;
    }
    if (t->failed == COFRE_OK && (!zeros || t->zeros < END_ZEROS))
        t->failed = cofre_fail(&t->why, COFRE_E_CHANGED,
                               "read volume '%s': the daemon's archive ends too early: something in it changed while "
                               "it was read, or could not be read",
                               t->spec->volume);
    if (t->failed == COFRE_OK && !t->root)
        t->failed =
            cofre_fail(&t->why, COFRE_E_INTEGRITY, "read volume '%s': the daemon's archive is empty", t->spec->volume);
}

static int32_t prepare(struct tape *t)
{
    t->path = calloc(1, PATH_ROOM);
    t->link = calloc(1, PATH_ROOM);
    t->previous = calloc(1, PATH_ROOM);
    t->leaf = calloc(1, PATH_ROOM);
    t->archive = archive_read_new();
    t->bytes = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    if (t->path && t->link && t->previous && t->leaf && t->archive && t->bytes)
        return COFRE_OK;
    return cofre_fail_errno(t->error, ENOMEM, "read volume '%s'", t->spec->volume);
}

/* In a locale of UTF-8 libarchive takes names for text, and composes accents; in "C" it leaves them as they are. */
static int32_t run(struct tape *t)
{
    int32_t status = COFRE_OK;
    locale_t before = uselocale(t->bytes);
    if (archive_read_support_format_tar(t->archive) != ARCHIVE_OK ||
        archive_read_support_filter_none(t->archive) != ARCHIVE_OK ||
        archive_read_open(t->archive, t, NULL, on_read, NULL) != ARCHIVE_OK)
        broken(t);
    else
        status = read_all(t);
    uselocale(before);
    if (status == COFRE_OK)
        drain(t);
    return status;
}

/* What is wrong with the archive as a whole is said of the volume, unless it was the host that ended it. */
static int32_t conclude(struct tape *t)
{
    int32_t status = cofre->cancelled(t->call, t->error);
    if (status != COFRE_OK || t->failed == COFRE_OK)
        return status;
    return say_missing(t, t->spec->volume, t->failed == COFRE_E_NOT_FOUND ? COFRE_E_PERMANENT : t->failed);
}

static void release(struct tape *t)
{
    archive_read_free(t->archive);
    if (t->bytes)
        freelocale(t->bytes);
    free(t->root);
    free(t->path);
    free(t->link);
    free(t->previous);
    free(t->leaf);
    free(t);
}

int32_t tape_send(struct cofre_call *call, const struct tape_spec *spec, struct daemon_stream *stream,
                  struct tree_read_counts *counts, struct cofre_error *error)
{
    struct tape *t = calloc(1, sizeof *t);
    *counts = (struct tree_read_counts){.entries = 0};
    if (!t)
        return cofre_fail_errno(error, ENOMEM, "read volume '%s'", spec->volume);
    t->call = call;
    t->spec = spec;
    t->stream = stream;
    t->counts = counts;
    t->error = error;
    t->why.struct_size = sizeof t->why;
    int32_t status = prepare(t);
    if (status == COFRE_OK)
        status = run(t);
    if (status == COFRE_OK)
        status = conclude(t);
    release(t);
    return status;
}
