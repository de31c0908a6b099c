#include "job/expect.h"

#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "job/row.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_text.h"

#define FILE_MAX_BYTES ((size_t)64 << 20)

/* The file is one object: for each source {"expected": FINDINGS, "found": FINDINGS, "differences": [text, ...]}; the
 * last two only where they differ. FINDINGS = {"identity": {key: value}, "left_out": {name: true}, "left_out_count":
 * n}, its texts escaped as in a manifest. */
struct expect {
    char *path;
    json_t *sources;
    json_t *stored; /* as the file has them; NULL = there is no file */
};

static int damaged(const char *path, struct error *e)
{
    error_set(e, ERROR_INTEGRITY, "state file '%s' is damaged", path);
    return error_hint(e, "move it away: what it held is taken from the newest snapshot, where the key can read it");
}

static bool is_findings(const json_t *value)
{
    return json_is_object(json_object_get(value, "identity")) && json_is_object(json_object_get(value, "left_out")) &&
           json_is_integer(json_object_get(value, "left_out_count"));
}

static bool is_source(const json_t *value)
{
    const json_t *expected = json_object_get(value, "expected"), *found = json_object_get(value, "found");
    return json_is_object(value) && (expected || found) && (!expected || is_findings(expected)) &&
           (!found || (is_findings(found) && json_is_array(json_object_get(value, "differences"))));
}

static bool is_whole(json_t *sources)
{
    const char *name;
    json_t *value;
    if (!json_is_object(sources))
        return false;
    json_object_foreach(sources, name, value) if (!is_source(value)) return false;
    return true;
}

static int read_file(struct expect *expect, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = FILE_MAX_BYTES};
    json_error_t where;
    if (file_read_own(expect->path, FILE_MAX_BYTES - 1, &text, e) < 0) {
        expect->sources = json_object();
        return e->class == ERROR_NOT_FOUND && expect->sources ? 0 : -1;
    }
    expect->sources = json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, &where);
    if (!is_whole(expect->sources))
        return damaged(expect->path, e);
    expect->stored = json_deep_copy(expect->sources);
    return expect->stored ? 0 : error_memory(e);
}

int expect_load(const char *directory, struct expect **expect, struct error *e)
{
    char path[PATH_MAX];
    struct expect *x = calloc(1, sizeof *x);
    if (!x)
        return error_memory(e);
    if (snprintf(path, sizeof path, "%s/expected", directory) >= (int)sizeof path)
        error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", directory);
    else if (!(x->path = text_copy(path)))
        error_memory(e);
    else if (read_file(x, e) == 0) {
        *expect = x;
        return 0;
    }
    expect_free(x);
    return -1;
}

void expect_free(struct expect *expect)
{
    if (!expect)
        return;
    json_decref(expect->sources);
    json_decref(expect->stored);
    free(expect->path);
    free(expect);
}

bool expect_knows(const struct expect *expect)
{
    return json_object_size(expect->sources) > 0;
}

/* ---- findings ---- */

static int put_escaped(json_t *object, const char *name, json_t *value)
{
    AUTO_FREE char *escaped = manifest_text_escape(name);
    if (escaped)
        return json_object_set_new(object, escaped, value);
    json_decref(value);
    return -1;
}

static json_t *escaped_text(const char *text)
{
    AUTO_FREE char *escaped = manifest_text_escape(text);
    return escaped ? json_string(escaped) : NULL;
}

static json_t *make_findings(const struct manifest_source *row)
{
    json_t *identity = json_object(), *left_out = json_object();
    int result = identity && left_out ? 0 : -1;
    for (size_t i = 0; result == 0 && i < row->fact_count; i++)
        if (row->facts[i].identity)
            result = put_escaped(identity, row->facts[i].key, escaped_text(row->facts[i].value));
    for (size_t i = 0; result == 0 && i < row->left_out_listed; i++)
        result = put_escaped(left_out, row->left_out[i].name, json_true());
    json_int_t count = row->left_out_count > INT64_MAX ? INT64_MAX : (json_int_t)row->left_out_count;
    json_t *findings =
        json_pack("{s:o, s:o, s:I}", "identity", identity, "left_out", left_out, "left_out_count", count);
    if (result == 0)
        return findings;
    json_decref(findings);
    return NULL;
}

int expect_learn(struct expect *expect, const struct manifest *before, struct error *e)
{
    for (size_t i = 0; i < before->source_count; i++) {
        const struct manifest_source *row = &before->sources[i];
        if (row->status == MANIFEST_MISSING)
            continue;
        json_t *findings = make_findings(row);
        if (!findings || json_object_set_new(expect->sources, row->name, json_pack("{s:o}", "expected", findings)) < 0)
            return error_memory(e);
    }
    return 0;
}

/* ---- comparing ---- */

struct comparison {
    struct manifest_source *row;
    json_t *differences;
};

static int differ(struct comparison *c, struct error *e, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int differ(struct comparison *c, struct error *e, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (json_array_append_new(c->differences, json_string(text)) < 0)
        return error_memory(e);
    return row_problem(c->row, "", 0, text, NULL, e);
}

static int compare_identity(struct comparison *c, json_t *expected, const json_t *found, struct error *e)
{
    const char *key;
    json_t *value;
    json_object_foreach(expected, key, value)
    {
        const char *was = json_string_value(value), *is = json_string_value(json_object_get(found, key));
        if (!is && differ(c, e, "it was read from another thing, or cannot tell any more: '%s' was %s", key, was) < 0)
            return -1;
        if (is && strcmp(is, was ? was : "") != 0 &&
            differ(c, e, "it was read from another thing than before: '%s' was %s and is %s", key, was, is) < 0)
            return -1;
    }
    return 0;
}

static int compare_left_out(struct comparison *c, const json_t *expected, const json_t *found, struct error *e)
{
    const json_t *before = json_object_get(expected, "left_out");
    json_int_t was = json_integer_value(json_object_get(expected, "left_out_count"));
    json_int_t is = json_integer_value(json_object_get(found, "left_out_count"));
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(found, "left_out"), name,
                        value) if (!json_object_get(before, name) &&
                                   differ(c, e, "it is left out, and was not before: '%s'", name) < 0) return -1;
    /* Beyond the list only their number is known. */
    if (is > MANIFEST_LEFT_OUT_MAX && is > was)
        return differ(c, e, "%lld things are left out, and before there were %lld", (long long)is, (long long)was);
    return 0;
}

static int compare(struct comparison *c, const json_t *expected, const json_t *found, struct error *e)
{
    if (compare_identity(c, json_object_get(expected, "identity"), json_object_get(found, "identity"), e) < 0)
        return -1;
    return compare_left_out(c, expected, found, e);
}

int expect_compare(struct expect *expect, struct manifest_source *row, bool *differs, struct error *e)
{
    const json_t *expected = json_object_get(json_object_get(expect->sources, row->name), "expected");
    json_t *found = make_findings(row);
    struct comparison c = {.row = row, .differences = json_array()};
    int result = found && c.differences ? 0 : error_memory(e);
    if (result == 0 && row->entries == 0)
        result = row_problem(row, "", 0, "nothing was announced: the source has no entry at all", NULL, e);
    if (result == 0 && expected)
        result = compare(&c, expected, found, e);
    *differs = json_array_size(c.differences) > 0;
    json_t *source =
        *differs ? json_pack("{s:O*, s:O, s:O}", "expected", expected, "found", found, "differences", c.differences)
                 : json_pack("{s:O}", "expected", found);
    if (result == 0 && json_object_set_new(expect->sources, row->name, source) < 0)
        result = error_memory(e);
    else if (result < 0)
        json_decref(source);
    json_decref(found);
    json_decref(c.differences);
    return result;
}

/* ---- keeping ---- */

int expect_save(const struct expect *expect, struct error *e)
{
    /* Most nights: nothing waits for the disk then. */
    if (expect->stored && json_equal(expect->stored, expect->sources))
        return 0;
    char *text = json_dumps(expect->sources, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (!text)
        return error_memory(e);
    int result = file_write(expect->path, text, strlen(text), FILE_REPLACE, e);
    free(text);
    return result;
}

int expect_accept(struct expect *expect, void (*difference)(void *, const char *, const char *), void *context,
                  struct error *e)
{
    const char *name;
    json_t *source, *text;
    size_t i;
    json_object_foreach(expect->sources, name, source)
    {
        json_t *found = json_object_get(source, "found");
        if (!found)
            continue;
        json_array_foreach(json_object_get(source, "differences"), i, text)
            difference(context, name, json_string_value(text));
        if (json_object_set(source, "expected", found) < 0)
            return error_memory(e);
        json_object_del(source, "found");
        json_object_del(source, "differences");
    }
    return 0;
}
