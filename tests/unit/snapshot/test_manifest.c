#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_json.h"

#define ID "20261120T020000Z-ab12cd"
#define NAME "snapshots/web1/nightly/" ID

static struct key *full, *put;

static int set_up(void **state)
{
    (void)state;
    struct error e;
    return seal_init(&e) < 0 || key_create(&full, &e) < 0 ? -1 : key_create_put(full, "web1", &put, &e);
}

static int tear_down(void **state)
{
    (void)state;
    key_free(full);
    key_free(put);
    manifest_free(NULL);
    return 0;
}

/* A manifest with something of everything; nothing of it is to be freed. Compound literals here live as long as the
 * program. */
#define TEXT(t) ((char[]){t})
static struct manifest_pair options[] = {{TEXT("path"), TEXT("/srv/\xff")}};
static struct manifest_fact facts[] = {{.key = TEXT("files"), .value = TEXT("3"), .must_match = true},
                                       {.key = TEXT("empty"), .value = TEXT(""), .identity = true, .may_grow = true}};
static struct manifest_left_out left_out[] = {{TEXT("a\nb \xff"), TEXT("it takes no connections")}};
static struct manifest_problem problems[] = {
    {TEXT("secret\n"), TEXT("open 'secret': permission denied"), TEXT("run it as root")},
    {TEXT(""), TEXT("nothing was announced"), NULL},
};
static struct manifest_chunk chunks[] = {
    {.id = {9}, .length = 1000, .first_path = TEXT("caf\xc3\xa9 100%/\"q\"\\\x01")},
    {.id = {8}, .length = 7, .first_record = 7, .first_path = TEXT("caf\xc3\xa9 100%/\"q\"\\\x01")},
};
static struct manifest_missed missed[] = {{TEXT("00112233445566778899aabbccddeeff"), TEXT(ID)}};
static uint8_t indexes[2][SEAL_HASH_SIZE] = {{1}, {2}};
static struct manifest_source sources[2];

static struct manifest sample(void)
{
    static char job[] = "nightly", host[] = "web1", version[] = "0.1.0", uploads[] = "uploads", gymdb[] = "gymdb";
    static char directory[] = "directory", postgres[] = "postgres", reason[] = "cannot connect";
    sources[0] = (struct manifest_source){.name = uploads,
                                          .plugin = directory,
                                          .plugin_version = version,
                                          .status = MANIFEST_INCOMPLETE,
                                          .options = options,
                                          .option_count = 1,
                                          .facts = facts,
                                          .fact_count = 2,
                                          .left_out_count = 1,
                                          .left_out = left_out,
                                          .left_out_listed = 1,
                                          .entries = 3,
                                          .bytes = UINT64_C(1) << 62,
                                          .vanished = 1,
                                          .problem_count = 5,
                                          .problems = problems,
                                          .problems_listed = 2,
                                          .fingerprint_key = {0x5a, 1},
                                          .chunks = chunks,
                                          .chunk_count = 2,
                                          .catalogue_bytes = 1007};
    sources[1] =
        (struct manifest_source){.name = gymdb, .plugin = postgres, .status = MANIFEST_MISSING, .error = reason};
    return (struct manifest){.id = ID,
                             .job = job,
                             .host = host,
                             .version = version,
                             .started = -1,
                             .ended = INT64_MAX,
                             .status = MANIFEST_INCOMPLETE,
                             .sequence = 7,
                             .previous_id = "20261119T020000Z-000000",
                             .previous_hash = {0x77},
                             .sources = sources,
                             .source_count = 2,
                             .missed = missed,
                             .missed_count = 1,
                             .indexes = indexes,
                             .index_count = 2,
                             .added = 12345};
}

static void seal_it(const struct manifest *m, const struct key *key, struct bytes *out)
{
    struct error e;
    if (manifest_object_seal(m, key, out, &e) < 0)
        fail_msg("%s", e.message);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct error e;
    struct manifest m = sample(), *out;
    struct bytes object = {.maximum = 1 << 20};
    seal_it(&m, put, &object);
    if (manifest_object_open(object.data, object.length, full, NULL, NAME, &out, &e) < 0)
        fail_msg("%s", e.message);
    assert_string_equal(out->id, ID);
    assert_string_equal(out->host, "web1");
    assert_string_equal(out->previous_id, m.previous_id);
    assert_memory_equal(out->previous_hash, m.previous_hash, 32);
    assert_memory_equal(out->signer, put->signer_public, 32);
    assert_true(out->started == -1 && out->ended == INT64_MAX && out->sequence == 7 && out->added == 12345);
    assert_int_equal(out->index_count, 2);
    assert_memory_equal(out->indexes, indexes, sizeof indexes);
    assert_int_equal(out->missed_count, 1);
    assert_string_equal(out->missed[0].id, ID);
    assert_int_equal(out->source_count, 2);
    const struct manifest_source *s = &out->sources[0];
    assert_string_equal(s->options[0].value, "/srv/\xff");
    assert_string_equal(s->facts[1].value, "");
    assert_false(s->facts[0].identity);
    assert_true(s->facts[1].identity);
    assert_true(s->facts[0].must_match && !s->facts[0].may_grow);
    assert_true(s->facts[1].may_grow && !s->facts[1].must_match);
    assert_int_equal(s->left_out_listed, 1);
    assert_string_equal(s->left_out[0].name, "a\nb \xff");
    assert_string_equal(s->problems[0].path, "secret\n");
    assert_string_equal(s->problems[0].hint, "run it as root");
    assert_null(s->problems[1].hint);
    assert_true(s->bytes == UINT64_C(1) << 62);
    assert_memory_equal(s->fingerprint_key, sources[0].fingerprint_key, 16);
    assert_int_equal(s->chunk_count, 2);
    assert_memory_equal(s->chunks[1].id, chunks[1].id, 32);
    assert_string_equal(s->chunks[1].first_path, chunks[1].first_path);
    assert_null(s->error);
    assert_null(out->sources[1].plugin_version);
    assert_string_equal(out->sources[1].error, "cannot connect");
    manifest_free(out);
    bytes_free(&object);
}

/* The clear part says what the body does. */
static void test_suspect(void **state)
{
    (void)state;
    struct error e;
    struct manifest_clear clear;
    struct manifest m = sample(), *out;
    struct bytes object = {.maximum = 1 << 20};
    for (int suspect = 0; suspect < 2; suspect++) {
        bytes_reset(&object);
        sources[0].suspect = suspect ? TEXT("it shrank by 75 %, \xc3\xa9") : NULL;
        seal_it(&m, put, &object);
        assert_int_equal(manifest_object_peek(object.data, object.length, full, NAME, &clear, &e), 0);
        assert_int_equal(clear.flags, MANIFEST_CLEAR_INCOMPLETE | (suspect ? MANIFEST_CLEAR_SUSPECT : 0));
        assert_int_equal(manifest_object_open(object.data, object.length, full, NULL, NAME, &out, &e), 0);
        assert_int_equal(manifest_is_suspect(out), suspect);
        if (suspect)
            assert_string_equal(out->sources[0].suspect, sources[0].suspect);
        else
            assert_null(out->sources[0].suspect);
        manifest_free(out);
    }
    bytes_free(&object);
}

static void test_names(void **state)
{
    (void)state;
    struct error e;
    struct manifest_clear clear;
    struct manifest m = sample(), *out;
    struct bytes object = {.maximum = 1 << 20};
    seal_it(&m, put, &object);
    assert_int_equal(manifest_object_peek(object.data, object.length, put, NAME, &clear, &e), 0);
    assert_int_equal(clear.sequence, 7);
    assert_memory_equal(clear.previous_hash, m.previous_hash, 32);
    assert_memory_equal(clear.signer, put->signer_public, 32);
    assert_int_equal(clear.started, m.started);
    assert_int_equal(clear.ended, m.ended);
    assert_int_equal(clear.flags, m.status == MANIFEST_COMPLETE ? 0 : MANIFEST_CLEAR_INCOMPLETE);
    static const char other[] = "snapshots/web2/nightly/" ID;
    assert_int_equal(manifest_object_peek(object.data, object.length, put, other, &clear, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_int_equal(manifest_object_open(object.data, object.length, full, NULL, other, &out, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_int_equal(manifest_object_open(object.data, object.length, put, NULL, NAME, &out, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    object.data[object.length / 2] ^= 1;
    assert_int_equal(manifest_object_open(object.data, object.length, full, NULL, NAME, &out, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    bytes_free(&object);
}

/* A right signature of this repository is not enough: it must be one for that host. */
static void test_signed_by_another_host(void **state)
{
    (void)state;
    struct error e;
    struct key *web2;
    struct manifest_clear clear;
    struct manifest m = sample(), *out;
    struct bytes object = {.maximum = 1 << 20};
    assert_int_equal(key_create_put(full, "web2", &web2, &e), 0);
    seal_it(&m, web2, &object);
    assert_int_equal(manifest_object_peek(object.data, object.length, put, NAME, &clear, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_non_null(strstr(e.message, "web2"));
    assert_int_equal(manifest_object_open(object.data, object.length, full, NULL, NAME, &out, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    bytes_reset(&object);
    seal_it(&m, full, &object);
    assert_int_equal(manifest_object_peek(object.data, object.length, put, NAME, &clear, &e), 0);
    key_free(web2);
    bytes_free(&object);
}

static void refuse(const struct manifest *m, const char *word)
{
    struct error e = {0};
    struct bytes object = {.maximum = 1 << 20};
    assert_int_equal(manifest_object_seal(m, put, &object, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    if (!strstr(e.message, word))
        fail_msg("'%s' is not in: %s", word, e.message);
    bytes_free(&object);
}

/* What must hold between members is refused before it is sealed. */
static void test_contradictions(void **state)
{
    (void)state;
    struct manifest m = sample();
    m.status = MANIFEST_COMPLETE, refuse(&m, "not complete");
    m.status = MANIFEST_MISSING, refuse(&m, "status");
    m = sample(), m.sequence = 0, refuse(&m, "sequence");
    m = sample(), m.previous_id[0] = '\0', refuse(&m, "previous");
    m = sample(), m.source_count = 0, refuse(&m, "no source");
    m = sample(), sources[1].name = sources[0].name, refuse(&m, "twice");
    m = sample(), sources[0].name = TEXT("Not A Name"), refuse(&m, "name");
    m = sample(), sources[0].catalogue_bytes++, refuse(&m, "another length");
    m = sample(), sources[0].problem_count = 0, refuse(&m, "problems");
    m = sample(), sources[1].error = NULL, refuse(&m, "no reason");
    m = sample(), sources[1].suspect = TEXT("it shrank"), refuse(&m, "suspect");
    m = sample(), sources[0].entries = UINT64_MAX, refuse(&m, "entries");
    m = sample(), memcpy(m.previous_id, "20261119T020000Z-00000X", MANIFEST_ID_SIZE), refuse(&m, "previous");
}

/* Replaces the first occurrence of one text in the JSON by another and parses that. */
static int parse_with(const char *from, const char *to, struct error *e)
{
    struct manifest m = sample(), *out = calloc(1, sizeof *out);
    struct bytes json = {.maximum = 1 << 20}, changed = {.maximum = 1 << 20};
    assert_non_null(out);
    assert_int_equal(manifest_json_write(&m, &json, e), 0);
    const char *at = memmem(json.data, json.length, from, strlen(from));
    assert_non_null(at);
    size_t before = (size_t)((const uint8_t *)at - json.data);
    bytes_put(&changed, json.data, before);
    bytes_put(&changed, to, strlen(to));
    bytes_put(&changed, json.data + before + strlen(from), json.length - before - strlen(from));
    *e = (struct error){0};
    int result = manifest_json_parse(changed.data, changed.length, "m", out, e);
    manifest_free(out);
    bytes_free(&json);
    bytes_free(&changed);
    return result;
}

static void test_strictness(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *word;
        enum error_class class;
    } cases[] = {
        {"\"started\"", "\"started\"", "", ERROR_NONE},
        {"{\"id\"", "{\"unknown\":1.5,\"id\"", "", ERROR_NONE},
        {"\"format\":1", "\"format\":2", "format", ERROR_UNSUPPORTED},
        {"\"format\":1", "\"format\":\"1\"", "format", ERROR_INTEGRITY},
        {"\"features\":[]", "\"features\":[\"new\"]", "new", ERROR_UNSUPPORTED},
        {"\"features\":[]", "\"features\":[1]", "features", ERROR_INTEGRITY},
        {"\"features\":[]", "\"features\":{}", "features", ERROR_INTEGRITY},
        {"\"started\"", "\"Started\"", "started", ERROR_INTEGRITY},
        {"\"added\":12345", "\"added\":-1", "added", ERROR_INTEGRITY},
        {"\"added\":12345", "\"added\":1.0", "added", ERROR_INTEGRITY},
        {"\"added\":12345", "\"added\":9223372036854775808", "JSON", ERROR_INTEGRITY},
        {"\"added\":12345", "\"added\":1,\"added\":1", "JSON", ERROR_INTEGRITY},
        {"\"status\":\"incomplete\"", "\"status\":\"fine\"", "status", ERROR_INTEGRITY},
        {"\"host\":\"web1\"", "\"host\":\"../x\"", "host", ERROR_INTEGRITY},
        {"\"host\":\"web1\"", "\"host\":null", "host", ERROR_INTEGRITY},
        {"\"id\":\"20261120T", "\"id\":\"20261120X", "id", ERROR_INTEGRITY},
        {"\"options\":[", "\"options\":{},\"x\":[", "options", ERROR_INTEGRITY},
        {"/srv/%FF", "/srv/%ff", "value", ERROR_INTEGRITY},
        {"/srv/%FF", "/srv/%41", "value", ERROR_INTEGRITY},
        {"/srv/%FF", "/srv/%00", "value", ERROR_INTEGRITY},
        {"/srv/%FF", "/srv/%F", "value", ERROR_INTEGRITY},
        {"/srv/%FF", "/srv/\\u00ff", "value", ERROR_INTEGRITY},
        {"secret%0A", "../secret", "path", ERROR_INTEGRITY},
        {"5a01", "5A01", "fingerprint_key", ERROR_INTEGRITY},
        {"5a01", "5a", "fingerprint_key", ERROR_INTEGRITY},
        {"00112233", "0011223", "repository", ERROR_INTEGRITY},
        {"{\"id\"", "[{\"id\"", "JSON", ERROR_INTEGRITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e;
        int result = parse_with(cases[i].from, cases[i].to, &e);
        assert_int_equal(e.class, cases[i].class);
        assert_int_equal(result, cases[i].class == ERROR_NONE ? 0 : -1);
        if (!strstr(e.message, cases[i].word))
            fail_msg("'%s' is not in: %s", cases[i].word, e.message);
    }
}

static void test_ids(void **state)
{
    (void)state;
    char id[MANIFEST_ID_SIZE], other[MANIFEST_ID_SIZE], key[201];
    const int64_t now = INT64_C(1795140000) * 1000000000;
    manifest_make_id(now, "", id);
    assert_memory_equal(id, "20261120T020000Z-", 17);
    assert_true(manifest_is_id(id));
    manifest_make_id(now, "", other);
    assert_string_not_equal(id, other);
    /* In the same second, and when the clock went back: still greater. */
    manifest_make_id(now, id, other);
    assert_memory_equal(other, "20261120T020001Z-", 17);
    manifest_make_id(0, "20991231T235959Z-ffffff", other);
    assert_memory_equal(other, "21000101T000000Z-", 17);
    static const char *const wrong[] = {"",
                                        "20261120T020000Z",
                                        "20261120T020000Z-ab12c",
                                        "20261120T020000Z-ab12cd0",
                                        "20261120t020000Z-ab12cd",
                                        "20261120T020000Z-AB12cd",
                                        "2026112aT020000Z-ab12cd"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(manifest_is_id(wrong[i]));
    manifest_object_key("web1", "nightly", ID, key);
    assert_string_equal(key, NAME);
}

/* A catalogue of so many chunks: more than 60 GB of it, which is some 300 million files; and one that has no room. */
static void test_large(void **state)
{
    (void)state;
    struct error e;
    struct manifest m = sample(), *out;
    size_t most = 60000, more = 70000;
    static char path[] =
        "srv/www/uploads/2026/11/some/directory/with/a/name/of/its/own/and/one/more/below-it/file-00000001.jpeg";
    struct manifest_chunk *many = calloc(more, sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < more; i++) {
        many[i] = (struct manifest_chunk){.length = MANIFEST_CHUNK_MAX, .first_path = path};
        for (size_t k = 0; k < sizeof many[i].id; k++)
            many[i].id[k] = (uint8_t)((i * 2654435761u) >> (k % 24));
    }
    sources[0].chunks = many;
    sources[0].chunk_count = most;
    sources[0].catalogue_bytes = (uint64_t)most * MANIFEST_CHUNK_MAX;
    struct bytes object = {.maximum = MANIFEST_MAX};
    seal_it(&m, full, &object);
    assert_true(object.length <= MANIFEST_OBJECT_MAX);
    if (manifest_object_open(object.data, object.length, full, NULL, NAME, &out, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(out->sources[0].chunk_count, most);
    manifest_free(out);
    sources[0].chunk_count = more;
    sources[0].catalogue_bytes = (uint64_t)more * MANIFEST_CHUNK_MAX;
    assert_int_equal(manifest_object_seal(&m, full, &object, &e), -1);
    assert_non_null(strstr(e.message, "while making it: "));
    assert_non_null(strstr(e.message, "more than 750000 values"));
    bytes_free(&object);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_suspect),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_signed_by_another_host),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
