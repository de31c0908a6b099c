#include "job/diff.h"

#include <string.h>

#include "base/error.h"
#include "job/entries.h"
#include "job/restore.h"
#include "snapshot/manifest.h"
#include "snapshot/path.h"

struct merging {
    struct entries *before; /* being read */
    const struct entries_item *next;
    diff_told *told;
    void *context;
    uint64_t entries;
};

static int keep(void *context, const struct entries_item *item, struct error *e)
{
    struct merging *m = context;
    m->entries++;
    return entries_add(m->before, item, e);
}

static int advance(struct merging *m, struct error *e)
{
    return entries_next(m->before, &m->next, e);
}

static int compare(const struct merging *m, const struct entries_item *before, const struct entries_item *after,
                   struct error *e)
{
    if (!entries_same_content(before, after))
        return m->told(m->context, DIFF_CHANGED, before, after, e);
    return entries_same_metadata(before, after) ? 0 : m->told(m->context, DIFF_METADATA, before, after, e);
}

/* Those before it that it passes are not there any more. */
static int merge(void *context, const struct entries_item *after, struct error *e)
{
    struct merging *m = context;
    int order = -1;
    m->entries++;
    while (m->next && (order = path_compare(m->next->path, m->next->path_length, after->path, after->path_length)) < 0)
        if (m->told(m->context, DIFF_REMOVED, m->next, NULL, e) < 0 || advance(m, e) < 0)
            return -1;
    if (!m->next || order > 0)
        return m->told(m->context, DIFF_ADDED, NULL, after, e);
    return compare(m, m->next, after, e) < 0 ? -1 : advance(m, e);
}

static int read_side(const struct diff_side *side, const char *path,
                     int (*take)(void *context, const struct entries_item *item, struct error *e), struct merging *m,
                     struct error *e)
{
    struct entries_taker taker = {.take = take, .context = m};
    int result =
        side->source ? restore_list(side->vault, side->manifest, side->source, path, entries_take, &taker, e) : 0;
    entries_taker_free(&taker);
    return result;
}

int diff_run(const struct diff_side *before, const struct diff_side *after, const char *path, const char *directory,
             diff_told *told, void *context, uint64_t *entries, struct error *e)
{
    struct merging m = {.told = told, .context = context};
    if (entries_make(directory, &m.before, e) < 0)
        return -1;
    int result = read_side(before, path, keep, &m, e);
    if (result == 0)
        result = entries_rewind(m.before, e);
    if (result == 0)
        result = advance(&m, e);
    if (result == 0)
        result = read_side(after, path, merge, &m, e);
    while (result == 0 && m.next) {
        result = told(context, DIFF_REMOVED, m.next, NULL, e);
        if (result == 0)
            result = advance(&m, e);
    }
    entries_free(m.before);
    *entries = m.entries;
    return result;
}
