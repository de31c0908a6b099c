#include "repository/placed.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_limit.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/repository.h"
#include "repository/signers.h"
#include "worker/sink.h"

_Static_assert(PLACED_CLEAR_SIZE == SEAL_HASH_SIZE + REPOSITORY_ID_SIZE, "where it belongs");

static void place_of(const struct repository *repository, const char *key, uint8_t place[PLACED_CLEAR_SIZE])
{
    seal_hash(key, strlen(key), place);
    memcpy(place + SEAL_HASH_SIZE, repository->id, REPOSITORY_ID_SIZE);
}

int placed_seal(const struct repository *repository, enum seal_kind kind, const char *key, const void *own,
                size_t own_length, const struct bytes *body, struct bytes *out, struct error *e)
{
    uint8_t clear[SEAL_CLEAR_MAX];
    ASSERT(PLACED_CLEAR_SIZE + own_length <= sizeof clear);
    place_of(repository, key, clear);
    if (own_length > 0)
        memcpy(clear + PLACED_CLEAR_SIZE, own, own_length);
    return seal_envelope(repository->key, kind, clear, PLACED_CLEAR_SIZE + own_length, body->data, body->length, out,
                         e);
}

static int check_place(const struct repository *repository, const char *key, size_t own_length,
                       struct seal_opened *opened, struct error *e)
{
    uint8_t place[PLACED_CLEAR_SIZE];
    place_of(repository, key, place);
    if (opened->clear_length != PLACED_CLEAR_SIZE + own_length)
        return error_set(e, ERROR_INTEGRITY, "read '%s': its clear part is malformed", key);
    if (memcmp(opened->clear, place, SEAL_HASH_SIZE) != 0)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it was made for another place than this", key);
    if (memcmp(opened->clear, place, sizeof place) != 0)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it was made for another repository", key);
    opened->clear += PLACED_CLEAR_SIZE;
    opened->clear_length = own_length;
    return 0;
}

/* What a snapshot needs counts as its manifest does, which it names. */
static int check_revoked(const struct repository *repository, enum seal_kind kind, const char *key,
                         const struct bytes *object, const struct seal_opened *opened, struct error *e)
{
    struct signers_claim claim = {.object = key};
    memcpy(claim.signer, opened->signer, sizeof claim.signer);
    if (kind == SEAL_NEEDS && opened->clear_length == sizeof claim.hash)
        memcpy(claim.hash, opened->clear, sizeof claim.hash);
    else
        seal_hash(object->data, object->length, claim.hash);
    return signers_check_revoked(repository->signers, &claim, e);
}

int placed_open(const struct repository *repository, enum seal_kind kind, const char *host, const char *key,
                const struct bytes *object, size_t own_length, struct seal_opened *opened, struct bytes *body,
                struct error *e)
{
    if (seal_envelope_verify(repository->key, kind, object->data, object->length, key, opened, e) < 0 ||
        seal_check_host(opened, host, key, e) < 0 || check_place(repository, key, own_length, opened, e) < 0 ||
        check_revoked(repository, kind, key, object, opened, e) < 0)
        return -1;
    return seal_envelope_body(repository->key, kind, object->data, object->length, key, body, e);
}

/* ---- keys ---- */

#define KEY_ROOM 201

void placed_key(const char *prefix, const struct vault_name *name, char *out)
{
    int n = snprintf(out, KEY_ROOM, "%s/%s/%s/%s", prefix, name->host, name->job, name->id);
    ASSERT(n > 0 && n < KEY_ROOM);
}

static bool is_end(const char *prefix, const char *text)
{
    if (text[0] == '\0')
        return true;
    return strcmp(prefix, NEEDS_PREFIX) == 0 && text[0] == '.' && strlen(text) == 17 &&
           strspn(text + 1, "0123456789abcdef") == 16;
}

bool placed_parse_key(const char *prefix, const char *key, struct vault_name *name)
{
    size_t n = strlen(prefix);
    int end = 0;
    if (strncmp(key, prefix, n) != 0 ||
        sscanf(key + n, "/%63[^/]/%63[^/]/%23[^/]%n", name->host, name->job, name->id, &end) != 3 ||
        !is_end(prefix, key + n + end))
        return false;
    return text_is_name(name->host) && text_is_name(name->job) && manifest_is_id(name->id);
}

struct listing {
    const char *prefix, *host, *job;
    struct bytes *keys;
};

static int list_key(void *context, const struct sink_object *object, struct error *e)
{
    const struct listing *l = context;
    struct vault_name name;
    if (!placed_parse_key(l->prefix, object->key, &name) || (l->host && strcmp(name.host, l->host) != 0) ||
        (l->job && strcmp(name.job, l->job) != 0))
        return 0;
    bytes_put(l->keys, object->key, strlen(object->key) + 1);
    return bytes_check(l->keys, "listing", e);
}

int placed_list(const struct repository *repository, const char *prefix, const char *host, const char *job,
                struct bytes *keys, struct error *e)
{
    struct listing l = {.prefix = prefix, .host = host, .job = job, .keys = keys};
    char below[KEY_ROOM];
    int n = snprintf(below, sizeof below, "%s/%s%s", prefix, host ? host : "", host ? "/" : "");
    if (host && job)
        snprintf(below + n, sizeof below - (size_t)n, "%s/", job);
    return sink_list(repository->sink, below, list_key, &l, e) < 0 ? -1 : bytes_sort_texts(keys, e);
}

int placed_pass_over(struct repository *repository, const struct error *why, struct error *e)
{
    *e = *why;
    if (!sink_is_of_object(why))
        return error_subject(e, "sink", sink_name(repository->sink));
    if (why->class != ERROR_NOT_FOUND) /* it went while we listed */
        repository_warn(repository, e);
    return 0;
}

/* ---- bodies that are JSON ---- */

#define FORMAT 1

int placed_malformed(const char *key, const char *member, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "read '%s': its member '%s' is missing, or not what it must be", key, member);
}

json_t *placed_json(const struct repository *repository, const struct vault_name *name)
{
    char id[2 * REPOSITORY_ID_SIZE + 1];
    return json_pack("{s:i, s:[], s:s, s:s, s:s}", "format", FORMAT, "features", "repository",
                     text_hex(repository->id, REPOSITORY_ID_SIZE, id), "host", name->host, "job", name->job);
}

int placed_json_write(json_t *json, struct bytes *out, struct error *e)
{
    AUTO_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return error_memory(e);
    bytes_put(out, text, strlen(text));
    return bytes_check(out, "object", e);
}

static int check_format(const json_t *json, const char *key, struct error *e)
{
    const json_t *format = json_object_get(json, "format"), *features = json_object_get(json, "features");
    const char *feature = json_string_value(json_array_get(features, 0));
    if (!json_is_integer(format) || !json_is_array(features) || (json_array_size(features) > 0 && !feature))
        return placed_malformed(key, json_is_integer(format) ? "features" : "format", e);
    if (json_integer_value(format) == FORMAT && !feature)
        return 0;
    if (feature)
        error_set(e, ERROR_UNSUPPORTED, "read '%s': it needs the feature '%.100s'", key, feature);
    else
        error_set(e, ERROR_UNSUPPORTED, "read '%s': it has another format than %d", key, FORMAT);
    return error_hint(e, "a newer version of cofre can read it");
}

static int check_named(const json_t *json, const char *member, const char *value, const char *key, struct error *e)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text && strcmp(text, value) == 0 ? 0 : placed_malformed(key, member, e);
}

int placed_json_parse(const struct repository *repository, const struct vault_name *name, const char *key,
                      const struct bytes *body, json_t **json, struct error *e)
{
    char id[2 * REPOSITORY_ID_SIZE + 1];
    json_error_t where;
    if (json_limit_check(body->data, body->length, key, e) < 0)
        return -1;
    json_t *root = json_loadb((const char *)body->data, body->length, JSON_REJECT_DUPLICATES, &where);
    if (!root && json_error_code(&where) == json_error_out_of_memory)
        return error_memory(e);
    if (!root)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not JSON: %s", key, where.text);
    text_hex(repository->id, REPOSITORY_ID_SIZE, id);
    if (check_format(root, key, e) < 0 || check_named(root, "repository", id, key, e) < 0 ||
        check_named(root, "host", name->host, key, e) < 0 || check_named(root, "job", name->job, key, e) < 0) {
        json_decref(root);
        return -1;
    }
    *json = root;
    return 0;
}
