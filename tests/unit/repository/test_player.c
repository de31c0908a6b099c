/* The reader and the player: what was saved comes back, whole or in part; what is damaged is told of whom it concerns;
 * and where there is a second copy, nobody notices. */
#include "trial.h"

#include "repository/reader.h"

#define FIRST (2u << 20)

/* Two chunks for the small ones at most, and chunks of their own for the others. */
static const struct trial_file files[] = {
    {"a", 1, 100, 0},    {"dir/one", 2, 5000, 0},      {"dir/sub/two", 3, 6000, 1u << 20}, {"dir/zero", 4, 0, 0},
    {"dir.d", 5, 10, 0}, {"large/first", 6, FIRST, 0}, {"large/second", 7, 1u << 20, 99},  {"z", 8, 700000, 0},
};
#define FILES (sizeof files / sizeof files[0])

static void save(struct trial *t, struct repository *r, struct manifest_source *source)
{
    trial_save(t, r, files, FILES, source);
}

static void test_whole(void **state)
{
    struct trial *t = *state;
    struct manifest_source source;
    struct repository *r = trial_open(t, "one", 1, "");
    save(t, r, &source);
    repository_close(r);
    for (unsigned parallel = 1; parallel < 6; parallel += 2) {
        struct trial_played played;
        r = trial_open(t, "one", parallel, "");
        /* Everything in one thread, or in several. */
        trial_play(r, &source, "", parallel - 1, files, FILES, &played);
        assert_int_equal(played.entries, FILES);
        assert_int_equal(played.damaged, 0);
        repository_close(r);
    }
    trial_free_source(&source);
}

static void test_part(void **state)
{
    static const struct {
        const char *path;
        size_t first, count;
    } parts[] = {{"dir", 1, 3},   {"dir/sub", 2, 1}, {"dir/sub/two", 2, 1}, {"dir.d", 4, 1},
                 {"large", 5, 2}, {"z", 7, 1},       {"di", 0, 0},          {"zz", 0, 0}};
    struct trial *t = *state;
    struct manifest_source source;
    struct trial_played played;
    struct repository *r = trial_open(t, "one", 2, "");
    save(t, r, &source);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        trial_play(r, &source, parts[i].path, 2, files + parts[i].first, parts[i].count, &played);
        assert_int_equal(played.entries, parts[i].count);
        assert_int_equal(played.damaged, 0);
    }
    repository_close(r);
    trial_free_source(&source);
}

/* A bit of one chunk: the file that it belongs to is damaged, and no other. */
static void test_damaged(void **state)
{
    struct trial *t = *state;
    struct manifest_source source;
    struct trial_played played;
    char key[201];
    struct repository *r = trial_open(t, "one", 1, "");
    save(t, r, &source);
    struct index_location place = trial_locate(r, 6, FIRST, 0);
    pack_name_key(&place.pack, key);
    trial_flip(r, key, place.chunk.offset + place.chunk.stored / 2);
    repository_close(r);
    for (unsigned parallel = 1; parallel < 6; parallel += 4) {
        r = trial_open(t, "one", parallel, "");
        trial_play(r, &source, NULL, 2, files, FILES, &played);
        assert_int_equal(played.entries, FILES);
        assert_int_equal(played.damaged, 1);
        assert_string_equal(played.damaged_path, "large/first");
        assert_int_equal(played.why.class, ERROR_INTEGRITY);
        assert_non_null(strstr(played.why.message, key));
        assert_int_equal(r->doubted, parallel == 1); /* from then on it is known */
        repository_close(r);
    }
    /* And what does not need it is whole. */
    r = trial_open(t, "one", 1, "");
    trial_play(r, &source, "large/second", 2, files + 6, 1, &played);
    assert_int_equal(played.damaged, 0);
    repository_close(r);
    trial_free_source(&source);
}

static void test_missing_pack(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct manifest_source sources[2];
    struct trial_played played;
    struct reader *reader;
    char key[201];
    struct repository *r = trial_open(t, "one", 1, "");
    trial_save(t, r, files, 1, &sources[0]);
    save(t, r, &sources[1]);
    struct index_location place = trial_locate(r, 6, FIRST, 0);
    pack_name_key(&place.pack, key);
    trial_remove(r, key);
    repository_close(r);
    r = trial_open(t, "one", 1, "");
    trial_play(r, &sources[0], NULL, 2, files, 1, &played);
    assert_int_equal(played.entries, 1);
    assert_int_equal(played.damaged, 0);
    /* The catalogue of the other was in the pack, too. */
    const uint8_t *p;
    size_t n;
    assert_int_equal(reader_new(r, &reader, &e), 0);
    assert_int_equal(reader_chunk(reader, sources[1].chunks[0].id, &p, &n, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_non_null(strstr(e.message, "is missing"));
    reader_free(reader);
    repository_close(r);
    trial_free_source(&sources[0]);
    trial_free_source(&sources[1]);
}

/* Stored again since the first pack was doubted: whichever of the two is damaged then, the other one is read. */
static void test_second_copy(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct manifest_source source, again;
    struct trial_played played;
    char keys[2][201];
    struct index_location places[2];
    struct repository *r = trial_open(t, "one", 1, "");
    save(t, r, &source);
    places[0] = trial_locate(r, 6, FIRST, 0);
    repository_doubt(r, &places[0].pack);
    assert_int_equal(repository_heed_doubts(r, &e), 0);
    save(t, r, &again);
    repository_trust(r, &places[0].pack);
    repository_close(r);
    for (int i = 0; i < 2; i++) {
        r = trial_open(t, "one", 3, "");
        /* Who comes first is tried first: it is that one which is damaged. */
        places[i] = trial_locate(r, 6, FIRST, 0);
        pack_name_key(&places[i].pack, keys[i]);
        trial_flip(r, keys[i], places[i].chunk.offset + 1);
        trial_play(r, &source, NULL, 2, files, FILES, &played);
        assert_int_equal(played.entries, FILES);
        assert_int_equal(played.damaged, i);
        repository_close(r);
    }
    /* The doubted one comes last, so that the second round damaged the other. */
    assert_string_not_equal(keys[0], keys[1]);
    trial_free_source(&source);
    trial_free_source(&again);
}

/* One chunk at a time, lent until the next. */
static void test_chunks(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct manifest_source source;
    struct reader *reader;
    uint8_t expected[700000], unknown[SEAL_HASH_SIZE] = {1};
    const uint8_t *p;
    size_t n;
    struct repository *r = trial_open(t, "one", 2, "");
    save(t, r, &source);
    assert_int_equal(reader_new(r, &reader, &e), 0);
    trial_content(8, expected, sizeof expected);
    struct index_location place = trial_locate(r, 8, sizeof expected, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(reader_chunk(reader, place.chunk.id, &p, &n, &e), 0);
        assert_int_equal(n, place.chunk.plain);
        assert_memory_equal(p, expected, n);
        assert_int_equal(reader_chunk(reader, unknown, &p, &n, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
    }
    reader_free(reader);
    repository_close(r);
    trial_free_source(&source);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_whole, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_part, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_missing_pack, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_second_copy, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_chunks, trial_set_up, trial_tear_down),
    };
    return cmocka_run_group_tests_name("repository/player", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
