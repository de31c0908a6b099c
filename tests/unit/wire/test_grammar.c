/* The grammar of a backup: what may follow what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "cofre/plugin.h"
#include "snapshot/entry.h"
#include "wire/grammar.h"

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

/* Entries that no plugin may announce, and what is said of them. */
static void test_refused(void **state)
{
    static const struct {
        struct snapshot_entry entry;
        const char *why;
    } rows[] = {
        {{.kind = 99, .path = "a", .path_length = 1}, "of an unknown kind"},
        {{.kind = COFRE_FILE, .path = "../a", .path_length = 4}, "which is no relative path"},
        {{.kind = COFRE_FILE, .path = "", .path_length = 0}, "the root, but not as a directory"},
        {{.kind = COFRE_FILE, .path = "a", .path_length = 1, .size = -2}, "with a negative size"},
        {{.kind = COFRE_FILE, .path = "a", .path_length = 1, .mode = 010000},
         "with more than permission bits in its mode"},
        {{.kind = COFRE_FILE, .path = "a", .path_length = 1, .link = "b", .link_length = 1},
         "which has a link target but is no link"},
        {{.kind = COFRE_SYMLINK, .path = "a", .path_length = 1}, "a link without a target"},
        {{.kind = COFRE_HARDLINK, .path = "b", .path_length = 1, .link = "/a", .link_length = 2},
         "a hard link to what is no path"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct grammar g = {0};
        struct error e;
        assert_int_equal(grammar_start(&g, &e), 0);
        if (grammar_entry(&g, &rows[i].entry, &e) == 0 || !strstr(e.message, rows[i].why))
            fail_msg("row %zu: '%s' instead of '%s'", i, e.message, rows[i].why);
        assert_int_equal(e.class, ERROR_PLUGIN);
        assert_int_equal(grammar_restart(&g, &e), -1);
        assert_non_null(strstr(e.message, "called restart outside of an entry"));
        grammar_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("wire/grammar", all, NULL, NULL);
}
