#include "archive/archive_annotation.h"

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

#define FORMAT 1
#define OBJECT_MAX ((size_t)64 << 10)
#define KEYS_MAX ((size_t)64 << 20)

/* An archive keeps no proofs. */
static const struct {
    const char *prefix, *kind;
} kinds[VAULT_ANNOTATION_KINDS] = {
    [VAULT_PIN] = {"pins", "cofre pin"}, [VAULT_ACCEPTED] = {"accepted", "cofre accepted"}};

static void key_of(enum vault_annotation_kind kind, const struct vault_name *name, char key[ARCHIVE_KEY_SIZE])
{
    snprintf(key, ARCHIVE_KEY_SIZE, "%s/%s/%s.json", kinds[kind].prefix, name->job, name->id);
}

static bool parse_key(const char *key, struct vault_annotation *annotation)
{
    char prefix[16];
    struct vault_name *name = &annotation->name;
    int end = 0;
    if (sscanf(key, "%15[^/]/%63[^/]/%23[^/.].json%n", prefix, name->job, name->id, &end) != 3 || end == 0 ||
        key[end] != '\0' || !text_is_name(name->job) || !manifest_is_id(name->id))
        return false;
    for (int i = 0; i < VAULT_ANNOTATION_KINDS; i++)
        if (kinds[i].prefix && strcmp(kinds[i].prefix, prefix) == 0) {
            annotation->kind = (enum vault_annotation_kind)i;
            return true;
        }
    return false;
}

/* ---- writing ---- */

/* Adds to the object. Not 0: memory is short. */
static int write_pin(const struct vault_annotation *pin, json_t *json)
{
    char until[CLOCK_TEXT_MAX];
    AUTO_FREE char *note = manifest_text_escape(pin->note);
    if (!note)
        return -1;
    int failed = json_object_set_new(json, "note", json_string(note));
    if (pin->until != VAULT_PIN_FOREVER)
        failed |= json_object_set_new(json, "until", json_string(clock_format_exact(pin->until, until)));
    return failed;
}

static json_t *write_annotation(const struct archive *archive, const struct vault_annotation *a)
{
    char created[CLOCK_TEXT_MAX];
    json_t *json = json_pack("{s:s, s:i, s:[], s:s, s:s, s:s, s:s, s:s}", "kind", kinds[a->kind].kind, "format", FORMAT,
                             "features", "archive", archive->marker.id, "host", a->name.host, "job", a->name.job,
                             "snapshot", a->name.id, "created", clock_format_exact(a->at, created));
    if (json && (a->kind != VAULT_PIN || write_pin(a, json) == 0))
        return json;
    json_decref(json);
    return NULL;
}

int archive_annotation_put(struct archive *archive, const struct vault_annotation *annotation, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    if (!kinds[annotation->kind].prefix)
        return error_set(e, ERROR_UNSUPPORTED, "an archive keeps no proofs");
    key_of(annotation->kind, &annotation->name, key);
    json_t *json = write_annotation(archive, annotation);
    AUTO_FREE char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!text)
        return error_memory(e);
    if (sink_put(archive->sink, key, text, strlen(text), false, e) < 0 || sink_sync(archive->sink, e) < 0)
        return error_subject(e, "sink", sink_name(archive->sink));
    return 0;
}

static int is_there(struct archive *archive, enum vault_annotation_kind kind, const struct vault_name *name, bool *is,
                    struct error *e)
{
    struct error why;
    char key[ARCHIVE_KEY_SIZE];
    uint64_t size;
    key_of(kind, name, key);
    *is = sink_stat(archive->sink, key, &size, &why) == 0;
    if (*is || why.class == ERROR_NOT_FOUND)
        return 0;
    *e = why;
    return error_subject(e, "sink", sink_name(archive->sink));
}

struct asking {
    struct archive *archive;
    const struct vault_name *names;
    bool *are;
};

static int ask(void *context, size_t i, struct error *e)
{
    const struct asking *a = context;
    return is_there(a->archive, VAULT_PIN, &a->names[i], &a->are[i], e);
}

int archive_annotation_pinned(struct archive *archive, const struct vault_name *names, size_t count, bool *are,
                              struct error *e)
{
    struct asking a = {.archive = archive, .names = names, .are = are};
    return sink_each(archive->sink, count, ask, &a, e);
}

int archive_annotation_remove(struct archive *archive, enum vault_annotation_kind kind, const struct vault_name *name,
                              bool *was, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    key_of(kind, name, key);
    if (is_there(archive, kind, name, was, e) < 0)
        return -1;
    if (!*was)
        return 0;
    if (sink_remove(archive->sink, key, e) < 0 || sink_sync(archive->sink, e) < 0)
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

static int check_form(const struct archive *archive, const json_t *json, const char *key,
                      const struct vault_annotation *a, struct error *e)
{
    const struct {
        const char *member, *value;
    } wanted[] = {
        {"kind", kinds[a->kind].kind}, {"archive", archive->marker.id}, {"job", a->name.job}, {"snapshot", a->name.id}};
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

static int read_pin(const json_t *json, const char *key, struct vault_annotation *pin, struct error *e)
{
    const char *until = member(json, "until");
    pin->until = VAULT_PIN_FOREVER;
    if (json_object_get(json, "until") && (!until || !clock_parse_exact(until, &pin->until)))
        return malformed(key, "until", e);
    return read_note(json, key, pin, e);
}

static int read_members(const struct archive *archive, const json_t *json, const char *key, struct vault_annotation *a,
                        struct error *e)
{
    const char *host = member(json, "host"), *created = member(json, "created");
    if (check_form(archive, json, key, a, e) < 0)
        return -1;
    if (!host || !text_is_name(host))
        return malformed(key, "host", e);
    if (!created || !clock_parse_exact(created, &a->at))
        return malformed(key, "created", e);
    snprintf(a->name.host, sizeof a->name.host, "%s", host);
    return a->kind == VAULT_PIN ? read_pin(json, key, a, e) : 0;
}

int archive_annotation_parse(const struct archive *archive, const char *key, const struct bytes *text,
                             struct vault_annotation *annotation, struct error *e)
{
    json_error_t where;
    if (json_limit_check(text->data, text->length, key, e) < 0)
        return -1;
    json_t *json = json_loadb((const char *)text->data, text->length, JSON_REJECT_DUPLICATES, &where);
    if (!json && json_error_code(&where) == json_error_out_of_memory)
        return error_memory(e);
    if (!json)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not JSON: %s", key, where.text);
    int result = read_members(archive, json, key, annotation, e);
    json_decref(json);
    return result;
}

struct reading {
    struct archive *archive;
    archive_annotation_found *found;
    void *context;
};

static int read_annotation(void *context, const char *key, const struct bytes *object, const struct error *why,
                           struct error *e)
{
    const struct reading *r = context;
    struct vault_annotation annotation = {.kind = VAULT_PIN};
    struct error wrong = {.class = ERROR_NONE};
    parse_key(key, &annotation);
    if (!object)
        wrong = *why;
    else if (archive_annotation_parse(r->archive, key, object, &annotation, &wrong) == 0)
        wrong = (struct error){.class = ERROR_NONE};
    if (wrong.class == ERROR_NOT_FOUND) /* it went while we listed */
        return 0;
    if (!sink_is_of_object(&wrong) && wrong.class != ERROR_NONE) {
        *e = wrong;
        return -1;
    }
    return r->found(r->context, &annotation, &wrong, e);
}

static int list_annotation(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    struct vault_annotation annotation;
    if (parse_key(object->key, &annotation))
        bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of pins and acceptances", e);
}

int archive_annotation_each(struct archive *archive, const char *job, archive_annotation_found *found, void *context,
                            struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct reading r = {.archive = archive, .found = found, .context = context};
    for (int i = 0; i < VAULT_ANNOTATION_KINDS; i++) {
        char prefix[96];
        if (!kinds[i].prefix)
            continue;
        snprintf(prefix, sizeof prefix, "%s/%s%s", kinds[i].prefix, job ? job : "", job ? "/" : "");
        if (sink_list(archive->sink, prefix, list_annotation, &keys, e) < 0)
            return -1;
    }
    if (bytes_sort_texts(&keys, e) < 0)
        return -1;
    return sink_get_each(archive->sink, (const char *)keys.data, keys.length, OBJECT_MAX, read_annotation, &r, e);
}
