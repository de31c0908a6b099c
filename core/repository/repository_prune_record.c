/* Removal records, read and stored: part of repository_prune.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/confirm.h"
#include "repository/key.h"
#include "repository/placed.h"
#include "repository/removal.h"
#include "repository/repository.h"
#include "repository/repository_prune.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)

static struct repository *own(const struct vault *vault)
{
    return vault->own;
}

/* ---- reading ---- */

#define RECALLS 3 /* so often from the start, when records were joined while they were read */

/* removed->object: the record's key. */
struct recalling {
    struct repository *repository;
    bool went; /* one that was listed is not there */
    vault_removed *removed;
    void *context;
};

static int tell_removal(const struct recalling *r, const char *key, const struct removal *removal, struct error *e)
{
    static const uint8_t none[MANIFEST_HASH_SIZE];
    const uint8_t *signer = r->repository->key->signer_public;
    for (size_t i = 0; i < removal->count; i++) {
        const struct removal_snapshot *s = &removal->snapshots[i];
        struct verify_link link = {.sequence = s->sequence,
                                   .readable = true,
                                   .removed = true,
                                   .own = memcmp(removal->signer, signer, sizeof removal->signer) == 0,
                                   .started = s->started,
                                   .joined = removal->joined,
                                   .recorded = removal->removed,
                                   .first_sequence = s->first_sequence};
        memcpy(link.host, removal->name.host, sizeof link.host);
        memcpy(link.job, removal->name.job, sizeof link.job);
        memcpy(link.id, s->id, sizeof link.id);
        memcpy(link.first_id, s->first_id, sizeof link.first_id);
        memcpy(link.object, key, strlen(key) + 1);
        memcpy(link.hash, s->hash, sizeof link.hash);
        memcpy(link.previous[0], s->previous, sizeof link.previous[0]);
        link.previous_count = memcmp(s->previous, none, sizeof none) != 0;
        if (r->removed(r->context, &link, e) < 0)
            return -1;
    }
    return 0;
}

static int read_removal(void *context, const char *key, const struct bytes *object, const struct error *why,
                        struct error *e)
{
    struct recalling *r = context;
    struct removal removal;
    struct error wrong;
    r->went = r->went || (!object && why->class == ERROR_NOT_FOUND);
    if (!object)
        return placed_pass_over(r->repository, why, e);
    if (removal_open(r->repository, key, object, &removal, &wrong) < 0) {
        if (!wrong.hint[0])
            error_hint(&wrong, "it explains nothing, and nothing is removed by it: see cofre verify");
        return placed_pass_over(r->repository, &wrong, e);
    }
    int result = tell_removal(r, key, &removal, e);
    removal_free(&removal);
    return result;
}

int repository_prune_records(struct vault *vault, const char *host, const char *job, struct bytes *keys,
                             struct error *e)
{
    return placed_list(own(vault), REMOVAL_PREFIX, host, job, keys, e);
}

int repository_prune_removals(struct vault *vault, const char *host, const char *job, vault_removed *removed,
                              void *context, struct error *e)
{
    struct repository *repository = own(vault);
    struct recalling r = {.repository = repository, .went = true, .removed = removed, .context = context};
    for (int i = 0; i < RECALLS && r.went; i++) {
        AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
        r.went = false;
        if (repository_prune_records(vault, host, job, &keys, e) < 0 ||
            sink_get_each(repository->sink, (const char *)keys.data, keys.length, REMOVAL_OBJECT_MAX, read_removal, &r,
                          e) < 0)
            return -1;
    }
    return 0;
}

/* ---- storing ---- */

int repository_prune_store(struct repository *r, struct removal *removal, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = REMOVAL_OBJECT_MAX};
    char key[201];
    removal->removed = clock_now();
    manifest_make_id(removal->removed, "", removal->name.id);
    placed_key(REMOVAL_PREFIX, &removal->name, key);
    if (removal_seal(r, removal, &object, e) < 0 || sink_put(r->sink, key, object.data, object.length, true, e) < 0 ||
        sink_sync(r->sink, e) < 0 || confirm_object(r, key, &object, e) < 0)
        return error_subject(e, "sink", sink_name(r->sink));
    return 0;
}

/* ---- joining: format/join.h ---- */

static struct removal_snapshot snapshot_of_row(const struct verify_link *row)
{
    struct removal_snapshot s = {
        .sequence = row->sequence, .started = row->started, .first_sequence = row->first_sequence};
    memcpy(s.id, row->id, sizeof s.id);
    memcpy(s.first_id, row->first_id, sizeof s.first_id);
    memcpy(s.hash, row->hash, sizeof s.hash);
    memcpy(s.previous, row->previous[0], sizeof s.previous); /* zero in a first */
    return s;
}

int repository_prune_record(struct vault *vault, const char *host, const char *job, const struct verify_link *rows,
                            size_t count, struct error *e)
{
    AUTO_FREE struct removal_snapshot *snapshots = calloc(count + 1, sizeof *snapshots);
    struct removal removal = {.joined = true, .snapshots = snapshots, .count = count};
    if (!snapshots)
        return error_memory(e);
    snprintf(removal.name.host, sizeof removal.name.host, "%s", host);
    snprintf(removal.name.job, sizeof removal.name.job, "%s", job);
    for (size_t i = 0; i < count; i++)
        snapshots[i] = snapshot_of_row(&rows[i]);
    return repository_prune_store(own(vault), &removal, e);
}

int repository_prune_forget(struct vault *vault, const struct bytes *keys, struct error *e)
{
    struct sink *sink = own(vault)->sink;
    struct error first = {.class = ERROR_NONE};
    if (sink_remove_many(sink, (const char *)keys->data, keys->length, e) == 0)
        return sink_sync(sink, e);
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1)
        if (sink_remove(sink, (const char *)keys->data + at, e) < 0) {
            if (!sink_is_of_object(e))
                return -1;
            if (first.class == ERROR_NONE && e->class != ERROR_LOCKED)
                first = *e;
        }
    if (sink_sync(sink, e) < 0)
        return -1;
    *e = first;
    return first.class == ERROR_NONE ? 0 : -1;
}
