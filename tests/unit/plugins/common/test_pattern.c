#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/pattern.h"
#include "host.h"

const struct cofre_host *cofre = &host_table;

static const struct {
    const char *pattern, *path;
    bool directory, matches;
} rows[] = {
    /* one component, at any depth */
    {"a", "a", false, true},
    {"a", "x/y/a", false, true},
    {"a", "ab", false, false},
    {"a", "a/b", false, false},
    {"*.tmp", "x.tmp", false, true},
    {"*.tmp", "d/.tmp", false, true},
    {"*.tmp", "d/x.tmp.gz", false, false},
    {"*", "anything", false, true},
    {"**", "a/b", false, true},
    {"a*b*c", "axxbyyc", false, true},
    {"a*b*c", "axxbyycd", false, false},
    {"a*b*c", "abcbc", false, true},
    {"?", "\xff", false, true},
    {"?", "ab", false, false},
    {"??", "\xc3\xa9", false, true},
    /* classes */
    {"[abc]", "b", false, true},
    {"[a-c]x", "bx", false, true},
    {"[!a-c]", "b", false, false},
    {"[^a-c]", "d", false, true},
    {"[]]", "]", false, true},
    {"[a-]", "-", false, true},
    {"[\\]]", "]", false, true},
    {"[\x80-\xff]*", "\xe4name", false, true},
    /* escapes */
    {"\\*", "*", false, true},
    {"\\*", "x", false, false},
    {"\\[a]", "[a]", false, true},
    /* directories only */
    {"cache/", "cache", true, true},
    {"cache/", "a/cache", true, true},
    {"cache/", "cache", false, false},
    /* anchored */
    {"/a", "a", false, true},
    {"/a", "b/a", false, false},
    {"a/b", "a/b", false, true},
    {"a/b", "x/a/b", false, false},
    {"a/b", "a/b/c", false, false},
    {"a/*", "a/b", false, true},
    {"a/*", "a/b/c", false, false},
    {"/a/", "a", true, true},
    /* across */
    {"**/b", "b", false, true},
    {"**/b", "x/y/b", false, true},
    {"a/**/b", "a/b", false, true},
    {"a/**/b", "a/x/y/b", false, true},
    {"a/**/b", "a/x/y/c", false, false},
    {"a/**", "a", true, false},
    {"a/**", "a/x", false, true},
    {"a/**", "a/x/y", false, true},
    {"**/x/**/y", "a/x/b/x/c/y", false, true},
    {"**/x/y", "x/x/y", false, true},
};

static const struct {
    const char *pattern, *directory;
    bool leads;
} below[] = {
    {"a/b/c", "", true},   {"a/b/c", "a", true},   {"a/b/c", "a/b", true},    {"a/b/c", "a/b/c", false},
    {"a/b/c", "b", false}, {"a/*/c", "a/x", true}, {"a/**/c", "a/x/y", true}, {"c", "a", false},
    {"/c", "", true},      {"/c", "c", false},     {"**/c", "x", true},
};

static const char *const wrong[] = {"", "/", "a//b", "a/../b", ".", "./a", "[a", "a\\", "//",
                                    /* what other programs know, and would name nothing here */
                                    "!audit.log", "!/a/b", "'cache/'", "\"a\"", "~", "~/cache", "re:^a", "sh:a/*",
                                    "x # comment", "# comment", "*.{jpg", "png}", "{a}}", "/srv/tree",
                                    "/srv/tree/cache", "/srv/tree/"};

/* Names that only look like that. */
static const char *const right[] = {"\\!audit.log", "#recycle", "#notes#", "~$*",  "*~",
                                    "{4D36E96E}",   "Bob's",    "\\'a'",   "a!b",  "srv/tree/cache",
                                    "/srv/trees",   "\\{a",     "re\\:a",  "\\# x"};

static struct pattern_set compile(const char *text)
{
    struct pattern_set set;
    struct cofre_error error = {.struct_size = sizeof error};
    struct cofre_list list = {&text, 1};
    if (pattern_compile(&set, "exclude", &list, "/srv/tree/", &error) != COFRE_OK)
        fail_msg("%s", error.message);
    return set;
}

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pattern_set set = compile(rows[i].pattern);
        if (pattern_matches(&set, rows[i].path, strlen(rows[i].path), rows[i].directory) != rows[i].matches)
            fail_msg("'%s' on '%s'", rows[i].pattern, rows[i].path);
        pattern_free(&set);
    }
}

static void test_leads_below(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        struct pattern_set set = compile(below[i].pattern);
        if (pattern_leads_below(&set, below[i].directory, strlen(below[i].directory)) != below[i].leads)
            fail_msg("'%s' below '%s'", below[i].pattern, below[i].directory);
        pattern_free(&set);
    }
}

static void test_wrong_patterns_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct pattern_set set;
        struct cofre_error error = {.struct_size = sizeof error};
        struct cofre_list list = {&wrong[i], 1};
        if (pattern_compile(&set, "exclude", &list, "/srv/tree/", &error) != COFRE_E_CONFIG)
            fail_msg("'%s' was taken", wrong[i]);
        assert_non_null(strstr(error.message, "'exclude'"));
        assert_int_equal(set.count, 0);
    }
}

static void test_names_that_look_like_it_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct pattern_set set = compile(right[i]);
        pattern_free(&set);
    }
}

static bool reaches(const char *exclude, const char *include, const char *path)
{
    struct pattern_set out = compile(exclude), in = compile(include);
    bool does = pattern_reaches(&out, &in, path, strlen(path), true);
    pattern_free(&out);
    pattern_free(&in);
    return does;
}

static void test_reaches(void **state)
{
    (void)state;
    assert_true(reaches("/other", "/none", "a/b"));
    assert_false(reaches("/a", "/none", "a/b"));
    assert_false(reaches("a/b/", "/none", "a/b"));
    assert_true(reaches("/a", "/a/b/", "a/b"));
    assert_false(reaches("/a", "/a/b/", "a/c"));
}

static void test_patterns_of_no_use_are_named_once(void **state)
{
    (void)state;
    const char *items[] = {"*.log", "/a.log", "cache/"};
    struct pattern_set set;
    struct cofre_error error = {.struct_size = sizeof error};
    struct cofre_list list = {items, 3};
    struct cofre_call call = {0};
    assert_int_equal(pattern_compile(&set, "exclude", &list, "/srv/tree", &error), COFRE_OK);
    assert_true(pattern_matches(&set, "a.log", 5, false));
    pattern_say_unused(&set, "exclude", &call);
    assert_int_equal(call.lines, 1);
    assert_string_equal(call.last_line, "patterns of exclude that name nothing in this tree (1): 'cache/'");
    assert_true(pattern_matches(&set, "cache", 5, true));
    pattern_say_unused(&set, "exclude", &call);
    assert_int_equal(call.lines, 1);
    pattern_free(&set);
    host_clear(&call);
}

/* Many stars must not cost exponential time. */
static void test_is_not_exponential(void **state)
{
    (void)state;
    char path[4001];
    memset(path, 'a', 4000);
    path[4000] = '\0';
    struct pattern_set set = compile("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
    assert_false(pattern_matches(&set, path, 4000, false));
    pattern_free(&set);
    for (size_t i = 1; i < 4000; i += 2)
        path[i] = '/';
    set = compile("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b");
    assert_false(pattern_matches(&set, path, 3999, false));
    pattern_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_leads_below),
        cmocka_unit_test(test_wrong_patterns_are_named),
        cmocka_unit_test(test_names_that_look_like_it_are_taken),
        cmocka_unit_test(test_reaches),
        cmocka_unit_test(test_patterns_of_no_use_are_named_once),
        cmocka_unit_test(test_is_not_exponential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
