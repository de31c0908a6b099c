#include "trial.h"

#include "base/text.h"
#include "repository/annotation.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "repository/placed.h"
#include "repository/removal.h"
#include "repository/repository_annotation.h"
#include "repository/repository_prune.h"
#include "repository/seal.h"

#define JOB "nightly"
#define SNAPSHOTS 4

/* A repository of one place, opened with each kind of key. */
struct places {
    struct trial *trial;
    struct repository *full, *put, *prune, *web;
    uint8_t hashes[SNAPSHOTS][SEAL_HASH_SIZE];
};

static void id_of(size_t i, char id[MANIFEST_ID_SIZE])
{
    snprintf(id, MANIFEST_ID_SIZE, "2026112%zuT020000Z-ab12cd", i);
}

static struct vault_name name_of(size_t i)
{
    struct vault_name name = {.host = TRIAL_HOST, .job = JOB};
    id_of(i, name.id);
    return name;
}

static void put_object(struct repository *r, const char *key, const struct bytes *object)
{
    struct error e;
    if (sink_put(r->sink, key, object->data, object->length, false, &e) < 0 || sink_sync(r->sink, &e) < 0)
        fail_msg("%s", e.message);
}

/* What of a manifest prune looks at, with a body that is none. */
static void put_manifest(struct places *p, size_t i, uint32_t flags)
{
    struct error e;
    struct bytes object = {.maximum = 1 << 20};
    const struct vault_name name = name_of(i);
    char key[201];
    uint8_t clear[92];
    placed_key("snapshots", &name, key);
    bytes_set_u64(clear, i + 1);
    memset(clear + 8, 0, 32);
    if (i > 0)
        memcpy(clear + 8, p->hashes[i - 1], 32);
    seal_hash(key, strlen(key), clear + 40);
    bytes_set_u64(clear + 72, 1000 + i);
    bytes_set_u64(clear + 80, 2000 + i);
    bytes_set_u32(clear + 88, flags);
    assert_int_equal(seal_envelope(p->put->key, SEAL_MANIFEST, clear, sizeof clear, "{}", 2, &object, &e), 0);
    seal_hash(object.data, object.length, p->hashes[i]);
    put_object(p->full, key, &object);
    static uint8_t text[] = "needs";
    const struct bytes rest = {.data = text, .length = 5};
    placed_key("needs", &name, key);
    put_object(p->full, key, &rest);
    bytes_free(&object);
}

static struct repository *open_with(struct trial *t, const char *place, const char *what, const struct key *key,
                                    const char *options)
{
    struct error e;
    char path[128];
    snprintf(path, sizeof path, "%s/%s-%s.key", t->directory, place, what);
    if (key_save(key, path, &e) < 0)
        fail_msg("%s", e.message);
    return trial_open_with(t, place, path, options);
}

static void open_places(struct trial *t, const char *place, const char *options, struct places *p)
{
    struct error e;
    struct key *put, *prune, *web;
    *p = (struct places){.trial = t, .full = trial_open(t, place, 1, "")};
    assert_int_equal(key_create_put(p->full->key, TRIAL_HOST, &put, &e), 0);
    assert_int_equal(key_create_prune(p->full->key, NULL, &prune, &e), 0);
    assert_int_equal(key_create_prune(p->full->key, "other", &web, &e), 0);
    p->put = open_with(t, place, "put", put, "");
    p->prune = open_with(t, place, "prune", prune, options);
    p->web = open_with(t, place, "web", web, "");
    key_free(put);
    key_free(prune);
    key_free(web);
    for (size_t i = 0; i < SNAPSHOTS; i++)
        put_manifest(p, i, i == 1 ? MANIFEST_CLEAR_INCOMPLETE | MANIFEST_CLEAR_PARTIAL : i == 2 ? 12 : 0);
}

static void close_places(struct places *p)
{
    repository_close(p->web);
    repository_close(p->prune);
    repository_close(p->put);
    repository_close(p->full);
}

/* ---- standings ---- */

struct stood {
    struct vault_standing standings[SNAPSHOTS + 1];
    enum error_class why[SNAPSHOTS + 1];
    size_t count;
};

static int note(void *context, const struct vault_standing *standing, const struct error *why, struct error *e)
{
    (void)e;
    struct stood *stood = context;
    assert_true(stood->count <= SNAPSHOTS);
    stood->why[stood->count] = why->class;
    stood->standings[stood->count++] = *standing;
    return 0;
}

static void stand(struct repository *r, struct stood *stood)
{
    struct error e;
    struct vault vault = {.own = r, .sink = r->sink};
    *stood = (struct stood){.count = 0};
    if (repository_prune_standings(&vault, TRIAL_HOST, JOB, note, stood, &e) < 0)
        fail_msg("%s", e.message);
}

static void annotate(struct repository *r, enum vault_annotation_kind kind, size_t i, int64_t until, const void *hash)
{
    struct error e;
    struct vault vault = {.own = r, .sink = r->sink};
    struct vault_annotation annotation = {
        .kind = kind, .name = name_of(i), .at = 7, .until = until, .note = "\xc3\xa4%"};
    if (hash)
        memcpy(annotation.hash, hash, sizeof annotation.hash);
    if (repository_annotation_put(&vault, &annotation, &e) < 0)
        fail_msg("%s", e.message);
}

static void flip_last(struct repository *r, const char *prefix, size_t i)
{
    const struct vault_name name = name_of(i);
    char key[201];
    placed_key(prefix, &name, key);
    trial_flip(r, key, 250);
}

static void test_standings(void **state)
{
    struct places p;
    struct stood stood;
    open_places(*state, "standings", "", &p);
    annotate(p.put, VAULT_PIN, 0, 99, NULL);
    annotate(p.prune, VAULT_PIN, 1, VAULT_PIN_FOREVER, NULL);
    annotate(p.put, VAULT_VERIFIED, 0, 0, p.hashes[0]);
    annotate(p.full, VAULT_PROVEN, 0, 0, p.hashes[1]); /* of another manifest */
    annotate(p.full, VAULT_PROVEN, 1, 0, p.hashes[1]);
    annotate(p.full, VAULT_VERIFIED, 3, 0, p.hashes[3]);
    flip_last(p.full, "proofs/verified", 3);
    for (struct repository **r = (struct repository *[]){p.full, p.put, p.prune, p.web, NULL}; *r; r++) {
        stand(*r, &stood);
        const struct vault_standing *s = stood.standings;
        assert_int_equal(stood.count, SNAPSHOTS);
        for (size_t i = 0; i < SNAPSHOTS; i++) {
            assert_int_equal(stood.why[i], ERROR_NONE);
            assert_true(s[i].sequence == i + 1 && s[i].started == (int64_t)(1000 + i) && !s[i].removed &&
                        !s[i].manifest);
            assert_memory_equal(s[i].hash, p.hashes[i], SEAL_HASH_SIZE);
        }
        assert_memory_equal(s[1].previous, p.hashes[0], SEAL_HASH_SIZE);
        assert_true(s[0].complete && !s[0].partial && !s[0].suspect && !s[0].unknown);
        assert_true(!s[1].complete && s[1].partial && s[2].suspect && s[2].unknown && s[2].complete);
        assert_true(s[0].pinned && s[0].pinned_until == 99 && s[1].pinned_until == VAULT_PIN_FOREVER);
        assert_true(s[0].verified && !s[0].proven && s[1].proven && !s[1].verified && !s[2].pinned);
        /* What cannot be read may be what keeps it. */
        assert_true(s[3].pinned && s[3].pinned_until == VAULT_PIN_FOREVER && !s[3].verified);
    }
    annotate(p.put, VAULT_ACCEPTED, 2, 0, p.hashes[1]); /* of another manifest */
    stand(p.prune, &stood);
    assert_true(stood.standings[2].suspect);
    annotate(p.put, VAULT_ACCEPTED, 2, 0, p.hashes[2]);
    annotate(p.put, VAULT_ACCEPTED, 0, 0, p.hashes[0]); /* of what was never suspect */
    for (struct repository **r = (struct repository *[]){p.full, p.put, p.prune, p.web, NULL}; *r; r++) {
        stand(*r, &stood);
        assert_true(!stood.standings[2].suspect && stood.standings[2].unknown && !stood.standings[2].pinned);
        assert_true(!stood.standings[0].suspect);
    }
    /* What cannot be read accepts nothing, and may be what keeps it. */
    flip_last(p.full, "accepted", 2);
    stand(p.prune, &stood);
    assert_true(stood.standings[2].suspect && stood.standings[2].pinned);
    flip_last(p.full, "snapshots", 2);
    stand(p.prune, &stood);
    assert_int_equal(stood.why[2], ERROR_INTEGRITY);
    assert_string_equal(stood.standings[2].name.id, name_of(2).id);
    assert_true(stood.count == SNAPSHOTS && stood.why[3] == ERROR_NONE);
    close_places(&p);
}

/* ---- removing ---- */

static size_t gone_count, failed_count;
static struct error failure;

static void on_gone(void *context, const struct vault_name *name, const struct error *why)
{
    (void)context;
    assert_string_equal(name->job, JOB);
    gone_count += why->class == ERROR_NONE;
    failed_count += why->class != ERROR_NONE;
    if (why->class != ERROR_NONE)
        failure = *why;
}

/* The first n. */
static int remove_first(struct repository *r, size_t n, struct error *e)
{
    struct stood stood;
    struct vault vault = {.own = r, .sink = r->sink};
    struct vault_removal removals[SNAPSHOTS];
    static const char *const reasons[] = {"beyond keep_last = 1", "\xc3\xbc"};
    gone_count = failed_count = 0;
    stand(r, &stood);
    for (size_t i = 0; i < n; i++)
        removals[i] = (struct vault_removal){.standing = &stood.standings[i], .reasons = reasons, .reason_count = 2};
    return repository_prune_remove(&vault, removals, n, on_gone, NULL, e);
}

static size_t count_objects(struct repository *r, const char *prefix)
{
    struct trial_keys keys;
    trial_list(r, prefix, &keys);
    return keys.count;
}

static int note_removed(void *context, const struct verify_link *removed, struct error *e)
{
    (void)e;
    struct verify_link *links = context;
    assert_true(removed->sequence >= 1 && removed->sequence <= SNAPSHOTS && removed->removed && removed->readable);
    links[removed->sequence - 1] = *removed;
    return 0;
}

static void test_removing(void **state)
{
    struct places p;
    struct error e;
    struct verify_link links[SNAPSHOTS] = {{.sequence = 0}};
    open_places(*state, "removing", "", &p);
    annotate(p.put, VAULT_VERIFIED, 0, 0, p.hashes[0]);
    annotate(p.put, VAULT_VERIFIED, 3, 0, p.hashes[3]);
    for (struct repository **r = (struct repository *[]){p.put, p.web, NULL}; *r; r++) {
        struct vault refused = {.own = *r};
        assert_false(repository_prune_may_remove(&refused, TRIAL_HOST));
        assert_int_equal(remove_first(*r, 2, &e), -1);
        assert_int_equal(e.class, ERROR_AUTH);
        assert_int_equal(count_objects(p.full, "snapshots/") + gone_count + failed_count, SNAPSHOTS);
    }
    assert_int_equal(count_objects(p.full, "removed/"), 0);
    struct vault prune = {.own = p.prune}, full = {.own = p.full};
    assert_true(repository_prune_may_remove(&prune, TRIAL_HOST) && repository_prune_may_remove(&full, TRIAL_HOST));
    assert_int_equal(remove_first(p.prune, 2, &e), 0);
    assert_true(gone_count == 2 && failed_count == 0);
    assert_int_equal(count_objects(p.full, "snapshots/"), 2);
    assert_int_equal(count_objects(p.full, "needs/"), 2);
    assert_int_equal(count_objects(p.full, "proofs/"), 1);
    assert_int_equal(count_objects(p.full, "removed/"), 1);
    assert_int_equal(repository_prune_removals(&full, TRIAL_HOST, JOB, note_removed, links, &e), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_memory_equal(links[i].hash, p.hashes[i], SEAL_HASH_SIZE);
        assert_int_equal(links[i].previous_count, i);
    }
    assert_memory_equal(links[1].previous[0], p.hashes[0], SEAL_HASH_SIZE);
    assert_true(links[2].sequence == 0 && links[3].sequence == 0);
    close_places(&p);
}

/* Wherever it ends, the next one goes on, with no second record. */
static void test_interrupted(void **state)
{
    for (int at = 1; at <= 6; at++) {
        struct places p;
        struct error e;
        struct stood stood;
        char place[32], options[64];
        snprintf(place, sizeof place, "interrupted%d", at);
        snprintf(options, sizeof options, "fail=remove;fail_at=%d;fail_class=denied", at);
        open_places(*state, place, options, &p);
        annotate(p.put, VAULT_PIN, 1, 5, NULL);
        assert_int_equal(remove_first(p.prune, 2, &e), 0);
        assert_true(gone_count + failed_count == 2 && (failed_count > 0) == (at < 6));
        if (failed_count > 0)
            assert_true(failure.class == ERROR_DENIED && strstr(failure.hint, "credentials") && failure.subject[0]);
        stand(p.full, &stood);
        size_t n = 0;
        while (n < stood.count && stood.standings[n].removed)
            n++;
        struct vault full = {.own = p.full, .sink = p.full->sink};
        struct vault_removal removals[SNAPSHOTS];
        for (size_t i = 0, k = 0; i < stood.count; i++)
            if (stood.standings[i].removed)
                removals[k++] = (struct vault_removal){.standing = &stood.standings[i]}, n = k;
        gone_count = failed_count = 0;
        assert_int_equal(repository_prune_remove(&full, removals, n, on_gone, NULL, &e), 0);
        assert_true(gone_count == n && failed_count == 0);
        assert_int_equal(count_objects(p.full, "snapshots/"), 2);
        assert_int_equal(count_objects(p.full, "needs/"), 2);
        assert_int_equal(count_objects(p.full, "pins/"), 0);
        assert_int_equal(count_objects(p.full, "removed/"), 1);
        stand(p.full, &stood);
        assert_int_equal(stood.count, 2);
        close_places(&p);
    }
}

/* No record, nothing removed. */
static void test_no_record(void **state)
{
    struct places p;
    struct error e;
    open_places(*state, "norecord", "fail=put;fail_at=9;fail_class=no_space", &p);
    assert_int_equal(remove_first(p.prune, 2, &e), -1);
    assert_int_equal(e.class, ERROR_NO_SPACE);
    assert_true(gone_count + failed_count == 0 && count_objects(p.full, "snapshots/") == SNAPSHOTS);
    close_places(&p);
}

/* ---- annotations ---- */

static size_t told;

static int note_annotation(void *context, const struct vault_annotation *annotation, struct error *e)
{
    (void)e;
    struct vault_annotation *all = context;
    told++;
    all[annotation->kind] = *annotation;
    return 0;
}

static void test_annotations(void **state)
{
    struct places p;
    struct error e;
    struct vault_annotation all[VAULT_ANNOTATION_KINDS] = {{.at = 0}};
    bool was;
    open_places(*state, "annotations", "", &p);
    struct vault put = {.own = p.put, .sink = p.put->sink}, web = {.own = p.web, .sink = p.web->sink};
    const struct vault_name first = name_of(0);
    annotate(p.put, VAULT_PIN, 0, 5, NULL);
    annotate(p.put, VAULT_PIN, 0, VAULT_PIN_FOREVER, NULL); /* in the place of that */
    annotate(p.full, VAULT_VERIFIED, 0, 0, p.hashes[0]);
    told = 0;
    assert_int_equal(repository_annotation_each(&put, TRIAL_HOST, JOB, note_annotation, all, &e), 0);
    assert_int_equal(told, 2);
    assert_true(all[VAULT_PIN].until == VAULT_PIN_FOREVER && all[VAULT_PIN].at == 7);
    assert_string_equal(all[VAULT_PIN].note, "\xc3\xa4%");
    assert_memory_equal(all[VAULT_VERIFIED].hash, p.hashes[0], SEAL_HASH_SIZE);
    assert_int_equal(repository_annotation_put(&web, &all[VAULT_PIN], &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    assert_int_equal(repository_annotation_unpin(&web, &first, &was, &e), -1);
    assert_int_equal(repository_annotation_unpin(&put, &first, &was, &e), 0);
    assert_true(was && count_objects(p.full, "pins/") == 0);
    assert_int_equal(repository_annotation_unpin(&put, &first, &was, &e), 0);
    assert_false(was);
    close_places(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_standings, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_removing, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_interrupted, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_no_record, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_annotations, trial_set_up, trial_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
