/* Of an index: segments are merged, so that a search has few to look into.
 *
 * A run that absorbs much makes many: those of one host and about one size are merged as soon as there are MERGE_WIDTH
 * of them. When it has ended, the small ones are merged with each that is not larger than they are together
 * (index_merge), as long as that is not too much work for one run. So each is larger than all smaller ones together:
 * there are as many as a number has digits, and a row is written as many times in its life. It is at the end, too, that
 * rows that count no more are dropped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/index.h"
#include "repository/index_table.h"
#include "repository/pack_name.h"

#define MERGE_WIDTH 4u
#define MERGE_CHUNKS (32u << 20)
#define TINY_CHUNKS 4096u

/* ---- one segment ---- */

static int write_temporary(const struct index *index, const struct file_temporary *t, uint64_t number, const char *host,
                           const struct segment_source *sources, size_t count, struct error *e)
{
    char path[PATH_MAX + 32];
    if (segment_write(t->fd, t->path, index->identity, host, sources, count, INDEX_PLACES, e) < 0)
        return -1;
    index_list_path(index, number, path);
    if (number > 0)
        return file_temporary_name(t, path, FILE_REPLACE, e);
    return unlink(t->path) < 0 ? error_system(e, errno, "remove '%s'", t->path) : 0;
}

int index_merge_write(const struct index *index, uint64_t number, const char *host,
                      const struct segment_source *sources, size_t count, struct segment **segment, struct error *e)
{
    char path[PATH_MAX + 32];
    struct file_temporary t;
    snprintf(path, sizeof path, "%s/segment", index->path);
    if (file_temporary_make(&t, path, e) < 0)
        return -1;
    if (write_temporary(index, &t, number, host, sources, count, e) < 0) {
        unlink(t.path);
        close(t.fd);
        return -1;
    }
    return segment_open(t.fd, path, index->identity, segment, e);
}

/* ---- which ---- */

static unsigned tier(const struct index_part *part)
{
    unsigned result = 0;
    for (uint64_t chunks = part->segment->header.chunks; chunks >= TINY_CHUNKS; chunks /= MERGE_WIDTH)
        result++;
    return result;
}

static uint64_t share_of(const struct index_part *part, bool gone_alone)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < part->segment->header.objects; i++)
        if (!gone_alone || part->gone[i])
            sum += part->segment->objects[i].share + 1;
    return sum;
}

/* Parts to be merged: numbers of parts. */
#define GROUP_MAX 64
struct group {
    size_t parts[GROUP_MAX];
    size_t count;
    uint64_t chunks;
};

static void add_part(struct group *group, const struct index_part *parts, size_t i)
{
    if (group->count == GROUP_MAX)
        return;
    group->parts[group->count++] = i;
    group->chunks += parts[i].segment->header.chunks;
}

/* Of those which packs are present is known for all of a part, or not at all; and nothing of it is gone. */
static bool are_alike(const struct index_part *a, const struct index_part *b)
{
    return a->fresh && b->fresh && a->host == b->host && (a->number > 0) == (b->number > 0) && !a->present &&
           !b->present && a->all_present == b->all_present && tier(a) == tier(b) && share_of(a, true) == 0 &&
           share_of(b, true) == 0;
}

/* MERGE_WIDTH that this process has made, of one size. */
static bool choose_fresh(const struct index *index, struct group *group)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    for (size_t i = 0; i < count; i++) {
        *group = (struct group){.count = 0};
        for (size_t k = i; k < count && group->count < MERGE_WIDTH; k++)
            if (are_alike(&parts[i], &parts[k]))
                add_part(group, parts, k);
        if (group->count == MERGE_WIDTH && group->chunks <= UINT32_MAX)
            return true;
    }
    return false;
}

/* Part i and all that are smaller, of its host. */
static void group_of(const struct index_part *parts, size_t count, size_t i, struct group *group)
{
    uint64_t chunks = parts[i].segment->header.chunks;
    *group = (struct group){.count = 0};
    add_part(group, parts, i);
    for (size_t k = 0; k < count; k++) {
        uint64_t other = parts[k].segment->header.chunks;
        if (k != i && parts[k].number > 0 && parts[k].host == parts[i].host &&
            (other < chunks || (other == chunks && k > i)))
            add_part(group, parts, k);
    }
}

/* The largest that is worth it, and not too much; false when there is none. */
static bool choose_last(const struct index *index, struct group *group)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    group->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct group here;
        if (parts[i].number == 0)
            continue;
        group_of(parts, count, i, &here);
        bool worth = here.count > 1 && here.chunks >= 2 * parts[i].segment->header.chunks;
        if (!worth && 2 * share_of(&parts[i], true) > share_of(&parts[i], false)) {
            here = (struct group){.count = 0};
            add_part(&here, parts, i);
            worth = true;
        }
        if (worth && here.chunks <= MERGE_CHUNKS && (group->count == 0 || here.chunks > group->chunks))
            *group = here;
    }
    return group->count > 0;
}

/* ---- merging ---- */

static int merge(const struct index *index, const struct group *group, uint64_t number, bool drop,
                 struct segment **segment, struct error *e)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    struct segment_source sources[GROUP_MAX];
    for (size_t i = 0; i < group->count; i++) {
        const struct index_part *part = &parts[group->parts[i]];
        sources[i] = (struct segment_source){
            .segment = part->segment, .dropped = drop ? part->gone : NULL, .unbounded = part->own};
    }
    const char *host = parts[group->parts[0]].segment->header.host;
    return index_merge_write(index, number, host, sources, group->count, segment, e);
}

static void unlist(const struct index *index, const struct group *group, struct index_list *list)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    for (size_t i = 0; i < group->count; i++)
        index_list_remove(list, parts[group->parts[i]].number);
}

static int merge_group(struct index *index, const struct group *group, struct index_list *list, struct error *e)
{
    size_t count;
    struct segment *segment;
    const struct index_part *parts = index_parts(index, &count);
    bool named = parts[group->parts[0]].number > 0;
    uint64_t number = named ? list->next++ : 0;
    if (merge(index, group, number, false, &segment, e) < 0)
        return -1;
    if (named && index_list_add(list, number, segment->header.host, e) < 0) {
        segment_close(segment);
        return -1;
    }
    unlist(index, group, list);
    for (size_t i = group->count; i-- > 0;)
        index_part_remove(index, group->parts[i]);
    return index_part_add(index, segment, number, true, e);
}

/* Before anybody was told which packs are present, or of those that have come after that: rows of packs are numbered
 * anew. Nothing is dropped. */
int index_merge_fresh(struct index *index, struct index_list *list, struct error *e)
{
    struct group group;
    while (choose_fresh(index, &group))
        if (merge_group(index, &group, list, e) < 0)
            return -1;
    return 0;
}

static bool are_listed(const struct index *index, const struct group *group, const struct index_list *list)
{
    size_t count;
    const struct index_part *parts = index_parts(index, &count);
    for (size_t i = 0; i < group->count; i++)
        if (!index_list_has(list, parts[group->parts[i]].number))
            return false;
    return true;
}

static int merge_listed(const struct index *index, const struct group *group, struct index_list *list, struct error *e)
{
    struct segment *segment;
    uint64_t number = list->next++;
    if (merge(index, group, number, true, &segment, e) < 0)
        return -1;
    unlist(index, group, list);
    int result = index_list_add(list, number, segment->header.host, e);
    segment_close(segment);
    return result < 0 ? -1 : index_list_write(index, list, e);
}

int index_merge(const struct index *index, struct error *e)
{
    struct group group;
    struct index_list list;
    if (!choose_last(index, &group))
        return 0;
    AUTO_CLOSE int lock = index_list_lock(index, e);
    if (lock < 0 || index_list_read(index, &list, e) < 0)
        return -1;
    int result = are_listed(index, &group, &list) ? merge_listed(index, &group, &list, e) : 0;
    bytes_free(&list.entries);
    return result;
}
