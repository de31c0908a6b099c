#include "snapshot/manifest_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_limit.h"
#include "base/text.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_shape.h"
#include "snapshot/manifest_text.h"
#include "snapshot/path.h"

#define FORMAT 1

static const char *const status_names[] = {
    [MANIFEST_COMPLETE] = "complete",
    [MANIFEST_INCOMPLETE] = "incomplete",
    [MANIFEST_MISSING] = "missing",
};
#define STATUS_COUNT (sizeof status_names / sizeof status_names[0])

static size_t *count_of(const struct member *m, void *base)
{
    return (size_t *)(void *)((uint8_t *)base + m->count_offset);
}

static void **pointer_of(const struct member *m, void *base)
{
    return (void **)(void *)((uint8_t *)base + m->offset);
}

/* ---- writing ---- */

static size_t length_of(const struct member *m, const void *base)
{
    size_t n;
    memcpy(&n, (const uint8_t *)base + m->count_offset, sizeof n);
    return n;
}

static const void *target_of(const struct member *m, const void *base)
{
    const void *p;
    memcpy(&p, (const uint8_t *)base + m->offset, sizeof p);
    return p;
}

static json_t *write_object(const struct shape *shape, const void *base);

static json_t *write_text(const char *text)
{
    AUTO_FREE char *escaped = manifest_text_escape(text);
    return escaped ? json_string(escaped) : NULL;
}

static json_t *write_hex(const void *p, size_t n)
{
    char hex[2 * MANIFEST_HASH_SIZE + 1];
    ASSERT(n <= MANIFEST_HASH_SIZE);
    return json_string(text_hex(p, n, hex));
}

static json_t *write_list(const struct member *m, const void *base)
{
    json_t *list = json_array();
    const uint8_t *element = target_of(m, base);
    for (size_t i = 0; list && i < length_of(m, base); i++, element += m->size) {
        json_t *value = m->element ? write_object(m->element, element) : write_hex(element, m->size);
        /* Takes the value over, also when it fails; NULL fails. */
        if (json_array_append_new(list, value) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *write_value(const struct member *m, const void *base)
{
    const void *at = (const uint8_t *)base + m->offset;
    uint64_t count;
    int64_t time;
    enum manifest_status status;
    switch (m->type) {
    case MEMBER_NAME:
    case MEMBER_TEXT:
    case MEMBER_PATH:
    case MEMBER_SNAPSHOT:
    case MEMBER_REPOSITORY:
        return write_text(target_of(m, base));
    case MEMBER_COUNT:
        memcpy(&count, at, sizeof count);
        return json_integer(count > INT64_MAX ? -1 : (json_int_t)count);
    case MEMBER_TIME:
        memcpy(&time, at, sizeof time);
        return json_integer(time);
    case MEMBER_STATUS:
        memcpy(&status, at, sizeof status);
        return json_string(status_names[status]);
    case MEMBER_FLAG:
        return json_true();
    case MEMBER_ID:
        return json_string(at);
    case MEMBER_HEX:
        return write_hex(at, m->size);
    case MEMBER_LIST:
    case MEMBER_HASHES:
        return write_list(m, base);
    }
    return NULL;
}

/* Is there nothing to write? */
static bool is_absent(const struct member *m, const void *base)
{
    if (!m->optional)
        return false;
    if (m->type == MEMBER_FLAG)
        return !*((const bool *)base + m->offset);
    return m->type == MEMBER_ID ? *((const char *)base + m->offset) == '\0' : target_of(m, base) == NULL;
}

static json_t *write_object(const struct shape *shape, const void *base)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < shape->count; i++) {
        const struct member *m = &shape->members[i];
        if (!is_absent(m, base) && json_object_set_new(object, m->name, write_value(m, base)) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static int append_text(const char *text, size_t n, void *out)
{
    bytes_put(out, text, n);
    return 0;
}

int manifest_json_write(const struct manifest *manifest, struct bytes *out, struct error *e)
{
    json_t *root = write_object(&manifest_shape, manifest);
    if (!root || json_object_set_new(root, "format", json_integer(FORMAT)) < 0 ||
        json_object_set_new(root, "features", json_array()) < 0 ||
        json_dump_callback(root, append_text, out, JSON_COMPACT) < 0) {
        json_decref(root);
        return error_memory(e);
    }
    json_decref(root);
    return bytes_check(out, "manifest", e);
}

/* ---- reading ---- */

/* What is being read, for messages. */
struct reading {
    const char *name;
    struct error *error;
};

static int malformed(const struct reading *r, const char *member, const char *why)
{
    return error_set(r->error, ERROR_INTEGRITY, "read '%s': its member '%s' %s", r->name, member, why);
}

static int read_object(const struct reading *r, const struct shape *shape, const char *what, json_t *object,
                       void *base);

static bool is_path(const char *text)
{
    return path_valid(text, strlen(text));
}

static bool is_repository(const char *text)
{
    uint8_t id[MANIFEST_REPOSITORY_SIZE];
    return text_parse_hex(text, id, sizeof id);
}

/* The types that are char *, and what each must be. */
static const struct {
    bool is_text;
    bool (*valid)(const char *text); /* NULL = anything */
    const char *why;
} texts[] = {
    [MEMBER_NAME] = {true, text_is_name, "is not a name"},
    [MEMBER_TEXT] = {true, NULL, NULL},
    [MEMBER_PATH] = {true, is_path, "is not a path"},
    [MEMBER_SNAPSHOT] = {true, manifest_is_id, "is not the id of a snapshot"},
    [MEMBER_REPOSITORY] = {true, is_repository, "is not the id of a repository"},
    [MEMBER_HASHES] = {false, NULL, NULL},
};

static int read_text(const struct reading *r, const struct member *m, json_t *value, char **out)
{
    if (!json_is_string(value))
        return malformed(r, m->name, "is not text");
    AUTO_FREE char *text = text_copy(json_string_value(value));
    if (!text)
        return error_memory(r->error);
    if (!manifest_text_unescape(text))
        return malformed(r, m->name, "is not escaped as it must be");
    if (texts[m->type].valid && !texts[m->type].valid(text))
        return malformed(r, m->name, texts[m->type].why);
    *out = text;
    text = NULL;
    return 0;
}

static int read_integer(const struct reading *r, const struct member *m, json_t *value, void *at)
{
    if (!json_is_integer(value))
        return malformed(r, m->name, "is not an integer");
    int64_t number = json_integer_value(value);
    if (m->type == MEMBER_COUNT && number < 0)
        return malformed(r, m->name, "is negative");
    memcpy(at, &number, sizeof number);
    return 0;
}

static int read_status(const struct reading *r, const struct member *m, json_t *value, void *at)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < STATUS_COUNT; i++) {
        enum manifest_status status = (enum manifest_status)i;
        if (strcmp(text, status_names[i]) != 0)
            continue;
        memcpy(at, &status, sizeof status);
        return 0;
    }
    return malformed(r, m->name, "is not a status");
}

static int read_flag(const struct reading *r, const struct member *m, json_t *value, bool *at)
{
    if (!json_is_boolean(value))
        return malformed(r, m->name, "is neither true nor false");
    *at = json_is_true(value);
    return 0;
}

static int read_id(const struct reading *r, const struct member *m, json_t *value, char *at)
{
    const char *text = json_string_value(value);
    if (!text || !manifest_is_id(text))
        return malformed(r, m->name, "is not the id of a snapshot");
    memcpy(at, text, MANIFEST_ID_SIZE);
    return 0;
}

static int read_hex(const struct reading *r, const struct member *m, json_t *value, void *at)
{
    const char *text = json_string_value(value);
    if (!text || !text_parse_hex(text, at, m->size))
        return malformed(r, m->name, "is not as many hexadecimal digits as it must be");
    return 0;
}

static int read_list(const struct reading *r, const struct member *m, json_t *value, void *base)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > m->maximum)
        return malformed(r, m->name, "is not a list, or too long");
    if (n == 0)
        return 0;
    uint8_t *element = calloc(n, m->size);
    if (!element)
        return error_memory(r->error);
    /* At once, so that whoever frees the whole sees the part that was read. */
    *pointer_of(m, base) = element;
    *count_of(m, base) = n;
    for (size_t i = 0; i < n; i++, element += m->size) {
        json_t *item = json_array_get(value, i);
        int result = m->element ? read_object(r, m->element, m->name, item, element) : read_hex(r, m, item, element);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int read_value(const struct reading *r, const struct member *m, json_t *value, void *base)
{
    void *at = (uint8_t *)base + m->offset;
    switch (m->type) {
    case MEMBER_NAME:
    case MEMBER_TEXT:
    case MEMBER_PATH:
    case MEMBER_SNAPSHOT:
    case MEMBER_REPOSITORY:
        return read_text(r, m, value, (char **)pointer_of(m, base));
    case MEMBER_COUNT:
    case MEMBER_TIME:
        return read_integer(r, m, value, at);
    case MEMBER_STATUS:
        return read_status(r, m, value, at);
    case MEMBER_FLAG:
        return read_flag(r, m, value, at);
    case MEMBER_ID:
        return read_id(r, m, value, at);
    case MEMBER_HEX:
        return read_hex(r, m, value, at);
    case MEMBER_LIST:
    case MEMBER_HASHES:
        return read_list(r, m, value, base);
    }
    return malformed(r, m->name, "is of no known type");
}

static int read_object(const struct reading *r, const struct shape *shape, const char *what, json_t *object, void *base)
{
    if (!json_is_object(object))
        return malformed(r, what, "is not an object");
    for (size_t i = 0; i < shape->count; i++) {
        const struct member *m = &shape->members[i];
        json_t *value = json_object_get(object, m->name);
        if (!value && m->optional)
            continue;
        if (!value)
            return malformed(r, m->name, "is missing");
        if (read_value(r, m, value, base) < 0)
            return -1;
    }
    return 0;
}

/* Can this program read it at all? Members that it does not know are ignored, features are not. */
static int check_format(const struct reading *r, json_t *root)
{
    json_t *format = json_object_get(root, "format"), *features = json_object_get(root, "features");
    if (!json_is_integer(format))
        return malformed(r, "format", "is missing or not an integer");
    if (json_integer_value(format) != FORMAT) {
        error_set(r->error, ERROR_UNSUPPORTED, "read '%s': its format is %" JSON_INTEGER_FORMAT ", known is %d",
                  r->name, json_integer_value(format), FORMAT);
        return error_hint(r->error, "a newer version of cofre can read it");
    }
    if (!json_is_array(features))
        return malformed(r, "features", "is missing or not a list");
    if (json_array_size(features) == 0)
        return 0;
    const char *feature = json_string_value(json_array_get(features, 0));
    if (!feature)
        return malformed(r, "features", "holds what is not text");
    error_set(r->error, ERROR_UNSUPPORTED, "read '%s': it needs the feature '%s'", r->name, feature);
    return error_hint(r->error, "a newer version of cofre can read it");
}

int manifest_json_parse(const void *p, size_t n, const char *name, struct manifest *manifest, struct error *e)
{
    const struct reading r = {name, e};
    json_error_t where;
    if (json_limit_check(p, n, name, e) < 0)
        return -1;
    json_t *root = json_loadb(p, n, JSON_REJECT_DUPLICATES, &where);
    if (!root && json_error_code(&where) == json_error_out_of_memory)
        return error_memory(e);
    if (!root)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not JSON: %s", name, where.text);
    int result = json_is_object(root) ? check_format(&r, root) : malformed(&r, "manifest", "is not an object");
    if (result == 0)
        result = read_object(&r, &manifest_shape, "manifest", root, manifest);
    json_decref(root);
    return result;
}

/* ---- freeing ---- */

static void free_object(const struct shape *shape, void *base)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct member *m = &shape->members[i];
        bool owned = texts[m->type].is_text || m->type == MEMBER_LIST || m->type == MEMBER_HASHES;
        if (!owned)
            continue;
        uint8_t *element = *pointer_of(m, base);
        for (size_t k = 0; element && m->element && k < *count_of(m, base); k++)
            free_object(m->element, element + k * m->size);
        free(element);
    }
}

void manifest_json_free(struct manifest *manifest)
{
    free_object(&manifest_shape, manifest);
}
