#include "archive/archive_prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/archive_annotation.h"
#include "archive/archive_removal.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/sink.h"

static struct archive *own(const struct vault *vault)
{
    return vault->own;
}

/* ---- how they stand ---- */

/* JOB/ID of which there is an object. */
struct place {
    char job[64], id[MANIFEST_ID_SIZE];
    bool manifest; /* there, so that it is a snapshot */
    bool removed;  /* a removal record names it */
    bool pinned, accepted;
    int64_t pinned_until;
    char host[64]; /* whose that record is */
};
struct places {
    struct place *items;
    size_t count, capacity;
};

static struct place *add_place(struct places *p, struct error *e)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        struct place *items = reallocarray(p->items, capacity, sizeof *items);
        if (!items) {
            error_memory(e);
            return NULL;
        }
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->count] = (struct place){.manifest = false};
    return &p->items[p->count++];
}

/* Objects of a snapshot come mostly one after another: one place for each such row of them. */
static int add_object(void *context, const struct sink_object *object, struct error *e)
{
    struct places *p = context;
    char job[64], id[MANIFEST_ID_SIZE];
    int end = 0;
    if (sscanf(object->key, "%63[^/]/%23[^/]/%n", job, id, &end) != 2 || end == 0 || !text_is_name(job) ||
        !manifest_is_id(id))
        return 0;
    struct place *last = p->count > 0 ? &p->items[p->count - 1] : NULL;
    if (!last || strcmp(last->job, job) != 0 || strcmp(last->id, id) != 0) {
        if (!(last = add_place(p, e)))
            return -1;
        memcpy(last->job, job, sizeof job);
        memcpy(last->id, id, sizeof id);
    }
    last->manifest = last->manifest || strcmp(object->key + end, ARCHIVE_MANIFEST) == 0;
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = strcmp(x->job, y->job);
    return order ? order : strcmp(x->id, y->id);
}

static void join_places(struct places *p)
{
    size_t kept = 0;
    if (p->count > 0)
        qsort(p->items, p->count, sizeof *p->items, compare_places);
    for (size_t i = 0; i < p->count; i++) {
        if (kept > 0 && compare_places(&p->items[kept - 1], &p->items[i]) == 0)
            p->items[kept - 1].manifest = p->items[kept - 1].manifest || p->items[i].manifest;
        else
            p->items[kept++] = p->items[i];
    }
    p->count = kept;
}

/* A range explains a gap, and names nobody: what would be in it and is there was not removed by that record. */
static int mark_removed(void *context, const struct verify_link *removed, struct error *e)
{
    struct places *p = context;
    struct place wanted;
    (void)e;
    if (removed->first_sequence)
        return 0;
    memcpy(wanted.job, removed->job, sizeof wanted.job);
    memcpy(wanted.id, removed->id, sizeof wanted.id);
    struct place *place = p->count > 0 ? bsearch(&wanted, p->items, p->count, sizeof *p->items, compare_places) : NULL;
    if (!place)
        return 0;
    place->removed = true;
    memcpy(place->host, removed->host, sizeof place->host);
    return 0;
}

/* What cannot be read may be what keeps it. */
static int mark_annotation(void *context, const struct vault_annotation *a, const struct error *why, struct error *e)
{
    const struct places *p = context;
    struct error said = *why;
    struct place wanted;
    (void)e;
    memcpy(wanted.job, a->name.job, sizeof wanted.job);
    memcpy(wanted.id, a->name.id, sizeof wanted.id);
    struct place *place = p->count > 0 ? bsearch(&wanted, p->items, p->count, sizeof *p->items, compare_places) : NULL;
    if (!place)
        return 0;
    if (why->class == ERROR_NONE && a->kind == VAULT_ACCEPTED) {
        place->accepted = true;
        return 0;
    }
    place->pinned = true;
    place->pinned_until = why->class == ERROR_NONE ? a->until : VAULT_PIN_FOREVER;
    if (why->class != ERROR_NONE) {
        error_hint(&said, "its snapshot is kept; to say it anew: cofre pin, cofre unpin, cofre accept");
        log_error(LOG_WARNING, &said);
    }
    return 0;
}

struct looking {
    struct archive *archive;
    const char *host;
    vault_stands *stands;
    void *context;
};

static void fill_standing(struct vault_standing *s, const struct manifest *m, const struct bytes *text)
{
    snprintf(s->name.host, sizeof s->name.host, "%s", m->host);
    s->sequence = m->sequence;
    s->started = m->started;
    s->ended = m->ended;
    s->complete = m->status == MANIFEST_COMPLETE;
    s->partial = m->partial;
    s->suspect = manifest_is_suspect(m);
    memcpy(s->previous, m->previous_hash, sizeof s->previous);
    s->manifest = text;
}

/* What has no manifest is a snapshot being made, or was never finished, or is the rest of a removed one. One that is
 * gone by now was removed by another prune. */
static int look_at(const struct looking *l, const struct place *place, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = INVENTORY_MAX};
    struct vault_standing s = {.removed = place->removed, .pinned = place->pinned, .pinned_until = place->pinned_until};
    struct inventory inventory = {0};
    struct error why = {.class = ERROR_NONE};
    memcpy(s.name.job, place->job, sizeof s.name.job);
    memcpy(s.name.id, place->id, sizeof s.name.id);
    if (!place->manifest) {
        memcpy(s.name.host, place->host, sizeof s.name.host);
        if (!place->removed)
            return 0;
    } else if (archive_read(l->archive, place->job, place->id, &inventory, &text, &why) == 0) {
        why.class = ERROR_NONE;
        fill_standing(&s, inventory.manifest, &text);
        s.suspect = s.suspect && !place->accepted;
    } else if (why.class == ERROR_NOT_FOUND && text.length == 0) {
        return 0;
    } else if (!sink_is_of_object(&why)) {
        *e = why;
        return -1;
    }
    bool wanted = !l->host || s.name.host[0] == '\0' || strcmp(l->host, s.name.host) == 0;
    int result = wanted ? l->stands(l->context, &s, &why, e) : 0;
    inventory_free(&inventory);
    return result;
}

int archive_prune_standings(struct vault *vault, const char *host, const char *job, vault_stands *stands, void *context,
                            struct error *e)
{
    struct places places = {.count = 0};
    const struct looking looking = {.archive = own(vault), .host = host, .stands = stands, .context = context};
    char prefix[80] = "";
    if (job)
        snprintf(prefix, sizeof prefix, "%s/", job);
    int result = sink_list(vault->sink, prefix, add_object, &places, e);
    join_places(&places);
    if (result == 0)
        result = archive_prune_removals(vault, NULL, job, mark_removed, &places, e);
    if (result == 0)
        result = archive_annotation_each(own(vault), job, mark_annotation, &places, e);
    for (size_t i = 0; result == 0 && i < places.count; i++)
        result = look_at(&looking, &places.items[i], e);
    free(places.items);
    return result < 0 ? error_subject(e, "sink", sink_name(vault->sink)) : 0;
}

/* ---- removing ---- */

static void add_form(struct archive_removal_row *row, const uint8_t hash[MANIFEST_HASH_SIZE])
{
    if (row->previous_count < VERIFY_PREVIOUS_MAX)
        memcpy(row->previous[row->previous_count++], hash, MANIFEST_HASH_SIZE);
}

/* The manifest once more, as it stands: what it followed is known in several forms. */
static int fill_row(struct archive *archive, const struct vault_removal *removal, struct archive_removal_row *row,
                    struct error *e)
{
    const struct vault_standing *s = removal->standing;
    struct inventory inventory;
    if (archive_read(archive, s->name.job, s->name.id, &inventory, NULL, e) < 0)
        return -1;
    const struct manifest *m = inventory.manifest;
    *row = (struct archive_removal_row){.sequence = s->sequence,
                                        .started = s->started,
                                        .reasons = removal->reasons,
                                        .reason_count = removal->reason_count};
    memcpy(row->id, s->name.id, sizeof row->id);
    memcpy(row->hash, s->hash, sizeof row->hash);
    if (m->previous_id[0] != '\0')
        add_form(row, m->previous_hash);
    for (size_t i = 0; i < m->previous_form_count; i++)
        add_form(row, m->previous_forms[i]);
    inventory_free(&inventory);
    return 0;
}

static int fill_rows(struct archive *archive, const struct vault_removal *removals, size_t count,
                     struct archive_removal_row *rows, size_t *filled, struct error *e)
{
    *filled = 0;
    for (size_t i = 0; i < count; i++)
        if (!removals[i].standing->removed && fill_row(archive, &removals[i], &rows[(*filled)++], e) < 0)
            return -1;
    return 0;
}

/* Name those that no record names yet. */
static int record(struct archive *archive, const struct vault_removal *removals, size_t count, struct error *e)
{
    const struct vault_name *name = &removals[0].standing->name;
    struct archive_removal_row *rows = calloc(count, sizeof *rows);
    size_t filled;
    if (!rows)
        return error_memory(e);
    int result = fill_rows(archive, removals, count, rows, &filled, e);
    if (result == 0 && filled > 0 && archive_removal_put(archive, name->host, name->job, false, rows, filled, e) < 0)
        result = error_consequence(e, "the removal record could not be stored, so nothing is removed: ");
    free(rows);
    return result;
}

static int add_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of a snapshot", e);
}

static int remove_one(struct archive *archive, const struct vault_name *name, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = (size_t)64 << 20};
    char key[ARCHIVE_KEY_SIZE], prefix[ARCHIVE_KEY_SIZE];
    archive_key(name->job, name->id, ARCHIVE_MANIFEST, key);
    archive_key(name->job, name->id, "", prefix);
    if (sink_remove(archive->sink, key, e) < 0 || sink_sync(archive->sink, e) < 0 ||
        sink_list(archive->sink, prefix, add_key, &keys, e) < 0)
        return -1;
    if (keys.length > 0 && sink_remove_many(archive->sink, (const char *)keys.data, keys.length, e) < 0)
        return -1;
    bool was;
    if (archive_annotation_remove(archive, VAULT_PIN, name, &was, e) < 0 ||
        archive_annotation_remove(archive, VAULT_ACCEPTED, name, &was, e) < 0)
        return -1;
    return sink_sync(archive->sink, e);
}

int archive_prune_remove(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                         void *context, struct error *e)
{
    ASSERT(count > 0 && count <= VAULT_REMOVALS_MAX);
    if (record(own(vault), removals, count, e) < 0)
        return error_subject(e, "sink", sink_name(vault->sink));
    struct error why = {.class = ERROR_NONE};
    for (size_t i = 0; i < count; i++) {
        const struct vault_name *name = &removals[i].standing->name;
        /* What is none of an object's is waited for once. */
        bool lost = why.class != ERROR_NONE && !sink_is_of_object(&why);
        if (!lost && remove_one(own(vault), name, &why) == 0)
            why.class = ERROR_NONE;
        gone(context, name, &why);
    }
    return 0;
}

/* ---- removal records ---- */

struct telling {
    const struct vault *vault;
    vault_removed *removed;
    void *context;
};

static int tell(void *context, const struct verify_link *removed, struct error *e)
{
    const struct telling *t = context;
    return t->removed(t->context, removed, e);
}

static void warn(void *context, const char *key, const struct error *why)
{
    const struct telling *t = context;
    struct error e = *why;
    error_context(&e, "'%s' says nothing: ", key);
    error_subject(&e, "sink", sink_name(t->vault->sink));
    log_error(LOG_WARNING, &e);
}

int archive_prune_removals(struct vault *vault, const char *host, const char *job, vault_removed *removed,
                           void *context, struct error *e)
{
    struct telling telling = {.vault = vault, .removed = removed, .context = context};
    return archive_removal_list(own(vault), host, job, tell, warn, &telling, e);
}

int archive_prune_records(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e)
{
    (void)host;
    return archive_removal_keys(own(vault), job, keys, e);
}

int archive_prune_record(struct vault *vault, const char *host, const char *job, const struct verify_link *rows,
                         size_t count, struct error *e)
{
    AUTO_FREE struct archive_removal_row *filled = calloc(count + 1, sizeof *filled);
    if (!filled)
        return error_memory(e);
    for (size_t i = 0; i < count; i++) {
        struct archive_removal_row *row = &filled[i];
        *row = (struct archive_removal_row){.sequence = rows[i].sequence,
                                            .started = rows[i].started,
                                            .first_sequence = rows[i].first_sequence,
                                            .previous_count = rows[i].previous_count};
        memcpy(row->id, rows[i].id, sizeof row->id);
        memcpy(row->first_id, rows[i].first_id, sizeof row->first_id);
        memcpy(row->hash, rows[i].hash, sizeof row->hash);
        memcpy(row->previous, rows[i].previous, sizeof row->previous);
    }
    return archive_removal_put(own(vault), host, job, true, filled, count, e);
}

int archive_prune_forget(struct vault *vault, const struct bytes *keys, struct error *e)
{
    return archive_removal_forget(own(vault), keys, e);
}

bool archive_prune_may(struct vault *vault, const char *host)
{
    (void)vault;
    (void)host;
    return true;
}
