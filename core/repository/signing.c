#include "repository/signing.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/acceptance.h"
#include "repository/confirm.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "repository/repository.h"
#include "repository/revocation.h"
#include "repository/signers.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)

/* A manifest as it is stored. */
struct row {
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    char object[201];
    int64_t stored; /* by the store's clock; INT64_MIN = it does not say */
    uint64_t sequence;
    uint8_t signer[32], hash[SEAL_HASH_SIZE];
    bool counts;
};

/* All of a host, or of all hosts, in the order of their names: oldest first for each host and job. */
struct rows {
    struct repository *repository;
    const char *host; /* NULL = all */
    struct row *items;
    size_t count, next; /* next: to be read */
};

static int list_row(void *context, const struct sink_object *object, struct error *e)
{
    struct rows *rows = context;
    struct row row = {.stored = object->mtime};
    if (!manifest_object_parse_key(object->key, row.host, row.job, row.id) ||
        (rows->host && strcmp(rows->host, row.host) != 0))
        return 0;
    manifest_object_key(row.host, row.job, row.id, row.object);
    if ((rows->count & (rows->count - 1)) == 0) {
        struct row *items = realloc(rows->items, (rows->count ? 2 * rows->count : 1) * sizeof *items);
        if (!items)
            return error_memory(e);
        rows->items = items;
    }
    rows->items[rows->count++] = row;
    return 0;
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->object, ((const struct row *)b)->object);
}

/* What is no word of anybody has sequence 0. */
static int read_row(void *context, const char *key, const struct bytes *object, const struct error *why,
                    struct error *e)
{
    struct rows *rows = context;
    struct row *row = &rows->items[rows->next++];
    struct manifest_clear clear;
    struct error wrong;
    int result = -1;
    if (!object)
        wrong = *why;
    else
        result = manifest_object_peek(object->data, object->length, rows->repository->key, key, &clear, &wrong);
    if (result == 0) {
        row->sequence = clear.sequence;
        memcpy(row->signer, clear.signer, sizeof row->signer);
        seal_hash(object->data, object->length, row->hash);
        return 0;
    }
    row->sequence = 0;
    if (wrong.class == ERROR_CANCELLED || wrong.class == ERROR_RETRY || wrong.class == ERROR_MEMORY) {
        *e = wrong;
        return -1;
    }
    repository_warn(rows->repository, &wrong);
    return 0;
}

static int load_rows(struct rows *rows, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct sink *sink = rows->repository->sink;
    if (sink_list(sink, "snapshots/", list_row, rows, e) < 0)
        return -1;
    if (rows->count > 0)
        qsort(rows->items, rows->count, sizeof *rows->items, compare_rows);
    for (size_t i = 0; i < rows->count; i++)
        bytes_put(&keys, rows->items[i].object, strlen(rows->items[i].object) + 1);
    if (bytes_check(&keys, "listing of snapshots", e) < 0)
        return -1;
    return sink_get_each(sink, (const char *)keys.data, keys.length, MANIFEST_OBJECT_MAX, read_row, rows, e);
}

/* ---- telling ---- */

static bool is_of(const struct row *row, const struct row *other)
{
    return strcmp(row->host, other->host) == 0 && strcmp(row->job, other->job) == 0 &&
           memcmp(row->signer, other->signer, sizeof row->signer) == 0;
}

static bool was_told(const struct rows *rows, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (rows->items[k].sequence > 0 && is_of(&rows->items[k], &rows->items[i]))
            return true;
    return false;
}

/* Each signer of a host and job once. signer: NULL = all of them. */
static void tell(const struct rows *rows, const uint8_t *signer, vault_signed *told, void *context)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        struct vault_signer said = {0};
        if (row->sequence == 0 || (signer && memcmp(row->signer, signer, 32) != 0) || was_told(rows, i))
            continue;
        memcpy(said.host, row->host, sizeof said.host);
        memcpy(said.job, row->job, sizeof said.job);
        memcpy(said.first, row->id, sizeof said.first);
        text_hex(row->signer, sizeof row->signer, said.signer);
        said.own = memcmp(row->signer, rows->repository->key->signer_public, sizeof row->signer) == 0;
        for (size_t k = i; k < rows->count; k++) {
            if (rows->items[k].sequence == 0 || !is_of(&rows->items[k], row))
                continue;
            memcpy(said.last, rows->items[k].id, sizeof said.last);
            said.snapshots++;
            said.doubtful += !rows->items[k].counts;
        }
        told(context, &said);
    }
}

/* ---- accept ---- */

static bool is_revoked(const struct signers *signers, const struct row *row)
{
    const struct revocation *revocation = signers_revoked(signers, row->signer);
    return revocation && !revocation_counts(revocation, row->hash);
}

static int accept_rows(struct rows *rows, struct error *e)
{
    size_t found = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->items[i];
        row->counts = row->sequence > 0 && !is_revoked(rows->repository->signers, row);
        found += row->counts;
        if (row->counts && signers_accept(rows->repository->signers, row->object, row->signer, e) < 0)
            return -1;
    }
    if (found > 0)
        return 0;
    error_set(e, ERROR_NOT_FOUND, "holds no snapshot of host '%s' whose signature counts", rows->host);
    return error_subject(e, "sink", sink_name(rows->repository->sink));
}

/* Durable, and read back: what was not stored says nothing to anybody. */
static int store(struct repository *r, const char *key, const struct bytes *object, bool if_absent, struct error *e)
{
    if (sink_put(r->sink, key, object->data, object->length, if_absent, e) < 0 || sink_sync(r->sink, e) < 0 ||
        confirm_object(r, key, object, e) < 0)
        return error_subject(e, "sink", sink_name(r->sink));
    return 0;
}

static int store_acceptance(struct repository *r, const struct row *row, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = ACCEPTANCE_MAX};
    struct acceptance acceptance;
    char key[201];
    memcpy(acceptance.host, row->host, sizeof acceptance.host);
    memcpy(acceptance.signer, row->signer, sizeof acceptance.signer);
    acceptance_key(&acceptance, key);
    if (acceptance_encode(&acceptance, r->key, &object, e) < 0)
        return -1;
    /* What has its name and is none is replaced: nobody else can make one. */
    return store(r, key, &object, false, e);
}

/* With the full key for everybody: each signer once. */
static int accept_everywhere(const struct rows *rows, struct error *e)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        bool done = !row->counts;
        for (size_t k = 0; k < i && !done; k++)
            done = rows->items[k].counts && memcmp(rows->items[k].signer, row->signer, sizeof row->signer) == 0;
        if (!done && store_acceptance(rows->repository, row, e) < 0)
            return -1;
    }
    return 0;
}

int signing_accept(struct vault *vault, const char *host, vault_signed *told, void *context, struct error *e)
{
    struct rows rows = {.repository = vault->own, .host = host};
    int result = load_rows(&rows, e);
    if (result == 0)
        result = accept_rows(&rows, e);
    if (result == 0 && rows.repository->key->full)
        result = accept_everywhere(&rows, e);
    if (result == 0)
        tell(&rows, NULL, told, context);
    free(rows.items);
    return result;
}

/* ---- revoke ---- */

/* Somebody else has its place in the history, and was there first. */
static bool was_taken(const struct rows *rows, const struct row *row)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *other = &rows->items[i];
        if (other != row && other->sequence == row->sequence && is_of(other, row) &&
            (other->stored < row->stored || (other->stored == row->stored && strcmp(other->id, row->id) < 0)))
            return true;
    }
    return false;
}

/* A store that tells no times tells nothing: then that of the id is taken, which its maker chose. */
static bool was_before(const struct row *row, int64_t since)
{
    char limit[CLOCK_TEXT_MAX];
    if (row->stored != INT64_MIN)
        return row->stored < since;
    clock_format_compact(since, limit);
    return strncmp(row->id, limit, strlen(limit)) < 0;
}

static int choose_counting(struct rows *rows, struct revocation *revocation, struct error *e)
{
    /* Also of nothing there is an array; and room in powers of two, as signing_count_placed has it. */
    size_t room = 1;
    while (room < rows->count)
        room *= 2;
    revocation->counting = malloc(room * sizeof *revocation->counting);
    if (!revocation->counting)
        return error_memory(e);
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->items[i];
        if (row->sequence == 0 || memcmp(row->signer, revocation->signer, sizeof row->signer) != 0)
            continue;
        row->counts = was_before(row, revocation->since) && !was_taken(rows, row);
        if (row->counts)
            memcpy(revocation->counting[revocation->count++], row->hash, sizeof row->hash);
    }
    return 0;
}

static int store_revocation(struct repository *r, const struct revocation *revocation, struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = REVOCATION_MAX};
    char key[201];
    revocation_key(revocation->signer, key);
    if (revocation_encode(revocation, r->key, &object, e) < 0)
        return -1;
    return store(r, key, &object, true, e);
}

static int refuse_revoke(const struct repository *r, const uint8_t signer[32], struct error *e)
{
    const struct revocation *revocation = signers_revoked(r->signers, signer);
    char since[CLOCK_TEXT_MAX];
    if (!r->key->full) {
        error_set(e, ERROR_DENIED, "revoke a key: this takes the full key, and only a %s key is at hand",
                  key_kind(r->key));
        return error_subject(e, "sink", sink_name(r->sink));
    }
    if (memcmp(signer, r->key->signer_public, 32) == 0) {
        error_set(e, ERROR_USAGE, "the full key itself cannot be revoked: whoever has it can sign for everybody");
        return error_hint(e, "begin a new repository, with a new key, and copy or keep what this one has");
    }
    if (!revocation)
        return 0;
    error_set(e, ERROR_EXISTS, "this key is revoked already, as of %s", clock_format_shown(revocation->since, since));
    return error_subject(e, "sink", sink_name(r->sink));
}

int signing_revoke(struct vault *vault, const uint8_t signer[32], int64_t since, vault_signed *told, void *context,
                   struct error *e)
{
    struct rows rows = {.repository = vault->own};
    struct revocation revocation = {.since = since};
    memcpy(revocation.signer, signer, sizeof revocation.signer);
    if (refuse_revoke(rows.repository, signer, e) < 0)
        return -1;
    int result = load_rows(&rows, e);
    if (result == 0)
        result = choose_counting(&rows, &revocation, e);
    if (result == 0)
        result = signing_count_placed(rows.repository, &revocation, e);
    if (result == 0)
        result = store_revocation(rows.repository, &revocation, e);
    if (result == 0)
        tell(&rows, signer, told, context);
    revocation_free(&revocation);
    free(rows.items);
    return result;
}
