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

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_grammar),
    };
    return cmocka_run_group_tests_name("wire/grammar", all, NULL, NULL);
}
