/* What a run remembers of the packs that it has listed, where listing is dear; and when it looks again. */
#include "trial.h"

#include <limits.h>

#include "base/clock.h"
#include "base/file.h"
#include "cofre/plugin.h"
#include "repository/journal.h"
#include "repository/pack_name.h"
#include "repository/plan.h"

#define HOUR_MS INT64_C(3600000)
#define NS (INT64_C(1700000000) * 1000000000)

static const struct trial_file file = {.path = "a", .seed = 1, .length = 300000};

/* A run begins. Of the same repository the cache is the same. */
static bool looks(struct repository *r)
{
    struct error e;
    if (repository_load_index(r, REPOSITORY_OWN, &e) < 0)
        fail_msg("%s", e.message);
    return r->looked;
}

/* With a snapshot in it. */
static struct repository *open_saved(struct trial *t, const char *place)
{
    struct manifest_source source;
    clock_set(NS);
    struct repository *r = trial_open(t, place, 1, "");
    trial_save(t, r, &file, 1, &source);
    trial_free_source(&source);
    /* Of the own host alone, as runs open it. */
    index_free(r->index);
    r->index = NULL;
    r->dear = -1;
    assert_true(looks(r));
    return r;
}

static bool has(struct repository *r)
{
    struct index_location location;
    return index_chunk_count(r->index) > 0 && index_chunk_at(r->index, 0, INDEX_RELY_OWN, &location);
}

static void put_plan(struct repository *r, char key[201])
{
    uint8_t packs[1][SEAL_HASH_SIZE] = {{77}};
    const struct plan plan = {.created = NS, .grace = PLAN_GRACE, .packs = packs, .count = 1};
    struct bytes object = {.maximum = PLAN_OBJECT_MAX};
    struct error e;
    plan_key(TRIAL_HOST, "20261120T020000Z-ab12cd", key);
    assert_int_equal(plan_seal(r, key, &plan, &object, &e), 0);
    assert_int_equal(sink_put(r->sink, key, object.data, object.length, true, &e), 0);
    bytes_free(&object);
}

static void test_lasts(void **state)
{
    struct repository *r = open_saved(*state, "lasts");
    assert_false(looks(r));
    assert_true(has(r));
    clock_advance(20 * HOUR_MS - 1);
    assert_false(looks(r));
    clock_advance(1);
    assert_true(looks(r));
    assert_false(looks(r));
    repository_close(r);
}

static void test_a_clock_that_was_set(void **state)
{
    struct repository *r = open_saved(*state, "clock");
    clock_set(NS - 1);
    assert_true(looks(r));
    assert_false(looks(r));
    clock_set(NS + 21 * HOUR_MS * 1000000);
    assert_true(looks(r));
    repository_close(r);
}

#define BOOT 40 /* where the file says in which boot it was made */

/* For how long it was off nobody can tell: without a battery its clock goes on from where it stood. */
static void test_a_machine_that_was_off(void **state)
{
    struct repository *r = open_saved(*state, "off");
    struct bytes file_bytes = {.maximum = 1 << 20};
    struct error e;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/look", r->cache);
    assert_int_equal(file_read(path, file_bytes.maximum, &file_bytes, &e), 0);
    file_bytes.data[BOOT] ^= 1;
    size_t n = file_bytes.length - SEAL_HASH_SIZE;
    seal_hash(file_bytes.data, n, file_bytes.data + n);
    assert_int_equal(file_write(path, file_bytes.data, file_bytes.length, FILE_REPLACE, &e), 0);
    bytes_free(&file_bytes);
    assert_true(looks(r));
    assert_false(looks(r));
    repository_close(r);
}

static void test_what_is_cheap_is_listed_by_each(void **state)
{
    struct repository *r = open_saved(*state, "cheap");
    assert_false(looks(r));
    r->dear = 1000;
    clock_advance(21 * HOUR_MS);
    assert_true(looks(r));
    assert_true(looks(r));
    repository_close(r);
}

/* While one is there each run looks, and remembers nothing of it: its packs may be gone by the next. */
static void test_a_plan(void **state)
{
    struct repository *r = open_saved(*state, "plan");
    char key[201];
    put_plan(r, key);
    assert_true(looks(r));
    assert_true(looks(r));
    trial_remove(r, key);
    assert_true(looks(r));
    assert_false(looks(r));
    repository_close(r);
}

/* What was not there is not relied on by those that remember it; and what was removed by hand is found a day later. */
static void test_absent(void **state)
{
    struct repository *r = open_saved(*state, "absent");
    struct trial_keys packs;
    assert_true(has(r));
    trial_list(r, "packs/", &packs);
    for (size_t i = 0; i < packs.count; i++)
        trial_remove(r, packs.keys[i]);
    assert_false(looks(r));
    assert_true(has(r));
    clock_advance(20 * HOUR_MS);
    assert_true(looks(r));
    assert_false(has(r));
    assert_false(looks(r));
    assert_false(has(r));
    repository_close(r);
}

/* It was stored after that. */
static void test_what_came_since(void **state)
{
    struct trial *t = *state;
    const struct trial_file other = {.path = "b", .seed = 2, .length = 200000};
    struct manifest_source source;
    struct repository *r = open_saved(t, "since");
    assert_false(looks(r));
    size_t before = index_chunk_count(r->index);
    trial_save(t, r, &other, 1, &source);
    assert_false(looks(r));
    assert_true(index_chunk_count(r->index) > before);
    struct index_location location = trial_locate(r, other.seed, other.length, 0);
    assert_true(repository_has(r, location.chunk.id, &location));
    trial_free_source(&source);
    repository_close(r);
}

static void test_damaged(void **state)
{
    struct repository *r = open_saved(*state, "damaged");
    char path[512];
    FILE *look;
    assert_false(looks(r));
    snprintf(path, sizeof path, "%s/look", r->cache);
    look = fopen(path, "r+");
    assert_non_null(look);
    assert_int_equal(fseek(look, 100, SEEK_SET), 0);
    int byte = fgetc(look);
    assert_int_equal(fseek(look, 100, SEEK_SET), 0);
    fputc(byte ^ 1, look);
    assert_int_equal(fclose(look), 0);
    assert_true(looks(r));
    assert_false(looks(r));
    assert_int_equal(truncate(path, 10), 0);
    assert_true(looks(r));
    repository_close(r);
}

/* Packs that were sent by a run that was killed, no object describes: a listing finds them. */
static void test_adoption(void **state)
{
    struct trial *t = *state;
    struct repository *r = open_saved(t, "adoption");
    const uint8_t pack[SEAL_HASH_SIZE] = {1};
    const struct pack_chunk chunk = {.id = {2}, .offset = PACK_HEADER_SIZE, .stored = 100, .plain = 100};
    const struct pack_name name = pack_name_of(TRIAL_HOST, pack);
    static const uint8_t bytes[PACK_HEADER_SIZE + 100 + PACK_END(1)];
    char path[256], key[201];
    struct journal *journal;
    struct trial_run run;
    struct index_location location;
    struct error e;
    pack_name_key(&name, key);
    snprintf(path, sizeof path, "%s/sent-%s", t->state, r->id_text);
    assert_int_equal(sink_put(r->sink, key, bytes, sizeof bytes, true, &e), 0);
    assert_int_equal(journal_open(path, &journal, &e), 0);
    assert_int_equal(journal_add(journal, pack, sizeof bytes, &chunk, 1, &e), 0);
    journal_close(journal);
    assert_false(looks(r));
    assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
    assert_true(r->looked);
    assert_true(index_find(r->index, chunk.id, INDEX_READ, 0, &location));
    trial_free(&run);
    repository_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lasts, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_a_clock_that_was_set, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_a_machine_that_was_off, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_cheap_is_listed_by_each, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_a_plan, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_absent, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_what_came_since, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_adoption, trial_set_up, trial_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
