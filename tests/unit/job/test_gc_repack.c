/* Packing anew: what is read and what is stored is under way at once, and what comes of it is whole. */
#include "snapshots.h"

#include "format/vault.h"
#include "repository/gc.h"

#define RUNS 5
#define LONG 6000000u /* five halves of packs are two new ones */
#define SHORT 60000u

static uint32_t length; /* of each file */

/* The files that all runs up to this one have added and that stay, and one that is in this one alone. */
static size_t files_of(size_t run, struct trial_file files[RUNS + 1])
{
    static const char *const paths[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < RUNS && i <= run; i++)
        files[i] = (struct trial_file){.path = paths[i], .seed = (uint32_t)i + 1, .length = length};
    if (run >= RUNS)
        return RUNS;
    files[run + 1] = (struct trial_file){.path = "junk", .seed = (uint32_t)run + 100, .length = length};
    return run + 2;
}

static void forget(struct repository *r, const char *id)
{
    char key[201];
    snapshots_key(id, key);
    trial_remove(r, key);
    snprintf(key, sizeof key, "needs/%s/%s/%s", TRIAL_HOST, SNAPSHOTS_JOB, id);
    trial_remove(r, key);
}

/* Two snapshots stay, which need half of each of five packs. */
static void save_all(struct snapshots *s, uint32_t each, char ids[2][MANIFEST_ID_SIZE])
{
    length = each;
    struct trial_file files[RUNS + 1];
    char id[MANIFEST_ID_SIZE];
    struct repository *r = trial_open(s->trial, "one", 1, "");
    for (size_t run = 0; run < RUNS; run++) {
        snapshots_save(s, r, files, files_of(run, files), id);
        forget(r, id);
    }
    for (size_t i = 0; i < 2; i++)
        snapshots_save(s, r, files, files_of(RUNS, files), ids[i]);
    repository_close(r);
}

static void on_told(void *context, const struct vault_garbage *garbage)
{
    struct vault_garbage *told = context;
    *told = *garbage;
}

static struct vault_garbage collect(struct snapshots *s, unsigned parallel, const char *options)
{
    struct error e;
    struct vault_garbage told = {.host = NULL};
    struct vault_gc_result result;
    const struct vault_gc request = {.now = true, .repack = UINT64_C(1) << 30};
    struct repository *r = trial_open(s->trial, "one", parallel, options);
    if (gc_run(r, &request, on_told, &told, &result, &e) < 0)
        fail_msg("gc: %s", e.message);
    if (result.doubt.class != ERROR_NONE)
        fail_msg("gc: %s", result.doubt.message);
    repository_close(r);
    return told;
}

static void assert_whole(struct snapshots *s, const char *id)
{
    struct trial_file files[RUNS + 1];
    struct trial_played played;
    struct repository *r = trial_open(s->trial, "one", 1, "");
    struct manifest *m = snapshots_read(r, id);
    trial_play(r, &m->sources[0], "", 1, files, files_of(RUNS, files), &played);
    assert_int_equal(played.entries, RUNS);
    assert_int_equal(played.damaged, 0);
    manifest_free(m);
    repository_close(r);
}

static struct memory_counts counts_of(const struct snapshots *s)
{
    return memory_counts(trial_place(s->trial, "one"));
}

/* Each old pack is read once, two at a time and more; new ones go out two at a time. */
static void test_packs_side_by_side(void **state)
{
    struct snapshots *s = *state;
    char ids[2][MANIFEST_ID_SIZE];
    save_all(s, LONG, ids);
    const struct vault_garbage told = collect(s, 4, "hold=packs/");
    assert_int_equal(told.moved.objects, RUNS);
    assert_int_equal(told.made.objects, 2);
    assert_int_equal(told.removed.objects, RUNS);
    assert_in_range(counts_of(s).most_held_gets, 2, 4);
    assert_int_equal(counts_of(s).most_held_puts, 2);
    assert_whole(s, ids[0]);
    assert_whole(s, ids[1]);
}

static void test_needs_side_by_side(void **state)
{
    struct snapshots *s = *state;
    char ids[2][MANIFEST_ID_SIZE];
    save_all(s, SHORT, ids);
    collect(s, 4, "hold=needs/");
    assert_int_equal(counts_of(s).most_held_puts, 2);
    assert_whole(s, ids[1]);
}

static void test_one_connection(void **state)
{
    struct snapshots *s = *state;
    char ids[2][MANIFEST_ID_SIZE];
    save_all(s, SHORT, ids);
    assert_int_equal(collect(s, 1, "").moved.objects, RUNS);
    assert_whole(s, ids[0]);
}

/* A new pack that cannot be stored: nothing was changed, and the next one does it. */
static void test_upload_fails(void **state)
{
    struct error e;
    struct snapshots *s = *state;
    char ids[2][MANIFEST_ID_SIZE], options[64];
    struct vault_garbage told = {.host = NULL};
    struct vault_gc_result result;
    const struct vault_gc request = {.now = true, .repack = UINT64_C(1) << 30};
    save_all(s, SHORT, ids);
    /* The clock of the store is the first put. */
    snprintf(options, sizeof options, "fail=put;fail_at=%d", counts_of(s).calls[MEMORY_PUT] + 2);
    struct repository *r = trial_open(s->trial, "one", 4, options);
    assert_int_equal(gc_run(r, &request, on_told, &told, &result, &e), -1);
    assert_non_null(strstr(e.message, "the test wants it to fail"));
    repository_close(r);
    assert_whole(s, ids[0]);
    assert_int_equal(collect(s, 4, "").moved.objects, RUNS);
    assert_whole(s, ids[0]);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_packs_side_by_side, snapshots_set_up, snapshots_tear_down),
        cmocka_unit_test_setup_teardown(test_needs_side_by_side, snapshots_set_up, snapshots_tear_down),
        cmocka_unit_test_setup_teardown(test_one_connection, snapshots_set_up, snapshots_tear_down),
        cmocka_unit_test_setup_teardown(test_upload_fails, snapshots_set_up, snapshots_tear_down),
    };
    return cmocka_run_group_tests_name("job/gc_repack", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
