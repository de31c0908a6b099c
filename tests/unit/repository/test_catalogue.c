#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cofre/plugin.h"
#include "repository/catalogue.h"
#include "snapshot/path.h"
#include "snapshot/record.h"

static struct catalogue_decoder decoder;

static int tear_down(void **state)
{
    (void)state;
    catalogue_decoder_free(&decoder);
    return 0;
}

static struct record record_of(uint32_t kind, const char *path)
{
    struct record record = {.status = RECORD_WHOLE};
    record.entry.kind = kind;
    record.entry.path = path;
    record.entry.path_length = strlen(path);
    record.entry.mode = 0644;
    record.entry.uid = 1000;
    record.entry.gid = 100;
    record.entry.mtime = INT64_C(1700000000123456789);
    return record;
}

static struct record decode(const struct bytes *b)
{
    struct error e = {0};
    struct record record;
    size_t n;
    assert_int_equal(catalogue_record_length(b->data, b->length, &n, &e), 0);
    assert_int_equal(n, b->length);
    if (catalogue_decode(&decoder, b->data, b->length, &record, &e) < 0)
        fail_msg("%s", e.message);
    return record;
}

static void assert_refused(const struct bytes *b)
{
    struct error e = {0};
    struct record record;
    assert_int_equal(catalogue_decode(&decoder, b->data, b->length, &record, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
}

/* Byte for byte as docs/format.md says it. */
static void test_layout(void **state)
{
    (void)state;
    struct error e;
    struct bytes b = {.maximum = 4096};
    struct catalogue_extent extent = {.id = {0xaa}, .offset = 5, .length = 3};
    struct record record = record_of(COFRE_FILE, "a/b");
    record.entry.size = 3;
    record.entry.has_fingerprint = 1;
    memset(record.entry.fingerprint, 0xf0, 16);
    record.entry.user = "me";
    record.extents = &extent;
    record.extent_count = 1;
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    static const uint8_t head[] = {
        105,  0,    0,    0,    1,    0,    5,    0,                         /* length, kind, status, fields, 0 */
        3,    0,    'a',  '/',  'b',                                         /* path */
        0xa4, 1,    0,    0,    0xe8, 3,    0,    0,    100,  0,    0,    0, /* mode, uid, gid */
        0x15, 0xcd, 0xa4, 0xb4, 0x8e, 0x98, 0x97, 0x17,                      /* mtime */
        3,    0,    0,    0,    0,    0,    0,    0,                         /* size */
        0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0,    /* fingerprint */
        0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 2,    'm',  'e',  0,                   /* user, group */
        1,    0,    0,    0,    0xaa,                                        /* extents */
    };
    static const uint8_t tail[] = {5, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(b.length, sizeof head + 31 + sizeof tail);
    assert_int_equal(b.data[0], b.length - 4);
    assert_memory_equal(b.data + 4, head + 4, 17);
    assert_memory_equal(b.data + 33, head + 33, sizeof head - 33);
    assert_memory_equal(b.data + b.length - sizeof tail, tail, sizeof tail);
    assert_true(bytes_get_u64(b.data + 25) == UINT64_C(1700000000123456789));
    bytes_free(&b);
}

static void test_everything(void **state)
{
    (void)state;
    struct error e;
    struct bytes b = {.maximum = 1 << 20};
    struct snapshot_attribute attributes[] = {{"user.one", "v\0w", 3}, {"system.posix_acl_access", "", 0}};
    struct catalogue_extent extents[] = {
        {.id = {1}, .offset = 7, .length = 100}, {.length = UINT64_C(1) << 40}, {.id = {2}, .length = 1}};
    struct record record = record_of(COFRE_FILE, "caf\xc3\xa9/\xff\x01");
    record.status = RECORD_CHANGED;
    record.error = "it changed";
    record.entry.user = "u";
    record.entry.group = "gr\xff";
    record.entry.attributes = attributes;
    record.entry.attribute_count = 2;
    record.entry.size = (INT64_C(1) << 40) + 101;
    record.extents = extents;
    record.extent_count = 3;
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    struct record out = decode(&b);
    assert_string_equal(out.entry.path, record.entry.path);
    assert_string_equal(out.error, "it changed");
    assert_string_equal(out.entry.user, "u");
    assert_string_equal(out.entry.group, "gr\xff");
    assert_true(out.entry.mtime == record.entry.mtime && out.entry.size == record.entry.size);
    assert_int_equal(out.entry.attribute_count, 2);
    assert_string_equal(out.entry.attributes[0].name, "user.one");
    assert_memory_equal(out.entry.attributes[0].value, "v\0w", 3);
    assert_int_equal(out.entry.attributes[1].length, 0);
    assert_int_equal(out.extent_count, 3);
    assert_true(catalogue_is_hole(&out.extents[1]) && !catalogue_is_hole(&out.extents[0]));
    assert_true(out.extents[1].length == UINT64_C(1) << 40);
    assert_false(out.more || out.continuation || out.entry.has_fingerprint);
    /* Wherever it is cut, it is noticed. */
    for (size_t n = 4; n < b.length; n++) {
        struct bytes cut = {.data = b.data, .length = n};
        bytes_set_u32(b.data, (uint32_t)n - 4);
        assert_refused(&cut);
    }
    bytes_free(&b);
}

static void test_kinds(void **state)
{
    (void)state;
    struct error e;
    for (uint32_t kind = COFRE_FILE; kind <= COFRE_STREAM; kind++) {
        struct bytes b = {.maximum = 4096};
        struct record record = record_of(kind, "x");
        record.entry.link = "target";
        record.entry.link_length = 6;
        record.entry.device_major = 8;
        record.entry.device_minor = UINT32_MAX;
        record.entry.size = kind == COFRE_DIRECTORY ? 4096 : 0;
        record.entry.mtime = COFRE_NO_TIME;
        assert_int_equal(catalogue_encode(&record, &b, &e), 0);
        struct record out = decode(&b);
        assert_int_equal(out.entry.kind, kind);
        assert_int_equal(out.entry.size, 0);
        assert_true(out.entry.mtime == COFRE_NO_TIME);
        assert_int_equal(out.entry.link != NULL, kind == COFRE_SYMLINK || kind == COFRE_HARDLINK);
        assert_true(out.entry.device_minor == (kind == COFRE_CHARACTER || kind == COFRE_BLOCK ? UINT32_MAX : 0));
        bytes_free(&b);
    }
}

static void test_continuation(void **state)
{
    (void)state;
    struct error e;
    struct bytes b = {.maximum = 1 << 20};
    struct catalogue_extent *extents = calloc(CATALOGUE_EXTENTS_MAX, sizeof *extents);
    assert_non_null(extents);
    for (size_t i = 0; i < CATALOGUE_EXTENTS_MAX; i++)
        extents[i] = (struct catalogue_extent){.id = {1}, .length = 10};
    struct record record = {
        .continuation = true, .more = true, .extents = extents, .extent_count = CATALOGUE_EXTENTS_MAX};
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    struct record out = decode(&b);
    assert_true(out.continuation && out.more);
    assert_int_equal(out.extent_count, CATALOGUE_EXTENTS_MAX);
    bytes_reset(&b);
    record = record_of(COFRE_FILE, "big");
    record.more = true;
    record.extents = extents;
    record.extent_count = 2;
    record.entry.size = 30;
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    assert_true(decode(&b).more);
    bytes_reset(&b);
    record.entry.size = 20; /* then nothing can follow */
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    assert_refused(&b);
    bytes_free(&b);
    free(extents);
}

/* Encoded as told; refused when read. */
static void refuse(struct record record)
{
    struct error e;
    struct bytes b = {.maximum = 1 << 20};
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    assert_refused(&b);
    bytes_free(&b);
}

static void test_hostile_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"",    "/",    "/a",    "a/",   "a//b",   ".",         "..",
                                        "./a", "a/..", "a/./b", "../a", "a/../b", "a/b/../..", "a/b/c/./d/e"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        refuse(record_of(COFRE_FILE, paths[i]));
        struct record link = record_of(COFRE_HARDLINK, "x");
        link.entry.link = paths[i];
        link.entry.link_length = strlen(paths[i]);
        refuse(link);
    }
    struct record nul = record_of(COFRE_FILE, "a\0b");
    nul.entry.path_length = 3;
    refuse(nul);
    assert_true(path_valid("", 0) && path_valid("...", 3) && path_valid(".a/..b/c.", 9));
    assert_true(path_valid(" ", 1) && !path_valid("a/", 2));
}

static void test_hostile_values(void **state)
{
    (void)state;
    struct catalogue_extent extent = {.id = {1}, .length = 10};
    struct record file = record_of(COFRE_FILE, "f"), r;
    file.entry.size = 10;
    file.extents = &extent;
    file.extent_count = 1;
    r = file, r.entry.size = 11, refuse(r);
    r = file, r.entry.size = 9, refuse(r);
    r = file, r.entry.mode = 010000, refuse(r);
    r = file, r.entry.kind = COFRE_DIRECTORY, refuse(r);
    r = file, r.status = RECORD_UNREADABLE, refuse(r); /* yet it has content */
    struct catalogue_extent bad = {.id = {1}, .offset = 2u << 20, .length = 10};
    r = file, r.extents = &bad, refuse(r);
    bad = (struct catalogue_extent){.id = {1}, .offset = (2u << 20) - 9, .length = 10}, refuse(r);
    bad = (struct catalogue_extent){.offset = 1, .length = 10}, refuse(r);
    bad = (struct catalogue_extent){.id = {1}, .length = 0}, r.entry.size = 0, refuse(r);
    bad = (struct catalogue_extent){.length = UINT64_MAX}, r.entry.size = INT64_MAX, refuse(r);
    struct snapshot_attribute unnamed = {"", "v", 1};
    r = file, r.entry.attributes = &unnamed, r.entry.attribute_count = 1, refuse(r);
    r = record_of(COFRE_SYMLINK, "s"), r.entry.link = "", refuse(r);
}

/* Any single changed byte is either noticed or decoded safely. */
static void test_flips(void **state)
{
    (void)state;
    struct error e;
    struct bytes b = {.maximum = 4096};
    struct record record = record_of(COFRE_SYMLINK, "link"), out;
    record.entry.link = "to";
    record.entry.link_length = 2;
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    for (size_t i = 0; i < b.length; i++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t old = b.data[i];
            b.data[i] = (uint8_t)value;
            if (catalogue_decode(&decoder, b.data, b.length, &out, &e) < 0)
                assert_int_equal(e.class, ERROR_INTEGRITY);
            else if (value != old)
                assert_true(i == 4 || i >= 8); /* in the head only a hard link passes for a symlink */
            b.data[i] = old;
        }
    bytes_free(&b);
}

static void test_limits(void **state)
{
    (void)state;
    struct error e;
    size_t n;
    struct bytes b = {.maximum = 16u << 20};
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    struct record record = record_of(COFRE_FILE, "f");
    record.entry.user = name;
    assert_int_equal(catalogue_encode(&record, &b, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    record.entry.user = NULL;
    struct snapshot_attribute attributes[] = {{"user.a", name, 3u << 20}, {"user.b", name, 3u << 20}};
    attributes[0].value = attributes[1].value = calloc(1, 3u << 20);
    record.entry.attributes = attributes;
    record.entry.attribute_count = 2;
    assert_int_equal(catalogue_encode(&record, &b, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    assert_int_equal(b.length, 0);
    record.entry.attribute_count = 1;
    assert_int_equal(catalogue_encode(&record, &b, &e), 0);
    assert_int_equal(decode(&b).entry.attributes[0].length, 3u << 20);
    static const uint8_t large[4] = {0xff, 0xff, 0xff, 0xff};
    assert_int_equal(catalogue_record_length(large, 4, &n, &e), -1);
    assert_int_equal(catalogue_record_length(large, 3, &n, &e), 0);
    assert_int_equal(n, 0);
    free((void *)(uintptr_t)attributes[0].value);
    bytes_free(&b);
}

static int order(const char *a, const char *b)
{
    int result = path_compare(a, strlen(a), b, strlen(b));
    int reverse = path_compare(b, strlen(b), a, strlen(a));
    assert_true((result < 0) == (reverse > 0) && (result == 0) == (reverse == 0));
    return result;
}

static void test_order(void **state)
{
    (void)state;
    static const char *const sorted[] = {"",
                                         "a",
                                         "a/b",
                                         "a/b/c",
                                         "a/b.c",
                                         "a/c",
                                         "a!",
                                         "a.b",
                                         "a0",
                                         "b",
                                         "longer/directory/x",
                                         "longer/directory/x/y",
                                         "longer/directory/x y",
                                         "longer/directory-x",
                                         "\x7f",
                                         "\x80",
                                         "\xff"};
    size_t n = sizeof sorted / sizeof sorted[0];
    for (size_t i = 0; i < n; i++)
        for (size_t k = i; k < n; k++)
            assert_true(i == k ? order(sorted[i], sorted[k]) == 0 : order(sorted[i], sorted[k]) < 0);
}

static void test_within(void **state)
{
    (void)state;
    assert_true(path_is_within("a/b", 3, "", 0));
    assert_true(path_is_within("a/b", 3, "a", 1));
    assert_true(path_is_within("a/b", 3, "a/b", 3));
    assert_false(path_is_within("a/bc", 4, "a/b", 3));
    assert_false(path_is_within("a", 1, "a/b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_continuation),
        cmocka_unit_test(test_hostile_paths), cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_flips),         cmocka_unit_test(test_limits),
        cmocka_unit_test(test_order),         cmocka_unit_test(test_within),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
