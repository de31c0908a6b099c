/* Removing: part of repository_prune.h. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/annotation.h"
#include "repository/key.h"
#include "repository/needs.h"
#include "repository/placed.h"
#include "repository/removal.h"
#include "repository/repository.h"
#include "repository/repository_prune.h"
#include "repository/signers.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)
#define BATCH 500u /* objects removed at once */

static struct repository *own(const struct vault *vault)
{
    return vault->own;
}

int repository_prune_order(const struct vault_name *a, const struct vault_name *b)
{
    int order = strcmp(a->host, b->host);
    order = order ? order : strcmp(a->job, b->job);
    return order ? order : strcmp(a->id, b->id);
}

/* ---- may it? ---- */

bool repository_prune_may_remove(struct vault *vault, const char *host)
{
    const struct repository *r = own(vault);
    return key_may(&r->key->certificate, KEY_REMOVE, host) && !signers_revoked(r->signers, r->key->signer_public);
}

static int refuse(const struct repository *r, const char *host, struct error *e)
{
    const char *kind = key_kind(r->key);
    if (signers_revoked(r->signers, r->key->signer_public))
        error_set(e, ERROR_AUTH, "its key was revoked, and removes nothing any more");
    else if (r->key->certificate.roles & KEY_REMOVE)
        error_set(e, ERROR_AUTH, "its %s key may remove nothing of host '%s'", kind, host);
    else
        error_set(e, ERROR_AUTH, "its key is a %s key, which removes nothing", kind);
    error_subject(e, "sink", sink_name(r->sink));
    return error_hint(e, "prune where the full key or a prune key is: cofre key prune FULLKEY PRUNEKEY --host %s",
                      host);
}

/* ---- removing ---- */

struct removing {
    struct repository *repository;
    const struct vault_removal *removals;
    size_t count;
    bool *told; /* of each: it failed, and that was said */
    vault_gone *gone;
    void *context;
};

static struct removal_snapshot snapshot_of(const struct vault_removal *removal)
{
    const struct vault_standing *standing = removal->standing;
    struct removal_snapshot s = {.sequence = standing->sequence,
                                 .started = standing->started,
                                 .reasons = removal->reasons,
                                 .reason_count = removal->reason_count};
    memcpy(s.id, standing->name.id, sizeof s.id);
    memcpy(s.hash, standing->hash, sizeof s.hash);
    memcpy(s.previous, standing->previous, sizeof s.previous);
    return s;
}

/* Those that no record names yet. */
static int store_fresh(const struct removing *r, struct error *e)
{
    AUTO_FREE struct removal_snapshot *fresh = calloc(r->count + 1, sizeof *fresh);
    struct removal removal = {.name = r->removals[0].standing->name, .snapshots = fresh};
    if (!fresh)
        return error_memory(e);
    for (size_t i = 0; i < r->count; i++)
        if (!r->removals[i].standing->removed)
            fresh[removal.count++] = snapshot_of(&r->removals[i]);
    return removal.count > 0 ? repository_prune_store(r->repository, &removal, e) : 0;
}

static void tell_failed(struct removing *r, size_t i, const struct error *why)
{
    struct error e = *why;
    if (r->told[i])
        return;
    r->told[i] = true;
    error_subject(&e, "sink", sink_name(r->repository->sink));
    if (e.class == ERROR_DENIED && !e.hint[0])
        error_hint(&e, "removing takes credentials that may: give them to the section of the sink where prune is run");
    else if (e.class == ERROR_LOCKED && !e.hint[0])
        error_hint(&e, "it is protected for some time yet: a later prune removes it");
    r->gone(r->context, &r->removals[i].standing->name, &e);
}

/* An object that is to go, and of which of them. */
struct target {
    size_t item;
    char key[201];
};

/* -1: it is none of an object's, and is waited for once. */
static int remove_one_by_one(struct removing *r, const struct target *targets, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        if (r->told[targets[i].item] || sink_remove(r->repository->sink, targets[i].key, e) == 0)
            continue;
        if (!sink_is_of_object(e))
            return -1;
        tell_failed(r, targets[i].item, e);
    }
    return 0;
}

static int remove_batch(struct removing *r, const struct target *targets, size_t count, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    for (size_t i = 0; i < count; i++)
        if (!r->told[targets[i].item])
            bytes_put(&keys, targets[i].key, strlen(targets[i].key) + 1);
    if (bytes_check(&keys, "list of what is to go", e) < 0)
        return -1;
    return sink_remove_many(r->repository->sink, (const char *)keys.data, keys.length, e);
}

/* Which of many did not go is found out one by one. */
static int remove_targets(struct removing *r, const struct bytes *list, struct error *e)
{
    const struct target *targets = (const struct target *)(const void *)list->data;
    size_t count = list->length / sizeof *targets, n;
    for (size_t at = 0; at < count; at += n) {
        n = count - at < BATCH ? count - at : BATCH;
        if (remove_batch(r, targets + at, n, e) == 0)
            continue;
        if (e->class == ERROR_CANCELLED || e->class == ERROR_MEMORY || remove_one_by_one(r, targets + at, n, e) < 0)
            return -1;
    }
    return sink_sync(r->repository->sink, e);
}

static int remove_manifests(struct removing *r, struct error *e)
{
    AUTO_BYTES struct bytes list = {.maximum = KEYS_MAX};
    for (size_t i = 0; i < r->count; i++) {
        struct target target = {.item = i};
        placed_key("snapshots", &r->removals[i].standing->name, target.key);
        bytes_put(&list, &target, sizeof target);
    }
    return bytes_check(&list, "list of what is to go", e) < 0 ? -1 : remove_targets(r, &list, e);
}

/* Those items by their names. */
struct by_name {
    const struct vault_name *name;
    size_t item;
};

static int compare_by_name(const void *a, const void *b)
{
    return repository_prune_order(((const struct by_name *)a)->name, ((const struct by_name *)b)->name);
}

/* What is there of them below that prefix. */
static int remove_below(struct removing *r, const char *prefix, const struct by_name *names, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX}, list = {.maximum = KEYS_MAX};
    const struct vault_name *first = &r->removals[0].standing->name;
    if (placed_list(r->repository, prefix, first->host, first->job, &keys, e) < 0)
        return -1;
    for (size_t at = 0; at < keys.length; at += strlen((const char *)keys.data + at) + 1) {
        struct target target = {0};
        struct vault_name name;
        memcpy(target.key, keys.data + at, strlen((const char *)keys.data + at) + 1);
        placed_parse_key(prefix, target.key, &name);
        const struct by_name wanted = {.name = &name};
        const struct by_name *found = bsearch(&wanted, names, r->count, sizeof *names, compare_by_name);
        if (!found)
            continue;
        target.item = found->item;
        bytes_put(&list, &target, sizeof target);
    }
    return bytes_check(&list, "list of what is to go", e) < 0 ? -1 : remove_targets(r, &list, e);
}

static int remove_rests(struct removing *r, struct error *e)
{
    AUTO_FREE struct by_name *names = malloc(r->count * sizeof *names);
    if (!names)
        return error_memory(e);
    for (size_t i = 0; i < r->count; i++)
        names[i] = (struct by_name){.name = &r->removals[i].standing->name, .item = i};
    qsort(names, r->count, sizeof *names, compare_by_name);
    int result = remove_below(r, NEEDS_PREFIX, names, e);
    for (int kind = 0; result == 0 && kind < VAULT_ANNOTATION_KINDS; kind++)
        result = remove_below(r, annotation_prefix((enum vault_annotation_kind)kind), names, e);
    return result;
}

int repository_prune_remove(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                            void *context, struct error *e)
{
    struct removing r = {
        .repository = own(vault), .removals = removals, .count = count, .gone = gone, .context = context};
    const struct error none = {.class = ERROR_NONE};
    if (count == 0)
        return 0;
    ASSERT(count <= VAULT_REMOVALS_MAX);
    const char *host = removals[0].standing->name.host;
    if (!repository_prune_may_remove(vault, host))
        return refuse(r.repository, host, e);
    r.told = calloc(count, sizeof *r.told);
    if (!r.told)
        return error_memory(e);
    int result = store_fresh(&r, e);
    struct error why = none;
    if (result == 0 && (remove_manifests(&r, &why) < 0 || remove_rests(&r, &why) < 0))
        for (size_t i = 0; i < count; i++)
            tell_failed(&r, i, &why);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (!r.told[i])
            gone(context, &removals[i].standing->name, &none);
    free(r.told);
    return result;
}
