#include "repository/repository_vault.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/task.h"
#include "format/audience.h"
#include "format/vault.h"
#include "openpgp/openpgp.h"
#include "openpgp/pgp.h"
#include "repository/gc.h"
#include "repository/hardlink.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "repository/player.h"
#include "repository/reader.h"
#include "repository/recovery.h"
#include "repository/repository.h"
#include "repository/repository_annotation.h"
#include "repository/repository_copy.h"
#include "repository/repository_init.h"
#include "repository/repository_prune.h"
#include "repository/repository_verify.h"
#include "repository/signers.h"
#include "repository/signing.h"
#include "worker/engine.h"
#include "worker/sink.h"

/* Bytes of the keys of snapshots in a sink: of all, more than a million; of one host and job, more than 100,000. */
#define KEYS_MAX ((size_t)64 << 20)
#define KEYS_OF_JOB_MAX ((size_t)8 << 20)

static struct repository *own(const struct vault *vault)
{
    return vault->own;
}

static int open_repository(struct vault *vault, struct error *e)
{
    const struct config *config = vault->engine->config;
    const struct config_instance *section = vault->config;
    struct repository_spec spec = {.host = config->host,
                                   .key_file = section->encryption == CONFIG_PLAIN ? NULL : section->key,
                                   .cache_dir = config->cache_dir,
                                   .state_dir = config->state_dir,
                                   .trust_hosts = section->trust_hosts};
    struct repository *repository;
    if (repository_open(vault->sink, &spec, &repository, e) < 0)
        return -1;
    vault->own = repository;
    vault->id = repository->id_text;
    vault->opens = repository->key->full;
    return 0;
}

static void close_repository(struct vault *vault)
{
    repository_close(own(vault));
}

/* ---- snapshots ---- */

/* Keys of manifests, each NUL terminated; they are given after the listing, since a sink does one thing at a time, and
 * in the order of their names: who signed the oldest snapshot is known first. */
static int collect_key(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of snapshots", e);
}

static int list(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = host && job ? KEYS_OF_JOB_MAX : KEYS_MAX};
    char prefix[201] = "snapshots/";
    if (host && job)
        manifest_object_key(host, job, "", prefix);
    int result = sink_list(vault->sink, prefix, collect_key, &keys, e);
    if (result == 0)
        result = bytes_sort_texts(&keys, e);
    for (size_t at = 0; result == 0 && at < keys.length; at += strlen((const char *)keys.data + at) + 1) {
        const char *key = (const char *)keys.data + at;
        struct vault_name name;
        if (!manifest_object_parse_key(key, name.host, name.job, name.id)) {
            error_set(e, ERROR_INTEGRITY, "object '%s' is no snapshot's name", key);
            repository_warn(own(vault), e);
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
    return manifest_object_read(own(vault), key, manifest, e);
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
    const struct vault_name *name; /* of the next one */
    vault_manifest *found;
    void *context;
};

static int read_next(void *context, struct manifest *manifest, const struct error *why, struct error *e)
{
    struct reading *r = context;
    return r->found(r->context, r->name++, manifest, why, e);
}

static int read_all(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                    void *context, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct reading reading = {.name = names, .found = found, .context = context};
    return put_keys(&keys, names, count, e) < 0 ? -1
                                                : repository_each_manifest(own(vault), &keys, read_next, &reading, e);
}

static int not_ours(struct repository *r, struct error *e)
{
    repository_warn(r, e);
    return 0;
}

static int refuse_unknown(const struct repository *r, const char *key, struct error *e)
{
    error_set(e, ERROR_SIGNER, "'%s' is signed by another key than ours, and this machine does not know it", key);
    error_subject(e, "sink", sink_name(r->sink));
    return error_hint(e, "if the key of this host was changed on purpose: cofre key accept %s %s", sink_name(r->sink),
                      r->host);
}

/* Is it the word of somebody whom this machine goes on from: our own key, or one that it has accepted? Names alone
 * prove nothing: whoever can write into the sink can make one. To begin a second history beside that of a key that was
 * changed would be damage, so that is refused. */
static int peek(struct vault *vault, const struct vault_name *name, bool *ours, uint64_t *sequence,
                struct bytes *object, struct error *e)
{
    struct repository *r = own(vault);
    char key[201];
    manifest_object_key(name->host, name->job, name->id, key);
    struct signers_claim claim = {.object = key};
    struct manifest_clear clear;
    bool got = sink_get(r->sink, key, MANIFEST_OBJECT_MAX, object, e) == 0;
    *ours = false;
    if (!got && (!sink_is_of_object(e) || e->class == ERROR_NOT_FOUND))
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (!got || manifest_object_peek(object->data, object->length, r->key, key, &clear, e) < 0)
        return not_ours(r, e);
    *sequence = clear.sequence;
    memcpy(claim.signer, clear.signer, sizeof claim.signer);
    seal_hash(object->data, object->length, claim.hash);
    if (signers_check_revoked(r->signers, &claim, e) < 0)
        return not_ours(r, e);
    if (signers_is_first(r->signers, key, claim.signer))
        return refuse_unknown(r, key, e);
    if (signers_admit(r->signers, &claim, e) < 0)
        return -1;
    *ours = *sequence > 0 && *sequence < (uint64_t)1 << 60;
    return 0;
}

/* Their chunks are the same objects. */
static int fits(const struct vault *one, const struct vault *other, struct error *e)
{
    const struct key *first = own(one)->key, *second = own(other)->key;
    if (memcmp(&first->public, &second->public, sizeof first->public) == 0)
        return 0;
    error_set(e, ERROR_CONFIG, "sink '%s' has another key than sink '%s'", sink_name(other->sink),
              sink_name(one->sink));
    return error_hint(e, "use one key for the repositories of a job, or make a job for each");
}

static int prepare(struct vault *vault, enum vault_purpose purpose, struct error *e)
{
    return repository_load_index(own(vault), purpose == VAULT_SAVE ? REPOSITORY_OWN : REPOSITORY_ALL, e);
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

/* Where two records say where a chunk is, whose is heeded first? */
static void prefer(const struct vault *vault, const struct manifest *manifest)
{
    index_prefer(own(vault)->index, manifest->signer, manifest->host);
}

static int entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                   const char *path, vault_entry *entry, void *context, struct error *e)
{
    prefer(vault, manifest);
    struct reader *reader;
    struct listing l = {.entry = entry, .context = context};
    if (reader_new(own(vault), &reader, e) < 0)
        return -1;
    int result = reader_catalogue(reader, source, path, list_record, &l, e);
    reader_free(reader);
    return result;
}

struct feed {
    struct player *player;
    struct hardlinks *links; /* NULL: everything is wanted, so no link leads out of it */
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
    return hardlink_replace(f->links, record, bytes, n, feed_player, f->player, e);
}

static int play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, const struct audience *audience, uint64_t *count, struct error *e)
{
    prefer(vault, manifest);
    struct reader *reader = NULL;
    struct feed feed = {0};
    int result = reader_new(own(vault), &reader, e);
    if (result == 0)
        result = player_new(own(vault), reader, task_processors(), audience, &feed.player, e);
    if (result == 0 && path && path[0] != '\0')
        result = hardlink_gather(reader, source, path, &feed.links, e);
    if (result == 0)
        result = reader_catalogue(reader, source, path, feed_record, &feed, e);
    if (result == 0)
        result = player_finish(feed.player, e);
    player_free(feed.player);
    hardlink_free(feed.links);
    reader_free(reader);
    *count = feed.records;
    return result;
}

/* ---- whole snapshots ---- */

static int verify(struct vault *vault, const struct verify_request *request, const struct verify_audience *audience,
                  struct verify_result *result, struct error *e)
{
    return repository_verify(vault->engine, own(vault), request, audience, result, e);
}

static void on_copied(void *context, uint64_t objects, uint64_t bytes)
{
    const struct vault *vault = context;
    engine_report(vault->engine, "copying", objects, bytes, 0);
}

static int copy(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
                struct bytes *object, char key[201], struct error *e)
{
    const struct repository_copy_progress progress = {.report = on_copied, .context = from};
    return repository_copy(own(from), own(to), manifest, &progress, result, object, key, e);
}

static int gc(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
              struct vault_gc_result *result, struct error *e)
{
    return gc_run(own(vault), request, told, context, result, e) < 0 ? error_subject(e, "sink", sink_name(vault->sink))
                                                                     : 0;
}

/* ---- check ---- */

/* A copy of the key is kept as the section asks, and could be made again. */
static void check_copy(const struct repository *r, struct openpgp *openpgp, struct vault_reporter *to)
{
    struct error e;
    bool there = true;
    if (pgp_ready(openpgp->pgp, vault_reporter_warn, to, &e) < 0 || recovery_find(r->sink, r->key, &there, &e) < 0)
        to->wrong(to->context, &e);
    else if (there && recovery_prove(openpgp, r->sink, r->key, &e) < 0)
        to->wrong(to->context, &e);
    else if (!there)
        to->say(to->context, LOG_WARNING, "no copy of the key is kept in the repository yet",
                "make it: cofre init SINK");
    else
        to->say(to->context, LOG_INFO, "a copy of the key is kept in the repository", NULL);
}

static void check_recovery(const struct vault *vault, struct vault_reporter *to)
{
    struct openpgp openpgp;
    struct error e;
    if (!recovery_wanted(vault->config) || own(vault)->plain)
        return;
    if (openpgp_open(vault->engine->config, vault->config, &openpgp, &e) < 0) {
        to->wrong(to->context, &e);
        return;
    }
    openpgp_tell(vault->config, &openpgp.spec, to->secret, to->context);
    check_copy(own(vault), &openpgp, to);
    openpgp_close(&openpgp);
}

static bool is_revoked(const struct repository *r)
{
    return signers_revoked(r->signers, r->key->signer_public) != NULL;
}

/* It is open: so the key is its key. */
static void check(struct vault *vault, struct vault_reporter *to)
{
    const struct repository *r = own(vault);
    struct error e;
    if (r->plain)
        to->say(to->context, LOG_WARNING, "the repository is not encrypted: who can read the place can read the data",
                NULL);
    else if (r->key->full)
        to->say(to->context, LOG_INFO, "the repository opens with the full key", NULL);
    else if (r->key->certificate.roles == KEY_REMOVE && !is_revoked(r))
        to->say(to->context, LOG_INFO, "snapshots can be removed from the repository with this prune key",
                "saving needs a put key or the full key, restoring the full key");
    else if (repository_check_writer(r, r->host, &e) < 0)
        to->wrong(to->context, &e);
    else
        to->say(to->context, LOG_INFO, "the repository takes snapshots with this put key",
                "restoring needs the full key");
    check_recovery(vault, to);
}

static void check_offline(const struct config_instance *sink, struct vault_reporter *to)
{
    struct key *key;
    struct error e;
    if (sink->encryption == CONFIG_PLAIN)
        return;
    if (key_load(sink->key, &key, &e) < 0) {
        if (e.class == ERROR_NOT_FOUND)
            error_hint(&e, "make the repository, and the key with it: cofre init %s", sink->name);
        to->wrong(to->context, &e);
        return;
    }
    char host[KEY_HOST_SIZE + 1], text[128] = "the key file holds a full key";
    key_host(&key->certificate, host);
    if (!key->full && host[0] == '\0')
        snprintf(text, sizeof text, "the key file holds a %s key for all hosts", key_kind(key));
    else if (!key->full)
        snprintf(text, sizeof text, "the key file holds the %s key of host '%s'", key_kind(key), host);
    to->say(to->context, LOG_INFO, text, NULL);
    key_free(key);
}

const struct vault_format repository_vault = {
    .name = "repository",
    .saver = &repository_saver,
    .connections = 1,
    .open = open_repository,
    .close = close_repository,
    .list = list,
    .read = read_manifest,
    .read_all = read_all,
    .peek = peek,
    .fits = fits,
    .prepare = prepare,
    .entries = entries,
    .play = play,
    .verify = verify,
    .copy = copy,
    .init = repository_init,
    .recover = recovery_recover,
    .accept = signing_accept,
    .revoke = signing_revoke,
    .standings = repository_prune_standings,
    .remove = repository_prune_remove,
    .removals = repository_prune_removals,
    .may_remove = repository_prune_may_remove,
    .records = repository_prune_records,
    .record = repository_prune_record,
    .forget = repository_prune_forget,
    .annotate = repository_annotation_put,
    .unpin = repository_annotation_unpin,
    .pinned = repository_annotation_pinned,
    .annotations = repository_annotation_each,
    .gc = gc,
    .check = check,
    .check_offline = check_offline,
};
