#include "repository/annotation.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "repository/statement.h"
#include "snapshot/manifest_text.h"

static const char *const prefixes[VAULT_ANNOTATION_KINDS] = {
    [VAULT_PIN] = "pins",
    [VAULT_VERIFIED] = "proofs/verified",
    [VAULT_PROVEN] = "proofs/proven",
    [VAULT_ACCEPTED] = "accepted",
};

const char *annotation_prefix(enum vault_annotation_kind kind)
{
    return prefixes[kind];
}

bool annotation_parse_key(const char *key, enum vault_annotation_kind *kind, struct vault_name *name)
{
    for (int i = 0; i < VAULT_ANNOTATION_KINDS; i++)
        if (placed_parse_key(prefixes[i], key, name)) {
            *kind = (enum vault_annotation_kind)i;
            return true;
        }
    return false;
}

/* ---- writing ---- */

/* Adds to the object; false when memory is short. An acceptance is a proof that needs not say how. */
static bool write_pin(const struct vault_annotation *a, json_t *json)
{
    AUTO_FREE char *note = manifest_text_escape(a->note);
    json_t *members = note ? json_pack("{s:s, s:I, s:o*}", "note", note, "created", (json_int_t)a->at, "until",
                                       a->until == VAULT_PIN_FOREVER ? NULL : json_integer(a->until))
                           : NULL;
    bool done = members && json_object_update(json, members) == 0;
    json_decref(members);
    return done;
}

static bool write_proof(const struct vault_annotation *a, json_t *json)
{
    static const char *const how[VAULT_ANNOTATION_KINDS] = {[VAULT_VERIFIED] = "content", [VAULT_PROVEN] = "restore"};
    json_t *members = json_pack("{s:o, s:I, s:s*}", "hash", statement_hex(a->hash, sizeof a->hash), "at",
                                (json_int_t)a->at, "how", how[a->kind]);
    bool done = members && json_object_update(json, members) == 0;
    json_decref(members);
    return done;
}

static json_t *write_annotation(const struct repository *repository, const struct vault_annotation *a)
{
    json_t *json = placed_json(repository, &a->name);
    if (json && json_object_set_new(json, "snapshot", json_string(a->name.id)) == 0 &&
        (a->kind == VAULT_PIN ? write_pin : write_proof)(a, json))
        return json;
    json_decref(json);
    return NULL;
}

int annotation_seal(const struct repository *repository, const struct vault_annotation *annotation, struct bytes *out,
                    struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = ANNOTATION_BODY_MAX};
    char key[201];
    placed_key(prefixes[annotation->kind], &annotation->name, key);
    if (placed_json_write(write_annotation(repository, annotation), &body, e) < 0)
        return -1;
    return placed_seal(repository, SEAL_ANNOTATION, key, NULL, 0, &body, out, e);
}

/* ---- reading ---- */

static int read_note(const json_t *json, const char *key, struct vault_annotation *a, struct error *e)
{
    const char *text = json_string_value(json_object_get(json, "note"));
    AUTO_FREE char *note = text ? text_copy(text) : NULL;
    if (text && !note)
        return error_memory(e);
    if (!note || !manifest_text_unescape(note) || strlen(note) > VAULT_NOTE_MAX)
        return placed_malformed(key, "note", e);
    memcpy(a->note, note, strlen(note) + 1);
    return 0;
}

static int read_pin(const json_t *json, const char *key, struct vault_annotation *a, struct error *e)
{
    const json_t *created = json_object_get(json, "created"), *until = json_object_get(json, "until");
    if (!json_is_integer(created))
        return placed_malformed(key, "created", e);
    if (until && !json_is_integer(until))
        return placed_malformed(key, "until", e);
    a->at = json_integer_value(created);
    a->until = until ? json_integer_value(until) : VAULT_PIN_FOREVER;
    return read_note(json, key, a, e);
}

static int read_proof(const json_t *json, const char *key, struct vault_annotation *a, struct error *e)
{
    const json_t *at = json_object_get(json, "at");
    if (!json_is_integer(at))
        return placed_malformed(key, "at", e);
    if (!statement_get_hex(json, "hash", a->hash, sizeof a->hash))
        return placed_malformed(key, "hash", e);
    if (a->kind != VAULT_ACCEPTED && !json_is_string(json_object_get(json, "how")))
        return placed_malformed(key, "how", e);
    a->at = json_integer_value(at);
    return 0;
}

int annotation_parse(const struct repository *repository, const char *key, const struct bytes *body,
                     struct vault_annotation *annotation, struct error *e)
{
    json_t *json;
    *annotation = (struct vault_annotation){0};
    if (!annotation_parse_key(key, &annotation->kind, &annotation->name))
        return error_set(e, ERROR_INTEGRITY, "'%s' is no annotation's name", key);
    if (placed_json_parse(repository, &annotation->name, key, body, &json, e) < 0)
        return -1;
    const char *snapshot = json_string_value(json_object_get(json, "snapshot"));
    int result = snapshot && strcmp(snapshot, annotation->name.id) == 0 ? 0 : placed_malformed(key, "snapshot", e);
    if (result == 0)
        result = (annotation->kind == VAULT_PIN ? read_pin : read_proof)(json, key, annotation, e);
    json_decref(json);
    return result;
}

int annotation_open(const struct repository *repository, const char *key, const struct bytes *object,
                    struct vault_annotation *annotation, struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = ANNOTATION_BODY_MAX};
    struct seal_opened opened;
    enum vault_annotation_kind kind;
    struct vault_name name;
    if (!annotation_parse_key(key, &kind, &name))
        return error_set(e, ERROR_INTEGRITY, "'%s' is no annotation's name", key);
    if (placed_open(repository, SEAL_ANNOTATION, name.host, key, object, 0, &opened, &body, e) < 0)
        return -1;
    return annotation_parse(repository, key, &body, annotation, e);
}
