#include "archive/archive_hardlink.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/untar.h"
#include "base/error.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "snapshot/entry.h"
#include "snapshot/path.h"

/* A first name that is elsewhere. */
struct first_name {
    char *name, *taken;
};

struct archive_hardlink {
    struct inlet_spec tar;
    void *first_names; /* of tsearch */
    size_t used;       /* bytes of names */
    struct inlet *inlet;
    struct untar *untar; /* NULL = not begun, or at its end */
    struct snapshot_entry entry;
    char *at; /* path of the entry; NULL = before the first */
};

int archive_hardlink_new(const struct inlet_spec *tar, struct archive_hardlink **links, struct error *e)
{
    struct archive_hardlink *l = calloc(1, sizeof *l);
    if (!l)
        return error_memory(e);
    l->tar = *tar;
    *links = l;
    return 0;
}

static void first_name_free(void *p)
{
    struct first_name *first_name = p;
    free(first_name->name);
    free(first_name->taken);
    free(first_name);
}

static void close_tar(struct archive_hardlink *l)
{
    untar_free(l->untar);
    inlet_free(l->inlet);
    free(l->at);
    l->untar = NULL;
    l->inlet = NULL;
    l->at = NULL;
}

void archive_hardlink_free(struct archive_hardlink *links)
{
    if (!links)
        return;
    close_tar(links);
    tdestroy(links->first_names, first_name_free);
    free(links);
}

/* ---- names ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct first_name *)a)->name, ((const struct first_name *)b)->name);
}

static int add_first_name(struct archive_hardlink *l, const char *first_name, const char *name, struct error *e)
{
    l->used += sizeof(struct first_name) + strlen(first_name) + strlen(name);
    if (l->used > ARCHIVE_HARDLINK_BYTES_MAX) {
        error_set(e, ERROR_RANGE, "too many hard links lead out of what is wanted");
        return error_hint(e, "take the whole source, or a directory further up");
    }
    struct first_name *t = calloc(1, sizeof *t);
    if (!t)
        return error_memory(e);
    t->name = text_copy(first_name);
    t->taken = text_copy(name);
    if (t->name && t->taken && tsearch(t, &l->first_names, compare))
        return 0;
    first_name_free(t);
    return error_memory(e);
}

int archive_hardlink_take(struct archive_hardlink *links, const char *first_name, const char *name, const char **taken,
                          struct error *e)
{
    const struct first_name wanted = {.name = (char *)(uintptr_t)first_name};
    struct first_name *const *found = tfind(&wanted, &links->first_names, compare);
    *taken = found ? (*found)->taken : NULL;
    return found ? 0 : add_first_name(links, first_name, name, e);
}

/* ---- the tar archive once more ---- */

static int read_tar(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    return inlet_read(((struct archive_hardlink *)context)->inlet, p, n, got, e);
}

static int open_tar(struct archive_hardlink *l, struct error *e)
{
    return inlet_new(&l->tar, &l->inlet, e) < 0 ? -1 : untar_new(read_tar, l, &l->untar, e);
}

static int next(struct archive_hardlink *l, bool *end, struct error *e)
{
    free(l->at);
    l->at = NULL;
    if (untar_next(l->untar, &l->entry, end, e) < 0)
        return -1;
    return *end || (l->at = text_copy(l->entry.path)) ? 0 : error_memory(e);
}

/* To the end, where it shows whether everything before was right. */
int archive_hardlink_finish(struct archive_hardlink *links, struct error *e)
{
    bool end = !links->untar;
    while (!end)
        if (next(links, &end, e) < 0)
            return -1;
    close_tar(links);
    return 0;
}

static int order(const struct archive_hardlink *l, const char *first_name)
{
    return l->at ? path_compare(l->at, strlen(l->at), first_name, strlen(first_name)) : -1;
}

static int lost(const char *first_name, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "a hard link leads to '%.400s', which is no file in the tar archive",
                     first_name);
}

int archive_hardlink_seek(struct archive_hardlink *links, const char *first_name, uint64_t voids,
                          struct snapshot_entry *entry, struct untar **untar, struct error *e)
{
    bool end = false;
    if (order(links, first_name) >= 0 && archive_hardlink_finish(links, e) < 0)
        return -1;
    if (!links->untar && open_tar(links, e) < 0)
        return -1;
    while (!end && order(links, first_name) < 0)
        if (next(links, &end, e) < 0)
            return -1;
    for (; !end && voids > 0; voids--)
        if (next(links, &end, e) < 0)
            return -1;
    if (end || order(links, first_name) != 0 || links->entry.kind == COFRE_HARDLINK ||
        links->entry.kind == COFRE_DIRECTORY)
        return lost(first_name, e);
    *entry = links->entry;
    *untar = links->untar;
    return 0;
}
