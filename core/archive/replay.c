#include "archive/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/archive_hardlink.h"
#include "archive/dig.h"
#include "archive/inlet.h"
#include "archive/untar.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "format/audience.h"
#include "snapshot/path.h"
#include "snapshot/record.h"

#define PIECE ((size_t)128 << 10)

struct replay {
    struct archive *archive;
    const struct inventory *inventory;
    const char *source;
    const char *path;
    size_t path_length;
    const struct audience *audience;
    bool checked; /* the stored files have just been compared with their hashes */
    uint64_t entries;
    const struct inventory_row *row_first, *row, *row_end; /* of the source: the first, the next, the end */
    struct inlet *tar;                                     /* NULL = there is none, or nothing of it is wanted */
    struct untar *untar;
    struct snapshot_entry entry; /* the next of the tar archive */
    bool tar_ended;
    char *before;                   /* path of the tar entry before; NULL = none */
    uint64_t skipped;               /* void copies of it */
    struct archive_hardlink *links; /* NULL until one leads to what is not wanted */
    char tar_key[ARCHIVE_KEY_SIZE];
    uint8_t piece[PIECE];
};

static bool is_wanted(const struct replay *r, const char *path, size_t n)
{
    return r->path_length == 0 || path_is_within(path, n, r->path, r->path_length);
}

/* ---- stored files ---- */

static const struct inventory_file *tar_of(const struct replay *r)
{
    const struct inventory *inventory = r->inventory;
    char name[128];
    snprintf(name, sizeof name, "%s.tar%s%s", r->source, compress_extension(inventory->compress),
             inventory->encryption == INVENTORY_PLAIN ? "" : ".gpg");
    return inventory_find(inventory, name);
}

static struct inlet_spec spec_of(const struct replay *r, const struct inventory_file *file, char key[ARCHIVE_KEY_SIZE])
{
    const struct manifest *m = r->inventory->manifest;
    archive_key(m->job, m->id, file->name, key);
    return (struct inlet_spec){.sink = r->archive->sink,
                               .key = key,
                               .stored = file->stored,
                               .sha256 = file->sha256,
                               .compress = r->inventory->compress,
                               .pgp = archive_sealing(r->archive),
                               .patience = r->archive->spec.patience};
}

static int check_file(struct replay *r, const struct inventory_file *file, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    struct inlet_spec spec = spec_of(r, file, key);
    return inlet_check(&spec, e);
}

/* Is nothing but streams wanted? Then the tar archive need not be read. */
static bool only_rows(const struct replay *r)
{
    for (const struct inventory_row *row = r->row; row < r->row_end; row++)
        if (row->file && r->path_length > 0 && strcmp(row->path, r->path) == 0)
            return true;
    return false;
}

/* Everything that is going to be read, before anything is given. */
static int check_files(struct replay *r, const struct inventory_file *tar, struct error *e)
{
    if (tar && check_file(r, tar, e) < 0)
        return -1;
    for (const struct inventory_row *row = r->row; row < r->row_end && r->audience->data; row++)
        if (row->file && is_wanted(r, row->path, strlen(row->path)) &&
            check_file(r, inventory_find(r->inventory, row->file), e) < 0)
            return -1;
    return 0;
}

static int read_tar(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    return inlet_read(((struct replay *)context)->tar, p, n, got, e);
}

/* ---- the tar archive ---- */

/* The next entry, which must come after the one before, or be it once more when copies of that are void. */
static int next_in_tar(struct replay *r, struct error *e)
{
    if (!r->untar || untar_next(r->untar, &r->entry, &r->tar_ended, e) < 0)
        return r->untar ? -1 : 0;
    if (r->tar_ended)
        return 0;
    int order = r->before ? path_compare(r->before, strlen(r->before), r->entry.path, r->entry.path_length) : -1;
    if (order > 0 || (order == 0 && r->skipped == 0))
        return error_set(e, ERROR_INTEGRITY, "the tar archive holds '%.400s' out of order", r->entry.path);
    if (order < 0)
        r->skipped = 0;
    free(r->before);
    r->before = strdup(r->entry.path);
    return r->before ? 0 : error_memory(e);
}

static int open_tar(struct replay *r, const struct inventory_file *tar, struct error *e)
{
    r->tar_ended = !tar;
    if (!tar)
        return 0;
    struct inlet_spec spec = spec_of(r, tar, r->tar_key);
    if (inlet_new(&spec, &r->tar, e) < 0 || untar_new(read_tar, r, &r->untar, e) < 0)
        return -1;
    return next_in_tar(r, e);
}

/* ---- giving ---- */

static int give_content(const struct replay *r, struct untar *untar, const struct snapshot_entry *entry, bool sparse,
                        struct error *e)
{
    const struct audience *a = r->audience;
    struct untar_audience to = {.data = a->data, .hole = a->hole, .context = a->context};
    if (entry->kind != COFRE_FILE || !a->data)
        return 0;
    if (!sparse)
        return untar_content(untar, (uint64_t)entry->size, &to, e);
    struct dig dig = {.to = &to};
    struct untar_audience digger = {.data = dig_data, .hole = dig_hole, .context = &dig};
    return untar_content(untar, (uint64_t)entry->size, &digger, e) < 0 ? -1 : dig_end(&dig, e);
}

/* Content comes from untar. mark: the entry's row, or NULL. */
static int give_entry(struct replay *r, struct untar *untar, const struct snapshot_entry *entry,
                      const struct inventory_row *mark, struct error *e)
{
    struct record record = {.entry = *entry, .status = mark ? mark->status : RECORD_WHOLE};
    if (mark) {
        record.error = mark->error;
        if (entry->kind != mark->kind || mark->size > (uint64_t)entry->size)
            return error_set(e, ERROR_INTEGRITY, "'%.400s' is not in the tar archive as the manifest says", mark->path);
        record.entry.size = (int64_t)mark->size;
    }
    r->entries++;
    if (r->audience->entry(r->audience->context, &record, e) < 0 ||
        give_content(r, untar, &record.entry, mark && mark->sparse, e) < 0)
        return -1;
    return r->audience->end(r->audience->context, e);
}

static int give_file(struct replay *r, const struct inventory_row *row, struct error *e)
{
    struct inlet *inlet;
    char key[ARCHIVE_KEY_SIZE];
    uint64_t given = 0;
    struct inlet_spec from = spec_of(r, inventory_find(r->inventory, row->file), key);
    if (inlet_new(&from, &inlet, e) < 0)
        return -1;
    int result = 0;
    for (size_t got = 1; result == 0 && got > 0; given += got) {
        result = inlet_read(inlet, r->piece, sizeof r->piece, &got, e);
        if (result == 0 && got > 0)
            result = r->audience->data(r->audience->context, r->piece, got, e);
    }
    inlet_free(inlet);
    if (result == 0 && given != row->size)
        return error_set(e, ERROR_INTEGRITY, "'%s' holds %llu bytes, the manifest says %llu", key,
                         (unsigned long long)given, (unsigned long long)row->size);
    return result;
}

static int give_row(struct replay *r, const struct inventory_row *row, struct error *e)
{
    struct record record = {.status = row->status, .error = row->error};
    if (!is_wanted(r, row->path, strlen(row->path)))
        return 0;
    record.entry = (struct snapshot_entry){.kind = row->kind,
                                           .path = row->path,
                                           .path_length = strlen(row->path),
                                           .size = (int64_t)row->size,
                                           .mtime = row->mtime,
                                           .mode = row->mode,
                                           .uid = row->uid,
                                           .gid = row->gid,
                                           .user = row->user,
                                           .group = row->group};
    r->entries++;
    if (r->audience->entry(r->audience->context, &record, e) < 0)
        return -1;
    if (row->file && r->audience->data && give_file(r, row, e) < 0)
        return -1;
    return r->audience->end(r->audience->context, e);
}

/* Does the row stand for itself, or for an entry of the tar archive? */
static bool stands_alone(const struct inventory_row *row)
{
    return row->file || row->kind == COFRE_STREAM || row->kind == COFRE_SOCKET ||
           (row->kind == COFRE_FILE && row->status == RECORD_UNREADABLE);
}

/* ---- hard links to what is not wanted ---- */

static int compare_rows(const void *a, const void *b)
{
    const char *one = ((const struct inventory_row *)a)->path, *other = ((const struct inventory_row *)b)->path;
    return path_compare(one, strlen(one), other, strlen(other));
}

static const struct inventory_row *find_row(const struct replay *r, const char *path)
{
    const struct inventory_row wanted = {.path = (char *)(uintptr_t)path};
    size_t count = (size_t)(r->row_end - r->row_first);
    return count > 0 ? bsearch(&wanted, r->row_first, count, sizeof wanted, compare_rows) : NULL;
}

static int need_links(struct replay *r, struct error *e)
{
    struct inlet_spec spec = spec_of(r, tar_of(r), r->tar_key);
    return r->links ? 0 : archive_hardlink_new(&spec, &r->links, e);
}

/* The entry at hand, with the content of its first name. */
static int give_first_name(struct replay *r, struct error *e)
{
    const struct inventory_row *row = find_row(r, r->entry.link);
    struct snapshot_entry target;
    struct untar *untar;
    if (row && stands_alone(row)) {
        struct inventory_row own = *row;
        own.path = (char *)(uintptr_t)r->entry.path;
        return give_row(r, &own, e);
    }
    if (archive_hardlink_seek(r->links, r->entry.link, row ? row->voids : 0, &target, &untar, e) < 0)
        return -1;
    target.path = r->entry.path;
    target.path_length = r->entry.path_length;
    return give_entry(r, untar, &target, row, e);
}

static int give_link(struct replay *r, struct error *e)
{
    const char *taken;
    if (need_links(r, e) < 0 || archive_hardlink_take(r->links, r->entry.link, r->entry.path, &taken, e) < 0)
        return -1;
    if (!taken)
        return give_first_name(r, e);
    struct snapshot_entry other = r->entry;
    other.link = taken;
    other.link_length = strlen(taken);
    return give_entry(r, r->untar, &other, NULL, e);
}

/* ---- merging ---- */

static bool leads_out(const struct replay *r)
{
    return r->entry.kind == COFRE_HARDLINK && r->audience->data && !is_wanted(r, r->entry.link, r->entry.link_length);
}

/* mark: the row of the entry at hand, or NULL. */
static int give_tar_entry(struct replay *r, const struct inventory_row *mark, struct error *e)
{
    if (!is_wanted(r, r->entry.path, r->entry.path_length))
        return 0;
    return leads_out(r) ? give_link(r, e) : give_entry(r, r->untar, &r->entry, mark, e);
}

/* The row's entry is at hand in the tar archive. */
static int merge(struct replay *r, struct error *e)
{
    const struct inventory_row *row = r->row;
    if (r->skipped < row->voids) {
        r->skipped++;
        return next_in_tar(r, e);
    }
    r->row++;
    if (stands_alone(row))
        return error_set(e, ERROR_INTEGRITY, "'%.400s' is in the tar archive, the manifest says that it is not",
                         row->path);
    return give_tar_entry(r, row, e) < 0 ? -1 : next_in_tar(r, e);
}

static int step(struct replay *r, struct error *e)
{
    const struct inventory_row *row = r->row < r->row_end ? r->row : NULL;
    int order = 1; /* the row comes first */
    if (!row)
        order = -1;
    else if (!r->tar_ended)
        order = path_compare(r->entry.path, r->entry.path_length, row->path, strlen(row->path));
    if (order == 0)
        return merge(r, e);
    if (order < 0)
        return give_tar_entry(r, NULL, e) < 0 ? -1 : next_in_tar(r, e);
    r->row++;
    if (stands_alone(row))
        return give_row(r, row, e);
    if (!r->tar && r->path_length > 0)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "'%.400s' is not in the tar archive, the manifest says that it is", row->path);
}

static int carry_out(struct replay *r, struct error *e)
{
    const struct inventory_file *tar = only_rows(r) ? NULL : tar_of(r);
    if ((!r->checked && check_files(r, tar, e) < 0) || open_tar(r, tar, e) < 0)
        return -1;
    while (!r->tar_ended || r->row < r->row_end)
        if (step(r, e) < 0)
            return -1;
    return r->links ? archive_hardlink_finish(r->links, e) : 0;
}

static void choose_rows(struct replay *r)
{
    const struct inventory *inventory = r->inventory;
    r->row = inventory->rows;
    r->row_end = inventory->rows + inventory->row_count;
    while (r->row < r->row_end && strcmp(r->row->source, r->source) != 0)
        r->row++;
    const struct inventory_row *end = r->row;
    while (end < r->row_end && strcmp(end->source, r->source) == 0)
        end++;
    r->row_first = r->row;
    r->row_end = end;
}

int replay_run(struct archive *archive, const struct inventory *inventory, const char *source, const char *path,
               const struct audience *audience, bool checked, uint64_t *entries, struct error *e)
{
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(e);
    r->archive = archive;
    r->inventory = inventory;
    r->source = source;
    r->path = path ? path : "";
    r->path_length = strlen(r->path);
    r->audience = audience;
    r->checked = checked;
    choose_rows(r);
    int result = carry_out(r, e);
    *entries = r->entries;
    untar_free(r->untar);
    inlet_free(r->tar);
    archive_hardlink_free(r->links);
    free(r->before);
    free(r);
    return result;
}
