/* What is handed on of a hook: its text, and its environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "attempt/hook.h"

static json_t *record(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:n, s:i, s:[{s:s, s:b}, {s:s, s:b}, {s:s}]}", "id", "ID", "command",
                     "run", "host", "web", "status", "incomplete", "snapshot", "20260101T000000Z-abcdef", "label",
                     "exit", 3, "sinks", "name", "nas", "committed", 1, "name", "far", "committed", 0, "name", "other");
}

/* words: ends with NULL. */
static void make(struct hook *hook, char **words)
{
    struct error e;
    struct config_job job = {.name = (char[]){"nightly"}, .hook_timeout = 1234};
    struct config_hook *from = &job.hooks[CONFIG_AFTER];
    from->words = words;
    while (words[from->word_count])
        from->word_count++;
    assert_int_equal(hook_make(&job, CONFIG_AFTER, record(), hook, &e), 0);
}

static void test_text(void **state)
{
    (void)state;
    char odd[] = "a\nb\"\\%\xff\x01", program[] = "/bin/x", empty[] = "";
    char *words[] = {program, odd, empty, NULL}, title[HOOK_TITLE];
    struct hook hook, again;
    make(&hook, words);
    json_t *json = hook_encode(&hook);
    char *text = json_dumps(json, JSON_COMPACT);
    json_t *read = json_loads(text, 0, NULL);
    assert_int_equal(hook_decode(read, &again), 0);
    assert_int_equal(again.kind, CONFIG_AFTER);
    assert_string_equal(again.job, "nightly");
    assert_int_equal(again.timeout, 1234);
    assert_int_equal(again.word_count, 3);
    for (size_t i = 0; i <= 3; i++)
        assert_true(again.words[i] == NULL ? !words[i] : strcmp(again.words[i], words[i]) == 0);
    assert_true(json_equal(again.record, hook.record));
    assert_string_equal(hook_title(&again, title), "hook 'after' of job 'nightly'");
    hook_free(&hook);
    hook_free(&again);
    json_decref(json);
    json_decref(read);
    free(text);
}

static void test_damaged(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"hook\": \"during\", \"job\": \"j\", \"words\": [\"a\"], \"timeout\": 1, \"record\": {}}",
        "{\"hook\": \"after\", \"job\": \"j\", \"words\": [], \"timeout\": 1, \"record\": {}}",
        "{\"hook\": \"after\", \"job\": \"j\", \"words\": [1], \"timeout\": 1, \"record\": {}}",
        "{\"hook\": \"after\", \"job\": \"j\", \"words\": [\"%0\"], \"timeout\": 1, \"record\": {}}",
        "{\"hook\": \"after\", \"job\": \"j\", \"words\": \"a\", \"timeout\": 1, \"record\": {}}",
        "{\"hook\": \"after\", \"job\": \"j\", \"words\": [\"a\"], \"timeout\": 0, \"record\": {}}",
        "{\"hook\": \"after\", \"job\": \"j\", \"words\": [\"a\"], \"timeout\": 1, \"record\": []}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct hook hook;
        json_t *json = json_loads(texts[i], 0, NULL);
        assert_non_null(json);
        if (hook_decode(json, &hook) == 0)
            fail_msg("%s is taken", texts[i]);
        json_decref(json);
    }
}

static bool has(char **environment, const char *variable)
{
    for (char **v = environment; *v; v++)
        if (strcmp(*v, variable) == 0)
            return true;
    return false;
}

static void test_environment(void **state)
{
    (void)state;
    char program[] = "/bin/x";
    char *words[] = {program, NULL};
    struct hook hook;
    make(&hook, words);
    clearenv();
    setenv("HOME", "/home/me", 1);
    setenv("TZ", "UTC", 1);
    setenv("SECRET", "x", 1);
    setenv("PATH", "/evil", 1);
    setenv("COFRE_JOB", "other", 1);
    char **environment = hook_environment(&hook);
    static const char *const expected[] = {("PATH=" CONFIG_HOOK_PATH),
                                           "HOME=/home/me",
                                           "TZ=UTC",
                                           "COFRE_JOB=nightly",
                                           "COFRE_HOOK=after",
                                           "COFRE_COMMAND=run",
                                           "COFRE_HOST=web",
                                           "COFRE_RECORD_ID=ID",
                                           "COFRE_STATUS=incomplete",
                                           "COFRE_EXIT=3",
                                           "COFRE_SINKS=nas,other",
                                           "COFRE_SNAPSHOT=20260101T000000Z-abcdef"};
    size_t count = 0;
    while (environment[count])
        count++;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!has(environment, expected[i]))
            fail_msg("%s is missing", expected[i]);
    assert_int_equal(count, sizeof expected / sizeof expected[0]);
    hook_environment_free(environment);
    hook_free(&hook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_damaged),
                                       cmocka_unit_test(test_environment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
