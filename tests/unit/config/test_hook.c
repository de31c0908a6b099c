/* Hooks as they are written: words without a shell, and the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "config/config.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words[8];
    } cases[] = {
        {"true", {"true"}},
        {"  /bin/a \t b  ", {"/bin/a", "b"}},
        {"a 'b c' \"d e\" f\\ g", {"a", "b c", "d e", "f g"}},
        {"a b'c'\"d\"e", {"a", "bcde"}},
        {"a '' \"\"", {"a", "", ""}},
        {"a '\\' \"\\\"\\\\\\n$x\" \\'", {"a", "\\", "\"\\\\n$x", "'"}},
        {"a '\"' \"'\"", {"a", "\"", "'"}},
        {"a $HOME * ~ a=b # x", {"a", "$HOME", "*", "~", "a=b", "#", "x"}},
        {"a '&&' \"|\" \\; a&&b", {"a", "&&", "|", ";", "a&&b"}},
        {"sh:a && 'b' | \"c", {"/bin/sh", "-c", "a && 'b' | \"c"}},
        {"sh: \ta", {"/bin/sh", "-c", "a"}},
        {"'sh:a' b", {"sh:a", "b"}},
        {"a \303\244", {"a", "\303\244"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config_hook hook;
        struct error e;
        size_t n = 0;
        if (config_hook_split(cases[i].text, &hook, &e) < 0)
            fail_msg("%s: %s", cases[i].text, e.message);
        for (; cases[i].words[n]; n++)
            if (n >= hook.word_count || strcmp(hook.words[n], cases[i].words[n]) != 0)
                fail_msg("%s: word %zu is '%s'", cases[i].text, n, n < hook.word_count ? hook.words[n] : "(none)");
        assert_int_equal(hook.word_count, n);
        assert_null(hook.words[n]);
        config_hook_free(&hook);
        assert_int_equal(hook.word_count, 0);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      " ",   "'a",    "\"a",    "a \"b\\\"", "a \\",  "''",     "sh:",
                                        "sh:  ", "./a", "bin/a", "a && b", "a | b",     "a > b", "a 2>&1", "a ; b"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct config_hook hook;
        struct error e;
        if (config_hook_split(texts[i], &hook, &e) == 0)
            fail_msg("'%s' is taken", texts[i]);
        assert_int_equal(e.class, ERROR_CONFIG);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    char text[2 * CONFIG_HOOK_WORDS + 8] = "a";
    struct config_hook hook;
    struct error e;
    for (size_t i = 1; i < CONFIG_HOOK_WORDS; i++)
        strcat(text, " a");
    assert_int_equal(config_hook_split(text, &hook, &e), 0);
    assert_int_equal(hook.word_count, CONFIG_HOOK_WORDS);
    config_hook_free(&hook);
    strcat(text, " a");
    assert_int_equal(config_hook_split(text, &hook, &e), -1);
}

static void refused(const char *word, const char *why)
{
    struct error e;
    assert_null(config_hook_program(word, &e));
    assert_int_equal(e.class, ERROR_CONFIG);
    if (!strstr(e.message, why))
        fail_msg("%s: %s", word, e.message);
}

static void test_program(void **state)
{
    (void)state;
    struct error e;
    char directory[] = "/tmp/cofre-hook.XXXXXX", path[64];
    char *found = config_hook_program("sh", &e);
    assert_non_null(found);
    assert_true(strcmp(found, "/usr/bin/sh") == 0 || strcmp(found, "/bin/sh") == 0);
    free(found);
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/hook", directory);
    refused(path, "find program");
    refused("no-such-program", "is in none of");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    chmod(path, 0644);
    refused(path, "is no program");
    refused(directory, "is no program");
    chmod(path, 0755);
    found = config_hook_program(path, &e);
    assert_non_null(found);
    assert_string_equal(found, path);
    free(found);
    chmod(path, 0775);
    refused(path, "can be written by others");
    chmod(path, 0755);
    chmod(directory, 0777);
    refused(path, "can be written by others");
    unlink(path);
    rmdir(directory);
}

static void test_section(void **state)
{
    (void)state;
    static const char text[] = "[source s]\nplugin = p\n[sink d]\nplugin = p\nencryption = none\n"
                               "[job j]\nsources = s\nsinks = d\nafter = /bin/x 'y z'\nhook_timeout = 90s\n"
                               "[job k]\nsources = s\nsinks = d\n";
    struct config *c;
    struct error e;
    if (config_parse("x.conf", text, strlen(text), true, &c, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(c->jobs[0].hooks[CONFIG_AFTER].word_count, 2);
    assert_string_equal(c->jobs[0].hooks[CONFIG_AFTER].words[1], "y z");
    assert_int_equal(c->jobs[0].hooks[CONFIG_BEFORE].word_count, 0);
    assert_int_equal(c->jobs[0].hook_timeout, 90000);
    assert_int_equal(c->jobs[1].hook_timeout, 300000);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_too_many), cmocka_unit_test(test_program),
                                       cmocka_unit_test(test_section)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
