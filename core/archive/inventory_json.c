/* The text of an inventory. */
#include "archive/inventory.h"

#include <cofre/plugin.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_limit.h"
#include "base/text.h"
#include "snapshot/manifest_json.h"
#include "snapshot/manifest_text.h"
#include "snapshot/path.h"
#include "snapshot/record.h"

#define KIND "cofre archive"

static const char *const encryptions[] = {
    [INVENTORY_PLAIN] = "none", [INVENTORY_RECIPIENTS] = "recipients", [INVENTORY_PASSPHRASE] = "passphrase"};
static const char *const kinds[] = {
    [COFRE_FILE] = "file",         [COFRE_DIRECTORY] = "directory", [COFRE_SYMLINK] = "symlink",
    [COFRE_HARDLINK] = "hardlink", [COFRE_FIFO] = "fifo",           [COFRE_CHARACTER] = "character",
    [COFRE_BLOCK] = "block",       [COFRE_SOCKET] = "socket",       [COFRE_STREAM] = "stream"};
static const char *const statuses[] = {
    [RECORD_WHOLE] = "whole", [RECORD_CHANGED] = "changed", [RECORD_UNREADABLE] = "unreadable"};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What a manifest has only in a repository: left out here. */
static const char *const of_manifest[] = {"indexes"};
static const char *const times[] = {"started", "ended"}; /* numbers there, and here for people, too */
static const char *const of_source[] = {"fingerprint_key", "catalogue_bytes", "catalogue"};

static int find(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; text && i < count; i++)
        if (names[i] && strcmp(names[i], text) == 0)
            return (int)i;
    return -1;
}

/* ---- writing ---- */

static json_t *text_json(const char *text)
{
    AUTO_FREE char *escaped = manifest_text_escape(text);
    return escaped ? json_string(escaped) : NULL;
}

static json_t *file_json(const struct inventory_file *f)
{
    char hash[DIGEST_TEXT];
    return json_pack("{s:s, s:s, s:I, s:I, s:s}", "name", f->name, "source", f->source, "stored", (json_int_t)f->stored,
                     "plain", (json_int_t)f->plain, "sha256", text_hex(f->sha256, DIGEST_SIZE, hash));
}

static json_t *time_json(int64_t ns)
{
    char text[CLOCK_TEXT_MAX];
    return json_string(clock_format_exact(ns, text));
}

/* Nothing when there is no text. */
static int add_text(json_t *object, const char *member, const char *text)
{
    return text ? json_object_set_new(object, member, text_json(text)) : 0;
}

/* NULL when out of memory: no member is missing then that should be there. */
static json_t *row_json(const struct inventory_row *r)
{
    json_t *row = json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "source", r->source, "path",
                            text_json(r->path), "kind", kinds[r->kind], "status", statuses[r->status], "size",
                            (json_int_t)r->size, "void", (json_int_t)r->voids, "mode", (json_int_t)r->mode, "uid",
                            (json_int_t)r->uid, "gid", (json_int_t)r->gid);
    int failed = add_text(row, "error", r->error) | add_text(row, "file", r->file) | add_text(row, "user", r->user) |
                 add_text(row, "group", r->group);
    if (r->sparse)
        failed |= json_object_set_new(row, "sparse", json_true());
    if (r->mtime != COFRE_NO_TIME)
        failed |= json_object_set_new(row, "mtime", time_json(r->mtime));
    if (row && !failed)
        return row;
    json_decref(row);
    return NULL;
}

static void leave_out(json_t *root)
{
    json_t *sources = json_object_get(root, "sources");
    for (size_t i = 0; i < COUNT(of_manifest); i++)
        json_object_del(root, of_manifest[i]);
    for (size_t k = 0; k < json_array_size(sources); k++)
        for (size_t i = 0; i < COUNT(of_source); i++)
            json_object_del(json_array_get(sources, k), of_source[i]);
}

/* ns as texts. */
static int write_times(json_t *root)
{
    int failed = 0;
    for (size_t i = 0; i < COUNT(times); i++)
        failed |= json_object_set_new(root, times[i], time_json(json_integer_value(json_object_get(root, times[i]))));
    return failed;
}

/* The counts of what this archive holds: a file that grew while it was read is cut here, and not in a repository. */
static int set_counts(const struct inventory *inventory, json_t *root)
{
    json_t *sources = json_object_get(root, "sources");
    int failed = 0;
    for (size_t i = 0; inventory->counts && i < json_array_size(sources); i++) {
        json_t *source = json_array_get(sources, i);
        const struct inventory_count *count = &inventory->counts[i];
        failed |= json_object_set_new(source, "entries", json_integer((json_int_t)count->entries));
        failed |= json_object_set_new(source, "bytes", json_integer((json_int_t)count->bytes));
    }
    return failed;
}

static int add_place(const struct manifest *m, json_t *root)
{
    char hash[2 * MANIFEST_HASH_SIZE + 1];
    json_t *forms = json_array();
    int failed = json_object_set_new(root, "sequence", json_integer((json_int_t)m->sequence));
    if (m->previous_id[0] != '\0')
        failed |= json_object_set_new(root, "previous_hash",
                                      json_string(text_hex(m->previous_hash, MANIFEST_HASH_SIZE, hash)));
    for (size_t i = 0; i < m->previous_form_count; i++)
        failed |= json_array_append_new(forms, json_string(text_hex(m->previous_forms[i], MANIFEST_HASH_SIZE, hash)));
    if (m->previous_form_count > 0)
        return failed | json_object_set_new(root, "previous_forms", forms);
    json_decref(forms);
    return failed;
}

static int add_lists(const struct inventory *inventory, json_t *root)
{
    json_t *files = json_array(), *rows = json_array();
    int failed = set_counts(inventory, root) | write_times(root);
    for (size_t i = 0; i < inventory->file_count; i++)
        failed |= json_array_append_new(files, file_json(&inventory->files[i]));
    for (size_t i = 0; i < inventory->row_count; i++)
        failed |= json_array_append_new(rows, row_json(&inventory->rows[i]));
    failed |= json_object_set_new(root, "kind", json_string(KIND));
    failed |= add_place(inventory->manifest, root);
    failed |= json_object_set_new(root, "compress", json_string(compress_name(inventory->compress)));
    failed |= json_object_set_new(root, "encryption", json_string(encryptions[inventory->encryption]));
    failed |= json_object_set_new(root, "files", files);
    return failed | json_object_set_new(root, "apart", rows);
}

static int append_text(const char *text, size_t n, void *out)
{
    bytes_put(out, text, n);
    return 0;
}

/* Written and read back, so that nothing is stored that could not be restored. */
static int check_again(const struct bytes *out, size_t before, struct error *e)
{
    struct inventory again = {0};
    int result = inventory_parse(out->data + before, out->length - before, "manifest.json", &again, e);
    inventory_free(&again);
    return result;
}

int inventory_write(const struct inventory *inventory, struct bytes *out, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = INVENTORY_MAX};
    if (manifest_json_write(inventory->manifest, &text, e) < 0)
        return -1;
    size_t before = out->length;
    json_t *root = json_loadb((const char *)text.data, text.length, 0, NULL);
    if (root)
        leave_out(root);
    int failed = !root || add_lists(inventory, root) != 0 || json_dump_callback(root, append_text, out, JSON_INDENT(1));
    json_decref(root);
    bytes_put(out, "\n", 1);
    if (failed)
        return error_memory(e);
    return bytes_check(out, "manifest", e) < 0 ? -1 : check_again(out, before, e);
}

/* ---- reading ---- */

static int malformed(const char *name, const char *what, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "read '%s': %s is not as it must be", name, what);
}

static bool read_number(const json_t *object, const char *member, int64_t maximum, uint64_t *out)
{
    const json_t *value = json_object_get(object, member);
    int64_t number = json_integer_value(value);
    *out = (uint64_t)number;
    return json_is_integer(value) && number >= 0 && number <= maximum;
}

static bool read_u32(const json_t *object, const char *member, uint32_t maximum, uint32_t *out)
{
    uint64_t number;
    bool fine = read_number(object, member, maximum, &number);
    *out = (uint32_t)number;
    return fine;
}

/* A name that stays in the snapshot's directory. */
static bool is_file_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = name ? strlen(name) : 0;
    return n > 0 && n < 128 && strspn(name, allowed) == n && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int read_file(const json_t *object, const char *name, struct inventory *inventory, struct error *e)
{
    const char *source = json_string_value(json_object_get(object, "source"));
    const char *file = json_string_value(json_object_get(object, "name"));
    const char *hash = json_string_value(json_object_get(object, "sha256"));
    struct inventory_file *f;
    if (!source || !is_file_name(file) || !hash || inventory_find(inventory, file))
        return malformed(name, "a stored file", e);
    if (inventory_add_file(inventory, source, file, &f, e) < 0)
        return -1;
    if (!text_parse_hex(hash, f->sha256, sizeof f->sha256) || !read_number(object, "stored", INT64_MAX, &f->stored) ||
        !read_number(object, "plain", INT64_MAX, &f->plain))
        return malformed(name, "a stored file", e);
    return 0;
}

static bool read_time(const json_t *object, const char *member, int64_t *ns)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text && clock_parse_exact(text, ns);
}

static int read_row_texts(const json_t *object, const char *name, struct inventory_row *r, struct error *e)
{
    const struct {
        const char *member;
        char **out;
    } texts[] = {
        {"path", &r->path}, {"error", &r->error}, {"file", &r->file}, {"user", &r->user}, {"group", &r->group}};
    for (size_t i = 0; i < COUNT(texts); i++) {
        const json_t *value = json_object_get(object, texts[i].member);
        if (!value)
            continue;
        if (!json_is_string(value))
            return malformed(name, "an entry that is apart", e);
        if (!(*texts[i].out = text_copy(json_string_value(value))))
            return error_memory(e);
        if (!manifest_text_unescape(*texts[i].out))
            return malformed(name, "an entry that is apart", e);
    }
    return 0;
}

static bool read_row_flags(const json_t *object, struct inventory_row *r)
{
    const json_t *sparse = json_object_get(object, "sparse");
    r->sparse = json_is_true(sparse);
    r->mtime = COFRE_NO_TIME;
    return (!sparse || json_is_boolean(sparse)) &&
           (!json_object_get(object, "mtime") || read_time(object, "mtime", &r->mtime));
}

static bool read_row_numbers(const json_t *object, struct inventory_row *r)
{
    return read_number(object, "size", INT64_MAX, &r->size) && read_number(object, "void", 1000000, &r->voids) &&
           read_u32(object, "mode", 07777, &r->mode) && read_u32(object, "uid", UINT32_MAX, &r->uid) &&
           read_u32(object, "gid", UINT32_MAX, &r->gid);
}

/* A row must follow the one before, and hold together. */
static bool row_fits(const struct inventory *inventory, const struct inventory_row *r)
{
    const struct inventory_row *before = inventory->row_count > 1 ? r - 1 : NULL;
    bool content = r->kind == COFRE_FILE || r->kind == COFRE_STREAM;
    if (!r->path || !path_valid(r->path, strlen(r->path)) || (r->status != RECORD_WHOLE) != (r->error != NULL))
        return false;
    if (r->path[0] == '\0' && r->kind != COFRE_DIRECTORY)
        return false;
    if (r->file && (!content || r->status == RECORD_UNREADABLE || !inventory_find(inventory, r->file)))
        return false;
    if (before && strcmp(before->source, r->source) == 0 &&
        path_compare(before->path, strlen(before->path), r->path, strlen(r->path)) >= 0)
        return false;
    return r->kind != COFRE_STREAM || r->file || r->status == RECORD_UNREADABLE;
}

static int read_row(const json_t *object, const char *name, struct inventory *inventory, struct error *e)
{
    const char *source = json_string_value(json_object_get(object, "source"));
    int kind = find(json_string_value(json_object_get(object, "kind")), kinds, COUNT(kinds));
    int status = find(json_string_value(json_object_get(object, "status")), statuses, COUNT(statuses));
    struct inventory_row *r;
    if (!source || kind < 0 || status < 0)
        return malformed(name, "an entry that is apart", e);
    if (inventory_add_row(inventory, source, &r, e) < 0)
        return -1;
    r->kind = (uint32_t)kind;
    r->status = (enum record_status)status;
    if (read_row_texts(object, name, r, e) < 0)
        return -1;
    if (!read_row_flags(object, r) || !read_row_numbers(object, r) || !row_fits(inventory, r))
        return malformed(name, "an entry that is apart", e);
    return 0;
}

static int read_list(json_t *root, const char *member, const char *name, struct inventory *inventory,
                     int (*read)(const json_t *object, const char *name, struct inventory *, struct error *),
                     struct error *e)
{
    const json_t *list = json_object_get(root, member);
    if (!json_is_array(list))
        return malformed(name, member, e);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read(json_array_get(list, i), name, inventory, e) < 0)
            return -1;
    return 0;
}

/* Texts as ns; null, which is refused, for what is none. */
static int put_times_back(json_t *root)
{
    int64_t ns;
    int failed = 0;
    for (size_t i = 0; i < COUNT(times); i++)
        failed |= json_object_set_new(root, times[i], read_time(root, times[i], &ns) ? json_integer(ns) : json_null());
    return failed;
}

/* What was left out is empty. Not 0 when out of memory. */
static int put_back(json_t *root)
{
    json_t *sources = json_object_get(root, "sources");
    int failed = put_times_back(root);
    if (!json_object_get(root, "missed"))
        failed |= json_object_set_new(root, "missed", json_array());
    for (size_t i = 0; i < COUNT(of_manifest); i++)
        failed |= json_object_set_new(root, of_manifest[i], json_array());
    for (size_t k = 0; k < json_array_size(sources); k++) {
        json_t *source = json_array_get(sources, k);
        if (!json_is_object(source))
            continue; /* refused in a moment */
        failed |= json_object_set_new(source, "fingerprint_key", json_string("00000000000000000000000000000000"));
        failed |= json_object_set_new(source, "catalogue_bytes", json_integer(0));
        failed |= json_object_set_new(source, "catalogue", json_array());
    }
    return failed;
}

static int read_forms(const json_t *root, const char *name, struct manifest *manifest, struct error *e)
{
    const json_t *forms = json_object_get(root, "previous_forms");
    size_t count = json_array_size(forms);
    if (forms && !json_is_array(forms))
        return malformed(name, "'previous_forms'", e);
    if (!(manifest->previous_forms = calloc(count + 1, sizeof *manifest->previous_forms)))
        return error_memory(e);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(forms, i));
        if (!text || !text_parse_hex(text, manifest->previous_forms[i], MANIFEST_HASH_SIZE))
            return malformed(name, "'previous_forms'", e);
    }
    manifest->previous_form_count = count;
    return 0;
}

/* Its place in the history, which a repository keeps outside of the JSON. */
static int read_place(const json_t *root, const char *name, struct manifest *manifest, struct error *e)
{
    const json_t *hash = json_object_get(root, "previous_hash");
    if (!read_number(root, "sequence", INT64_MAX, &manifest->sequence) ||
        (hash && (!json_is_string(hash) ||
                  !text_parse_hex(json_string_value(hash), manifest->previous_hash, MANIFEST_HASH_SIZE))))
        return malformed(name, "'sequence' or 'previous_hash'", e);
    return read_forms(root, name, manifest, e) < 0 ? -1 : manifest_check(manifest, name, e);
}

static int read_manifest(json_t *root, const char *name, struct inventory *inventory, struct error *e)
{
    char *text = put_back(root) == 0 ? json_dumps(root, JSON_COMPACT) : NULL;
    inventory->manifest = calloc(1, sizeof *inventory->manifest);
    int result = text && inventory->manifest ? manifest_json_parse(text, strlen(text), name, inventory->manifest, e)
                                             : error_memory(e);
    free(text);
    return result < 0 ? -1 : read_place(root, name, inventory->manifest, e);
}

static int read_root(json_t *root, json_t *lists, const char *name, struct inventory *inventory, struct error *e)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *compress = json_string_value(json_object_get(root, "compress"));
    int encryption = find(json_string_value(json_object_get(root, "encryption")), encryptions, COUNT(encryptions));
    if (!kind || strcmp(kind, KIND) != 0)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not the manifest of an archive", name);
    /* That it is of a newer format comes before what is odd in it. */
    if (read_manifest(root, name, inventory, e) < 0)
        return -1;
    if (!compress || compress_find(compress, &inventory->compress) < 0 || encryption < 0)
        return malformed(name, "'compress' or 'encryption'", e);
    inventory->encryption = (enum inventory_encryption)encryption;
    if (read_list(lists, "files", name, inventory, read_file, e) < 0)
        return -1;
    return read_list(lists, "apart", name, inventory, read_row, e);
}

/* If it is there. Not 0 when out of memory. */
static int move_member(json_t *from, json_t *to, const char *member)
{
    json_t *value = json_object_get(from, member);
    int failed = value ? json_object_set(to, member, value) : 0;
    json_object_del(from, member);
    return failed;
}

int inventory_parse(const void *p, size_t n, const char *name, struct inventory *inventory, struct error *e)
{
    json_error_t where;
    *inventory = (struct inventory){0};
    if (json_limit_check(p, n, name, e) < 0)
        return -1;
    json_t *root = json_loadb(p, n, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not JSON: %s", name, where.text);
    }
    /* The lists of an archive alone, so that the rest is what a repository has. */
    json_t *lists = json_object();
    int failed = move_member(root, lists, "files") | move_member(root, lists, "apart");
    int result = lists && !failed ? read_root(root, lists, name, inventory, e) : error_memory(e);
    json_decref(lists);
    json_decref(root);
    if (result < 0)
        inventory_free(inventory);
    return result;
}
