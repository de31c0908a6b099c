/* What is encoded comes back; what is cut or changed is refused; paths and grammar; the table of the previous snapshot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "cofre/plugin.h"
#include "config/config.h"
#include "host/previous.h"
#include "snapshot/entry.h"
#include "snapshot/path.h"
#include "wire/grammar.h"
#include "wire/wire.h"
#include "worker/redact.h"

static const struct snapshot_attribute attributes[] = {
    {.name = "user.one", .value = "1", .length = 1},
    {.name = "system.posix_acl_access", .value = "\0\1\2", .length = 3}};

static struct snapshot_entry sample(void)
{
    return (struct snapshot_entry){.kind = COFRE_SYMLINK,
                                   .flags = 1,
                                   .path = "a/b",
                                   .path_length = 3,
                                   .size = -1,
                                   .mtime = COFRE_NO_TIME,
                                   .mode = 0777,
                                   .uid = 1,
                                   .gid = 2,
                                   .device_major = 3,
                                   .device_minor = 4,
                                   .user = "root",
                                   .link = "../x",
                                   .link_length = 4,
                                   .attributes = attributes,
                                   .attribute_count = 2,
                                   .fingerprint = {1, 2, 3},
                                   .has_fingerprint = 1};
}

static void test_entry(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 1 << 20};
    struct snapshot_attribute *array = NULL;
    struct snapshot_entry from = sample(), to;
    wire_put_entry(&b, &from);
    struct cursor c = cursor_of(b.data, b.length);
    assert_true(wire_entry(&c, &to, &array));
    assert_string_equal(to.path, "a/b");
    assert_string_equal(to.link, "../x");
    assert_string_equal(to.user, "root");
    assert_null(to.group);
    assert_int_equal(to.mtime, COFRE_NO_TIME);
    assert_int_equal(to.attribute_count, 2);
    assert_string_equal(to.attributes[1].name, "system.posix_acl_access");
    assert_memory_equal(to.attributes[1].value, "\0\1\2", 3);
    assert_memory_equal(to.fingerprint, from.fingerprint, 16);
    /* Every shorter form is refused, and read from memory of exactly that size. */
    for (size_t n = 0; n < b.length; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, b.data, n);
        c = cursor_of(cut, n);
        assert_false(wire_entry(&c, &to, &array));
        free(cut);
    }
    /* No single changed byte makes it read elsewhere; the sanitizers watch. */
    for (size_t i = 0; i < b.length; i++)
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] ^= (uint8_t)(1 << bit);
            c = cursor_of(b.data, b.length);
            (void)wire_entry(&c, &to, &array);
            b.data[i] ^= (uint8_t)(1 << bit);
        }
    free(array);
    bytes_free(&b);
}

static void test_error(void **state)
{
    (void)state;
    struct bytes b = {.maximum = 1 << 20};
    struct error from, to;
    error_system(&from, 28, "write 'x'");
    error_hint(&from, "make room");
    from.retry_after = 7;
    wire_put_error(&b, &from);
    struct cursor c = cursor_of(b.data, b.length);
    assert_true(wire_error(&c, &to));
    assert_true(cursor_done(&c));
    assert_int_equal(to.class, ERROR_NO_SPACE);
    assert_string_equal(to.message, from.message);
    assert_string_equal(to.hint, "make room");
    assert_int_equal(to.retry_after, 7);
    bytes_free(&b);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "a/b", ".a", "..a", "a..", "...", "a b\n\xff"};
    static const char *const bad[] = {"/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(path_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(path_valid(bad[i], strlen(bad[i])));
    assert_false(path_valid("a\0b", 3));
    /* In order: a directory, what is in it, and only then its longer neighbours. */
    static const char *const order[] = {"",    "a",   "a/b", "a/b/c", "a/z", "a\x01",
                                        "a b", "a-b", "a.b", "ab",    "b",   "\xff"};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
            int sign = path_compare(order[i], strlen(order[i]), order[k], strlen(order[k]));
            assert_int_equal((sign > 0) - (sign < 0), (i > k) - (i < k));
        }
    assert_true(path_compare("same-start-123/a", 16, "same-start-123-a", 16) < 0);
    assert_true(path_is_key("packs/ab/0123", 13));
    assert_false(path_is_key("packs/ä", 8));
    assert_false(path_is_key("", 0));
    assert_false(path_is_key("a/../b", 6));
}

static void test_grammar(void **state)
{
    (void)state;
    struct grammar g = {0};
    struct error e;
    struct snapshot_entry entry = {.kind = COFRE_FILE, .path = "a", .path_length = 1, .size = 3};
    assert_int_equal(grammar_start(&g, &e), 0);
    assert_int_equal(grammar_entry(&g, &entry, &e), 0);
    assert_int_equal(grammar_content(&g, 10, &e), 0);
    assert_int_equal(grammar_restart(&g, &e), 0);
    assert_int_equal(grammar_content(&g, 4, &e), 0);
    assert_int_equal(grammar_finish(&g, &e), -1);
    assert_int_equal(grammar_ordinal(&g, 0, &e), -1);
    assert_int_equal(grammar_end(&g, &e), 0);
    assert_int_equal(g.content, 4);
    assert_int_equal(grammar_end(&g, &e), -1);
    assert_int_equal(grammar_entry(&g, &entry, &e), -1);
    assert_int_equal(grammar_ordinal(&g, 5, &e), 0);
    assert_int_equal(grammar_ordinal(&g, 5, &e), -1);
    assert_int_equal(grammar_ordinal(&g, 6, &e), 0);
    /* A hard link points backwards. */
    entry =
        (struct snapshot_entry){.kind = COFRE_HARDLINK, .path = "b", .path_length = 1, .link = "c", .link_length = 1};
    assert_int_equal(grammar_entry(&g, &entry, &e), -1);
    entry.link = "a";
    assert_int_equal(grammar_entry(&g, &entry, &e), 0);
    assert_int_equal(grammar_end(&g, &e), 0);
    assert_int_equal(grammar_finish(&g, &e), 0);
    grammar_free(&g);
}

/* ---- previous ---- */

static int make_table(const char *const *paths, size_t count)
{
    struct bytes b = {.maximum = 64u << 20};
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        size_t shared = 0, n = strlen(paths[i]);
        while (last[shared] && last[shared] == paths[i][shared])
            shared++;
        uint8_t fingerprint[16] = {(uint8_t)(i + 1)};
        if (i == 1)
            fingerprint[0] = 0;
        bytes_put_u16(&b, (uint16_t)shared);
        bytes_put_u16(&b, (uint16_t)(n - shared));
        bytes_put(&b, paths[i] + shared, n - shared);
        bytes_put(&b, fingerprint, 16);
        last = paths[i];
    }
    int fd = memfd_create("table", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.length), (ssize_t)b.length);
    bytes_free(&b);
    return fd;
}

static bool finds(struct previous *p, const char *path, uint8_t first, uint64_t *ordinal)
{
    struct error e;
    bool found;
    uint8_t fingerprint[16] = {first};
    if (previous_find(p, path, strlen(path), fingerprint, &found, ordinal, &e) < 0)
        fail_msg("%s", e.message);
    return found;
}

static void test_previous(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "a", "a/b", "a/bcd", "long/path/to/something", "long/path/to/thing", "z"};
    struct previous *p;
    struct error e;
    uint64_t ordinal = 99;
    assert_int_equal(previous_open(make_table(paths, 7), &p, &e), 0);
    assert_true(finds(p, "", 1, &ordinal));
    assert_int_equal(ordinal, 0);
    assert_false(finds(p, "a", 0, &ordinal)); /* an all-zero fingerprint never matches */
    assert_false(finds(p, "a/a", 2, &ordinal));
    assert_true(finds(p, "a/b", 3, &ordinal));
    assert_int_equal(ordinal, 2);
    assert_false(finds(p, "a/bcd", 77, &ordinal));
    assert_false(finds(p, "a/bce", 4, &ordinal));
    assert_true(finds(p, "long/path/to/thing", 6, &ordinal));
    assert_int_equal(ordinal, 5);
    assert_true(finds(p, "z", 7, &ordinal));
    assert_false(finds(p, "zz", 7, &ordinal));
    previous_close(p);
    assert_int_equal(previous_open(make_table(paths, 0), &p, &e), 0);
    assert_false(finds(p, "a", 1, &ordinal));
    previous_close(p);
}

static void test_previous_large(void **state)
{
    (void)state;
    /* More than a window, with records up to the largest there are. */
    enum { COUNT = 40 };
    static char text[COUNT][PATH_LONGEST + 1];
    const char *paths[COUNT];
    for (int i = 0; i < COUNT; i++) {
        size_t n = i % 2 ? PATH_LONGEST : 10;
        memset(text[i], 'x', n);
        snprintf(text[i], 5, "%04d", i);
        text[i][4] = 'x';
        paths[i] = text[i];
    }
    struct previous *p;
    struct error e;
    uint64_t ordinal;
    assert_int_equal(previous_open(make_table(paths, COUNT), &p, &e), 0);
    for (int i = 2; i < COUNT; i++) {
        assert_true(finds(p, paths[i], (uint8_t)(i + 1), &ordinal));
        assert_int_equal(ordinal, i);
    }
    previous_close(p);
}

/* ---- redact ---- */

static void test_scrub(void **state)
{
    (void)state;
    struct error e;
    struct redact redact = {0};
    char one[] = "hunter2", two[] = "abc", three[] = "aaaa";
    static const struct option secret = {.name = "password", .type = OPTION_SECRET};
    const struct config_value values[] = {
        {&secret, one, 7}, {&secret, two, 3}, {&secret, three, 4}, {&secret, NULL, 0}};
    assert_int_equal(redact_learn(&redact, values, 4, &e), 0);
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"", ""},
        {"nothing here", "nothing here"},
        {"hunter2", "***"},
        {"a hunter2 and hunter2hunter2.", "a *** and ******."},
        {"abc is too short", "abc is too short"},
        {"cut: hunte", "cut: ***"},
        {"hun", "hun"},
        {"aaaaaaaaa", "******a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "%s", cases[i].from);
        redact_text(&redact, text);
        assert_string_equal(text, cases[i].to);
    }
    redact_free(&redact);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_entry),   cmocka_unit_test(test_error),    cmocka_unit_test(test_paths),
        cmocka_unit_test(test_grammar), cmocka_unit_test(test_previous), cmocka_unit_test(test_previous_large),
        cmocka_unit_test(test_scrub),
    };
    return cmocka_run_group_tests_name("worker/wire", all, NULL, NULL);
}
