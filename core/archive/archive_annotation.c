#include "archive/archive_pin.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "archive/archive.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_limit.h"
#include "base/text.h"
#include "snapshot/manifest_text.h"
#include "worker/sink.h"

#define KIND "cofre pin"
#define FORMAT 1
#define PIN_MAX ((size_t)64 << 10)
#define KEYS_MAX ((size_t)64 << 20)

static void key_of(const char *job, const char *id, char key[ARCHIVE_KEY_SIZE])
{
    snprintf(key, ARCHIVE_KEY_SIZE, "pins/%s/%s.json", job, id);
}

static bool parse_key(const char *key, struct vault_name *name)
{
    int end = 0;
    return sscanf(key, "pins/%63[^/]/%23[^/.].json%n", name->job, name->id, &end) == 2 && end > 0 && key[end] == '\0' &&
           text_is_name(name->job) && manifest_is_id(name->id);
}

/* ---- writing ---- */

static json_t *write_pin(const struct archive *archive, const struct vault_annotation *pin)
{
    char created[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
    AUTO_FREE char *note = manifest_text_escape(pin->note);
    if (!note)
        return NULL;
    return json_pack("{s:s, s:i, s:[], s:s, s:s, s:s, s:s, s:s, s:s*, s:s}", "kind", KIND, "format", FORMAT, "features",
                     "archive", archive->marker.id, "host", pin->name.host, "job", pin->name.job, "snapshot",
                     pin->name.id, "created", clock_format_exact(pin->at, created), "until",
                     pin->until == VAULT_PIN_FOREVER ? NULL : clock_format_exact(pin->until, until), "note", note);
}

int archive_pin_put(struct archive *archive, const struct vault_annotation *pin, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    if (pin->kind != VAULT_PIN)
        return error_set(e, ERROR_UNSUPPORTED, "an archive keeps no proofs");
    key_of(pin->name.job, pin->name.id, key);
    json_t *json = write_pin(archive, pin);
    AUTO_FREE char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!text)
        return error_memory(e);
    if (sink_put(archive->sink, key, text, strlen(text), false, e) < 0 || sink_sync(archive->sink, e) < 0)
        return error_subject(e, "sink", sink_name(archive->sink));
    return 0;
}

int archive_pin_remove(struct archive *archive, const struct vault_name *name, bool *was, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    uint64_t size;
    key_of(name->job, name->id, key);
    *was = sink_stat(archive->sink, key, &size, e) == 0;
    if (!*was && e->class == ERROR_NOT_FOUND)
        return 0;
    if (!*was || sink_remove(archive->sink, key, e) < 0 || sink_sync(archive->sink, e) < 0)
        return error_subject(e, "sink", sink_name(archive->sink));
    return 0;
}

/* ---- reading ---- */

static int malformed(const char *key, const char *member, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "read '%s': its member '%s' is missing, or not what it must be", key, member);
}

static const char *member(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static int check_form(const struct archive *archive, const json_t *json, const char *key, const struct vault_name *name,
                      struct error *e)
{
    const struct {
        const char *member, *value;
    } wanted[] = {{"kind", KIND}, {"archive", archive->marker.id}, {"job", name->job}, {"snapshot", name->id}};
    const json_t *features = json_object_get(json, "features");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *value = member(json, wanted[i].member);
        if (!value || strcmp(value, wanted[i].value) != 0)
            return malformed(key, wanted[i].member, e);
    }
    if (!json_is_array(features))
        return malformed(key, "features", e);
    if (json_integer_value(json_object_get(json, "format")) == FORMAT && json_array_size(features) == 0)
        return 0;
    error_set(e, ERROR_UNSUPPORTED, "read '%s': it has another format than %d, or features that are not known", key,
              FORMAT);
    return error_hint(e, "a newer version of cofre can read it");
}

static int read_note(const json_t *json, const char *key, struct vault_annotation *pin, struct error *e)
{
    const char *text = member(json, "note");
    AUTO_FREE char *note = text ? text_copy(text) : NULL;
    if (text && !note)
        return error_memory(e);
    if (!note || !manifest_text_unescape(note) || strlen(note) > VAULT_NOTE_MAX)
        return malformed(key, "note", e);
    memcpy(pin->note, note, strlen(note) + 1);
    return 0;
}

static int read_members(const struct archive *archive, const json_t *json, const char *key,
                        struct vault_annotation *pin, struct error *e)
{
    const char *host = member(json, "host"), *created = member(json, "created"), *until = member(json, "until");
    if (check_form(archive, json, key, &pin->name, e) < 0)
        return -1;
    if (!host || !text_is_name(host))
        return malformed(key, "host", e);
    if (!created || !clock_parse_exact(created, &pin->at))
        return malformed(key, "created", e);
    pin->until = VAULT_PIN_FOREVER;
    if (json_object_get(json, "until") && (!until || !clock_parse_exact(until, &pin->until)))
        return malformed(key, "until", e);
    snprintf(pin->name.host, sizeof pin->name.host, "%s", host);
    return read_note(json, key, pin, e);
}

static int parse(const struct archive *archive, const char *key, const struct bytes *text, struct vault_annotation *pin,
                 struct error *e)
{
    json_error_t where;
    if (json_limit_check(text->data, text->length, key, e) < 0)
        return -1;
    json_t *json = json_loadb((const char *)text->data, text->length, JSON_REJECT_DUPLICATES, &where);
    if (!json && json_error_code(&where) == json_error_out_of_memory)
        return error_memory(e);
    if (!json)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not JSON: %s", key, where.text);
    int result = read_members(archive, json, key, pin, e);
    json_decref(json);
    return result;
}

struct reading {
    struct archive *archive;
    archive_pin_found *found;
    void *context;
};

static int read_pin(void *context, const char *key, const struct bytes *object, const struct error *why,
                    struct error *e)
{
    const struct reading *r = context;
    struct vault_annotation pin = {.kind = VAULT_PIN};
    struct error wrong = {.class = ERROR_NONE};
    parse_key(key, &pin.name);
    if (!object)
        wrong = *why;
    else if (parse(r->archive, key, object, &pin, &wrong) == 0)
        wrong = (struct error){.class = ERROR_NONE};
    if (wrong.class == ERROR_NOT_FOUND) /* it went while we listed */
        return 0;
    if (!sink_is_of_object(&wrong) && wrong.class != ERROR_NONE) {
        *e = wrong;
        return -1;
    }
    return r->found(r->context, &pin, &wrong, e);
}

static int list_pin(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    struct vault_name name;
    if (parse_key(object->key, &name))
        bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of pins", e);
}

int archive_pin_each(struct archive *archive, const char *job, archive_pin_found *found, void *context, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct reading r = {.archive = archive, .found = found, .context = context};
    char prefix[80] = "pins/";
    if (job)
        snprintf(prefix, sizeof prefix, "pins/%s/", job);
    if (sink_list(archive->sink, prefix, list_pin, &keys, e) < 0 || bytes_sort_texts(&keys, e) < 0)
        return -1;
    return sink_get_each(archive->sink, (const char *)keys.data, keys.length, PIN_MAX, read_pin, &r, e);
}
