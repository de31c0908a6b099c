#include "trial.h"

#include "base/text.h"
#include "repository/acceptance.h"
#include "repository/annotation.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "repository/revocation.h"
#include "repository/seal.h"
#include "repository/signers.h"
#include "repository/signing.h"
#include "repository/statement.h"

#define OBJECT "snapshots/web1/nightly/20261120T020000Z-ab12cd"

static struct key *full, *put, *other;

static int set_up(void **state)
{
    struct error e;
    if (trial_set_up(state) < 0)
        return -1;
    const struct trial *t = *state;
    return key_load(t->key_file, &full, &e) < 0 || key_create_put(full, TRIAL_HOST, &put, &e) < 0
               ? -1
               : key_create_put(full, TRIAL_HOST, &other, &e);
}

static int tear_down(void **state)
{
    key_free(full);
    key_free(put);
    key_free(other);
    return trial_tear_down(state);
}

static struct signers_claim claim_of(const struct key *key, uint8_t hash)
{
    struct signers_claim claim = {.object = OBJECT};
    memcpy(claim.signer, key->signer_public, sizeof claim.signer);
    memset(claim.hash, hash, sizeof claim.hash);
    return claim;
}

/* ---- objects ---- */

/* A statement of the root about that text, under the object's key. */
static void state_it(struct sink *sink, const char *key, enum seal_statement kind, const char *json)
{
    struct error e;
    struct bytes object = {.maximum = 1 << 20};
    assert_int_equal(statement_write(full, kind, json_loads(json, 0, NULL), &object, &e), 0);
    assert_int_equal(sink_put(sink, key, object.data, object.length, false, &e), 0);
    bytes_free(&object);
}

static void test_objects(void **state)
{
    (void)state;
    struct error e;
    char key[201];
    uint8_t counting[2][SEAL_HASH_SIZE] = {{1}, {2}}, unknown[SEAL_HASH_SIZE] = {3};
    struct bytes object = {.maximum = 1 << 16};
    struct revocation revocation = {.since = 1700000000123456789, .counting = counting, .count = 2}, read;
    memcpy(revocation.signer, put->signer_public, 32);
    assert_int_equal(revocation_encode(&revocation, put, &object, &e), -1);
    assert_int_equal(e.class, ERROR_DENIED);
    assert_int_equal(revocation_encode(&revocation, full, &object, &e), 0);
    revocation_key(put->signer_public, key);
    assert_int_equal(revocation_decode(object.data, object.length, key, full->public.root, &read, &e), 0);
    assert_true(read.since == revocation.since && read.count == 2);
    assert_true(revocation_counts(&read, counting[0]) && revocation_counts(&read, counting[1]));
    assert_false(revocation_counts(&read, unknown));
    revocation_free(&read);
    revocation_key(other->signer_public, key);
    assert_int_equal(revocation_decode(object.data, object.length, key, full->public.root, &read, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    for (size_t i = 0; i < object.length; i++) {
        revocation_key(put->signer_public, key);
        object.data[i] ^= 1;
        assert_int_equal(revocation_decode(object.data, object.length, key, full->public.root, &read, &e), -1);
        object.data[i] ^= 1;
        assert_int_equal(revocation_decode(object.data, i, key, full->public.root, &read, &e), -1);
    }
    bytes_free(&object);
}

/* The form, with the signer where '@' is. */
static void fill(const char *form, const char *signer, char out[600])
{
    const char *at = strchr(form, '@');
    snprintf(out, 600, "%.*s%s%s", at ? (int)(at - form) : 0, form, at ? signer : form, at ? at + 1 : "");
}

/* Signed by the root, and yet nothing that can be heeded: each is said, and costs nothing else. */
static void test_strange_statements(void **state)
{
    struct trial *t = *state;
    struct error e;
    char revoked[201], accepted[201], text[600], hex[65];
    struct acceptance acceptance = {.host = TRIAL_HOST};
    struct repository *r = trial_open(t, "strange", 1, "");
    text_hex(put->signer_public, 32, hex);
    memcpy(acceptance.signer, put->signer_public, 32);
    revocation_key(put->signer_public, revoked);
    acceptance_key(&acceptance, accepted);
    static const char *const forms[] = {
        "{\"format\":1,\"signer\":\"@\"}",
        "{\"format\":1,\"signer\":\"@\",\"since\":\"2026\",\"counting\":[]}",
        "{\"format\":1,\"signer\":\"@\",\"since\":\"2026-11-20T02:00:00.000000000Z\",\"counting\":[7]}",
        "{\"format\":1,\"signer\":\"@\",\"since\":\"2026-11-20T02:00:00.000000000Z\",\"counting\":{}}",
        "{\"format\":1,\"host\":\"web2\",\"signer\":\"@\"}",
        "{\"format\":1,\"host\":\"web1\",\"signer\":\"00\"}"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct signers *signers;
        fill(forms[i], hex, text);
        state_it(r->sink, revoked, SEAL_REVOKED, text);
        state_it(r->sink, accepted, SEAL_ACCEPTED, text);
        assert_int_equal(signers_open(r->sink, full, t->state, &signers, &e), 0);
        assert_null(signers_revoked(signers, put->signer_public));
        assert_true(signers_is_first(signers, OBJECT, put->signer_public));
        signers_free(signers);
    }
    /* One kind of statement is none of the other. */
    fill("{\"format\":1,\"host\":\"web1\",\"signer\":\"@\"}", hex, text);
    state_it(r->sink, accepted, SEAL_REVOKED, text);
    struct signers *signers;
    assert_int_equal(signers_open(r->sink, full, t->state, &signers, &e), 0);
    assert_true(signers_is_first(signers, OBJECT, put->signer_public));
    signers_free(signers);
    /* A form that is not known cannot be heeded, and the root has signed it. */
    fill("{\"format\":2,\"signer\":\"@\"}", hex, text);
    state_it(r->sink, revoked, SEAL_REVOKED, text);
    assert_int_equal(signers_open(r->sink, full, t->state, &signers, &e), -1);
    assert_int_equal(e.class, ERROR_UNSUPPORTED);
    repository_close(r);
}

/* ---- whom this machine knows ---- */

static void test_the_first_is_accepted(void **state)
{
    struct trial *t = *state;
    struct error e;
    struct signers *signers;
    char directory[128];
    struct repository *r = trial_open(t, "first", 1, "");
    snprintf(directory, sizeof directory, "%s/first", t->directory);
    struct signers_claim first = claim_of(put, 1), second = claim_of(other, 2), own = claim_of(full, 3);
    assert_int_equal(signers_open(r->sink, full, directory, &signers, &e), 0);
    assert_true(signers_is_first(signers, OBJECT, put->signer_public));
    assert_false(signers_is_first(signers, OBJECT, full->signer_public));
    assert_int_equal(signers_admit(signers, &first, &e), 0);
    assert_false(signers_is_first(signers, OBJECT, put->signer_public));
    assert_true(signers_is_first(signers, "snapshots/web1/weekly/20261120T020000Z-ab12cd", put->signer_public));
    assert_int_equal(signers_admit(signers, &second, &e), -1);
    assert_int_equal(e.class, ERROR_SIGNER);
    assert_non_null(strstr(e.hint, "key accept test web1"));
    signers_free(signers);
    /* Another start: it is remembered. Our own key always counts. */
    assert_int_equal(signers_open(r->sink, full, directory, &signers, &e), 0);
    assert_int_equal(signers_admit(signers, &second, &e), -1);
    assert_int_equal(signers_admit(signers, &own, &e), 0);
    assert_int_equal(signers_accept(signers, OBJECT, other->signer_public, &e), 0);
    signers_free(signers);
    assert_int_equal(signers_open(r->sink, full, directory, &signers, &e), 0);
    assert_int_equal(signers_admit(signers, &first, &e), 0);
    assert_int_equal(signers_admit(signers, &second, &e), 0);
    signers_free(signers);
    repository_close(r);
}

/* What the sink does not tell is no reason to believe anybody. */
static void test_a_sink_that_fails(void **state)
{
    struct trial *t = *state;
    struct error e;
    struct signers *signers;
    char key[201];
    static const struct {
        const char *options;
        int result;
    } rows[] = {{"fail=list", -1}, {"fail=list;fail_class=denied", -1}, {"fail=get;fail_class=denied", 0}};
    revocation_key(put->signer_public, key);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "failing-%zu", i);
        struct repository *r = trial_open(t, name, 1, "");
        state_it(r->sink, key, SEAL_REVOKED, "{}");
        repository_close(r);
        struct memory_pool pool = {.parallel = 1, .least = 1};
        char options[160];
        snprintf(options, sizeof options, "place=%s;%s", trial_place(t, name), rows[i].options);
        pool.options = options;
        struct sink *sink = memory_sink(&pool);
        assert_int_equal(signers_open(sink, full, t->state, &signers, &e), rows[i].result);
        if (rows[i].result == 0)
            signers_free(signers);
        sink_free(sink);
    }
}

/* ---- revoking ---- */

/* The sink tells no times: what was stored before is what says so in its id. */
static void test_before_by_the_id(void **state)
{
    static const char *const ids[] = {"20261120T020000Z-ab12cd", "20261121T235959Z-ab12cd", "20261122T000000Z-ab12cd"};
    struct trial *t = *state;
    struct error e;
    uint8_t hashes[3][SEAL_HASH_SIZE];
    struct repository *r = trial_open(t, "before", 1, "");
    struct revocation revocation = {.since = 0};
    memcpy(revocation.signer, r->key->signer_public, sizeof revocation.signer);
    assert_true(clock_parse_exact("2026-11-22T00:00:00.000000000Z", &revocation.since));
    for (size_t i = 0; i < 3; i++) {
        char key[201];
        struct bytes object = {.maximum = ANNOTATION_OBJECT_MAX};
        struct vault_annotation pin = {
            .kind = VAULT_PIN, .until = VAULT_PIN_FOREVER, .name = {TRIAL_HOST, "nightly", ""}};
        strcpy(pin.name.id, ids[i]);
        snprintf(key, sizeof key, "pins/" TRIAL_HOST "/nightly/%s", ids[i]);
        assert_int_equal(annotation_seal(r, &pin, &object, &e), 0);
        assert_int_equal(sink_put(r->sink, key, object.data, object.length, false, &e), 0);
        seal_hash(object.data, object.length, hashes[i]);
        bytes_free(&object);
    }
    assert_int_equal(signing_count_placed(r, &revocation, &e), 0);
    assert_int_equal(revocation.count, 2);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(revocation_counts(&revocation, hashes[i]), i < 2);
    revocation_free(&revocation);
    repository_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_objects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strange_statements, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_is_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_sink_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_before_by_the_id, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
