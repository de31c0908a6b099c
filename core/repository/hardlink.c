#include "repository/hardlink.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "repository/catalogue.h"
#include "repository/reader.h"
#include "snapshot/path.h"

/* A first name that is elsewhere. */
struct first_name {
    char *name;
    struct bytes records; /* its record and the continuations, as stored */
    char *taken;          /* the name that got its content; NULL = none yet */
};

struct hardlinks {
    const char *path;
    size_t path_length;
    struct first_name *first_names; /* sorted by name, each once */
    size_t count, capacity;
    size_t used;           /* bytes kept */
    struct first_name *at; /* whose continuations are being read */
    struct catalogue_decoder decoder;
};

void hardlink_free(struct hardlinks *links)
{
    if (!links)
        return;
    for (size_t i = 0; i < links->count; i++) {
        free(links->first_names[i].name);
        free(links->first_names[i].taken);
        bytes_free(&links->first_names[i].records);
    }
    free(links->first_names);
    catalogue_decoder_free(&links->decoder);
    free(links);
}

static bool leads_out(const struct hardlinks *l, const struct record *record)
{
    const struct snapshot_entry *entry = &record->entry;
    return !record->continuation && entry->kind == COFRE_HARDLINK &&
           !path_is_within(entry->link, entry->link_length, l->path, l->path_length);
}

static int keep_room(struct hardlinks *l, size_t n, struct error *e)
{
    l->used += n;
    if (l->used <= LINK_BYTES_MAX)
        return 0;
    error_set(e, ERROR_RANGE, "too many hard links lead out of '%s'", l->path);
    return error_hint(e, "take the whole source, or a directory further up");
}

/* ---- which first names are elsewhere ---- */

static int note_link(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)bytes;
    (void)n;
    struct hardlinks *l = context;
    if (!leads_out(l, record))
        return 0;
    if (keep_room(l, sizeof *l->first_names + record->entry.link_length, e) < 0)
        return -1;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        struct first_name *grown = realloc(l->first_names, capacity * sizeof *grown);
        if (!grown)
            return error_memory(e);
        l->first_names = grown;
        l->capacity = capacity;
    }
    l->first_names[l->count] =
        (struct first_name){.name = text_copy(record->entry.link), .records = {.maximum = LINK_BYTES_MAX}};
    return l->first_names[l->count++].name ? 0 : error_memory(e);
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct first_name *)a)->name, ((const struct first_name *)b)->name);
}

static void sort_once(struct hardlinks *l)
{
    size_t kept = 0;
    if (l->count > 0)
        qsort(l->first_names, l->count, sizeof *l->first_names, compare);
    for (size_t i = 0; i < l->count; i++) {
        if (kept > 0 && compare(&l->first_names[i], &l->first_names[kept - 1]) == 0)
            free(l->first_names[i].name);
        else
            l->first_names[kept++] = l->first_names[i];
    }
    l->count = kept;
}

/* ---- what they hold ---- */

static struct first_name *find(const struct hardlinks *l, const char *name)
{
    const struct first_name wanted = {.name = (char *)(uintptr_t)name};
    return l->count > 0 ? bsearch(&wanted, l->first_names, l->count, sizeof wanted, compare) : NULL;
}

static int note_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    struct hardlinks *l = context;
    if (!record->continuation)
        l->at = find(l, record->entry.path);
    if (!l->at)
        return 0;
    bytes_put(&l->at->records, bytes, n);
    return keep_room(l, n, e) < 0 ? -1 : bytes_check(&l->at->records, "hard link", e);
}

/* The directory that all of them have in common, or the only one; freed by the caller. Of a sorted list, the first
 * and the last tell. */
static char *common_path(const struct hardlinks *l)
{
    const char *first = l->first_names[0].name, *last = l->first_names[l->count - 1].name;
    size_t same = 0, whole = 0;
    while (first[same] && first[same] == last[same]) {
        if (first[same] == '/')
            whole = same;
        same++;
    }
    char *path = text_copy(first);
    if (path && (first[same] || last[same]))
        path[whole] = '\0';
    return path;
}

static int read_first_names(struct hardlinks *l, struct reader *reader, const struct manifest_source *source,
                            struct error *e)
{
    if (l->count == 0)
        return 0;
    char *common = common_path(l);
    if (!common)
        return error_memory(e);
    int result = reader_catalogue(reader, source, common, note_record, l, e);
    free(common);
    return result;
}

int hardlink_gather(struct reader *reader, const struct manifest_source *source, const char *path,
                    struct hardlinks **links, struct error *e)
{
    struct hardlinks *l = calloc(1, sizeof *l);
    if (!l)
        return error_memory(e);
    l->path = path;
    l->path_length = strlen(path);
    int result = reader_catalogue(reader, source, path, note_link, l, e);
    sort_once(l);
    if (result == 0)
        result = read_first_names(l, reader, source, e);
    if (result < 0) {
        hardlink_free(l);
        return -1;
    }
    *links = l;
    return 0;
}

/* ---- putting them in place ---- */

typedef int give_function(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e);

/* The record in other words. */
static int give_encoded(const struct record *record, give_function *give, void *context, struct error *e)
{
    AUTO_BYTES struct bytes out = {.maximum = CATALOGUE_RECORD_MAX};
    if (catalogue_encode(record, &out, e) < 0)
        return -1;
    return give(context, record, out.data, out.length, e);
}

/* One stored record of the first name; *used: its length. The first is given under the link's name. */
static int give_stored(struct hardlinks *l, const uint8_t *p, size_t n, const struct snapshot_entry *link, size_t *used,
                       give_function *give, void *context, struct error *e)
{
    struct record record;
    if (catalogue_record_length(p, n, used, e) < 0 || catalogue_decode(&l->decoder, p, *used, &record, e) < 0)
        return -1;
    if (record.continuation)
        return give(context, &record, p, *used, e);
    if (record.entry.kind == COFRE_HARDLINK || record.entry.kind == COFRE_DIRECTORY)
        return error_set(e, ERROR_INTEGRITY, "hard link '%s' leads to '%s', which is none", link->path, link->link);
    record.entry.path = link->path;
    record.entry.path_length = link->path_length;
    return give_encoded(&record, give, context, e);
}

static int give_content(struct hardlinks *l, struct first_name *first_name, const struct snapshot_entry *link,
                        give_function *give, void *context, struct error *e)
{
    const uint8_t *p = first_name->records.data;
    if (!(first_name->taken = text_copy(link->path)))
        return error_memory(e);
    for (size_t at = 0, used; at < first_name->records.length; at += used)
        if (give_stored(l, p + at, first_name->records.length - at, link, &used, give, context, e) < 0)
            return -1;
    return 0;
}

int hardlink_replace(struct hardlinks *links, const struct record *record, const uint8_t *bytes, size_t n,
                     give_function *give, void *context, struct error *e)
{
    if (!links || !leads_out(links, record))
        return give(context, record, bytes, n, e);
    struct first_name *first_name = find(links, record->entry.link);
    if (!first_name || first_name->records.length == 0)
        return error_set(e, ERROR_INTEGRITY, "hard link '%s' leads to '%s', which is not in the snapshot",
                         record->entry.path, record->entry.link);
    if (!first_name->taken)
        return give_content(links, first_name, &record->entry, give, context, e);
    struct record other = *record;
    other.entry.link = first_name->taken;
    other.entry.link_length = strlen(first_name->taken);
    return give_encoded(&other, give, context, e);
}
