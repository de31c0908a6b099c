/* Runs and the plans of collectors: what is not relied on, and what may not be committed. */
#include "trial.h"

#include "base/clock.h"
#include "repository/needs.h"
#include "repository/plan.h"

#define HOUR_MS INT64_C(3600000)
#define NS (INT64_C(1700000000) * 1000000000)

static struct pack_name pack_of(uint8_t n)
{
    uint8_t hash[SEAL_HASH_SIZE] = {n};
    return pack_name_of(TRIAL_HOST, hash);
}

static void need(struct needs *needs, uint8_t n)
{
    struct error e;
    const struct pack_name name = pack_of(n);
    assert_int_equal(needs_add(needs, &name, &e), 0);
    needs_sort(needs);
}

/* A plan of that pack and the next, by a collector of garbage. */
static void put_plan(struct repository *r, const char *id, uint8_t n)
{
    uint8_t packs[2][SEAL_HASH_SIZE] = {{n}, {(uint8_t)(n + 1)}};
    const struct plan plan = {.created = NS, .grace = PLAN_GRACE, .packs = packs, .count = 2};
    struct bytes object = {.maximum = PLAN_OBJECT_MAX};
    struct error e;
    char key[201];
    plan_key(TRIAL_HOST, id, key);
    assert_int_equal(plan_seal(r, key, &plan, &object, &e), 0);
    assert_int_equal(sink_put(r->sink, key, object.data, object.length, true, &e), 0);
    bytes_free(&object);
}

static void put_pack(struct repository *r, uint8_t n)
{
    const struct pack_name name = pack_of(n);
    struct error e;
    char key[201];
    pack_name_key(&name, key);
    assert_int_equal(sink_put(r->sink, key, "x", 1, true, &e), 0);
}

static int heed(struct repository *r, const struct needs *needs, size_t planned, enum error_class class)
{
    struct bytes found = {.maximum = 0};
    struct error e = {.class = ERROR_NONE};
    int result = repository_heed_plans(r, needs, &found, &e);
    assert_int_equal(e.class, class);
    if (result == 0)
        assert_int_equal(found.length, planned * sizeof(struct pack_name));
    bytes_free(&found);
    return result;
}

static void test_before_the_commit(void **state)
{
    struct repository *r = trial_open(*state, "heed", 1, "");
    struct needs needs = {0};
    struct error e;
    clock_set(NS);
    for (uint8_t n = 1; n < 10; n++)
        put_pack(r, n);
    put_plan(r, "20261120T020000Z-aaaaaa", 1);
    assert_int_equal(repository_read_plans(r, &e), 0);
    assert_true(repository_plans_pack(r, pack_of(1).hash) && repository_plans_pack(r, pack_of(2).hash));
    assert_false(repository_plans_pack(r, pack_of(3).hash));
    need(&needs, 4);
    assert_int_equal(heed(r, &needs, 0, ERROR_NONE), 0);
    /* One that comes meanwhile: who is quick may commit, and looks again; who is not may not. */
    put_plan(r, "20261120T020001Z-bbbbbb", 4);
    clock_advance(12 * HOUR_MS);
    assert_int_equal(heed(r, &needs, 1, ERROR_NONE), 0);
    clock_advance(1);
    assert_int_equal(heed(r, &needs, 0, ERROR_CHANGED), -1);
    needs_free(&needs);
    /* However long it takes, when nothing that it needs is planned; but all must be there. */
    need(&needs, 7);
    assert_int_equal(heed(r, &needs, 0, ERROR_NONE), 0);
    need(&needs, 77);
    assert_int_equal(heed(r, &needs, 0, ERROR_CHANGED), -1);
    needs_free(&needs);
    clock_release();
    repository_close(r);
}

static int look(struct repository *r, int64_t stored, const struct pack_name *planned, enum error_class class)
{
    struct bytes packs = {.maximum = 1000};
    struct error e = {.class = ERROR_NONE};
    bytes_put(&packs, planned, sizeof *planned);
    int result = repository_look_again(r, "needs/web1/job/20261120T020000Z-ab12cd", stored, &packs, &e);
    assert_int_equal(result < 0 ? e.class : ERROR_NONE, class);
    bytes_free(&packs);
    return result;
}

static void test_after_the_commit(void **state)
{
    struct repository *r = trial_open(*state, "look", 1, "");
    const struct pack_name there = pack_of(1), gone = pack_of(2);
    struct error e;
    clock_set(NS);
    int64_t stored = clock_monotonic();
    put_pack(r, 1);
    assert_int_equal(look(r, stored, &there, ERROR_CHANGED), -1); /* no needs */
    assert_int_equal(sink_put(r->sink, "needs/web1/job/20261120T020000Z-ab12cd", "x", 1, true, &e), 0);
    assert_int_equal(look(r, stored, &there, ERROR_NONE), 0);
    assert_int_equal(look(r, stored, &gone, ERROR_CHANGED), -1);
    /* Another gc has packed anew, and stored others in their place. */
    assert_int_equal(sink_put(r->sink, "needs/web1/job/20261120T020000Z-ab12cd.0011223344556677", "x", 1, true, &e), 0);
    assert_int_equal(sink_remove(r->sink, "needs/web1/job/20261120T020000Z-ab12cd", &e), 0);
    assert_int_equal(look(r, stored, &there, ERROR_NONE), 0);
    clock_advance(12 * HOUR_MS + 1);
    assert_int_equal(look(r, stored, &there, ERROR_CHANGED), -1); /* they may be on the way to be removed */
    clock_release();
    repository_close(r);
}

/* What is planned is stored again, though it is there, and can be read as long as it is. */
static void test_a_run(void **state)
{
    struct trial *t = *state;
    const struct trial_file file = {.path = "file", .seed = 7, .length = 300000};
    struct manifest_source source, again;
    struct trial_played played;
    struct repository *r = trial_open(t, "run", 1, "");
    trial_save(t, r, &file, 1, &source);
    const struct index_location before = trial_locate(r, file.seed, file.length, 0);
    const struct plan plan = {.created = NS,
                              .grace = PLAN_GRACE,
                              .packs = (uint8_t(*)[SEAL_HASH_SIZE])(uintptr_t)before.pack.hash,
                              .count = 1};
    struct bytes object = {.maximum = PLAN_OBJECT_MAX};
    struct index_location now;
    struct error e;
    char key[201];
    plan_key(TRIAL_HOST, "20261120T020000Z-ab12cd", key);
    assert_int_equal(plan_seal(r, key, &plan, &object, &e), 0);
    assert_int_equal(sink_put(r->sink, key, object.data, object.length, true, &e), 0);
    assert_int_equal(repository_read_plans(r, &e), 0);
    assert_int_equal(repository_load_index(r, REPOSITORY_ALL, &e), 0);
    trial_play(r, &source, "", 1, &file, 1, &played);
    assert_int_equal(played.entries - played.damaged, 1);
    trial_save(t, r, &file, 1, &again);
    now = trial_locate(r, file.seed, file.length, 0);
    assert_false(pack_name_is(&before.pack, &now.pack));
    trial_free_source(&source);
    trial_free_source(&again);
    bytes_free(&object);
    repository_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_before_the_commit, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_after_the_commit, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_a_run, trial_set_up, trial_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
