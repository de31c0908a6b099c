#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/confirm.h"
#include "repository/index.h"
#include "repository/needs.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "trial.h"
#include "worker/sink.h"

static struct pack_name pack_of(const char *host, uint32_t number)
{
    uint8_t hash[SEAL_HASH_SIZE] = {0};
    hash[0] = (uint8_t)(number * 37);
    bytes_set_u32(hash + 2, number);
    return pack_name_of(host, hash);
}

static void add(struct needs *needs, const char *host, uint32_t number)
{
    struct error e;
    const struct pack_name name = pack_of(host, number);
    assert_int_equal(needs_add(needs, &name, &e), 0);
}

static bool has(const struct needs *needs, const char *host, uint32_t number)
{
    const struct pack_name name = pack_of(host, number);
    return needs_has(needs, &name);
}

/* However often one is added, it is there once; and of two that begin alike both are. */
static void test_a_set(void **state)
{
    (void)state;
    struct needs needs = {0};
    for (int round = 0; round < 20; round++)
        for (uint32_t i = 0; i < 5000; i++)
            add(&needs, i % 5 == 0 ? "db" : "web", i * 7 % 5000);
    needs_sort(&needs);
    assert_int_equal(needs.host_count, 2);
    assert_string_equal(pack_name_host(&(struct pack_name){.host = needs.hosts[0].number}), "db");
    assert_int_equal(needs.hosts[0].packs.length + needs.hosts[1].packs.length, 5000 * NEEDS_NAME_SIZE);
    assert_true(has(&needs, "db", 0));
    assert_false(has(&needs, "web", 0));
    assert_true(has(&needs, "web", 7));
    assert_false(has(&needs, "mail", 7));
    assert_false(has(&needs, "web", 5000));
    struct pack_name alike = pack_of("web", 7);
    alike.hash[SEAL_HASH_SIZE - 1] = 1;
    assert_true(needs_has(&needs, &alike));
    needs_free(&needs);
}

static void test_what_is_missing(void **state)
{
    (void)state;
    struct needs needs = {0};
    struct index_pack listed[6];
    for (uint32_t i = 0; i < 4; i++) {
        add(&needs, "web", i);
        listed[i] = (struct index_pack){.name = pack_of(i == 2 ? "db" : "web", i)};
    }
    listed[4].name = pack_of("web", 8);
    listed[5].name = pack_of("db", 1);
    needs_sort(&needs);
    qsort(listed, 6, sizeof *listed, pack_name_compare);
    assert_int_equal(needs_missing(&needs, listed, 6), 1); /* pack 2 is there, but it is another host's */
    assert_int_equal(needs_missing(&needs, listed, 0), 4);
    needs_free(&needs);
}

static void refuse(struct repository *r, const char *host, const char *key, const struct bytes *object,
                   const char *message)
{
    struct needs needs = {0};
    struct error e;
    assert_int_equal(needs_open(r, host, key, object, &needs, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    if (!strstr(e.message, message))
        fail_msg("%s", e.message);
    assert_null(needs.hosts);
}

/* What was put is read; in another place, of another repository, of another host or changed it is nothing. */
static void test_an_object(void **state)
{
    struct trial *t = *state;
    static char job[] = "job", host[] = TRIAL_HOST;
    const struct manifest manifest = {.job = job, .host = host, .id = "20261120T020000Z-ab12cd"};
    struct needs needs = {0}, read = {0};
    struct error e;
    uint8_t hash[SEAL_HASH_SIZE];
    char bytes[] = "the manifest", key[201];
    const struct bytes of = {.data = (uint8_t *)bytes, .length = sizeof bytes};
    struct bytes object = {.maximum = NEEDS_OBJECT_MAX};
    struct repository *r = trial_open(t, "one", 1, ""), *other = trial_open(t, "two", 1, "");
    add(&needs, TRIAL_HOST, 3);
    needs_sort(&needs);
    assert_int_equal(needs_put(r, &needs, &manifest, &of, false, &e), 0);
    assert_int_equal(needs_put(r, &needs, &manifest, &of, false, &e), -1);
    assert_int_equal(e.class, ERROR_EXISTS);
    assert_int_equal(needs_put(r, &needs, &manifest, &of, true, &e), 0);
    assert_int_equal(needs_read(r, TRIAL_HOST, "job", manifest.id, NULL, &read, &e), 0);
    seal_hash(bytes, sizeof bytes, hash);
    assert_memory_equal(read.manifest, hash, sizeof hash);
    assert_true(has(&read, TRIAL_HOST, 3));
    needs_key(TRIAL_HOST, "job", manifest.id, key);
    trial_get(r, key, &object);
    refuse(other, TRIAL_HOST, key, &object, "another repository");
    refuse(r, TRIAL_HOST, "needs/" TRIAL_HOST "/other/20261120T020000Z-ab12cd", &object, "another place");
    object.data[object.length / 2] ^= 1;
    refuse(r, TRIAL_HOST, key, &object, "changed or damaged");
    assert_int_equal(needs_read(r, TRIAL_HOST, "none", manifest.id, NULL, &read, &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    needs_free(&needs);
    needs_free(&read);
    bytes_free(&object);
    repository_close(r);
    repository_close(other);
}

/* One that is stored beside it stands in for it when it is gone, or damaged; and nothing else does. */
static void test_anew(void **state)
{
    struct trial *t = *state;
    static char job[] = "job", host[] = TRIAL_HOST;
    const struct manifest manifest = {.job = job, .host = host, .id = "20261120T020000Z-ab12cd"};
    struct needs needs = {0}, more = {0}, read = {0};
    struct bytes keys = {.maximum = 1000};
    struct vault_name name;
    struct error e;
    char bytes[] = "the manifest", key[201];
    struct confirm_stored stored;
    const struct bytes of = {.data = (uint8_t *)bytes, .length = sizeof bytes};
    struct repository *r = trial_open(t, "one", 1, "");
    add(&needs, TRIAL_HOST, 3);
    add(&more, TRIAL_HOST, 4);
    assert_int_equal(needs_put(r, &needs, &manifest, &of, false, &e), 0);
    seal_hash(bytes, sizeof bytes, more.manifest);
    assert_int_equal(needs_put_anew(r, TRIAL_HOST "/job/20261120T020000Z-ab12cd", &more, &stored, &e), 0);
    assert_int_equal(confirm_stored(r, &stored, &e), 0);
    needs_key(TRIAL_HOST, "job", manifest.id, key);
    assert_int_equal(needs_list_anew(r, key, &keys, &e), 0);
    assert_string_equal((const char *)keys.data, stored.key);
    assert_true(placed_parse_key("needs", stored.key, &name));
    assert_string_equal(name.id, manifest.id);
    assert_false(placed_parse_key("snapshots", "snapshots/web1/job/20261120T020000Z-ab12cd.0011223344556677", &name));
    assert_false(placed_parse_key("needs", "needs/web1/job/20261120T020000Z-ab12cd.00112233445566", &name));
    assert_int_equal(needs_read(r, TRIAL_HOST, "job", manifest.id, NULL, &read, &e), 0);
    assert_true(has(&read, TRIAL_HOST, 3));
    needs_free(&read);
    assert_int_equal(sink_put(r->sink, key, "x", 1, false, &e), 0);
    assert_int_equal(needs_read(r, TRIAL_HOST, "job", manifest.id, NULL, &read, &e), 0);
    assert_true(has(&read, TRIAL_HOST, 4));
    needs_free(&read);
    assert_int_equal(sink_remove(r->sink, key, &e), 0);
    assert_int_equal(needs_read(r, TRIAL_HOST, "job", manifest.id, NULL, &read, &e), 0);
    assert_true(has(&read, TRIAL_HOST, 4));
    assert_int_equal(sink_remove(r->sink, stored.key, &e), 0);
    needs_free(&read);
    assert_int_equal(needs_read(r, TRIAL_HOST, "job", manifest.id, NULL, &read, &e), -1);
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    needs_free(&needs);
    needs_free(&more);
    bytes_free(&keys);
    repository_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test_setup_teardown(test_an_object, trial_set_up, trial_tear_down),
        cmocka_unit_test_setup_teardown(test_anew, trial_set_up, trial_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
