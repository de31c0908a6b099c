#include "archive/present.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/inventory.h"
#include "archive/outlet.h"
#include "base/error.h"
#include "base/file.h"
#include "worker/sink.h"

struct file {
    const char *name; /* the last part of its key */
    uint64_t size;
    bool there;
};

struct check {
    size_t prefix;      /* bytes of a key before the name */
    struct file *files; /* sorted */
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int look(void *context, const struct sink_object *object, struct error *e)
{
    const struct check *c = context;
    struct file wanted = {.name = object->key + c->prefix};
    struct file *file = bsearch(&wanted, c->files, c->count, sizeof wanted, compare);
    if (!file)
        return 0;
    file->there = true;
    if (object->size == file->size)
        return 0;
    error_set(e, ERROR_PERMANENT, "'%s' was stored with %llu bytes and has %llu", object->key,
              (unsigned long long)file->size, (unsigned long long)object->size);
    return error_hint(e,
                      "the sink does not keep what it is given: is it full, or is something between that changes it?");
}

static int find_all(struct sink *sink, const char *prefix, const struct check *c, struct error *e)
{
    qsort(c->files, c->count, sizeof *c->files, compare);
    if (sink_list(sink, prefix, look, (void *)(uintptr_t)c, e) < 0)
        return -1;
    for (size_t i = 0; i < c->count; i++) {
        if (c->files[i].there)
            continue;
        error_set(e, ERROR_PERMANENT, "'%s%s' was stored and is not there", prefix, c->files[i].name);
        return error_hint(e, "the sink does not keep what it is given: see what it is, and who else can remove there");
    }
    return 0;
}

static int check_files(struct sink *sink, const struct inventory *inventory, struct error *e)
{
    char prefix[ARCHIVE_KEY_SIZE];
    AUTO_FREE struct file *files = calloc(inventory->file_count + 1, sizeof *files);
    if (!files)
        return error_memory(e);
    archive_key(inventory->manifest->job, inventory->manifest->id, "", prefix);
    struct check c = {.prefix = strlen(prefix), .files = files};
    for (size_t i = 0; i < inventory->file_count; i++)
        files[c.count++] = (struct file){.name = inventory->files[i].name, .size = inventory->files[i].stored};
    return find_all(sink, prefix, &c, e);
}

int present_check(struct archive *archive, const struct inventory *inventory, const struct bytes *manifest,
                  struct error *e)
{
    if (check_files(archive->sink, inventory, e) < 0)
        return -1;
    if (archive_check_sums(archive, inventory, manifest, e) == 0)
        return 0;
    if (e->class == ERROR_INTEGRITY)
        e->class = ERROR_PERMANENT; /* it is not what is stored that is wrong, but the storing */
    return error_context(e, "read back: ");
}

int present_compare(struct sink *sink, const char *key, const struct outlet_sample *sample, struct error *e)
{
    uint8_t back[OUTLET_SAMPLE];
    if (sink_get_range(sink, key, sample->offset, back, sample->length, e) < 0)
        return error_context(e, "read back: ");
    if (memcmp(back, sample->bytes, sample->length) == 0)
        return 0;
    return error_set(e, ERROR_PERMANENT, "read back: '%s' is not what was written", key);
}
