#include "repository/verify_packs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/needs.h"
#include "repository/repository.h"
#include "repository/scrub.h"
#include "worker/sink.h"

#define BAD_MAX ((size_t)256 << 20)

/* A pack that is damaged, or not there. */
struct bad {
    struct pack_name name;
    char text[256];
    bool absent;    /* nothing of that name is listed */
    bool missed;    /* a snapshot needs it */
    bool described; /* the index has chunks of it */
    bool lost;      /* one of them is whole nowhere */
};

static void add_bad(struct verify_packs *v, const struct pack_name *name, bool absent, const char *text)
{
    struct bad bad = {.name = *name, .absent = absent};
    snprintf(bad.text, sizeof bad.text, "%s", text);
    bytes_put(&v->bad, &bad, sizeof bad); /* too many of them: verify_packs_report fails */
}

/* ---- loading ---- */

/* The pack among the first so many of those listed. */
static const struct index_pack *find_listed(const struct verify_packs *v, size_t count, const struct pack_name *name)
{
    const struct index_pack wanted = {.name = *name};
    return count > 0 ? bsearch(&wanted, v->listed, count, sizeof wanted, pack_name_compare) : NULL;
}

/* Packs that are there and that only their own directories describe. */
static void note_strays(struct verify_packs *v)
{
    for (size_t row = 0; row < index_pack_count(v->repository->index); row++) {
        struct pack_name name;
        uint64_t size;
        index_pack_at(v->repository->index, row, &name, &size);
        const struct index_pack *found = find_listed(v, v->count, &name);
        v->stray[row] = found && !found->known;
    }
}

/* Packs that an index object describes and that are not there, or have another size. */
static void note_absent(struct verify_packs *v)
{
    const struct index *index = v->repository->index;
    for (size_t row = 0; row < index_pack_count(index); row++) {
        struct pack_name name;
        uint64_t size;
        char text[256], key[201] = "its index object";
        if (index_pack_at(index, row, &name, &size) || index_pack_is_gone(index, row))
            continue;
        if (index_pack_object(index, row))
            repository_index_key(pack_name_host(&name), index_pack_object(index, row), key);
        snprintf(text, sizeof text, "it is missing, or has another size than '%.180s' says", key);
        add_bad(v, &name, !find_listed(v, v->count, &name), text);
    }
}

int verify_packs_load(struct verify_packs *v, struct error *e)
{
    struct repository *r = v->repository;
    v->bad.maximum = BAD_MAX;
    if (repository_load_index(r, REPOSITORY_ALL, e) < 0 || repository_check_index(r, e) < 0 ||
        repository_list_packs(r, &v->listed, &v->count, e) < 0 ||
        index_set_present(r->index, v->listed, v->count, e) < 0)
        return -1;
    note_absent(v);
    if (repository_fix_index(r, v->listed, v->count, e) < 0)
        return -1;
    v->needed = calloc(index_pack_count(r->index) + 1, 1);
    v->stray = calloc(index_pack_count(r->index) + 1, 1);
    v->whole = calloc(index_chunk_count(r->index) + 1, 1);
    v->reach = calloc(index_chunk_count(r->index) + 1, sizeof *v->reach);
    v->rows = calloc(index_pack_count(r->index) + 1, sizeof *v->rows);
    v->right = calloc(index_pack_count(r->index) + 1, sizeof *v->right);
    v->said = calloc(index_object_count(r->index) + 1, 1);
    v->sound = calloc(v->count + 1, 1);
    v->opened = calloc(v->count + 1, 1);
    if (!v->needed || !v->stray || !v->whole || !v->reach || !v->rows || !v->right || !v->said || !v->sound ||
        !v->opened)
        return error_memory(e);
    note_strays(v);
    for (size_t i = 0; i < index_chunk_count(r->index); i++) {
        struct index_location location;
        index_chunk_at(r->index, i, INDEX_READ, &location);
        v->rows[location.pack_row]++;
    }
    return 0;
}

void verify_packs_free(struct verify_packs *v)
{
    free(v->listed);
    free(v->needed);
    free(v->stray);
    free(v->whole);
    free(v->reach);
    free(v->rows);
    free(v->right);
    free(v->said);
    free(v->sound);
    free(v->opened);
    bytes_free(&v->bad);
}

void verify_packs_need(struct verify_packs *v, const uint8_t *id, uint64_t n)
{
    struct index_location location;
    bool described = false;
    if (index_find(v->repository->index, id, INDEX_READ, 0, &location)) {
        uint32_t *reach = &v->reach[index_first_row(v->repository->index, id)];
        *reach = n > *reach ? (uint32_t)n : *reach;
    }
    for (unsigned nth = 0; index_find(v->repository->index, id, INDEX_READ, nth, &location); nth++) {
        described = described || !v->stray[location.pack_row];
        v->needed[location.pack_row] |= !v->stray[location.pack_row];
    }
    /* What a run that was cut off has left is needed for what is nowhere else. */
    for (unsigned nth = 0; !described && index_find(v->repository->index, id, INDEX_READ, nth, &location); nth++)
        v->needed[location.pack_row] = 1;
}

void verify_packs_miss(struct verify_packs *v, const struct needs *needs)
{
    struct bad *bad = (void *)v->bad.data;
    for (size_t i = 0; i < v->bad.length / sizeof *bad; i++)
        bad[i].missed = bad[i].missed || !needs || needs_has(needs, &bad[i].name);
}

bool verify_packs_have(const struct verify_packs *v, const uint8_t *id, uint64_t n)
{
    struct index_location location;
    for (unsigned nth = 0; index_find(v->repository->index, id, INDEX_READ, nth, &location); nth++)
        if (!v->looked || (v->whole[location.row] && location.chunk.plain >= n))
            return true;
    return false;
}

/* ---- looking ---- */

/* Which of the listed packs does a chosen snapshot refer to? */
static void find_needed(const struct verify_packs *v, uint8_t *needed)
{
    for (size_t row = 0; row < index_pack_count(v->repository->index); row++) {
        struct pack_name name;
        uint64_t size;
        if (!v->needed[row] || !index_pack_at(v->repository->index, row, &name, &size))
            continue;
        const struct index_pack *found = find_listed(v, v->count, &name);
        if (found)
            needed[found - v->listed] = 1;
    }
}

/* The packs to look into: those that are needed, or all, moved to the front. One that is listed and that no index
 * object describes is damage when a snapshot needs it; else a run was cut off there, and nothing has followed it yet.
 */
static int choose(struct verify_packs *v, bool all, struct error *e)
{
    AUTO_FREE uint8_t *needed = calloc(v->count + 1, 1);
    if (!needed)
        return error_memory(e);
    find_needed(v, needed);
    size_t left_over = 0;
    for (size_t i = 0; i < v->count; i++) {
        char key[201];
        pack_name_key(&v->listed[i].name, key);
        if (!v->listed[i].known && needed[i])
            v->damage(v->context, key, "snapshots need it, but the index object that described it is gone or damaged");
        left_over += !v->listed[i].known && !needed[i];
        if (all || needed[i])
            v->listed[v->chosen++] = v->listed[i];
    }
    if (left_over > 0 && all)
        log_line(LOG_NOTICE, "sink '%s': %zu packs of runs that did not end belong to no snapshot",
                 sink_name(v->repository->sink), left_over);
    return 0;
}

/* Rows that say the same as the pack itself are right. */
static void on_chunk(void *context, const struct pack_name *pack, const struct pack_chunk *chunk, bool whole)
{
    struct verify_packs *v = context;
    struct index_location location;
    const struct index_pack *listed = find_listed(v, v->chosen, pack);
    ASSERT(listed);
    v->opened[listed - v->listed] = 1;
    for (unsigned nth = 0; index_find(v->repository->index, chunk->id, INDEX_READ, nth, &location); nth++) {
        if (nth == 0 && whole && v->reach[index_first_row(v->repository->index, chunk->id)] > chunk->plain)
            v->short_of = true;
        if (memcmp(&location.chunk, chunk, sizeof *chunk) != 0 || !pack_name_is(&location.pack, pack))
            continue;
        v->whole[location.row] = whole;
        v->right[location.pack_row]++;
    }
}

static void on_damage(void *context, const struct pack_name *pack, const char *text)
{
    struct verify_packs *v = context;
    add_bad(v, pack, false, text);
    repository_doubt(v->repository, pack);
}

static void on_sound(void *context, const struct pack_name *pack)
{
    struct verify_packs *v = context;
    const struct index_pack *found = find_listed(v, v->chosen, pack);
    ASSERT(found);
    v->sound[found - v->listed] = 1;
    repository_trust(v->repository, pack);
}

static void on_progress(void *context, uint64_t bytes)
{
    const struct verify_packs *v = context;
    v->progress(v->context, bytes);
}

int verify_packs_look(struct verify_packs *v, bool all, bool quick, struct error *e)
{
    if (choose(v, all, e) < 0)
        return -1;
    if (quick)
        return 0;
    struct scrub_audience audience = {
        .chunk = on_chunk, .damage = on_damage, .sound = on_sound, .progress = on_progress, .context = v};
    if (scrub_packs(v->repository, v->listed, v->chosen, &audience, e) < 0)
        return -1;
    v->looked = true;
    return 0;
}

/* ---- what is damaged for good ---- */

/* Is the chunk whole at that place, as far as was looked? */
static bool is_good(const struct verify_packs *v, const struct index_location *location)
{
    const struct index_pack *pack = v->looked ? find_listed(v, v->chosen, &location->pack) : NULL;
    if (!pack)
        return true;
    return v->repository->key->full ? v->whole[location->row] : v->sound[pack - v->listed];
}

static bool is_lost(const struct verify_packs *v, const uint8_t *id)
{
    struct index_location location;
    for (unsigned nth = 0; index_find(v->repository->index, id, INDEX_READ, nth, &location); nth++)
        if (is_good(v, &location))
            return false;
    return true;
}

/* Which of the bad packs have a chunk that is whole nowhere? */
static void find_lost(const struct verify_packs *v, struct bad *bad, size_t count)
{
    const struct index *index = v->repository->index;
    for (size_t i = 0; i < index_chunk_count(index); i++) {
        struct index_location location;
        struct bad wanted;
        index_chunk_at(index, i, INDEX_READ, &location);
        wanted.name = location.pack;
        struct bad *found = bsearch(&wanted, bad, count, sizeof wanted, pack_name_compare);
        if (!found)
            continue;
        found->described = true;
        found->lost = found->lost || is_lost(v, location.chunk.id);
    }
}

/* Index objects that say of a pack what its own directory does not. A pack that is not what its name stands for tells
 * nothing of them. */
static void report_lies(struct verify_packs *v)
{
    const struct index *index = v->repository->index;
    for (size_t row = 0; v->looked && row < index_pack_count(index); row++) {
        struct pack_name name;
        uint64_t size;
        const uint8_t *object = index_pack_object(index, row);
        if (!index_pack_at(index, row, &name, &size) || v->right[row] == v->rows[row] || !object)
            continue;
        const struct index_pack *found = find_listed(v, v->chosen, &name);
        uint8_t *said = &v->said[index_pack_object_number(index, row)];
        if (!found || !v->opened[found - v->listed] || !v->sound[found - v->listed] || *said)
            continue;
        *said = 1;
        char key[201], pack[201], text[256];
        repository_index_key(pack_name_host(&name), object, key);
        pack_name_key(&name, pack);
        snprintf(text, sizeof text, "it says of '%.180s' what the pack itself does not; nothing is lost by it", pack);
        v->damage(v->context, key, text);
    }
}

/* One may be both missing with its size and damaged as it is: it is said once. */
static size_t sort_bad(struct bad *bad, size_t count)
{
    size_t kept = 0;
    qsort(bad, count, sizeof *bad, pack_name_compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !pack_name_is(&bad[kept - 1].name, &bad[i].name))
            bad[kept++] = bad[i];
    return kept;
}

static void report_bad(const struct verify_packs *v, const struct bad *bad)
{
    char key[201];
    pack_name_key(&bad->name, key);
    bool lost = bad->lost || !bad->described;
    if (lost && !v->aside)
        v->damage(v->context, key, bad->text);
    else if (lost)
        log_line(LOG_NOTICE, "sink '%s': '%s' is damaged or gone; the snapshot needs nothing of it",
                 sink_name(v->repository->sink), key);
    else
        log_line(LOG_NOTICE, "sink '%s': '%s' is damaged or gone, and all that it held is whole in other packs",
                 sink_name(v->repository->sink), key);
}

int verify_packs_report(struct verify_packs *v, struct error *e)
{
    struct bad *bad = (void *)v->bad.data;
    size_t collected = 0;
    if (bytes_check(&v->bad, "list of damaged packs", e) < 0)
        return -1;
    report_lies(v);
    if (!bad)
        return 0;
    size_t count = sort_bad(bad, v->bad.length / sizeof *bad);
    find_lost(v, bad, count);
    for (size_t i = 0; i < count; i++) {
        if (bad[i].absent && !bad[i].missed && !v->aside)
            collected++;
        else
            report_bad(v, &bad[i]);
    }
    if (collected > 0)
        log_line(LOG_INFO, "sink '%s': index objects describe %zu packs that are gone and that no snapshot needs",
                 sink_name(v->repository->sink), collected);
    return 0;
}
