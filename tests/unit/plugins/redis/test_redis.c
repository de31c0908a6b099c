/* RDB files, their checksum, INFO and refusals, without a server. The samples are also those of the fuzzer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redis/crc64.h"
#include "redis/fault.h"
#include "redis/info.h"
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
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}
