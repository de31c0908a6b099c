/* RDB files, their checksum, which server is which, INFO and refusals, without a server. The samples are also those of
 * the fuzzer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "redis/crc64.h"
#include "redis/family.h"
#include "redis/fault.h"
#include "redis/info.h"
#include "redis/lineage.h"
#include "redis/rdb.h"

static void test_crc64(void **state)
{
    (void)state;
    struct crc64_table table;
    crc64_init(&table);
    assert_true(crc64_add(&table, 0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
    /* Any cut, any alignment. */
    const char text[] = "what comes in pieces has the same sum as the whole of it";
    uint64_t whole = crc64_add(&table, 0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        uint64_t crc = crc64_add(&table, 0, text, cut);
        assert_true(crc64_add(&table, crc, text + cut, sizeof text - cut) == whole);
    }
}

struct sample {
    uint8_t *data;
    size_t size;
};

static struct sample load(const char *name)
{
    char path[512];
    struct sample s = {.data = malloc(1 << 20)};
    snprintf(path, sizeof path, "%s/%s", SAMPLES, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_non_null(s.data);
    s.size = fread(s.data, 1, 1 << 20, f);
    fclose(f);
    assert_true(s.size > 18);
    return s;
}

static struct rdb *feed(const uint8_t *p, size_t n, size_t piece, struct rdb_summary *summary, int32_t *class)
{
    struct cofre_error error = {.struct_size = sizeof error};
    struct rdb *rdb = rdb_new();
    assert_non_null(rdb);
    *class = COFRE_OK;
    for (size_t at = 0; at < n && *class == COFRE_OK; at += piece)
        *class = rdb_feed(rdb, p + at, n - at < piece ? n - at : piece, &error);
    if (*class == COFRE_OK)
        *class = rdb_end(rdb, summary, &error);
    return rdb;
}

static int32_t verdict(const uint8_t *p, size_t n, size_t piece)
{
    struct rdb_summary summary;
    int32_t class;
    rdb_free(feed(p, n, piece, &summary, &class));
    return class;
}

static void test_counts(void **state)
{
    (void)state;
    struct sample s = load("redis7");
    for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
        struct rdb_summary summary;
        int32_t class;
        struct rdb *rdb = feed(s.data, s.size, piece, &summary, &class);
        assert_int_equal(class, COFRE_OK);
        assert_true(summary.counted && summary.checksum);
        assert_int_equal(summary.version, 10);
        assert_int_equal(summary.bytes, s.size);
        assert_int_equal(summary.libraries, 1);
        assert_int_equal(summary.database_count, 2);
        assert_int_equal(summary.databases[0].number, 0);
        assert_int_equal(summary.databases[0].keys, 18);
        assert_int_equal(summary.databases[0].expires, 3);
        assert_int_equal(summary.databases[1].number, 3);
        assert_int_equal(summary.databases[1].keys, 9);
        rdb_free(rdb);
    }
    free(s.data);
}

/* Every kind of value that Redis 7 does not write any more, or not yet, and those of modules. */
static void test_other_servers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t keys, expires, module_values;
        bool counted;
    } samples[] = {
        {"old", 2, 1, 0, true}, {"hash-ttl", 2, 0, 0, true}, {"module", 1, 0, 2, true}, {"newer", 0, 0, 0, false}};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct sample s = load(samples[i].name);
        struct rdb_summary summary;
        int32_t class;
        struct rdb *rdb = feed(s.data, s.size, 7, &summary, &class);
        assert_int_equal(class, COFRE_OK);
        assert_int_equal(summary.counted, samples[i].counted);
        assert_int_equal(summary.module_values, samples[i].module_values);
        if (samples[i].counted) {
            assert_int_equal(summary.databases[0].keys, samples[i].keys);
            assert_int_equal(summary.databases[0].expires, samples[i].expires);
        }
        rdb_free(rdb);
        free(s.data);
    }
}

/* What a server may not have is known before the byte that would end it. */
static void test_so_far(void **state)
{
    (void)state;
    static const char begin[] = "REDIS0010\xfe\x30\x07\x01k";
    static const struct {
        size_t fed;
        int version;
        uint64_t highest, module_values;
    } steps[] = {{8, 0, 0, 0}, {9, 10, 0, 0}, {10, 10, 0, 0}, {11, 10, 48, 0}, {13, 10, 48, 0}, {14, 10, 48, 1}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        for (size_t piece = 1; piece <= 14; piece++) {
            struct cofre_error error = {.struct_size = sizeof error};
            struct rdb_summary summary;
            struct rdb *rdb = rdb_new();
            assert_non_null(rdb);
            for (size_t at = 0, n; at < steps[i].fed; at += n) {
                n = steps[i].fed - at < piece ? steps[i].fed - at : piece;
                assert_int_equal(rdb_feed(rdb, begin + at, n, &error), COFRE_OK);
            }
            rdb_so_far(rdb, &summary);
            assert_int_equal(summary.version, steps[i].version);
            assert_int_equal(summary.highest, steps[i].highest);
            assert_int_equal(summary.module_values, steps[i].module_values);
            assert_false(summary.counted);
            rdb_free(rdb);
        }
}

static void test_cut_everywhere(void **state)
{
    (void)state;
    struct sample s = load("redis7");
    for (size_t n = 1; n < s.size; n++)
        assert_int_not_equal(verdict(s.data, n, n), COFRE_OK);
    free(s.data);
}

static void test_flipped_everywhere(void **state)
{
    (void)state;
    struct sample s = load("redis7");
    for (size_t n = 0; n < s.size; n++) {
        s.data[n] ^= 1;
        assert_int_not_equal(verdict(s.data, s.size, s.size), COFRE_OK);
        s.data[n] ^= 1;
    }
    assert_int_equal(verdict(s.data, s.size, s.size), COFRE_OK);
    free(s.data);
}

static void test_too_long(void **state)
{
    (void)state;
    struct sample s = load("redis7");
    s.data[s.size] = 0;
    assert_int_equal(verdict(s.data, s.size + 1, s.size + 1), COFRE_E_INTEGRITY);
    assert_int_equal(verdict(s.data, s.size + 1, 1), COFRE_E_INTEGRITY);
    free(s.data);
}

static void test_no_checksum(void **state)
{
    (void)state;
    struct sample s = load("redis7"), newer = load("newer");
    memset(s.data + s.size - 8, 0, 8);
    assert_int_equal(verdict(s.data, s.size, 100), COFRE_OK);
    /* Neither understood nor summed: nobody could tell whether it is whole. */
    memset(newer.data + newer.size - 8, 0, 8);
    assert_int_equal(verdict(newer.data, newer.size, 100), COFRE_E_INTEGRITY);
    free(s.data);
    free(newer.data);
}

static void test_info(void **state)
{
    (void)state;
    static const char info[] = "# Server\r\nredis_version:7.0.15\r\nnumber:42\r\nempty:\r\n\r\n# Keyspace\r\n"
                               "db0:keys=3,expires=1,avg_ttl=5\r\ndb12:keys=9,expires=0,avg_ttl=0\r\n";
    char text[8];
    assert_string_equal(info_text(info, "redis_version", text, sizeof text), "7.0.15");
    assert_string_equal(info_text(info, "redis_version", text, 4), "7.0");
    assert_string_equal(info_text(info, "version", text, sizeof text), "");
    assert_true(info_is(info, "empty", "") && info_is(info, "number", "42") && !info_is(info, "number", "4"));
    assert_int_equal(info_number(info, "number"), 42);
    struct info_database database;
    const char *at = info;
    assert_true(info_database(&at, &database));
    assert_true(database.number == 0 && database.keys == 3 && database.expires == 1);
    assert_true(info_database(&at, &database));
    assert_true(database.number == 12 && database.keys == 9 && database.expires == 0);
    assert_false(info_database(&at, &database));
}

/* ---- which server ---- */

static struct family_set families(const char *const *names)
{
    struct family_set set = {0};
    for (; *names; names++)
        family_add(&set, (const uint8_t *)*names, strlen(*names));
    return set;
}
#define FAMILIES(...) families((const char *const[]){__VA_ARGS__, NULL})

static void test_families(void **state)
{
    (void)state;
    struct family_set a = FAMILIES("session:1", "session:2", "{session}:x", "_session", "bull:mail:9");
    assert_int_equal(a.count, 2);
    struct family_set b = FAMILIES("session"), c = FAMILIES("sessions:1", "Session:1", "12", "\xff\xff");
    assert_true(family_meet(&a, &b) && family_meet(&b, &a) && !family_meet(&a, &c) && !family_meet(&c, &b));
    assert_int_equal(c.count, 3);
    struct family_set none = {0}, many = {0};
    assert_false(family_meet(&a, &none));
    /* More than there is room for: the same ones stay, in whatever order they come. */
    struct family_set backwards = {0};
    char name[8];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "%c%c", 'a' + i % 26, 'a' + i / 26);
        family_add(&many, (uint8_t *)name, 2);
        snprintf(name, sizeof name, "%c%c", 'a' + (499 - i) % 26, 'a' + (499 - i) / 26);
        family_add(&backwards, (uint8_t *)name, 2);
    }
    assert_int_equal(many.count, FAMILY_MAX);
    assert_memory_equal(&many, &backwards, sizeof many);
    for (size_t i = 1; i < many.count; i++)
        assert_true(many.hashes[i - 1] < many.hashes[i]);
}

/* Names of all encodings: as they are, compressed, numbers; in pieces of all sizes. */
static void test_families_of_an_rdb(void **state)
{
    (void)state;
    static const char body[] = "REDIS0010\xfe\x00"
                               "\x00\x09session:1\x01v"                          /* plain */
                               "\x00\xc3\x0b\x19\x04queue\xe0\x0c\x00\x01q\x01v" /* compressed */
                               "\x00\xc0\x07\x01v"                               /* the number 7 */
                               "\x00\x40\x52"
                               "averylongnameofakeythat_does_not_end_"
                               "so_soon_as_one_would_think_of_one_in_a_test_.\x01v";
    struct family_set expected = FAMILIES("session", "queue", "averylongnameofakeyt");
    for (size_t piece = 1; piece < sizeof body; piece++) {
        struct rdb_summary summary;
        int32_t class;
        struct rdb *rdb = feed((const uint8_t *)body, sizeof body - 1, piece, &summary, &class);
        rdb_so_far(rdb, &summary);
        assert_int_equal(summary.families->count, expected.count);
        assert_memory_equal(summary.families, &expected, sizeof expected);
        rdb_free(rdb);
    }
}

#define RUN(c) c c c c c c c c
static const char run_a[] = RUN("aaaaa"), run_b[] = RUN("bbbbb"), run_c[] = RUN("ccccc"), run_d[] = RUN("ddddd"),
                  run_e[] = RUN("eeeee"), none_id[] = RUN("00000");

static struct lineage lineage(const char *run_id, const char *replid, struct family_set set)
{
    struct lineage l = {.families = set};
    snprintf(l.run_id, sizeof l.run_id, "%s", run_id);
    snprintf(l.replid, sizeof l.replid, "%s", replid);
    return l;
}

static void assert_met(struct lineages *l, struct lineage now, const char *other, const char *expected)
{
    const char *const others[2] = {none_id, other};
    assert_string_equal(lineage_meet(l, &now, others), expected);
}

static void test_lineages(void **state)
{
    (void)state;
    struct lineages l = {0};
    struct family_set none = {0}, session = FAMILIES("session"), queue = FAMILIES("queue"),
                      both = FAMILIES("session", "x");
    assert_met(&l, lineage(run_a, run_a, session), none_id, run_a);
    assert_met(&l, lineage(run_a, run_b, queue), none_id, run_a); /* the same process */
    assert_met(&l, lineage(run_b, run_c, session), run_b, run_a); /* it knows the last replication id as its last one */
    assert_met(&l, lineage(run_c, run_d, both), none_id, run_a);  /* started anew; the same application */
    assert_met(&l, lineage(run_c, run_d, none), none_id, run_a);  /* without its keys */
    assert_met(&l, lineage(run_d, run_e, none), none_id, run_d);  /* an empty one in its place, or it lost all */
    assert_int_equal(l.count, 1);
    assert_met(&l, lineage(run_e, none_id, both), none_id, run_a);    /* its keys are back */
    assert_met(&l, lineage(run_b, none_id, queue), none_id, run_b);   /* another one; an id of zeros is none */
    assert_met(&l, lineage(run_c, none_id, session), none_id, run_a); /* and back */
    assert_int_equal(l.count, 2);
    struct lineages empty = {0};
    assert_met(&empty, lineage(run_a, run_a, none), none_id, run_a);
    assert_met(&empty, lineage(run_b, run_b, queue), none_id, run_a); /* it had no keys to tell it by */
    for (int i = 0; i < 2 * LINEAGES_MAX; i++) {
        char id[LINEAGE_ID + 1], name[3] = {(char)('a' + i / 8), (char)('a' + i % 8), '\0'};
        snprintf(id, sizeof id, "%040x", i + 1);
        assert_met(&l, lineage(id, none_id, FAMILIES(name)), none_id, id);
    }
    assert_int_equal(l.count, LINEAGES_MAX);
}

static void test_lineages_on_disk(void **state)
{
    (void)state;
    char path[] = "/tmp/lineages-XXXXXX";
    struct lineages l = {0}, again;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct family_set set = {0};
    for (char name[3] = "aa"; name[0] <= 'z'; name[0]++)
        for (name[1] = 'a'; name[1] <= 'e'; name[1]++)
            family_add(&set, (uint8_t *)name, 2);
    assert_met(&l, lineage(run_a, run_a, set), none_id, run_a);
    assert_met(&l, lineage(run_b, "", FAMILIES("Zz")), none_id, run_b);
    assert_int_equal(lineage_store(&l, path), 0);
    assert_int_equal(lineage_load(&again, path), 0);
    assert_int_equal(again.count, 2);
    assert_string_equal(again.known[0].name, run_b);
    assert_memory_equal(&again.known[1], &l.known[1], sizeof l.known[1]);
    assert_int_equal(ftruncate(fd, 0), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("nonsense\n\n", f);
    fclose(f);
    close(fd);
    assert_int_equal(lineage_load(&again, path), 0);
    assert_int_equal(again.count, 0);
    unlink(path);
    assert_int_equal(lineage_load(&again, path), 0);
    assert_int_not_equal(lineage_store(&l, "/nowhere/lineages"), 0);
}

static void test_refusals(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    assert_int_equal(fault_reply("redis 'x'", "PING", "NOAUTH Authentication required.", &error), COFRE_E_AUTH);
    assert_string_equal(error.code, "NOAUTH");
    assert_string_equal(error.message, "redis 'x': PING was refused: NOAUTH Authentication required.");
    assert_non_null(strstr(error.hint, "password"));
    assert_int_equal(fault_reply("redis 'x'", "PSYNC", "NOPERM no", &error), COFRE_E_DENIED);
    assert_non_null(strstr(error.hint, "+select"));
    assert_int_equal(fault_reply("redis 'x'", "PSYNC", "ERR \n odd", &error), COFRE_E_PERMANENT);
    assert_string_equal(error.hint, "");
    assert_null(strchr(error.message, '\n'));
    /* What may be over in a moment. */
    static const char *const passing[] = {"LOADING Redis is loading", "BUSY Redis is busy running a script",
                                          "ERR max number of clients reached", "MASTERDOWN Link"};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        assert_int_equal(fault_reply("redis 'x'", "INFO", passing[i], &error), COFRE_E_RETRY);
        assert_string_not_equal(error.hint, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc64),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_other_servers),
        cmocka_unit_test(test_so_far),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_flipped_everywhere),
        cmocka_unit_test(test_no_checksum),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_families_of_an_rdb),
        cmocka_unit_test(test_lineages),
        cmocka_unit_test(test_lineages_on_disk),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}
