#include "job/entries.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cofre/plugin.h"
#include "repository/catalogue.h"
#include "repository/seal.h"
#include "snapshot/path.h"
#include "snapshot/record.h"

#define TEXT_MAX ((size_t)64 << 20)

static bool has_content(uint32_t kind)
{
    return kind == COFRE_FILE || kind == COFRE_STREAM;
}

static bool is_known(const struct entries_item *item)
{
    static const uint8_t unknown[ENTRIES_DIGEST];
    return memcmp(item->content, unknown, sizeof unknown) != 0;
}

bool entries_same_content(const struct entries_item *a, const struct entries_item *b)
{
    bool same = memcmp(a->content, b->content, sizeof a->content) == 0;
    if (a->kind != b->kind || !has_content(a->kind))
        return a->kind == b->kind && same;
    if (a->size != b->size)
        return false;
    return a->size == 0 || (same && is_known(a)) || (a->mtime == b->mtime && a->mtime != COFRE_NO_TIME);
}

static bool same_time(const struct entries_item *a, const struct entries_item *b)
{
    return a->mtime == b->mtime || a->kind == COFRE_DIRECTORY;
}

bool entries_same_version(const struct entries_item *a, const struct entries_item *b)
{
    return entries_same_content(a, b) && same_time(a, b);
}

bool entries_same_metadata(const struct entries_item *a, const struct entries_item *b)
{
    return same_time(a, b) && memcmp(a->metadata, b->metadata, sizeof a->metadata) == 0;
}

/* ---- from records ---- */

static void put_text(struct bytes *out, const char *text)
{
    if (text)
        bytes_put(out, text, strlen(text));
    bytes_put(out, text ? "" : "\1", 1);
}

static int hash_metadata(struct entries_taker *t, const struct record *record, struct error *e)
{
    const struct snapshot_entry *entry = &record->entry;
    uint8_t hash[32];
    bytes_reset(&t->text);
    t->text.maximum = TEXT_MAX;
    bytes_print(&t->text, "%u %u %u %u %u %d ", entry->mode, entry->uid, entry->gid, entry->device_major,
                entry->device_minor, (int)record->status);
    put_text(&t->text, entry->user);
    put_text(&t->text, entry->group);
    for (size_t i = 0; i < entry->attribute_count; i++) {
        const struct snapshot_attribute *a = &entry->attributes[i];
        put_text(&t->text, a->name);
        bytes_print(&t->text, "%zu ", a->length);
        bytes_put(&t->text, a->value, a->length);
    }
    if (bytes_check(&t->text, "metadata of an entry", e) < 0)
        return -1;
    seal_hash(t->text.data, t->text.length, hash);
    memcpy(t->item.metadata, hash, sizeof t->item.metadata);
    return 0;
}

/* Of what came before, and of this: texts and extents of any number. */
static int chain(struct entries_taker *t, const void *p, size_t n, struct error *e)
{
    bytes_reset(&t->text);
    t->text.maximum = TEXT_MAX;
    bytes_put(&t->text, t->hash, sizeof t->hash);
    bytes_put(&t->text, p, n);
    if (bytes_check(&t->text, "content of an entry", e) < 0)
        return -1;
    seal_hash(t->text.data, t->text.length, t->hash);
    memcpy(t->item.content, t->hash, sizeof t->item.content);
    return 0;
}

static int chain_extents(struct entries_taker *t, const struct record *record, struct error *e)
{
    for (size_t i = 0; i < record->extent_count; i++) {
        const struct catalogue_extent *x = &record->extents[i];
        uint8_t row[sizeof x->id + 12];
        memcpy(row, x->id, sizeof x->id);
        bytes_set_u32(row + sizeof x->id, x->offset);
        bytes_set_u64(row + sizeof x->id + 4, x->length);
        if (chain(t, row, sizeof row, e) < 0)
            return -1;
    }
    return 0;
}

static int begin(struct entries_taker *t, const struct record *record, struct error *e)
{
    const struct snapshot_entry *entry = &record->entry;
    bytes_reset(&t->path);
    t->path.maximum = PATH_LONGEST + 2;
    bytes_put(&t->path, entry->path, entry->path_length);
    bytes_put(&t->path, "", 1);
    if (bytes_check(&t->path, "path", e) < 0)
        return -1;
    t->item = (struct entries_item){.path = (const char *)t->path.data,
                                    .path_length = entry->path_length,
                                    .kind = entry->kind,
                                    .size = entry->size,
                                    .mtime = entry->mtime};
    memset(t->hash, 0, sizeof t->hash);
    if (hash_metadata(t, record, e) < 0)
        return -1;
    return entry->link ? chain(t, entry->link, entry->link_length, e) : 0;
}

int entries_take(void *taker, const struct record *record, struct error *e)
{
    struct entries_taker *t = taker;
    if (!record->continuation && begin(t, record, e) < 0)
        return -1;
    if (chain_extents(t, record, e) < 0)
        return -1;
    return record->more ? 0 : t->take(t->context, &t->item, e);
}

void entries_taker_free(struct entries_taker *taker)
{
    bytes_free(&taker->path);
    bytes_free(&taker->text);
}

/* ---- the file ---- */

struct entries {
    FILE *file;
    struct entries_item item;
    char path[PATH_LONGEST + 1];
};

int entries_make(const char *directory, struct entries **entries, struct error *e)
{
    char path[PATH_MAX];
    struct file_temporary t;
    struct entries *x = calloc(1, sizeof *x);
    if (!x)
        return error_memory(e);
    snprintf(path, sizeof path, "%.*s/entries", PATH_MAX - 64, directory);
    if (file_make_trusted(directory, e) < 0 || file_temporary_make(&t, path, e) < 0) {
        free(x);
        return -1;
    }
    unlink(t.path);
    if (!(x->file = fdopen(t.fd, "w+"))) {
        close(t.fd);
        free(x);
        return error_memory(e);
    }
    *entries = x;
    return 0;
}

void entries_free(struct entries *entries)
{
    if (entries)
        fclose(entries->file); /* nobody needs what is in it any more */
    free(entries);
}

static int failed(const char *what, struct error *e)
{
    return error_system(e, errno, "%s the entries of a snapshot, in the cache directory", what);
}

int entries_add(struct entries *entries, const struct entries_item *item, struct error *e)
{
    if (fwrite(item, sizeof *item, 1, entries->file) == 1 &&
        fwrite(item->path, item->path_length + 1, 1, entries->file) == 1)
        return 0;
    return failed("keep", e);
}

int entries_rewind(struct entries *entries, struct error *e)
{
    return fflush(entries->file) != 0 || fseek(entries->file, 0, SEEK_SET) != 0 ? failed("keep", e) : 0;
}

int entries_next(struct entries *entries, const struct entries_item **item, struct error *e)
{
    struct entries_item *i = &entries->item;
    *item = NULL;
    if (fread(i, sizeof *i, 1, entries->file) != 1)
        return ferror(entries->file) ? failed("read", e) : 0;
    if (i->path_length > PATH_LONGEST || fread(entries->path, i->path_length + 1, 1, entries->file) != 1)
        return failed("read", e);
    i->path = entries->path;
    *item = i;
    return 0;
}
