#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rsync/target.h"

static const struct {
    const char *text, *login, *spec, *path, *base, *inner;
} good[] = {
    {"host:/srv", "host", "host:/srv/", "/srv/", "host:/srv/", ""},
    {"u@host:/srv/", "u@host", "u@host:/srv/", "/srv/", "u@host:/srv/", ""},
    {"u@host:/", "u@host", "u@host:/", "/", "u@host:/", ""},
    {"u@[fe80::1]:/srv", "u@[fe80::1]", "u@[fe80::1]:/srv/", "/srv/", "u@[fe80::1]:/srv/", ""},
    {"h:/a b'\"$(x);&|", "h", "h:/a b'\"$(x);&|/", "/a b'\"$(x);&|/", "h:/a b'\"$(x);&|/", ""},
    {"h:/a..b/...", "h", "h:/a..b/.../", "/a..b/.../", "h:/a..b/.../", ""},
    {"rsync://h/m", "", "rsync://h/m/", "/", "rsync://h/m/", ""},
    {"rsync://h/m/", "", "rsync://h/m/", "/", "rsync://h/m/", ""},
    {"rsync://u@h:873/m/a b/c", "", "rsync://u@h:873/m/a b/c/", "/a b/c/", "rsync://u@h:873/m/", "a b/c/./"},
    {"rsync://u@h:873/m/c/", "", "rsync://u@h:873/m/c/", "/c/", "rsync://u@h:873/m/", "c/./"},
    {"rsync://[::1]:99/m/c", "", "rsync://[::1]:99/m/c/", "/c/", "rsync://[::1]:99/m/", "c/./"},
};

static const char *const bad[] = {
    "",
    "host",
    "host:",
    "host:relative",
    ":/srv",
    "@h:/srv",
    "u@:/srv",
    "-oProxyCommand=x:/srv",
    "u@-h:/srv",
    "-u@h:/srv",
    "host::module/x",
    "/local/path",
    "h:/a*b",
    "h:/a?b",
    "h:/[ab]",
    "h:/a\\b",
    "h:/a\nb",
    "h:/a\x7f",
    "h;reboot:/srv",
    "h$(reboot):/srv",
    "u h@h:/srv",
    "h:/srv/../etc",
    "h:/srv/..",
    "u@[::1:/srv",
    "u@[]:/srv",
    "h:22:/srv",
    "rsync://h",
    "rsync://h/",
    "rsync://h//x",
    "rsync:///m",
    "rsync://h:/m",
    "rsync://h:x/m",
    "rsync://-h/m",
    "rsync://h/m/../n",
    "rsync://h/m/*",
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct target target;
        struct cofre_error error = {.struct_size = sizeof error};
        assert_int_equal(target_parse(good[i].text, &target, &error), COFRE_OK);
        assert_string_equal(target.login, good[i].login);
        assert_string_equal(target.spec, good[i].spec);
        assert_string_equal(target.path, good[i].path);
        assert_string_equal(target.base, good[i].base);
        assert_string_equal(target.inner, good[i].inner);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct target target;
        struct cofre_error error = {.struct_size = sizeof error};
        if (target_parse(bad[i], &target, &error) != COFRE_E_CONFIG)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(error.message, "target '"));
        assert_null(strchr(error.message, '\n'));
        assert_true(error.hint[0]);
    }
}

/* What other programs take for a target leads on to how it is written here. */
static void test_foreign(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hint;
    } cases[] = {{"ssh://u@h:2222/srv", "ssh_port"}, {"sftp://h/srv", "ssh_port"},   {"/mnt/nas", "plugin = local"},
                 {"./x", "plugin = local"},          {"h::m/x", "rsync://"},         {"u@h::m", "rsync://"},
                 {"https://h/x", "rsync://"},        {"rsync://h:/m", "user@host:"}, {"RSYNC://h/m", "rsync://"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target target;
        struct cofre_error error = {.struct_size = sizeof error};
        assert_int_equal(target_parse(cases[i].text, &target, &error), COFRE_E_CONFIG);
        if (!strstr(error.hint, cases[i].hint))
            fail_msg("'%s': %s", cases[i].text, error.hint);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    char text[TARGET_MAX + 10];
    struct target target;
    struct cofre_error error = {.struct_size = sizeof error};
    memset(text, 'x', sizeof text);
    memcpy(text, "h:/", 3);
    text[sizeof text - 1] = '\0';
    assert_int_equal(target_parse(text, &target, &error), COFRE_E_CONFIG);
    text[TARGET_MAX - 2] = '\0';
    assert_int_equal(target_parse(text, &target, &error), COFRE_OK);
    assert_int_equal(strlen(target.spec), TARGET_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
