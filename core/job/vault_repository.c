/* Repositories as vaults. */
#include "job/vault.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "job/chain.h"
#include "job/copy.h"
#include "job/engine.h"
#include "job/link.h"
#include "job/snapshot.h"
#include "job/verify.h"
#include "repository/manifest_object.h"
#include "repository/player.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20) /* bytes of all keys of snapshots in a sink */

static int open_hold(struct vault *vault, struct error *e)
{
    if ((vault->sink ? engine_make_repository(vault->engine, vault->config, vault->sink, &vault->repository, e)
                     : engine_open_repository(vault->engine, vault->config, &vault->repository, e)) < 0)
        return -1;
    vault->sink = vault->repository->sink;
    vault->id = vault->repository->id_text;
    vault->opens = vault->repository->key->full;
    return 0;
}

static void close_hold(struct vault *vault)
{
    repository_close(vault->repository);
}

/* ---- snapshots ---- */

/* Keys of manifests, each NUL terminated; they are given after the listing, since a sink does one thing at a time. */
static int collect_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of snapshots", e);
}

static int list(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    char prefix[201] = "snapshots/";
    if (host && job)
        manifest_object_key(host, job, "", prefix);
    int result = sink_list(vault->sink, prefix, collect_key, &keys, e);
    for (size_t at = 0; result == 0 && at < keys.length; at += strlen((const char *)keys.data + at) + 1) {
        const char *key = (const char *)keys.data + at;
        struct vault_name name;
        if (!snapshot_parse_key(key, name.host, name.job, name.id)) {
            log_line(LOG_WARNING, "sink '%s': object '%s' is no snapshot's name", sink_name(vault->sink), key);
            continue;
        }
        if ((!host || strcmp(host, name.host) == 0) && (!job || strcmp(job, name.job) == 0))
            result = found(context, &name, e);
    }
    return result;
}

static int read_manifest(struct vault *vault, const struct vault_name *name, struct manifest **manifest,
                         struct error *e)
{
    char key[201];
    manifest_object_key(name->host, name->job, name->id, key);
    return snapshot_read(vault->repository, key, manifest, e);
}

static int put_keys(struct bytes *keys, const struct vault_name *names, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        char key[201];
        manifest_object_key(names[i].host, names[i].job, names[i].id, key);
        bytes_put(keys, key, strlen(key) + 1);
    }
    return bytes_check(keys, "listing of snapshots", e);
}

struct reading {
    const struct vault *vault;
    const struct vault_name *name; /* of the next one */
    vault_manifest *found;
    void *context;
};

static int read_next(void *context, const char *key, const struct bytes *object, const struct error *why,
                     struct error *e)
{
    struct reading *r = context;
    struct manifest *manifest = NULL;
    struct error wrong;
    if (!object)
        wrong = *why;
    else if (manifest_object_open(object->data, object->length, r->vault->repository->key, key, &manifest, &wrong) < 0)
        manifest = NULL;
    return r->found(r->context, r->name++, manifest, &wrong, e);
}

static int read_all(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                    void *context, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct reading reading = {.vault = vault, .name = names, .found = found, .context = context};
    if (put_keys(&keys, names, count, e) < 0)
        return -1;
    return sink_get_each(vault->repository->sink, (const char *)keys.data, keys.length, MANIFEST_MAX - 1, read_next,
                         &reading, e);
}

/* Does the manifest carry our own signature? Names alone prove nothing: whoever can write into the sink can make one.
 * With the full key any certified signer of this host counts: it may have had a put key before. */
static int peek(struct vault *vault, const struct vault_name *name, bool *ours, struct chain_link *link,
                struct error *e)
{
    struct repository *r = vault->repository;
    char key[201];
    manifest_object_key(name->host, name->job, name->id, key);
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    uint8_t previous[SEAL_HASH_SIZE], signer[32];
    *ours = false;
    if (sink_get(r->sink, key, MANIFEST_MAX - 1, &object, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (manifest_object_peek(object.data, object.length, r->key, key, &link->sequence, previous, signer, e) < 0) {
        error_subject(e, "sink", sink_name(r->sink));
        log_error(LOG_WARNING, e);
    } else if (memcmp(signer, r->key->signer_public, sizeof signer) != 0 && !r->key->full)
        log_line(LOG_WARNING, "sink '%s': '%s' is signed by another key than ours", sink_name(r->sink), key);
    else
        *ours = link->sequence > 0 && link->sequence < (uint64_t)1 << 60;
    memcpy(link->id, name->id, sizeof link->id);
    chain_add_form(&link->forms, object.data, object.length);
    return 0;
}

static int prepare(struct vault *vault, struct error *e)
{
    return repository_load_index(vault->repository, e);
}

/* ---- entries ---- */

struct listing {
    vault_entry *entry;
    void *context;
};

static int list_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)bytes;
    (void)n;
    const struct listing *l = context;
    return record->continuation ? 0 : l->entry(l->context, record, e);
}

static int entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                   const char *path, vault_entry *entry, void *context, struct error *e)
{
    (void)manifest;
    struct reader *reader;
    struct listing l = {.entry = entry, .context = context};
    if (reader_new(vault->repository, &reader, e) < 0)
        return -1;
    int result = reader_catalogue(reader, source, path, list_record, &l, e);
    reader_free(reader);
    return result;
}

struct feed {
    struct player *player;
    struct links *links; /* NULL: everything is wanted, so no link leads out of it */
    uint64_t records;
};

static int feed_player(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    return player_record(context, record, bytes, n, e);
}

static int feed_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    struct feed *f = context;
    f->records++;
    return link_replace(f->links, record, bytes, n, feed_player, f->player, e);
}

static int play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, const struct player_audience *audience, uint64_t *count, struct error *e)
{
    (void)manifest;
    struct reader *reader = NULL;
    struct feed feed = {0};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned workers = processors < 1 ? 1 : (unsigned)processors;
    int result = reader_new(vault->repository, &reader, e);
    if (result == 0)
        result = player_new(vault->repository, reader, workers, audience, &feed.player, e);
    if (result == 0 && path && path[0] != '\0')
        result = link_gather(reader, source, path, &feed.links, e);
    if (result == 0)
        result = reader_catalogue(reader, source, path, feed_record, &feed, e);
    if (result == 0)
        result = player_finish(feed.player, e);
    player_free(feed.player);
    link_free(feed.links);
    reader_free(reader);
    *count = feed.records;
    return result;
}

/* ---- whole snapshots ---- */

static int verify(struct vault *vault, const struct verify_request *request, vault_damage *damage, void *context,
                  struct verify_result *result, struct error *e)
{
    return verify_run(vault->engine, vault->repository, request, damage, context, result, e);
}

static int copy(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
                struct error *e)
{
    return copy_run(from->engine, from->repository, to->repository, manifest, result, e);
}

const struct vault_format vault_repository = {
    .open = open_hold,
    .close = close_hold,
    .list = list,
    .read = read_manifest,
    .read_all = read_all,
    .peek = peek,
    .prepare = prepare,
    .entries = entries,
    .play = play,
    .verify = verify,
    .copy = copy,
};
