/* verify: nothing to say of what is whole, and of what is not, the object and whom it concerns. */
#include "snapshots.h"

#include "format/vault.h"
#include "job/verify.h"
#include "repository/confirm.h"
#include "repository/needs.h"
#include "repository/repository_vault.h"

#define LARGE 800000u

static const struct trial_file old[] = {{"a", 1, 3000, 0}, {"old", 2, 900000, 0}};
static const struct trial_file new[] = {{"a", 1, 3000, 0},
                                        {"b", 3, 400, 77},
                                        {"large/one", 4, LARGE, 0},
                                        {"large/two", 5, LARGE, 0},
                                        {"old", 2, 900000, 0}};
#define NEW (sizeof new / sizeof new[0])

struct fixture {
    struct snapshots *snapshots;
    char ids[2][MANIFEST_ID_SIZE];
};

/* All that was said, a line each: "OBJECT SNAPSHOT SOURCE PATH: TEXT", where - is none. */
struct said {
    char lines[40][700];
    size_t count;
    struct verify_result result;
};

static void on_damage(void *context, const struct verify_damage *d)
{
    struct said *said = context;
    assert_true(said->count < 40);
    snprintf(said->lines[said->count++], sizeof said->lines[0], "%s %s %s %s: %s", d->object ? d->object : "-",
             d->snapshot ? d->snapshot : "-", d->source ? d->source : "-", d->path ? d->path : "-", d->text);
}

static void verify_with(struct fixture *f, const char *key_file, const struct verify_request *request,
                        struct said *said)
{
    struct error e;
    struct repository *r = trial_open_with(f->snapshots->trial, "one", key_file, "");
    said->count = 0;
    struct vault vault = {.format = &repository_vault,
                          .engine = &f->snapshots->engine,
                          .id = r->id_text,
                          .sink = r->sink,
                          .opens = r->key->full,
                          .own = r};
    if (verify_run(&vault, request, on_damage, said, &said->result, &e) < 0)
        fail_msg("verify: %s", e.message);
    assert_int_equal(said->count, said->result.damages);
    repository_close(r);
}

static void verify(struct fixture *f, bool quick, struct said *said)
{
    verify_with(f, f->snapshots->trial->key_file, &(struct verify_request){.quick = quick}, said);
}

static void assert_said(const struct said *said, const char *object, const char *snapshot, const char *path,
                        const char *text)
{
    char form[300], line[64] = "";
    if (snapshot)
        snprintf(line, sizeof line, "%s/%s/%s", TRIAL_HOST, SNAPSHOTS_JOB, snapshot);
    snprintf(form, sizeof form, "%s %s %s %s: ", object ? object : "-", snapshot ? line : "-", path ? "files" : "-",
             path ? path : "-");
    for (size_t i = 0; i < said->count; i++)
        if (strncmp(said->lines[i], form, strlen(form)) == 0 && strstr(said->lines[i] + strlen(form), text))
            return;
    for (size_t i = 0; i < said->count; i++)
        print_error("said: %s\n", said->lines[i]);
    fail_msg("not said: %s... %s", form, text);
}

/* Two snapshots: the second one has one pack more. */
static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *snapshots;
    assert_non_null(f);
    assert_int_equal(snapshots_set_up(&snapshots), 0);
    f->snapshots = snapshots;
    struct repository *r = trial_open(f->snapshots->trial, "one", 1, "");
    snapshots_save(f->snapshots, r, old, 2, f->ids[0]);
    snapshots_save(f->snapshots, r, new, NEW, f->ids[1]);
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

static struct repository *opened(struct fixture *f)
{
    return trial_open(f->snapshots->trial, "one", 1, "");
}

static void key_of_place(struct index_location place, char *key)
{
    pack_name_key(&place.pack, key);
}

static void test_whole(void **state)
{
    struct fixture *f = *state;
    struct said said;
    for (int quick = 0; quick < 2; quick++) {
        verify(f, quick, &said);
        assert_int_equal(said.count, 0);
        assert_int_equal(said.result.snapshots, 2);
        assert_int_equal(said.result.snapshots_damaged, 0);
        /* Two index objects, and the two packs when they are read. */
        assert_int_equal(said.result.objects, quick ? 2 : 4);
        assert_in_range(said.result.bytes, quick ? 0 : 2 * LARGE, quick ? 0 : 2 * LARGE + 1100000);
    }
}

static void test_one_snapshot(void **state)
{
    struct fixture *f = *state;
    struct said said;
    const struct verify_request request = {.job = SNAPSHOTS_JOB, .host = TRIAL_HOST, .id = f->ids[0]};
    struct repository *r = opened(f);
    char key[201];
    key_of_place(trial_locate(r, 4, LARGE, 0), key);
    trial_flip(r, key, 5000);
    repository_close(r);
    verify_with(f, f->snapshots->trial->key_file, &request, &said);
    assert_int_equal(said.count, 0);
    assert_int_equal(said.result.snapshots, 1);
}

/* One bit in one chunk of the second pack: its file is named, and that pack; nothing else. */
static void test_flipped_bit(void **state)
{
    struct fixture *f = *state;
    struct said said;
    struct repository *r = opened(f);
    char key[201];
    struct index_location place = trial_locate(r, 4, LARGE, 0);
    pack_name_key(&place.pack, key);
    trial_flip(r, key, place.chunk.offset + place.chunk.stored - 1);
    repository_close(r);
    verify(f, true, &said);
    assert_int_equal(said.count, 0);
    verify(f, false, &said);
    assert_int_equal(said.count, 2);
    assert_said(&said, NULL, f->ids[1], "large/one", "content is damaged");
    assert_said(&said, key, NULL, NULL, "");
    assert_int_equal(said.result.snapshots, 2);
    assert_int_equal(said.result.snapshots_damaged, 1);
}

/* The first pack holds a file that both snapshots have, and the first one's catalogue. */
static void test_missing_pack(void **state)
{
    struct fixture *f = *state;
    struct said said;
    struct repository *r = opened(f);
    char key[201];
    key_of_place(trial_locate(r, 2, 900000, 0), key);
    trial_remove(r, key);
    repository_close(r);
    for (int quick = 0; quick < 2; quick++) {
        verify(f, quick, &said);
        assert_int_equal(said.count, 3);
        assert_said(&said, key, NULL, NULL, "it is missing");
        assert_said(&said, NULL, f->ids[1], "old", "content is missing");
        assert_said(&said, NULL, f->ids[0], "-", "catalogue of source 'files'");
        assert_int_equal(said.result.snapshots, 2);
        assert_int_equal(said.result.snapshots_damaged, 2);
    }
}

static void test_cut_pack(void **state)
{
    struct error e;
    struct fixture *f = *state;
    struct said said;
    struct repository *r = opened(f);
    struct bytes object = {.maximum = 0};
    char key[201];
    key_of_place(trial_locate(r, 5, LARGE, 0), key);
    trial_get(r, key, &object);
    assert_int_equal(sink_put(r->sink, key, object.data, object.length - 1, false, &e), 0);
    assert_int_equal(sink_sync(r->sink, &e), 0);
    bytes_free(&object);
    repository_close(r);
    verify(f, true, &said);
    assert_said(&said, key, NULL, NULL, "another size");
}

static void test_damaged_objects(void **state)
{
    struct fixture *f = *state;
    struct said said;
    struct trial_keys indexes;
    char key[201], pack[201];
    struct repository *r = opened(f);
    trial_list(r, "index/", &indexes);
    key_of_place(trial_locate(r, 4, LARGE, 0), pack);
    trial_flip(r, indexes.keys[0], indexes.sizes[0] / 2);
    snapshots_key(f->ids[0], key);
    trial_flip(r, key, 400);
    repository_close(r);
    verify(f, false, &said);
    assert_said(&said, indexes.keys[0], NULL, NULL, "");
    assert_said(&said, key, f->ids[0], NULL, "");
    assert_said(&said, pack, NULL, NULL, "snapshots need it, but the index object");
    assert_int_equal(said.count, 3);
    assert_int_equal(said.result.snapshots, 2);
    assert_int_equal(said.result.snapshots_damaged, 1);
}

/* The second of three is gone: the third one says that there was one before it. */
static void test_missing_snapshot(void **state)
{
    struct fixture *f = *state;
    struct said said;
    char key[201], object[201], id[MANIFEST_ID_SIZE];
    struct repository *r = opened(f);
    snapshots_save(f->snapshots, r, old, 2, id);
    snapshots_key(f->ids[1], key);
    snapshots_key(id, object);
    trial_remove(r, key);
    repository_close(r);
    verify(f, false, &said);
    assert_int_equal(said.result.snapshots, 2);
    assert_int_equal(said.count, 1);
    assert_int_equal(strncmp(said.lines[0], object, strlen(object)), 0);
    assert_non_null(strstr(said.lines[0], "1 snapshots between"));
}

/* Stored again, since it was doubted: a damaged pack of which everything is whole elsewhere is no damage. */
static void test_whole_elsewhere(void **state)
{
    struct error e;
    struct fixture *f = *state;
    struct said said;
    char key[201], id[MANIFEST_ID_SIZE];
    struct repository *r = opened(f);
    struct index_location place = trial_locate(r, 4, LARGE, 0);
    pack_name_key(&place.pack, key);
    trial_flip(r, key, place.chunk.offset);
    repository_doubt(r, &place.pack);
    assert_int_equal(repository_heed_doubts(r, &e), 0);
    snapshots_save(f->snapshots, r, new, NEW, id);
    repository_close(r);
    verify(f, false, &said);
    assert_int_equal(said.count, 0);
    assert_int_equal(said.result.snapshots, 3);
}

/* As packing anew leaves them: each under a key that only a listing tells. */
static void move_needs(struct repository *r, const char *id)
{
    struct error e;
    struct needs needs = {0};
    struct confirm_stored fresh;
    char key[201], name[201];
    needs_key(TRIAL_HOST, SNAPSHOTS_JOB, id, key);
    snprintf(name, sizeof name, "%s/%s/%s", TRIAL_HOST, SNAPSHOTS_JOB, id);
    if (needs_read(r, TRIAL_HOST, SNAPSHOTS_JOB, id, NULL, &needs, &e) < 0 ||
        needs_put_anew(r, name, &needs, &fresh, &e) < 0 || sink_sync(r->sink, &e) < 0)
        fail_msg("%s", e.message);
    needs_free(&needs);
    trial_remove(r, key);
}

static int count_lists(const struct fixture *f)
{
    return memory_counts(trial_place(f->snapshots->trial, "one")).calls[MEMORY_LIST];
}

/* One more listing than when all is where it was first stored, however many snapshots there are. */
static void test_packed_anew(void **state)
{
    struct fixture *f = *state;
    struct said said;
    char ids[6][MANIFEST_ID_SIZE];
    struct repository *r = opened(f);
    for (size_t i = 0; i < 6; i++)
        snapshots_save(f->snapshots, r, old, 2, ids[i]);
    int before = count_lists(f);
    verify(f, true, &said);
    int usual = count_lists(f) - before;
    for (size_t i = 0; i < 6; i++)
        move_needs(r, ids[i]);
    before = count_lists(f);
    verify(f, true, &said);
    assert_int_equal(count_lists(f) - before, usual + 1);
    assert_int_equal(said.count, 0);
    repository_close(r);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flipped_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_pack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_pack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_objects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whole_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packed_anew, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("job/verify", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
