/* Listing the packs of a host that has many: in parts, side by side, all of them or none. */
#include "trial.h"

#include "repository/pack_name.h"

#define PACKS 700

static struct pack_name name_of(uint32_t number)
{
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hash(&number, sizeof number, hash);
    return pack_name_of(TRIAL_HOST, hash);
}

/* The nth has n + 1 bytes. */
static void fill(struct trial *t, const char *place)
{
    struct repository *r = trial_open(t, place, 1, "");
    struct error e;
    static const uint8_t bytes[PACKS + 1];
    for (uint32_t i = 0; i < PACKS; i++) {
        const struct pack_name name = name_of(i);
        char key[201];
        pack_name_key(&name, key);
        assert_int_equal(sink_put(r->sink, key, bytes, i + 1, true, &e), 0);
    }
    assert_int_equal(sink_sync(r->sink, &e), 0);
    repository_close(r);
}

/* As a run has it, of a host that has many. */
static struct repository *open_many(struct trial *t, const char *place, unsigned parallel, const char *options)
{
    struct repository *r = trial_open(t, place, parallel, options);
    r->own_alone = true;
    r->many_packs = 0;
    return r;
}

struct taken {
    size_t packs, batches, largest;
    uint64_t bytes;
    struct pack_name last;
};

static int take(void *context, struct index_pack *packs, size_t count, struct error *e)
{
    struct taken *taken = context;
    (void)e;
    for (size_t i = 0; i < count; i++) {
        assert_true(taken->packs == 0 || pack_name_compare(&taken->last, &packs[i].name) < 0);
        taken->last = packs[i].name;
        taken->bytes += packs[i].size;
        taken->packs++;
    }
    taken->batches++;
    taken->largest = count > taken->largest ? count : taken->largest;
    return 0;
}

static void check_all(const struct taken *taken)
{
    assert_int_equal(taken->packs, PACKS);
    assert_int_equal(taken->bytes, (uint64_t)PACKS * (PACKS + 1) / 2);
}

static void test_in_parts(void **state)
{
    struct error e;
    fill(*state, "parts");
    for (unsigned parallel = 1; parallel <= 8; parallel *= 8) {
        struct taken taken = {0};
        struct repository *r = open_many(*state, "parts", parallel, "latency_lists=1");
        int before = memory_calls(trial_place(*state, "parts"), MEMORY_LIST);
        assert_int_equal(repository_each_packs(r, take, &taken, &e), 0);
        check_all(&taken);
        assert_int_equal(taken.batches, 256);
        assert_in_range(taken.largest, 1, PACKS / 20);
        assert_int_equal(memory_calls(trial_place(*state, "parts"), MEMORY_LIST) - before, 256);
        int most = memory_counts(trial_place(*state, "parts")).most_lists;
        assert_true(parallel == 1 ? most == 1 : most > 1 && most <= 8);
        repository_close(r);
    }
}

static void test_few_are_listed_at_once(void **state)
{
    struct taken taken = {0};
    struct error e;
    fill(*state, "few");
    struct repository *r = open_many(*state, "few", 2, "");
    r->many_packs = PACKS;
    int before = memory_calls(trial_place(*state, "few"), MEMORY_LIST);
    assert_int_equal(repository_each_packs(r, take, &taken, &e), 0);
    check_all(&taken);
    assert_int_equal(taken.batches, 1);
    assert_int_equal(memory_calls(trial_place(*state, "few"), MEMORY_LIST) - before, 1);
    repository_close(r);
}

/* That there are many shows while they are listed at once: the index does not know of them. */
static void test_many_are_news(void **state)
{
    struct taken taken = {0};
    struct error e;
    fill(*state, "news");
    struct repository *r = open_many(*state, "news", 2, "");
    r->many_packs = PACKS / 4;
    assert_int_equal(repository_each_packs(r, take, &taken, &e), 0);
    check_all(&taken);
    assert_int_equal(taken.batches, 256);
    repository_close(r);
}

/* Whichever it is: a listing that is short is none. */
static void test_one_part_fails(void **state)
{
    struct trial *t = *state;
    struct error e;
    fill(t, "fails");
    for (int nth = 50; nth <= 250; nth += 100)
        for (unsigned parallel = 1; parallel <= 4; parallel += 3) {
            struct taken taken = {0};
            char options[64];
            snprintf(options, sizeof options, "fail=list;fail_times=1;fail_at=%d",
                     memory_calls(trial_place(t, "fails"), MEMORY_LIST) + nth);
            struct repository *r = open_many(t, "fails", parallel, options);
            assert_int_equal(repository_each_packs(r, take, &taken, &e), -1);
            assert_int_equal(e.class, ERROR_PERMANENT);
            assert_true(taken.packs < PACKS);
            repository_close(r);
        }
}

static int refuse(void *context, struct index_pack *packs, size_t count, struct error *e)
{
    (void)packs;
    (void)count;
    return ++*(int *)context == 3 ? error_set(e, ERROR_CANCELLED, "enough") : 0;
}

static void test_stopped(void **state)
{
    struct error e;
    int calls = 0;
    struct repository *r = open_many(*state, "stopped", 4, "");
    assert_int_equal(repository_each_packs(r, refuse, &calls, &e), -1);
    assert_int_equal(e.class, ERROR_CANCELLED);
    assert_int_equal(calls, 3);
    repository_close(r);
}

/* Names that somebody has made up leave room for those that count. */
static void test_many_hosts(void **state)
{
    char key[201], again[201];
    struct pack_name first, name;
    (void)state;
    for (unsigned i = 0; i < 70000; i++) {
        snprintf(key, sizeof key, "packs/h%u/00/%064x", i, 0);
        if (!pack_name_parse_key(key, &name))
            fail_msg("'%s' is no name", key);
        first = i == 0 ? name : first;
    }
    pack_name_key(&name, again);
    assert_string_equal(again, key);
    assert_string_equal(pack_name_host(&first), "h0");
    assert_false(pack_name_is(&first, &name));
    assert_string_equal(pack_name_host(&(struct pack_name){.host = UINT32_C(1) << 24}), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_parts, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_few_are_listed_at_once, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_many_are_news, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_one_part_fails, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, trial_set_up, trial_tear_down),
        cmocka_unit_test(test_many_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
