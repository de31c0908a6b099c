#include "repository/repository_annotation.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "repository/annotation.h"
#include "repository/confirm.h"
#include "repository/key.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "repository/signers.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)
#define PROOFS_MAX ((size_t)1 << 30)

static int check_may(const struct repository *r, const char *host, struct error *e)
{
    const struct key *key = r->key;
    if (signers_revoked(r->signers, key->signer_public))
        error_set(e, ERROR_AUTH, "its key was revoked: nothing that it says of a snapshot counts");
    else if (!key_may(&key->certificate, KEY_ADD | KEY_REMOVE, host))
        error_set(e, ERROR_AUTH, "its %s key may say nothing of snapshots of host '%s'", key_kind(key), host);
    else
        return 0;
    error_subject(e, "sink", sink_name(r->sink));
    return error_hint(e, "name another key, or do it where the full key is");
}

int repository_annotation_put(struct vault *vault, const struct vault_annotation *annotation, struct error *e)
{
    struct repository *r = vault->own;
    AUTO_BYTES struct bytes object = {.maximum = ANNOTATION_OBJECT_MAX};
    char key[201];
    if (check_may(r, annotation->name.host, e) < 0)
        return -1;
    placed_key(annotation_prefix(annotation->kind), &annotation->name, key);
    if (annotation_seal(r, annotation, &object, e) < 0 ||
        sink_put(r->sink, key, object.data, object.length, false, e) < 0 || sink_sync(r->sink, e) < 0 ||
        confirm_object(r, key, &object, e) < 0)
        return error_subject(e, "sink", sink_name(r->sink));
    return 0;
}

/* ---- proofs of many ---- */

struct proving {
    struct repository *repository;
    const struct vault_annotation *proofs;
    int64_t now;
};

static int prove_one(void *context, size_t i, struct error *e)
{
    const struct proving *p = context;
    AUTO_BYTES struct bytes object = {.maximum = ANNOTATION_OBJECT_MAX};
    struct vault_annotation proof = p->proofs[i];
    char key[201];
    proof.at = p->now;
    placed_key(annotation_prefix(proof.kind), &proof.name, key);
    if (check_may(p->repository, proof.name.host, e) < 0 || annotation_seal(p->repository, &proof, &object, e) < 0)
        return -1;
    return sink_put(p->repository->sink, key, object.data, object.length, false, e);
}

static int disprove_one(void *context, size_t i, struct error *e)
{
    const struct proving *p = context;
    char key[201];
    placed_key(annotation_prefix(p->proofs[i].kind), &p->proofs[i].name, key);
    return sink_remove(p->repository->sink, key, e);
}

static void each_proof(struct repository *repository, const struct bytes *proofs,
                       int (*one)(void *context, size_t i, struct error *e), const char *what)
{
    struct proving p = {.repository = repository,
                        .proofs = (const struct vault_annotation *)(const void *)proofs->data,
                        .now = clock_now()};
    struct error e;
    size_t count = proofs->length / sizeof *p.proofs;
    if (count == 0 || (sink_each(repository->sink, count, one, &p, &e) == 0 && sink_sync(repository->sink, &e) == 0))
        return;
    error_subject(&e, "sink", sink_name(repository->sink));
    error_context(&e, "%s could not be noted there: ", what);
    log_error(LOG_WARNING, &e);
}

void repository_annotation_prove(struct repository *repository, const struct repository_annotation_proofs *proofs,
                                 bool read)
{
    if (read)
        each_proof(repository, &proofs->whole, prove_one, "that snapshots are whole");
    each_proof(repository, &proofs->wrong, disprove_one, "that snapshots are damaged");
}

int repository_annotation_note(struct repository_annotation_proofs *proofs, const struct manifest *m, bool whole,
                               struct error *e)
{
    struct bytes *list = whole ? &proofs->whole : &proofs->wrong;
    struct vault_annotation proof = {.kind = VAULT_VERIFIED};
    snprintf(proof.name.host, sizeof proof.name.host, "%s", m->host);
    snprintf(proof.name.job, sizeof proof.name.job, "%s", m->job);
    memcpy(proof.name.id, m->id, sizeof proof.name.id);
    memcpy(proof.hash, m->hash, sizeof proof.hash);
    list->maximum = PROOFS_MAX;
    bytes_put(list, &proof, sizeof proof);
    return bytes_check(list, "list of snapshots", e);
}

void repository_annotation_forget(struct repository_annotation_proofs *proofs)
{
    bytes_free(&proofs->whole);
    bytes_free(&proofs->wrong);
}

/* ---- of one ---- */

static int is_pinned(const struct repository *r, const struct vault_name *name, bool *is, struct error *e)
{
    struct error why;
    char key[201];
    uint64_t size;
    placed_key(annotation_prefix(VAULT_PIN), name, key);
    *is = sink_stat(r->sink, key, &size, &why) == 0;
    if (*is || why.class == ERROR_NOT_FOUND)
        return 0;
    *e = why;
    return error_subject(e, "sink", sink_name(r->sink));
}

struct asking {
    const struct repository *repository;
    const struct vault_name *names;
    bool *are;
};

static int ask(void *context, size_t i, struct error *e)
{
    const struct asking *a = context;
    return is_pinned(a->repository, &a->names[i], &a->are[i], e);
}

int repository_annotation_pinned(struct vault *vault, const struct vault_name *names, size_t count, bool *are,
                                 struct error *e)
{
    struct asking a = {.repository = vault->own, .names = names, .are = are};
    return sink_each(a.repository->sink, count, ask, &a, e);
}

int repository_annotation_unpin(struct vault *vault, const struct vault_name *name, bool *was, struct error *e)
{
    struct repository *r = vault->own;
    char key[201];
    placed_key(annotation_prefix(VAULT_PIN), name, key);
    if (is_pinned(r, name, was, e) < 0)
        return -1;
    if (!*was)
        return 0;
    if (check_may(r, name->host, e) < 0)
        return -1;
    if (sink_remove(r->sink, key, e) < 0 || sink_sync(r->sink, e) < 0)
        return error_subject(e, "sink", sink_name(r->sink));
    return 0;
}

struct reading {
    struct repository *repository;
    vault_annotated *annotated;
    void *context;
};

static int read_annotation(void *context, const char *key, const struct bytes *object, const struct error *why,
                           struct error *e)
{
    const struct reading *r = context;
    struct vault_annotation annotation = {.unreadable = true};
    struct error wrong;
    if (object && annotation_open(r->repository, key, object, &annotation, &wrong) == 0)
        return r->annotated(r->context, &annotation, e);
    if (!object)
        wrong = *why;
    if (placed_pass_over(r->repository, &wrong, e) < 0)
        return -1;
    annotation = (struct vault_annotation){.unreadable = true};
    annotation_parse_key(key, &annotation.kind, &annotation.name);
    return wrong.class == ERROR_NOT_FOUND ? 0 : r->annotated(r->context, &annotation, e);
}

int repository_annotation_each(struct vault *vault, const char *host, const char *job, vault_annotated *annotated,
                               void *context, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct reading r = {.repository = vault->own, .annotated = annotated, .context = context};
    for (int kind = 0; kind < VAULT_ANNOTATION_KINDS; kind++)
        if (placed_list(r.repository, annotation_prefix((enum vault_annotation_kind)kind), host, job, &keys, e) < 0)
            return -1;
    return sink_get_each(r.repository->sink, (const char *)keys.data, keys.length, ANNOTATION_OBJECT_MAX,
                         read_annotation, &r, e);
}
