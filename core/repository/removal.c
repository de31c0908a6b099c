#include "repository/removal.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "repository/statement.h"
#include "snapshot/manifest_text.h"

static const uint8_t none[MANIFEST_HASH_SIZE];

/* ---- writing ---- */

static json_t *write_reasons(const struct removal_snapshot *s)
{
    json_t *list = json_array();
    int failed = list == NULL;
    for (size_t i = 0; !failed && i < s->reason_count && i < REMOVAL_REASONS_MAX; i++) {
        char *text = manifest_text_escape(s->reasons[i]);
        failed = json_array_append_new(list, text ? json_string(text) : NULL);
        free(text);
    }
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *write_snapshot(const struct removal_snapshot *s)
{
    bool first = memcmp(s->previous, none, sizeof none) == 0, range = s->first_sequence != 0;
    return json_pack("{s:s, s:I, s:I, s:o, s:o*, s:s*, s:o*, s:o}", "id", s->id, "sequence", (json_int_t)s->sequence,
                     "started", (json_int_t)s->started, "hash", statement_hex(s->hash, sizeof s->hash), "previous",
                     first ? NULL : statement_hex(s->previous, sizeof s->previous), "first_id",
                     range ? s->first_id : NULL, "first_sequence",
                     range ? json_integer((json_int_t)s->first_sequence) : NULL, "reasons", write_reasons(s));
}

/* Takes the list. */
static int set_members(json_t *json, json_t *list, const struct removal *removal)
{
    int failed = json_object_set_new(json, "removed", json_integer(removal->removed));
    if (removal->joined)
        failed |= json_object_set_new(json, "joined", json_true());
    return failed | json_object_set_new(json, "snapshots", list);
}

static json_t *write_removal(const struct repository *repository, const struct removal *removal)
{
    json_t *json = placed_json(repository, &removal->name), *list = json_array();
    int failed = 0;
    for (size_t i = 0; i < removal->count; i++)
        failed |= json_array_append_new(list, write_snapshot(&removal->snapshots[i]));
    if (set_members(json, list, removal) == 0 && !failed)
        return json;
    json_decref(json);
    return NULL;
}

int removal_seal(const struct repository *repository, const struct removal *removal, struct bytes *out, struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = REMOVAL_BODY_MAX};
    char key[201];
    ASSERT(removal->count > 0 && removal->count <= VAULT_REMOVALS_MAX);
    placed_key(REMOVAL_PREFIX, &removal->name, key);
    if (placed_json_write(write_removal(repository, removal), &body, e) < 0)
        return -1;
    return placed_seal(repository, SEAL_REMOVAL, key, NULL, 0, &body, out, e);
}

/* ---- reading ---- */

static bool are_reasons(const json_t *list)
{
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > REMOVAL_REASONS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return true;
}

/* Absent: it stands for itself alone. */
static bool read_first(const json_t *json, struct removal_snapshot *s)
{
    const json_t *sequence = json_object_get(json, "first_sequence"), *first = json_object_get(json, "first_id");
    const char *id = json_string_value(first);
    json_int_t number = json_integer_value(sequence);
    if (!sequence && !first)
        return true;
    if (!id || !manifest_is_id(id) || number < 1 || (uint64_t)number >= s->sequence || strcmp(id, s->id) >= 0)
        return false;
    memcpy(s->first_id, id, sizeof s->first_id);
    s->first_sequence = (uint64_t)number;
    return true;
}

static bool read_snapshot(const json_t *json, struct removal_snapshot *s)
{
    const char *id = json_string_value(json_object_get(json, "id"));
    const json_t *sequence = json_object_get(json, "sequence"), *started = json_object_get(json, "started");
    if (!id || !manifest_is_id(id) || json_integer_value(sequence) < 1 || !json_is_integer(started) ||
        !statement_get_hex(json, "hash", s->hash, sizeof s->hash) || !are_reasons(json_object_get(json, "reasons")))
        return false;
    memcpy(s->id, id, sizeof s->id);
    s->sequence = (uint64_t)json_integer_value(sequence);
    s->started = json_integer_value(started);
    if (json_object_get(json, "previous") && !statement_get_hex(json, "previous", s->previous, sizeof s->previous))
        return false;
    return read_first(json, s);
}

static int read_removal(const json_t *json, const char *key, struct removal *removal, struct error *e)
{
    const json_t *removed = json_object_get(json, "removed"), *list = json_object_get(json, "snapshots");
    size_t count = json_array_size(list);
    if (!json_is_integer(removed))
        return placed_malformed(key, "removed", e);
    if (!json_is_array(list) || count == 0 || count > VAULT_REMOVALS_MAX)
        return placed_malformed(key, "snapshots", e);
    removal->removed = json_integer_value(removed);
    removal->joined = json_is_true(json_object_get(json, "joined"));
    removal->snapshots = calloc(count, sizeof *removal->snapshots);
    if (!removal->snapshots)
        return error_memory(e);
    for (; removal->count < count; removal->count++)
        if (!read_snapshot(json_array_get(list, removal->count), &removal->snapshots[removal->count]))
            return placed_malformed(key, "snapshots", e);
    return 0;
}

int removal_parse(const struct repository *repository, const char *key, const struct bytes *body,
                  struct removal *removal, struct error *e)
{
    json_t *json;
    *removal = (struct removal){0};
    if (!placed_parse_key(REMOVAL_PREFIX, key, &removal->name))
        return error_set(e, ERROR_INTEGRITY, "'%s' is no removal record's name", key);
    if (placed_json_parse(repository, &removal->name, key, body, &json, e) < 0)
        return -1;
    int result = read_removal(json, key, removal, e);
    json_decref(json);
    if (result < 0)
        removal_free(removal);
    return result;
}

int removal_open(const struct repository *repository, const char *key, const struct bytes *object,
                 struct removal *removal, struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = REMOVAL_BODY_MAX};
    struct seal_opened opened;
    struct vault_name name;
    if (!placed_parse_key(REMOVAL_PREFIX, key, &name))
        return error_set(e, ERROR_INTEGRITY, "'%s' is no removal record's name", key);
    if (placed_open(repository, SEAL_REMOVAL, name.host, key, object, 0, &opened, &body, e) < 0)
        return -1;
    if (removal_parse(repository, key, &body, removal, e) < 0)
        return -1;
    memcpy(removal->signer, opened.signer, sizeof removal->signer);
    return 0;
}

void removal_free(struct removal *removal)
{
    free(removal->snapshots);
    *removal = (struct removal){0};
}
