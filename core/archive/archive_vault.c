#include "archive/archive_vault.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/archive_annotation.h"
#include "archive/archive_copy.h"
#include "archive/archive_gc.h"
#include "archive/archive_init.h"
#include "archive/archive_prune.h"
#include "archive/archive_removal.h"
#include "archive/archive_verify.h"
#include "archive/replay.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/task.h"
#include "format/audience.h"
#include "format/vault.h"
#include "openpgp/openpgp.h"
#include "snapshot/manifest.h"
#include "worker/engine.h"
#include "worker/sink.h"

/* ---- opening ---- */

static unsigned thread_count(const struct config_instance *sink)
{
    return sink->threads > 0 ? (unsigned)sink->threads : task_processors();
}

static int fill_spec(struct vault *vault, char home[PATH_MAX], struct archive_spec *spec, struct error *e)
{
    static const enum compress_kind kinds[] = {
        [CONFIG_ZSTD] = COMPRESS_ZSTD, [CONFIG_GZIP] = COMPRESS_GZIP, [CONFIG_STORE] = COMPRESS_NONE};
    const struct config_instance *sink = vault->config;
    *spec = (struct archive_spec){.compress = kinds[sink->compress],
                                  .level = (int)sink->level,
                                  .threads = thread_count(sink),
                                  .patience = sink->stall_timeout,
                                  .own_home = !sink->openpgp.home};
    spec->encryption = sink->openpgp.recipient_count > 0 ? INVENTORY_RECIPIENTS
                       : sink->openpgp.passphrase.text   ? INVENTORY_PASSPHRASE
                                                         : INVENTORY_PLAIN;
    if (spec->encryption == INVENTORY_PLAIN && !sink->openpgp.signer)
        return 0;
    return openpgp_spec(vault->engine->config, sink, home, &spec->pgp, e);
}

static struct archive *own(const struct vault *vault)
{
    return vault->own;
}

static int open_archive(struct vault *vault, struct error *e)
{
    char home[PATH_MAX];
    struct archive_spec spec;
    struct archive *archive;
    if (fill_spec(vault, home, &spec, e) < 0) {
        sink_free(vault->sink);
        return -1;
    }
    if (archive_open(vault->sink, &spec, &archive, e) < 0)
        return -1;
    vault->own = archive;
    vault->id = archive->marker.id;
    vault->opens = true;
    return 0;
}

static void close_archive(struct vault *vault)
{
    archive_close(own(vault));
}

/* ---- snapshots ---- */

struct listing {
    struct vault *vault;
    const char *host;
    vault_snapshot *found;
    void *context;
};

/* Whose it is stands in the manifest alone. One that cannot be read counts as ours: it must not seem that there is
 * none. */
static int list_one(void *context, const char *job, const char *id, struct error *e)
{
    const struct listing *l = context;
    struct inventory inventory = {0};
    struct vault_name name;
    const char *host = l->vault->engine->config->host;
    if (archive_read(own(l->vault), job, id, &inventory, NULL, e) == 0)
        host = inventory.manifest->host;
    else if (!sink_is_of_object(e))
        return -1;
    snprintf(name.host, sizeof name.host, "%s", host);
    snprintf(name.job, sizeof name.job, "%s", job);
    snprintf(name.id, sizeof name.id, "%s", id);
    inventory_free(&inventory);
    return l->host && strcmp(l->host, name.host) != 0 ? 0 : l->found(l->context, &name, e);
}

static int list(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e)
{
    struct listing l = {.vault = vault, .host = host, .found = found, .context = context};
    return archive_list(own(vault), job, list_one, &l, e);
}

static int name_one(void *context, const char *job, const char *id, struct error *e)
{
    const struct listing *l = context;
    struct vault_name name = {.host = ""};
    snprintf(name.job, sizeof name.job, "%s", job);
    snprintf(name.id, sizeof name.id, "%s", id);
    return l->found(l->context, &name, e);
}

static int names(struct vault *vault, const char *job, vault_snapshot *found, void *context, struct error *e)
{
    struct listing l = {.vault = vault, .found = found, .context = context};
    return archive_list(own(vault), job, name_one, &l, e);
}

static int read_manifest(struct vault *vault, const struct vault_name *name, struct manifest **manifest,
                         struct error *e)
{
    struct inventory inventory;
    if (archive_read(own(vault), name->job, name->id, &inventory, NULL, e) < 0)
        return -1;
    *manifest = inventory.manifest;
    inventory.manifest = NULL;
    inventory_free(&inventory);
    return 0;
}

static int peek(struct vault *vault, const struct vault_name *name, bool *ours, uint64_t *sequence, struct bytes *text,
                struct error *e)
{
    struct inventory inventory;
    *ours = false;
    if (archive_read(own(vault), name->job, name->id, &inventory, text, e) < 0) {
        if (!sink_is_of_object(e))
            return -1;
        error_subject(e, "sink", sink_name(vault->sink));
        log_error(LOG_WARNING, e);
        return 0;
    }
    *ours = strcmp(inventory.manifest->host, name->host) == 0 && inventory.manifest->sequence < (uint64_t)1 << 60;
    *sequence = inventory.manifest->sequence;
    inventory_free(&inventory);
    return 0;
}

static int ready(struct vault *vault, vault_warn *warn, void *context, struct error *e)
{
    return archive_ready(own(vault), warn, context, e);
}

/* ---- entries ---- */

struct giving {
    vault_entry *entry;
    void *context;
};

static int give_entry(void *context, const struct record *record, struct error *e)
{
    const struct giving *g = context;
    return g->entry(g->context, record, e);
}

static int no_end(void *context, struct error *e)
{
    (void)context;
    (void)e;
    return 0;
}

/* The snapshot once more, as it is stored. */
static int replay(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                  const char *path, const struct audience *audience, uint64_t *count, struct error *e)
{
    struct inventory inventory;
    AUTO_BYTES struct bytes text = {.maximum = INVENTORY_MAX};
    if (archive_read(own(vault), manifest->job, manifest->id, &inventory, &text, e) < 0)
        return -1;
    int result = archive_check_sums(own(vault), &inventory, &text, e);
    if (result == 0)
        result = replay_run(own(vault), &inventory, source->name, path, audience, false, count, e);
    inventory_free(&inventory);
    /* What takes the entries says itself whose failure it is. */
    return result < 0 && e->subject[0] == '\0' ? error_subject(e, "sink", sink_name(vault->sink)) : result;
}

static int entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                   const char *path, vault_entry *entry, void *context, struct error *e)
{
    struct giving giving = {.entry = entry, .context = context};
    struct audience audience = {.entry = give_entry, .end = no_end, .context = &giving};
    uint64_t count;
    return replay(vault, manifest, source, path, &audience, &count, e);
}

static int play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, const struct audience *audience, uint64_t *count, struct error *e)
{
    return replay(vault, manifest, source, path, audience, count, e);
}

/* ---- whole snapshots ---- */

struct verifying {
    const struct vault *vault;
    const struct verify_audience *audience;
    struct verify_result *result;
    char stage[96];
    bool links;
};

static void on_damage(void *context, const struct archive_verify_damage *d)
{
    const struct verifying *v = context;
    struct verify_damage damage = {.object = d->object, .text = d->text, .snapshot = d->snapshot, .source = d->source};
    v->audience->damage(v->audience->context, &damage);
}

static void on_progress(void *context, uint64_t objects, uint64_t bytes)
{
    const struct verifying *v = context;
    v->result->objects = objects;
    v->result->bytes = bytes;
    engine_report(v->vault->engine, v->stage, objects, bytes, 0);
}

static void add_previous(struct verify_link *link, const uint8_t hash[MANIFEST_HASH_SIZE])
{
    if (link->previous_count < VERIFY_PREVIOUS_MAX)
        memcpy(link->previous[link->previous_count++], hash, MANIFEST_HASH_SIZE);
}

static void set_place(struct verify_link *link, const struct manifest *manifest)
{
    link->readable = true;
    link->sequence = manifest->sequence;
    if (manifest->previous_id[0] != '\0')
        add_previous(link, manifest->previous_hash);
    for (size_t i = 0; i < manifest->previous_form_count; i++)
        add_previous(link, manifest->previous_forms[i]);
}

static int on_snapshot(void *context, const struct archive_verify_snapshot *snapshot, struct error *e)
{
    const struct verifying *v = context;
    struct verify_link link = {.readable = false};
    if (!v->links)
        return 0;
    snprintf(link.host, sizeof link.host, "%s", snapshot->host);
    snprintf(link.job, sizeof link.job, "%s", snapshot->job);
    snprintf(link.id, sizeof link.id, "%s", snapshot->id);
    archive_key(snapshot->job, snapshot->id, ARCHIVE_MANIFEST, link.object);
    if (snapshot->manifest)
        set_place(&link, snapshot->manifest);
    return v->audience->link(v->audience->context, &link, snapshot->text, e);
}

static void on_invalid_record(void *context, const char *key, const struct error *why)
{
    const struct verifying *v = context;
    struct verify_damage damage = {.object = key, .text = why->message};
    v->audience->damage(v->audience->context, &damage);
}

static int verify(struct vault *vault, const struct verify_request *request, const struct verify_audience *to,
                  struct verify_result *result, struct error *e)
{
    struct verifying verifying = {.vault = vault, .audience = to, .result = result, .links = !request->id};
    struct archive_verify_request wanted = {.host = request->host,
                                            .job = request->job,
                                            .id = request->id,
                                            .quick = request->quick,
                                            .us = vault->engine->config->host};
    struct archive_verify_audience audience = {
        .damage = on_damage, .snapshot = on_snapshot, .progress = on_progress, .context = &verifying};
    snprintf(verifying.stage, sizeof verifying.stage, "verifying %s", sink_name(vault->sink));
    if (!request->id &&
        archive_removal_list(own(vault), request->host, request->job, NULL, on_invalid_record, &verifying, e) < 0)
        return -1;
    return archive_verify_run(own(vault), &wanted, &audience, &result->snapshots, &result->snapshots_damaged, e);
}

static int copy(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
                struct bytes *object, char key[201], struct error *e)
{
    archive_key(manifest->job, manifest->id, ARCHIVE_MANIFEST, key);
    if (archive_copy_files(own(from), own(to), manifest->job, manifest->id, object, &result->objects, &result->bytes,
                           &result->existed, e) < 0)
        return -1;
    if (result->existed)
        bytes_reset(object);
    return 0;
}

/* ---- annotations ---- */

static int annotate(struct vault *vault, const struct vault_annotation *annotation, struct error *e)
{
    return archive_annotation_put(own(vault), annotation, e);
}

static int unpin(struct vault *vault, const struct vault_name *name, bool *was, struct error *e)
{
    return archive_annotation_remove(own(vault), VAULT_PIN, name, was, e);
}

static int pinned(struct vault *vault, const struct vault_name *names, size_t count, bool *are, struct error *e)
{
    return archive_annotation_pinned(own(vault), names, count, are, e);
}

struct telling {
    const char *sink, *host;
    vault_annotated *annotated;
    void *context;
};

static int tell(void *context, const struct vault_annotation *annotation, const struct error *why, struct error *e)
{
    const struct telling *t = context;
    struct error wrong = *why;
    if (why->class == ERROR_NONE)
        return !t->host || strcmp(t->host, annotation->name.host) == 0 ? t->annotated(t->context, annotation, e) : 0;
    error_subject(&wrong, "sink", t->sink);
    log_error(LOG_WARNING, &wrong);
    const struct vault_annotation unreadable = {.kind = annotation->kind, .name = annotation->name, .unreadable = true};
    return t->annotated(t->context, &unreadable, e);
}

static int annotations(struct vault *vault, const char *host, const char *job, vault_annotated *annotated,
                       void *context, struct error *e)
{
    struct telling t = {.sink = sink_name(vault->sink), .host = host, .annotated = annotated, .context = context};
    return archive_annotation_each(own(vault), job, tell, &t, e);
}

/* ---- check ---- */

static void check(struct vault *vault, struct vault_reporter *to)
{
    static const char *const found[] = {[INVENTORY_RECIPIENTS] =
                                            "the archive is there, and its recipients' keys are fine",
                                        [INVENTORY_PASSPHRASE] = "the archive is there, and opens with the passphrase"};
    struct error e;
    openpgp_tell(vault->config, &own(vault)->spec.pgp, to->secret, to->context);
    enum inventory_encryption encryption = own(vault)->spec.encryption;
    if (archive_ready(own(vault), vault_reporter_warn, to, &e) < 0)
        to->wrong(to->context, &e);
    else if (encryption == INVENTORY_PLAIN)
        to->say(to->context, LOG_WARNING, "the archive is not encrypted: who can read the place can read the data",
                NULL);
    else
        to->say(to->context, LOG_INFO, found[encryption], NULL);
}

const struct vault_format archive_vault = {
    .name = "archive",
    .saver = &archive_saver,
    .connections = ARCHIVE_CONNECTIONS,
    .open = open_archive,
    .close = close_archive,
    .list = list,
    .names = names,
    .read = read_manifest,
    .peek = peek,
    .ready = ready,
    .entries = entries,
    .play = play,
    .verify = verify,
    .copy = copy,
    .init = archive_init,
    .standings = archive_prune_standings,
    .remove = archive_prune_remove,
    .removals = archive_prune_removals,
    .may_remove = archive_prune_may,
    .records = archive_prune_records,
    .record = archive_prune_record,
    .forget = archive_prune_forget,
    .gc = archive_gc,
    .annotate = annotate,
    .unpin = unpin,
    .pinned = pinned,
    .annotations = annotations,
    .check = check,
};
