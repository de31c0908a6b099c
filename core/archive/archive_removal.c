#include "archive/archive_removal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_limit.h"
#include "base/text.h"
#include "worker/sink.h"

#define KIND "cofre removal"
#define PREFIX "removed/"
#define RECORD_MAX ((size_t)16 << 20)
#define SIGNATURE_MAX ((size_t)1 << 20)
#define KEYS_MAX ((size_t)256 << 20)
#define LISTS 3 /* so often from the start, when records were joined while they were read */

static void record_key(const char *job, const char *id, char key[ARCHIVE_KEY_SIZE])
{
    snprintf(key, ARCHIVE_KEY_SIZE, PREFIX "%s/%s.json", job, id);
}

/* ---- writing ---- */

/* NULL when out of memory, here and below: no member is missing then that should be there. */
static json_t *hash_json(const uint8_t hash[MANIFEST_HASH_SIZE])
{
    char text[2 * MANIFEST_HASH_SIZE + 1];
    return json_string(text_hex(hash, MANIFEST_HASH_SIZE, text));
}

static json_t *time_json(int64_t ns)
{
    char text[CLOCK_TEXT_MAX];
    return json_string(clock_format_exact(ns, text));
}

static json_t *row_json(const struct archive_removal_row *row)
{
    json_t *forms = json_array(), *reasons = json_array();
    int failed = 0;
    for (size_t i = 1; i < row->previous_count; i++)
        failed |= json_array_append_new(forms, hash_json(row->previous[i]));
    for (size_t i = 0; i < row->reason_count; i++)
        failed |= json_array_append_new(reasons, json_string(row->reasons[i]));
    json_t *json = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "id", row->id, "sequence", (json_int_t)row->sequence,
                             "hash", hash_json(row->hash), "started", time_json(row->started), "previous_forms", forms,
                             "reasons", reasons);
    if (row->previous_count > 0)
        failed |= json_object_set_new(json, "previous", hash_json(row->previous[0]));
    if (row->first_sequence > 0) {
        failed |= json_object_set_new(json, "first_sequence", json_integer((json_int_t)row->first_sequence));
        failed |= json_object_set_new(json, "first_id", json_string(row->first_id));
    }
    if (!failed)
        return json;
    json_decref(json);
    return NULL;
}

static int write_record(const struct archive *archive, const char *host, const char *job, bool joined,
                        const struct archive_removal_row *rows, size_t count, struct bytes *out, struct error *e)
{
    json_t *list = json_array();
    int failed = 0;
    for (size_t i = 0; i < count; i++)
        failed |= json_array_append_new(list, row_json(&rows[i]));
    json_t *json =
        json_pack("{s:s, s:i, s:[], s:s, s:s, s:s, s:o, s:o}", "kind", KIND, "format", 1, "features", "repository",
                  archive->marker.id, "host", host, "job", job, "removed", time_json(clock_now()), "snapshots", list);
    failed |= joined && json_object_set_new(json, "joined", json_true()) < 0;
    char *text = failed ? NULL : json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    if (!text)
        return error_memory(e);
    bytes_put(out, text, strlen(text));
    free(text);
    return bytes_check(out, "removal record", e);
}

static int sign(struct archive *archive, const char *key, const struct bytes *text, struct error *e)
{
    AUTO_BYTES struct bytes signature = {.maximum = SIGNATURE_MAX};
    char its_key[ARCHIVE_KEY_SIZE + 4];
    if (!archive->spec.pgp.signer)
        return 0;
    snprintf(its_key, sizeof its_key, "%s.sig", key);
    if (archive_ready(archive, NULL, NULL, e) < 0 ||
        pgp_sign(archive->pgp, text->data, text->length, &signature, e) < 0)
        return -1;
    return sink_put(archive->sink, its_key, signature.data, signature.length, true, e);
}

/* As a commit does: what is not there, and the same, when it is asked for explains nothing. */
static int put_and_look(struct archive *archive, const char *key, const struct bytes *text, struct error *e)
{
    AUTO_BYTES struct bytes back = {.maximum = text->length + 1};
    if (sink_sync(archive->sink, e) < 0 || sink_put(archive->sink, key, text->data, text->length, true, e) < 0 ||
        sink_sync(archive->sink, e) < 0)
        return -1;
    if (sink_get(archive->sink, key, text->length, &back, e) < 0)
        return error_context(e, "read back '%s': ", key);
    if (back.length != text->length || memcmp(back.data, text->data, back.length) != 0)
        return error_set(e, ERROR_PERMANENT, "read back '%s': it is not what was written", key);
    return 0;
}

int archive_removal_put(struct archive *archive, const char *host, const char *job, bool joined,
                        const struct archive_removal_row *rows, size_t count, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = RECORD_MAX - 1};
    char id[MANIFEST_ID_SIZE], key[ARCHIVE_KEY_SIZE];
    manifest_make_id(clock_now(), "", id);
    record_key(job, id, key);
    if (write_record(archive, host, job, joined, rows, count, &text, e) < 0 || sign(archive, key, &text, e) < 0 ||
        put_and_look(archive, key, &text, e) < 0)
        return -1;
    return 0;
}

/* ---- reading ---- */

struct reading {
    struct archive *archive;
    const char *host; /* that is asked for, or NULL */
    bool went;        /* one that was listed is not there */
    vault_removed *removed;
    void (*invalid)(void *context, const char *key, const struct error *why);
    void *context;
};

static int malformed(const char *what, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "the removal record's %s is not what it should be", what);
}

static bool is_text(const json_t *json, const char *member, const char *wanted)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text && strcmp(text, wanted) == 0;
}

static bool read_hash(const json_t *json, uint8_t hash[MANIFEST_HASH_SIZE])
{
    const char *text = json_string_value(json);
    return text && text_parse_hex(text, hash, MANIFEST_HASH_SIZE);
}

static bool read_previous(const json_t *row, struct verify_link *link)
{
    const json_t *forms = json_object_get(row, "previous_forms"), *first = json_object_get(row, "previous");
    if (first && !read_hash(first, link->previous[link->previous_count++]))
        return false;
    for (size_t i = 0; i < json_array_size(forms) && link->previous_count < VERIFY_PREVIOUS_MAX; i++)
        if (!read_hash(json_array_get(forms, i), link->previous[link->previous_count++]))
            return false;
    return true;
}

/* Absent: it stands for itself alone. */
static bool read_first(const json_t *row, struct verify_link *link)
{
    const json_t *sequence = json_object_get(row, "first_sequence"), *first = json_object_get(row, "first_id");
    const char *id = json_string_value(first);
    json_int_t number = json_integer_value(sequence);
    if (!sequence && !first)
        return true;
    if (!id || !manifest_is_id(id) || number < 1 || (uint64_t)number >= link->sequence || strcmp(id, link->id) >= 0)
        return false;
    memcpy(link->first_id, id, sizeof link->first_id);
    link->first_sequence = (uint64_t)number;
    return true;
}

static bool read_time(const json_t *json, const char *member, int64_t *ns)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text && clock_parse_exact(text, ns);
}

/* link: what all rows have; the rest of it is set. */
static int read_row(const json_t *row, const struct verify_link *common, struct verify_link *link, struct error *e)
{
    const char *id = json_string_value(json_object_get(row, "id"));
    json_int_t sequence = json_integer_value(json_object_get(row, "sequence"));
    *link = *common;
    if (!id || !manifest_is_id(id) || sequence < 1 || !read_hash(json_object_get(row, "hash"), link->hash) ||
        !read_previous(row, link) || !read_time(row, "started", &link->started))
        return malformed("list of snapshots", e);
    memcpy(link->id, id, sizeof link->id);
    link->sequence = (uint64_t)sequence;
    return read_first(row, link) ? 0 : malformed("list of snapshots", e);
}

/* Of whom it is must be what its place says, and what it was made for. */
static int check_root(const struct archive *archive, const json_t *root, const char *job, struct error *e)
{
    const json_t *features = json_object_get(root, "features");
    if (!is_text(root, "kind", KIND))
        return malformed("kind", e);
    if (json_integer_value(json_object_get(root, "format")) != 1 || json_array_size(features) > 0)
        return error_set(e, ERROR_UNSUPPORTED, "the removal record is of a newer format: a newer cofre made it");
    if (!is_text(root, "repository", archive->marker.id) || !is_text(root, "job", job))
        return error_set(e, ERROR_INTEGRITY, "the removal record is of another archive or job");
    const char *host = json_string_value(json_object_get(root, "host"));
    if (!host || !text_is_name(host) || !json_is_array(json_object_get(root, "snapshots")) ||
        json_array_size(json_object_get(root, "snapshots")) > VAULT_REMOVALS_MAX)
        return malformed("host or list of snapshots", e);
    return 0;
}

/* All of them are looked at before any is told of. */
static int tell_rows(const struct reading *r, const json_t *root, const struct verify_link *common, struct error *why,
                     struct error *e)
{
    const json_t *rows = json_object_get(root, "snapshots");
    struct verify_link link;
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (read_row(json_array_get(rows, i), common, &link, why) < 0)
            return 0;
    why->class = ERROR_NONE;
    for (size_t i = 0; i < json_array_size(rows) && r->removed; i++)
        if (read_row(json_array_get(rows, i), common, &link, e) < 0 || r->removed(r->context, &link, e) < 0)
            return -1;
    return 0;
}

/* *why: what is wrong with the record. */
static int parse(const struct reading *r, const char *key, const char *job, const struct bytes *text, struct error *why,
                 struct error *e)
{
    struct verify_link link = {.readable = true, .removed = true, .own = true};
    json_error_t where;
    if (json_limit_check(text->data, text->length, key, why) < 0)
        return 0;
    json_t *root = json_loadb((const char *)text->data, text->length, JSON_REJECT_DUPLICATES, &where);
    int result = 0;
    if (!json_is_object(root)) {
        malformed("text", why);
    } else if (check_root(r->archive, root, job, why) == 0) {
        snprintf(link.host, sizeof link.host, "%s", json_string_value(json_object_get(root, "host")));
        read_time(root, "removed", &link.recorded);
        link.joined = json_is_true(json_object_get(root, "joined"));
        snprintf(link.job, sizeof link.job, "%s", job);
        snprintf(link.object, sizeof link.object, "%s", key);
        if (r->host && strcmp(r->host, link.host) != 0)
            why->class = ERROR_NONE;
        else
            result = tell_rows(r, root, &link, why, e);
    }
    json_decref(root);
    return result;
}

int archive_removal_parse(struct archive *archive, const char *job, const struct bytes *text, vault_removed *removed,
                          void *context, struct error *why, struct error *e)
{
    const struct reading r = {.archive = archive, .removed = removed, .context = context};
    return parse(&r, "a removal record", job, text, why, e);
}

static int check_signature(struct archive *archive, const char *key, const struct bytes *text, struct error *e)
{
    AUTO_BYTES struct bytes signature = {.maximum = SIGNATURE_MAX};
    char its_key[ARCHIVE_KEY_SIZE + 4];
    if (!archive->spec.pgp.signer)
        return 0;
    snprintf(its_key, sizeof its_key, "%s.sig", key);
    if (sink_get(archive->sink, its_key, SIGNATURE_MAX - 1, &signature, e) == 0)
        return pgp_verify(archive->pgp, text->data, text->length, signature.data, signature.length, e);
    if (e->class != ERROR_NOT_FOUND)
        return -1;
    return error_set(e, ERROR_INTEGRITY, "the removal record is not signed, and sign_with is configured");
}

/* removed/JOB/ID.json */
static bool parse_key(const char *key, char job[64])
{
    char id[MANIFEST_ID_SIZE];
    int end = 0;
    return sscanf(key, PREFIX "%63[^/]/%23[^./].json%n", job, id, &end) == 2 && end > 0 && key[end] == '\0' &&
           text_is_name(job) && manifest_is_id(id);
}

/* It went with its signature while it was read. */
static bool went(const struct reading *r, const char *key)
{
    uint64_t size;
    struct error e;
    return sink_stat(r->archive->sink, key, &size, &e) < 0 && e.class == ERROR_NOT_FOUND;
}

/* *why: what is wrong with the record, ERROR_NONE = nothing. -1: it is not the record's fault. */
static int read_record(struct reading *r, const char *key, const struct bytes *text, struct error *why, struct error *e)
{
    char job[64];
    ASSERT(parse_key(key, job));
    if (check_signature(r->archive, key, text, why) == 0)
        return parse(r, key, job, text, why, e);
    if (why->class == ERROR_INTEGRITY && went(r, key)) {
        r->went = true;
        why->class = ERROR_NONE;
        return 0;
    }
    if (sink_is_of_object(why))
        return 0;
    *e = *why;
    return -1;
}

static int got_record(void *context, const char *key, const struct bytes *text, const struct error *unread,
                      struct error *e)
{
    struct reading *r = context;
    struct error why;
    if (!text && !sink_is_of_object(unread)) {
        *e = *unread;
        return -1;
    }
    if (!text && unread->class == ERROR_NOT_FOUND) {
        r->went = true;
        return 0;
    }
    if (!text)
        why = *unread;
    else if (read_record(r, key, text, &why, e) < 0)
        return -1;
    if (why.class != ERROR_NONE && r->invalid)
        r->invalid(r->context, key, &why);
    return 0;
}

static int collect(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    char job[64];
    if (parse_key(object->key, job))
        bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of removal records", e);
}

int archive_removal_keys(struct archive *archive, const char *job, struct bytes *keys, struct error *e)
{
    char prefix[80] = PREFIX;
    if (job)
        snprintf(prefix, sizeof prefix, PREFIX "%s/", job);
    return sink_list(archive->sink, prefix, collect, keys, e);
}

int archive_removal_list(struct archive *archive, const char *host, const char *job, vault_removed *removed,
                         void (*invalid)(void *context, const char *key, const struct error *why), void *context,
                         struct error *e)
{
    struct reading r = {
        .archive = archive, .host = host, .went = true, .removed = removed, .invalid = invalid, .context = context};
    for (int i = 0; i < (removed ? LISTS : 1) && r.went; i++) {
        AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
        r.went = false;
        if (archive_removal_keys(archive, job, &keys, e) < 0 ||
            sink_get_each(archive->sink, (const char *)keys.data, keys.length, RECORD_MAX - 1, got_record, &r, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- removing ---- */

/* Each of these; what is gone of them, then with that ending, is appended to *gone. */
static int remove_each(struct archive *archive, const struct bytes *keys, const char *ending, struct bytes *gone,
                       struct error *first, struct error *e)
{
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1) {
        const char *key = (const char *)keys->data + at;
        if (sink_remove(archive->sink, key, e) == 0) {
            bytes_put(gone, key, strlen(key));
            bytes_put(gone, ending, strlen(ending) + 1);
        } else if (!sink_is_of_object(e)) {
            return -1;
        } else if (first->class == ERROR_NONE && e->class != ERROR_LOCKED) {
            *first = *e;
        }
    }
    return bytes_check(gone, "list of signatures", e) < 0 ? -1 : sink_sync(archive->sink, e);
}

int archive_removal_forget(struct archive *archive, const struct bytes *keys, struct error *e)
{
    AUTO_BYTES struct bytes signatures = {.maximum = KEYS_MAX}, gone = {.maximum = KEYS_MAX};
    struct error first = {.class = ERROR_NONE};
    if (remove_each(archive, keys, ".sig", &signatures, &first, e) < 0 ||
        (archive->spec.pgp.signer && remove_each(archive, &signatures, "", &gone, &first, e) < 0))
        return -1;
    *e = first;
    return first.class == ERROR_NONE ? 0 : -1;
}
