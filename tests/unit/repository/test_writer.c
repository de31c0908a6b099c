/* The writer, the recorder and the uploader: what is added is in the sinks, once, described, and found again. */
#include "trial.h"

#include "base/text.h"
#include "repository/index_body.h"
#include "repository/journal.h"
#include "repository/pack.h"

#define LARGE (1u << 20)

static const struct trial_file files[] = {
    {"dir/a", 1, 1000, 0},  {"dir/b", 2, 0, 0},     {"dir/c", 3, 70000, 12345},
    {"large", 4, LARGE, 0}, {"twice", 4, LARGE, 0},
};
#define FILES (sizeof files / sizeof files[0])

static void assert_saved(struct trial *t, const char *place, const struct manifest_source *source)
{
    struct trial_played played;
    struct repository *r = trial_open(t, place, 1, "");
    trial_play(r, source, NULL, 2, files, FILES, &played);
    assert_int_equal(played.entries, FILES);
    assert_int_equal(played.damaged, 0);
    repository_close(r);
}

/* ---- the objects ---- */

struct described {
    struct repository *repository;
    struct trial_keys packs;
    size_t count, chunks;
};

/* A pack as an index object describes it is that pack, by its name, its size, and its own directory. */
static int check_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                      uint32_t count, struct error *e)
{
    struct described *d = context;
    struct bytes object = {.maximum = 0};
    struct pack_chunk *own = NULL;
    uint32_t own_count = 0;
    uint8_t hash[SEAL_HASH_SIZE];
    char key[201];
    const struct pack_name pack = pack_name_of(d->repository->host, name);
    pack_name_key(&pack, key);
    trial_get(d->repository, key, &object);
    seal_hash(object.data, object.length, hash);
    assert_memory_equal(hash, name, sizeof hash);
    assert_int_equal(object.length, size);
    assert_int_equal(repository_read_directory(d->repository, &pack, size, &own, &own_count, e), 0);
    assert_int_equal(own_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_memory_equal(own[i].id, chunks[i].id, sizeof own[i].id);
        assert_int_equal(own[i].offset, chunks[i].offset);
        assert_int_equal(own[i].stored, chunks[i].stored);
        assert_int_equal(own[i].plain, chunks[i].plain);
    }
    d->count++;
    d->chunks += count;
    free(own);
    bytes_free(&object);
    return 0;
}

static void assert_described(struct repository *r, size_t packs, size_t indexes)
{
    struct error e;
    struct trial_keys keys;
    struct described d = {.repository = r};
    trial_list(r, "index/", &keys);
    trial_list(r, "packs/", &d.packs);
    assert_int_equal(keys.count, indexes);
    assert_int_equal(d.packs.count, packs);
    for (size_t i = 0; i < keys.count; i++) {
        struct bytes object = {.maximum = 0}, body = {.maximum = 1 << 20};
        uint8_t name[SEAL_HASH_SIZE], hash[SEAL_HASH_SIZE];
        char host[64];
        assert_true(repository_parse_index_key(keys.keys[i], host, name));
        trial_get(r, keys.keys[i], &object);
        seal_hash(object.data, object.length, hash);
        assert_memory_equal(hash, name, sizeof hash);
        assert_int_equal(repository_read_index_object(r, host, name, &body, &e), 0);
        assert_int_equal(index_body_each(body.data, body.length, check_pack, &d, &e), 0);
        bytes_free(&object);
        bytes_free(&body);
    }
    for (size_t i = 0; i < index_pack_count(r->index); i++)
        assert_true(index_pack_is_own(r->index, i));
    assert_int_equal(d.count, packs);
    assert_int_equal(index_chunk_count(r->index), d.chunks);
}

static void assert_journal(const struct trial *t, const char *id, bool expected)
{
    struct error e;
    struct journal *journal;
    char path[200];
    bool empty = !expected;
    snprintf(path, sizeof path, "%s/sent-%s", t->state, id);
    assert_int_equal(journal_open(path, &journal, &e), 0);
    assert_int_equal(journal_is_empty(journal, &empty, &e), 0);
    journal_close(journal);
    assert_int_equal(empty, expected);
}

static void test_found_again(void **state)
{
    struct trial *t = *state;
    struct manifest_source source;
    struct repository *r = trial_open(t, "one", 3, "");
    trial_save(t, r, files, FILES, &source);
    assert_int_equal(source.entries, FILES);
    assert_int_equal(source.bytes, 1000 + 70000 + 12345 + 2 * LARGE);
    assert_described(r, 1, 1);
    assert_journal(t, r->id_text, true);
    /* "twice" is "large": the whole is hardly more than one of them. */
    struct trial_keys keys;
    trial_list(r, "packs/", &keys);
    assert_in_range(keys.sizes[0], LARGE, LARGE + 100000);
    repository_close(r);
    assert_saved(t, "one", &source);
    trial_free_source(&source);
}

static void test_nothing_twice(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct manifest_source source;
    struct trial_run run;
    struct repository *r = trial_open(t, "one", 1, "");
    trial_save(t, r, files, FILES, &source);
    repository_close(r);
    r = trial_open(t, "one", 1, "");
    int puts = memory_calls(trial_place(t, "one"), MEMORY_PUT);
    assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
    assert_int_equal(trial_add(&run, files, FILES, &e), 0);
    assert_int_equal(trial_end(&run, &e), 0);
    assert_int_equal(uploader_sink(run.uploader, 0)->added, 0);
    assert_int_equal(memory_calls(trial_place(t, "one"), MEMORY_PUT), puts);
    assert_int_equal(run.source.chunk_count, source.chunk_count);
    assert_memory_equal(run.source.chunks[0].id, source.chunks[0].id, SEAL_HASH_SIZE);
    trial_free(&run);
    repository_close(r);
    trial_free_source(&run.source);
    trial_free_source(&source);
}

/* More than a pack holds: the first is sent before the checkpoint. */
static void test_several_packs(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct trial_run run;
    static const struct trial_file big[] = {{"big", 9, PACK_TARGET + (3u << 20), 0}};
    struct repository *r = trial_open(t, "one", 2, "");
    assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
    assert_int_equal(trial_add(&run, big, 1, &e), 0);
    assert_int_equal(writer_drain(run.writer, &e), 0);
    assert_journal(t, r->id_text, false);
    assert_int_equal(trial_end(&run, &e), 0);
    trial_free(&run);
    trial_free_source(&run.source);
    assert_described(r, 2, 1);
    assert_journal(t, r->id_text, true);
    repository_close(r);
}

/* ---- batches ---- */

/* What each chunk should hold, by its number. */
#define CHUNKS 4000
#define CHUNK_BYTES (1u << 16)
struct expected {
    struct trial_run run;
    uint8_t *bytes[CHUNKS];
    size_t lengths[CHUNKS];
    uint8_t ids[CHUNKS][SEAL_HASH_SIZE];
    unsigned named[CHUNKS];
    uint32_t seed;
};

static uint32_t next_random(struct expected *x)
{
    x->seed = x->seed * 1664525u + 1013904223u;
    return x->seed >> 8;
}

static void take_ids(struct expected *x)
{
    uint64_t number;
    uint8_t id[SEAL_HASH_SIZE];
    while (writer_next_id(x->run.writer, &number, id)) {
        assert_true(number < CHUNKS);
        memcpy(x->ids[number], id, SEAL_HASH_SIZE);
        x->named[number]++;
    }
}

static void append(struct expected *x, enum writer_lane lane, size_t n)
{
    struct error e;
    struct writer_taken taken;
    uint8_t content[1 << 13];
    for (size_t i = 0; i < n; i++)
        content[i] = (uint8_t)next_random(x);
    assert_int_equal(writer_append(x->run.writer, lane, content, n, &taken, &e), 0);
    assert_int_equal(taken.length, n); /* far too little for the chunker to cut */
    assert_true(taken.chunk < CHUNKS && taken.offset == x->lengths[taken.chunk] && taken.offset + n <= CHUNK_BYTES);
    if (!x->bytes[taken.chunk])
        assert_non_null(x->bytes[taken.chunk] = malloc(CHUNK_BYTES));
    memcpy(x->bytes[taken.chunk] + taken.offset, content, n);
    x->lengths[taken.chunk] += n;
    take_ids(x);
}

/* Chunks of all sizes in both lanes, of which one is open whenever the other is cut or all are waited for: each gets
 * one id, that of its own bytes, and after a drain none that was cut lacks one. */
static void test_batches(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct expected *x = calloc(1, sizeof *x);
    assert_non_null(x);
    struct repository *r = trial_open(t, "one", 2, "");
    assert_int_equal(trial_begin(t, &r, 1, &x->run, &e), 0);
    size_t open[WRITER_LANES] = {0, 0}, begun = 0;
    while (begun < CHUNKS - 1) {
        enum writer_lane lane = next_random(x) % 3 == 0 ? WRITER_SMALL : WRITER_LARGE;
        size_t n = next_random(x) % 5 == 0 ? 1 + next_random(x) % 8192 : 1 + next_random(x) % 40;
        begun += open[lane] == 0;
        append(x, lane, n);
        open[lane] += n;
        if (next_random(x) % 2 == 0 || open[lane] > CHUNK_BYTES - 8192) {
            assert_int_equal(writer_cut(x->run.writer, lane, &e), 0);
            take_ids(x);
            open[lane] = 0;
        }
        if (next_random(x) % 512 != 0)
            continue;
        assert_int_equal(writer_drain(x->run.writer, &e), 0);
        take_ids(x);
        size_t named = 0;
        for (size_t i = 0; i < CHUNKS; i++)
            named += x->named[i];
        assert_int_equal(named, begun - (open[WRITER_SMALL] > 0) - (open[WRITER_LARGE] > 0));
    }
    for (enum writer_lane lane = WRITER_SMALL; lane < WRITER_LANES; lane++)
        assert_int_equal(writer_cut(x->run.writer, lane, &e), 0);
    assert_int_equal(writer_drain(x->run.writer, &e), 0);
    take_ids(x);
    for (size_t i = 0; i < begun; i++) {
        uint8_t id[SEAL_HASH_SIZE];
        assert_int_equal(x->named[i], 1);
        seal_chunk_id(r->key, x->bytes[i], x->lengths[i], id);
        assert_memory_equal(id, x->ids[i], SEAL_HASH_SIZE);
        free(x->bytes[i]);
    }
    assert_int_equal(trial_end(&x->run, &e), 0);
    trial_free(&x->run);
    trial_free_source(&x->run.source);
    repository_close(r);
    free(x);
}

/* ---- two sinks ---- */

/* The second one fails when the first pack comes; the next run brings it up to date, and gives the first nothing. */
static void test_one_of_two_fails(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct trial_run run;
    struct repository *both[2] = {trial_open(t, "good", 2, ""), trial_open(t, "bad", 2, "")};
    repository_close(both[1]);
    both[1] = trial_open(t, "bad", 2, "fail=put;fail_at=2;fail_class=no_space");
    assert_int_equal(trial_begin(t, both, 2, &run, &e), 0);
    assert_int_equal(trial_add(&run, files, FILES, &e), 0);
    assert_int_equal(trial_end(&run, &e), 0);
    const struct uploader_sink *good = uploader_sink(run.uploader, 0), *bad = uploader_sink(run.uploader, 1);
    assert_false(good->failed);
    assert_true(bad->failed);
    assert_int_equal(bad->error.class, ERROR_NO_SPACE);
    assert_string_equal(bad->error.subject, "sink 'test'");
    assert_true(good->added > LARGE);
    struct trial_keys keys;
    trial_list(both[1], "", &keys);
    assert_int_equal(keys.count, 1); /* its config */
    assert_described(both[0], 1, 1);
    trial_free(&run);
    assert_saved(t, "good", &run.source);
    trial_free_source(&run.source);

    repository_close(both[1]);
    both[1] = trial_open(t, "bad", 2, "");
    assert_int_equal(trial_begin(t, both, 2, &run, &e), 0);
    assert_int_equal(trial_add(&run, files, FILES, &e), 0);
    assert_int_equal(trial_end(&run, &e), 0);
    assert_int_equal(uploader_sink(run.uploader, 0)->added, 0);
    assert_true(uploader_sink(run.uploader, 1)->added > LARGE);
    assert_described(both[1], 1, 1);
    trial_free(&run);
    assert_saved(t, "bad", &run.source);
    trial_free_source(&run.source);
    repository_close(both[0]);
    repository_close(both[1]);
}

static void test_all_fail(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct trial_run run;
    static const char *const how[] = {"fail=put;fail_at=2", "fail=sync;fail_at=2", "fail=stat;fail_at=2"};
    for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
        char place[8];
        snprintf(place, sizeof place, "p%zu", i);
        struct repository *r = trial_open(t, place, 2, how[i]);
        assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
        assert_int_equal(trial_add(&run, files, FILES, &e), 0);
        assert_int_equal(trial_end(&run, &e), -1);
        assert_non_null(strstr(e.message, "the test wants it to fail"));
        struct trial_keys keys;
        trial_list(r, "index/", &keys);
        assert_int_equal(keys.count, 0);
        trial_free(&run);
        trial_free_source(&run.source);
        repository_close(r);
    }
}

/* ---- a sink that fails in passing ---- */

/* The pack is tried again until it is there: no second is lost, the clock is the test's. */
static void test_tried_again(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct trial_run run;
    struct repository *r = trial_open(t, "one", 1, "fail=put;fail_at=2;fail_times=4;fail_class=retry");
    clock_set(INT64_C(1700000000000000000));
    assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
    assert_int_equal(trial_add(&run, files, FILES, &e), 0);
    int result = trial_end(&run, &e);
    int64_t waited = clock_now() - INT64_C(1700000000000000000);
    clock_release();
    assert_int_equal(result, 0);
    /* The config, four that failed, the pack, its index object. */
    assert_int_equal(memory_calls(trial_place(t, "one"), MEMORY_PUT), 7);
    /* Between half and the whole of 0.2, 0.4, 0.8 and 1.6 s. */
    assert_in_range(waited / 1000000, 1500, 3000);
    trial_free(&run);
    repository_close(r);
    assert_saved(t, "one", &run.source);
    trial_free_source(&run.source);
}

static void test_given_up(void **state)
{
    struct error e;
    struct trial *t = *state;
    struct trial_run run;
    struct repository *r = trial_open(t, "one", 1, "fail=put;fail_at=2;fail_class=retry");
    clock_set(INT64_C(1700000000000000000));
    assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
    assert_int_equal(trial_add(&run, files, FILES, &e), 0);
    int result = trial_end(&run, &e);
    int64_t waited = clock_now() - INT64_C(1700000000000000000);
    clock_release();
    assert_int_equal(result, -1);
    assert_int_equal(e.class, ERROR_RETRY);
    assert_non_null(strstr(e.message, "given up after"));
    assert_int_equal(waited, INT64_C(300000000000));
    trial_free(&run);
    trial_free_source(&run.source);
    repository_close(r);
}

/* ---- a run that is cut off ---- */

/* All was put, and journaled; how says what fails at the checkpoint. */
static void cut_off(struct trial *t, const char *how)
{
    struct error e;
    struct trial_run run;
    struct repository *r = trial_open(t, "one", 1, how);
    assert_int_equal(trial_begin(t, &r, 1, &run, &e), 0);
    assert_int_equal(trial_add(&run, files, FILES, &e), 0);
    assert_int_equal(trial_end(&run, &e), -1);
    trial_free(&run);
    trial_free_source(&run.source);
    repository_close(r);
}

/* The pack that is there is not sent again, and described by the next run's index object. */
static void test_adoption(void **state)
{
    struct trial *t = *state;
    struct trial_keys before;
    struct manifest_source source;
    cut_off(t, "fail=put;fail_at=3");
    struct repository *r = trial_open(t, "one", 1, "");
    assert_journal(t, r->id_text, false);
    trial_list(r, "packs/", &before);
    assert_int_equal(before.count, 1);
    int puts = memory_calls(trial_place(t, "one"), MEMORY_PUT);
    trial_save(t, r, files, FILES, &source);
    assert_int_equal(memory_calls(trial_place(t, "one"), MEMORY_PUT) - puts, 1);
    repository_close(r);
    r = trial_open(t, "one", 1, "");
    assert_described(r, 1, 1);
    assert_journal(t, r->id_text, true);
    repository_close(r);
    assert_saved(t, "one", &source);
    trial_free_source(&source);
}

/* What the sink lost, being cut off too, is not relied on. */
static void test_adoption_of_what_is_not_there(void **state)
{
    struct trial *t = *state;
    struct trial_keys keys;
    struct manifest_source source;
    cut_off(t, "fail=sync;fail_at=2");
    struct repository *r = trial_open(t, "one", 1, "");
    assert_journal(t, r->id_text, false);
    trial_list(r, "packs/", &keys);
    assert_int_equal(keys.count, 0);
    trial_save(t, r, files, FILES, &source);
    repository_close(r);
    r = trial_open(t, "one", 1, "");
    assert_described(r, 1, 1);
    repository_close(r);
    assert_saved(t, "one", &source);
    trial_free_source(&source);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_found_again, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_twice, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_several_packs, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_batches, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_one_of_two_fails, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_all_fail, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_tried_again, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_given_up, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_adoption, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_adoption_of_what_is_not_there, trial_set_up, trial_tear_down),
    };
    return cmocka_run_group_tests_name("repository/writer", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
