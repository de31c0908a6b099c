/* copy: what a snapshot needs, and no more, is in the other sink, and can be read there without the first one. */
#include "snapshots.h"

#include "format/vault.h"
#include "job/commit.h"
#include "job/snapshot.h"
#include "repository/repository_copy.h"

#define LARGE 800000u

static const struct trial_file old[] = {{"a", 1, 3000, 0}, {"old", 2, 900000, 0}};
static const struct trial_file new[] = {
    {"a", 1, 3000, 0}, {"b", 3, 400, 77}, {"large", 4, LARGE, 0}, {"old", 2, 900000, 0}};
#define NEW (sizeof new / sizeof new[0])
static const struct trial_file other[] = {{"other", 9, LARGE, 0}};

struct fixture {
    struct snapshots *snapshots;
    char ids[3][MANIFEST_ID_SIZE];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *snapshots;
    assert_non_null(f);
    assert_int_equal(snapshots_set_up(&snapshots), 0);
    f->snapshots = snapshots;
    struct repository *r = trial_open(f->snapshots->trial, "from", 1, "");
    snapshots_save(f->snapshots, r, old, 2, f->ids[0]);
    snapshots_save(f->snapshots, r, new, NEW, f->ids[1]);
    snapshots_save(f->snapshots, r, other, 1, f->ids[2]);
    repository_close(r);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    void *snapshots = f->snapshots;
    free(f);
    return snapshots_tear_down(&snapshots);
}

static void no_report(void *context, uint64_t objects, uint64_t bytes)
{
    (void)context;
    (void)objects;
    (void)bytes;
}

static int copy_to(struct fixture *f, struct repository *to, size_t i, struct copy_result *result, struct error *e)
{
    struct repository *from = trial_open(f->snapshots->trial, "from", 2, "");
    struct manifest *manifest = snapshots_read(from, f->ids[i]);
    const struct repository_copy_progress progress = {.report = no_report};
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    char key[201];
    int done = repository_copy(from, to, manifest, &progress, result, &object, key, e);
    if (done == 0)
        done = commit_manifest(to->sink, key, &object, e);
    manifest_free(manifest);
    repository_close(from);
    return done;
}

static void copy(struct fixture *f, size_t i, struct copy_result *result)
{
    struct error e;
    struct repository *to = trial_open(f->snapshots->trial, "to", 2, "");
    if (copy_to(f, to, i, result, &e) < 0)
        fail_msg("copy: %s", e.message);
    repository_close(to);
}

static void assert_readable(struct fixture *f, size_t i, const struct trial_file *files, size_t count)
{
    struct trial_played played;
    struct repository *to = trial_open(f->snapshots->trial, "to", 1, "");
    struct manifest *manifest = snapshots_read(to, f->ids[i]);
    trial_play(to, &manifest->sources[0], NULL, 1, files, count, &played);
    assert_int_equal(played.entries, count);
    assert_int_equal(played.damaged, 0);
    manifest_free(manifest);
    repository_close(to);
}

static size_t count_objects(struct fixture *f, const char *prefix)
{
    struct trial_keys keys;
    struct repository *to = trial_open(f->snapshots->trial, "to", 1, "");
    trial_list(to, prefix, &keys);
    repository_close(to);
    return keys.count;
}

static void test_what_is_needed(void **state)
{
    struct fixture *f = *state;
    struct copy_result result;
    /* The second snapshot shares a pack with the first, and not with the third. */
    copy(f, 1, &result);
    assert_false(result.existed);
    assert_int_equal(result.objects, 3); /* two packs and what describes them */
    assert_in_range(result.bytes, LARGE + 900000, LARGE + 1000000);
    assert_int_equal(count_objects(f, "packs/"), 2);
    assert_int_equal(count_objects(f, "index/"), 1);
    assert_int_equal(count_objects(f, "snapshots/"), 1);
    assert_readable(f, 1, new, NEW);
    /* Everything of the first is there already, but its manifest. */
    copy(f, 0, &result);
    assert_false(result.existed);
    assert_int_equal(result.objects, 0);
    assert_readable(f, 0, old, 2);
    copy(f, 2, &result);
    assert_int_equal(result.objects, 2);
    assert_readable(f, 2, other, 1);
    assert_int_equal(count_objects(f, "needs/"), 3);
    assert_int_equal(count_objects(f, ""), 1 + 3 + 2 + 3 + 3);
}

/* Byte for byte what it was. */
static void test_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct copy_result result;
    struct trial_keys keys;
    copy(f, 1, &result);
    struct repository *from = trial_open(f->snapshots->trial, "from", 1, "");
    struct repository *to = trial_open(f->snapshots->trial, "to", 1, "");
    trial_list(to, "packs/", &keys);
    for (size_t i = 0; i < keys.count; i++) {
        struct bytes here = {.maximum = 0}, there = {.maximum = 0};
        trial_get(from, keys.keys[i], &here);
        trial_get(to, keys.keys[i], &there);
        assert_int_equal(here.length, there.length);
        assert_memory_equal(here.data, there.data, here.length);
        bytes_free(&here);
        bytes_free(&there);
    }
    repository_close(from);
    repository_close(to);
}

static void test_again(void **state)
{
    struct fixture *f = *state;
    struct copy_result result;
    copy(f, 1, &result);
    int puts = memory_calls(trial_place(f->snapshots->trial, "to"), MEMORY_PUT);
    copy(f, 1, &result);
    assert_true(result.existed);
    assert_int_equal(result.objects, 0);
    assert_int_equal(result.bytes, 0);
    /* At most the manifest, which is then made durable. */
    assert_in_range(memory_calls(trial_place(f->snapshots->trial, "to"), MEMORY_PUT) - puts, 0, 1);
    assert_readable(f, 1, new, NEW);
}

static void test_another_key(void **state)
{
    struct error e;
    struct fixture *f = *state;
    struct copy_result result;
    char path[128];
    snprintf(path, sizeof path, "%s/other.key", f->snapshots->trial->directory);
    trial_make_key(path);
    struct repository *to = trial_open_with(f->snapshots->trial, "foreign", path, "");
    assert_int_equal(copy_to(f, to, 0, &result, &e), -1);
    assert_int_equal(e.class, ERROR_UNSUPPORTED);
    repository_close(to);
}

/* A bit of a pack is flipped where it comes from: nothing of the snapshot is committed. */
static void test_damaged_source(void **state)
{
    struct error e;
    struct fixture *f = *state;
    struct copy_result result;
    struct trial_keys keys;
    char key[201];
    struct repository *from = trial_open(f->snapshots->trial, "from", 1, "");
    struct index_location place = trial_locate(from, 4, LARGE, 0);
    pack_name_key(&place.pack, key);
    trial_flip(from, key, place.chunk.offset + 10);
    repository_close(from);
    struct repository *to = trial_open(f->snapshots->trial, "to", 2, "");
    assert_int_equal(copy_to(f, to, 1, &result, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_non_null(strstr(e.message, key));
    trial_list(to, "snapshots/", &keys);
    assert_int_equal(keys.count, 0);
    trial_list(to, "index/", &keys);
    assert_int_equal(keys.count, 0);
    repository_close(to);
}

/* The target's own pack is damaged, and known to be: the whole one takes its place. */
static void test_damaged_target(void **state)
{
    struct error e;
    struct fixture *f = *state;
    struct copy_result result;
    char key[201];
    copy(f, 1, &result);
    struct repository *to = trial_open(f->snapshots->trial, "to", 2, "");
    struct index_location place = trial_locate(to, 4, LARGE, 0);
    pack_name_key(&place.pack, key);
    trial_flip(to, key, place.chunk.offset + 10);
    repository_doubt(to, &place.pack);
    assert_int_equal(repository_heed_doubts(to, &e), 0);
    if (copy_to(f, to, 1, &result, &e) < 0)
        fail_msg("copy: %s", e.message);
    assert_false(result.existed);
    assert_int_equal(result.objects, 1);
    repository_close(to);
    assert_int_equal(count_objects(f, "packs/"), 2);
    assert_readable(f, 1, new, NEW);
}

/* Whatever put fails: the snapshot is there only when all of it is, and the next copy completes it. */
static void test_target_that_fails(void **state)
{
    struct fixture *f = *state;
    char place[16], options[64];
    int fails = 0;
    for (int n = 2, failed = 1; failed; n++) {
        struct error e;
        struct copy_result result;
        struct trial_keys keys;
        struct trial_played played;
        snprintf(place, sizeof place, "t%d", n);
        snprintf(options, sizeof options, "fail=put;fail_at=%d;fail_times=1", n);
        struct repository *to = trial_open(f->snapshots->trial, place, 1, options);
        failed = copy_to(f, to, 1, &result, &e) < 0;
        fails += failed;
        trial_list(to, "snapshots/", &keys);
        assert_int_equal(keys.count, !failed);
        if (failed && copy_to(f, to, 1, &result, &e) < 0)
            fail_msg("copy: %s", e.message);
        struct manifest *manifest = snapshots_read(to, f->ids[1]);
        assert_int_equal(repository_load_index(to, REPOSITORY_ALL, &e), 0);
        trial_play(to, &manifest->sources[0], NULL, 1, new, NEW, &played);
        assert_int_equal(played.entries, NEW);
        assert_int_equal(played.damaged, 0);
        manifest_free(manifest);
        repository_close(to);
    }
    assert_int_equal(fails, 5); /* two packs, an index object, the needs, the manifest */
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_what_is_needed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_target, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_target_that_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("job/copy", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
