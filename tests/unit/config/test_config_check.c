#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct option options[] = {
    {"host", OPTION_STRING, OPTION_RESTORE, "localhost", 0, 0, NULL, "the server"},
    {"port", OPTION_INTEGER, OPTION_RESTORE, "5432", 1, 65535, NULL, "its port"},
    {"database", OPTION_STRING, OPTION_REQUIRED | OPTION_RESTORE, NULL, 0, 0, NULL, "what is saved"},
    {"password", OPTION_SECRET, OPTION_RESTORE, NULL, 0, 0, NULL, "the password"},
    {"exclude", OPTION_LIST, 0, NULL, 0, 0, NULL, "what is not"},
    {"mode", OPTION_CHOICE, 0, "fast", 0, 0, "fast|slow", "how"},
};
enum { HOST, PORT, DATABASE, PASSWORD, EXCLUDE, MODE };

static struct config *parse(const char *keys, bool private_file)
{
    struct config *config;
    struct error e;
    char text[1000] = "[source db]\nplugin = postgres\n";
    strcat(text, keys);
    if (config_parse("x.conf", text, strlen(text), private_file, &config, &e) < 0)
        fail_msg("%s", e.message);
    return config;
}

static void test_values(void **state)
{
    (void)state;
    struct config *c = parse("database = gym\npassword = hunter2\nport = 15432\nexclude = a, b\n", true);
    struct config_value *v;
    struct error e;
    if (config_check_options(&c->sources[0], options, COUNT(options), NULL, 0, &v, &e) < 0)
        fail_msg("%s", e.message);
    static const char *const expected[] = {"localhost", "15432", "gym", "hunter2", "a, b", "fast"};
    for (size_t i = 0; i < COUNT(options); i++) {
        assert_ptr_equal(v[i].option, &options[i]);
        assert_string_equal(v[i].text, expected[i]);
        assert_int_equal(v[i].length, strlen(expected[i]));
    }
    config_values_free(v, COUNT(options));
    config_values_free(NULL, 3);
    config_free(c);
}

static void test_nothing_set(void **state)
{
    (void)state;
    struct config *c = parse("database = gym\n", false);
    struct config_value *v;
    struct error e;
    assert_int_equal(config_check_options(&c->sources[0], options, COUNT(options), NULL, 0, &v, &e), 0);
    assert_null(v[PASSWORD].text);
    assert_null(v[EXCLUDE].text);
    config_values_free(v, COUNT(options));
    config_free(c);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        bool private_file;
        const char *message, *hint;
    } cases[] = {
        {"", true, "x.conf:1: [source db] has no 'database', which plugin 'postgres' requires",
         "database (string): what is saved"},
        {"database = g\npasword = x", true, "x.conf:4: unknown key 'pasword' in [source db] (plugin 'postgres')",
         "did you mean 'password'?"},
        {"database = g\ntimeuot = 3s", true, "x.conf:4: unknown key 'timeuot' in [source db] (plugin 'postgres')",
         "did you mean 'timeout'?"},
        {"database = g\nzzzzz = 3s", true, "x.conf:4: unknown key 'zzzzz' in [source db] (plugin 'postgres')",
         "known keys: host, port, database, password, exclude, mode, plugin, retry_for, wait, shrink, "
         "min_size, min_entries, run_as, timeout, stall_timeout"},
        {"database = g\nport = 70000", true, "x.conf:4: 'port': '70000' is not between 1 and 65535", ""},
        {"database = g\nmode = slo", true, "x.conf:4: 'mode': 'slo' is none of fast, slow", "did you mean 'slow'?"},
        {"database = g\nexclude = a,,b", true,
         "x.conf:4: 'exclude': item 2 of the list is empty: write 'a, b', and '\\,' for a comma in an item", ""},
        {"database = g\npassword = c4nary", false, "x.conf:4: 'password': the secret stands where others can read it",
         "chmod 600 'x.conf', or write @file:PATH, @env:NAME, @cmd:COMMAND or @cred:NAME"},
        {"database = g\npassword = @c4nary", true,
         "x.conf:4: 'password': the secret begins with '@' but is none of @file:PATH, @env:NAME, @cmd:COMMAND or "
         "@cred:NAME",
         "a secret that begins with '@' is written with '@@'"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *c = parse(cases[i].keys, cases[i].private_file);
        struct config_value *v;
        struct error e = {0};
        assert_int_equal(config_check_options(&c->sources[0], options, COUNT(options), NULL, 0, &v, &e), -1);
        assert_null(v);
        assert_int_equal(e.class, ERROR_CONFIG);
        assert_string_equal(e.message, cases[i].message);
        assert_string_equal(e.hint, cases[i].hint);
        assert_int_equal(config_check_syntax(&c->sources[0], options, COUNT(options), &v, &e), -1);
        assert_null(v);
        assert_string_equal(e.message, cases[i].message);
        config_free(c);
    }
}

static void test_syntax_does_not_resolve(void **state)
{
    (void)state;
    struct config *c = parse("database = g\npassword = @cmd:exit 3", false);
    struct config_value *v;
    struct error e;
    assert_int_equal(config_check_syntax(&c->sources[0], options, COUNT(options), &v, &e), 0);
    assert_string_equal(v[DATABASE].text, "g");
    assert_string_equal(v[PASSWORD].text, CONFIG_PLACEHOLDER);
    assert_int_equal(v[PASSWORD].length, strlen(CONFIG_PLACEHOLDER));
    config_values_free(v, COUNT(options));
    assert_int_equal(config_check_options(&c->sources[0], options, COUNT(options), NULL, 0, &v, &e), -1);
    assert_string_equal(e.message, "x.conf:4: 'password': the secret's command ended with status 3");
    config_free(c);
}

static void test_overrides(void **state)
{
    (void)state;
    struct config *c = parse("database = gym\nport = 99999999\npassword = @env:COFRE_TEST_NOT_SET\n", true);
    char port[] = "port=1", database[] = "database=a=b", password[] = "password=@cmd:echo x";
    char *const set[] = {port, database, password};
    struct config_value *v;
    struct error e;
    if (config_check_options(&c->sources[0], options, COUNT(options), set, COUNT(set), &v, &e) < 0)
        fail_msg("%s", e.message);
    assert_string_equal(v[PORT].text, "1");
    assert_string_equal(v[DATABASE].text, "a=b");
    assert_string_equal(v[PASSWORD].text, "x");
    assert_string_equal(v[HOST].text, "localhost");
    config_values_free(v, COUNT(options));
    config_free(c);
}

static void test_bad_overrides(void **state)
{
    (void)state;
    static const struct {
        const char *set[2];
        const char *message, *hint;
    } cases[] = {
        {{"port"}, "--set wants KEY=VALUE", ""},
        {{"=1"}, "--set wants KEY=VALUE", ""},
        {{"prot=1"}, "--set: plugin 'postgres' of source 'db' has no option 'prot'", "did you mean 'port'?"},
        {{"mode=slow"}, "--set: option 'mode' of plugin 'postgres' cannot be overridden", ""},
        {{"port=0"}, "--set port: '0' is not between 1 and 65535", ""},
        {{"port=1", "port=2"}, "--set: option 'port' is given twice", ""},
        {{"password=c4nary"},
         "--set password: the secret stands where others can read it",
         "write @file:PATH, @env:NAME, @cmd:COMMAND or @cred:NAME"},
    };
    struct config *c = parse("database = gym\n", true);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *set[2] = {strdup(cases[i].set[0]), cases[i].set[1] ? strdup(cases[i].set[1]) : NULL};
        struct config_value *v;
        struct error e = {0};
        assert_int_equal(config_check_options(&c->sources[0], options, COUNT(options), set, set[1] ? 2 : 1, &v, &e),
                         -1);
        assert_int_equal(e.class, ERROR_USAGE);
        assert_string_equal(e.message, cases[i].message);
        assert_string_equal(e.hint, cases[i].hint);
        free(set[0]);
        free(set[1]);
    }
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_nothing_set),
        cmocka_unit_test(test_bad),       cmocka_unit_test(test_syntax_does_not_resolve),
        cmocka_unit_test(test_overrides), cmocka_unit_test(test_bad_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
