#include "trial.h"

#include "repository/key.h"
#include "repository/plan.h"
#include "repository/seal.h"

#define KEY "plans/" TRIAL_HOST "/20261120T020000Z-ab12cd"
#define DAY (INT64_C(86400) * 1000000000)

static uint8_t names[3][SEAL_HASH_SIZE] = {{1, 2}, {1, 3}, {9}};
static const struct plan plan = {.created = 1700000000123456789, .grace = DAY, .packs = names, .count = 3};

static void test_round_trip(void **state)
{
    struct repository *r = trial_open(*state, "round", 1, "");
    struct bytes object = {.maximum = PLAN_OBJECT_MAX};
    struct plan read = {.count = 0};
    struct error e;
    assert_int_equal(plan_seal(r, KEY, &plan, &object, &e), 0);
    assert_int_equal(plan_open(r, TRIAL_HOST, KEY, &object, &read, &e), 0);
    assert_true(read.created == plan.created && read.grace == plan.grace && read.count == 3);
    assert_memory_equal(read.packs, names, sizeof names);
    assert_true(plan_has(&read, names[0]) && plan_has(&read, names[2]));
    assert_false(plan_has(&read, (const uint8_t[SEAL_HASH_SIZE]){1, 2, 1}));
    plan_free(&read);
    static const char *const elsewhere = "plans/" TRIAL_HOST "/20261120T020000Z-ab12ce";
    assert_int_equal(plan_open(r, TRIAL_HOST, elsewhere, &object, &read, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    for (size_t i = 0; i < object.length; i += 7) {
        object.data[i] ^= 1;
        assert_int_equal(plan_open(r, TRIAL_HOST, KEY, &object, &read, &e), -1);
        object.data[i] ^= 1;
    }
    bytes_free(&object);
    repository_close(r);
}

/* A put key can say nothing of what is removed. */
static void test_who_may(void **state)
{
    struct trial *t = *state;
    struct repository *r = trial_open(t, "may", 1, "");
    struct bytes object = {.maximum = PLAN_OBJECT_MAX};
    struct plan read = {.count = 0};
    struct key *full = r->key, *put;
    struct error e;
    assert_int_equal(key_create_put(full, TRIAL_HOST, &put, &e), 0);
    r->key = put;
    int sealed = plan_seal(r, KEY, &plan, &object, &e);
    r->key = full;
    assert_true(sealed < 0 || plan_open(r, TRIAL_HOST, KEY, &object, &read, &e) < 0);
    key_free(put);
    bytes_free(&object);
    repository_close(r);
}

/* ---- what is none ---- */

static int decode(const struct bytes *body, size_t n)
{
    struct plan read = {.count = 0};
    struct error e;
    int result = plan_decode(body->data, n, KEY, &read, &e);
    if (result < 0)
        assert_int_equal(e.class, ERROR_INTEGRITY);
    plan_free(&read);
    return result;
}

/* Change some bytes of a body that is right. */
static int decode_with(size_t at, const void *p, size_t n)
{
    struct bytes body = {.maximum = PLAN_BODY_MAX};
    struct error e;
    assert_int_equal(plan_encode(&plan, &body, &e), 0);
    memcpy(body.data + at, p, n);
    int result = decode(&body, body.length);
    bytes_free(&body);
    return result;
}

static void test_malformed(void **state)
{
    (void)state;
    struct bytes body = {.maximum = PLAN_BODY_MAX};
    struct error e;
    const int64_t negative = -1, endless = PLAN_GRACE_MAX + 1, most = PLAN_GRACE_MAX;
    const uint32_t none = 0, four = 4, many = PLAN_PACKS_MAX + 1;
    assert_int_equal(plan_encode(&plan, &body, &e), 0);
    for (size_t n = 0; n < body.length; n++)
        assert_int_equal(decode(&body, n), -1);
    bytes_put_u8(&body, 0);
    assert_int_equal(decode(&body, body.length), -1);
    bytes_free(&body);
    assert_int_equal(decode_with(8, &most, 8), 0);
    assert_int_equal(decode_with(8, &negative, 8), -1);
    assert_int_equal(decode_with(8, &endless, 8), -1);
    assert_int_equal(decode_with(16, &none, 4), -1);
    assert_int_equal(decode_with(16, &four, 4), -1);
    assert_int_equal(decode_with(16, &many, 4), -1);
    assert_int_equal(decode_with(20, names[1], SEAL_HASH_SIZE), -1); /* one twice */
    assert_int_equal(decode_with(20, names[2], SEAL_HASH_SIZE), -1); /* another order */
}

static void test_keys(void **state)
{
    (void)state;
    char key[201], host[64], id[MANIFEST_ID_SIZE];
    plan_key(TRIAL_HOST, "20261120T020000Z-ab12cd", key);
    assert_string_equal(key, KEY);
    assert_true(plan_parse_key(key, host, id));
    assert_string_equal(host, TRIAL_HOST);
    assert_string_equal(id, "20261120T020000Z-ab12cd");
    static const char *const others[] = {
        "plans/web1", "plans/web1/clock-20261120T020000Z-ab12cd", KEY "x",
        KEY "/x",     "plans/We/20261120T020000Z-ab12cd",         "packs/web1/20261120T020000Z-ab12cd"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(plan_parse_key(others[i], host, id));
}

static void test_spares(void **state)
{
    (void)state;
    assert_true(plan_spares(&plan, 0) && plan_spares(&plan, DAY / 2));
    assert_false(plan_spares(&plan, DAY / 2 + 1) || plan_spares(&plan, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_who_may, trial_set_up, trial_tear_down),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_spares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
