#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "config/secret.h"
#include "config/secret_command.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define CANARY "c4nary-tell-nobody"

static char directory[] = "/tmp/cofre-test-secret-XXXXXX";
static char file[64], form[80];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(file, sizeof file, "%s/s", directory);
    snprintf(form, sizeof form, "@file:%s", file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(directory);
}

static void expect(const char *text, const void *secret, size_t length)
{
    uint8_t *out;
    size_t n;
    struct error e;
    if (secret_resolve(text, true, &out, &n, &e) < 0)
        fail_msg("'%s': %s", text, e.message);
    assert_int_equal(n, length);
    assert_memory_equal(out, secret, length);
    assert_int_equal(out[n], 0);
    secret_free(out);
}

static void expect_error(const char *text, bool literal_allowed, const char *message)
{
    uint8_t *out;
    size_t n;
    struct error e;
    if (secret_resolve(text, literal_allowed, &out, &n, &e) == 0)
        fail_msg("'%s' was taken", text);
    assert_null(out);
    assert_int_equal(e.class, ERROR_CONFIG);
    if (!strstr(e.message, message))
        fail_msg("'%s': %s", text, e.message);
    assert_null(strstr(e.message, CANARY));
    assert_null(strstr(e.hint, CANARY));
}

static void test_memory(void **state)
{
    (void)state;
    secret_free(NULL);
    uint8_t *p = secret_alloc(100000);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(p[i], 0);
    memset(p, 1, 100000);
    secret_free(p);
    assert_null(secret_alloc(SIZE_MAX));
    assert_null(secret_alloc(SIZE_MAX - 64));
}

static void test_literal(void **state)
{
    (void)state;
    expect("hunter2", "hunter2", 7);
    expect("@@home", "@home", 5);
    expect("@@", "@", 1);
    expect("a@b", "a@b", 3);
    expect_error("", true, "the secret is empty");
    expect_error("@" CANARY, true, "begins with '@' but is none of @file:PATH, @env:NAME, @cmd:COMMAND or @cred:NAME");
    expect_error("@fiel:/x", true, "begins with '@' but is none of");
    expect_error(CANARY, false, "the secret stands where others can read it");
    expect_error("@@" CANARY, false, "the secret stands where others can read it");
    char *endless = malloc(SECRET_MAX + 2);
    memset(endless, 'x', SECRET_MAX + 1);
    endless[SECRET_MAX + 1] = '\0';
    expect_error(endless, true, "the secret is longer than 65536 bytes");
    expect(endless + 1, endless + 1, SECRET_MAX);
    free(endless);
}

static void write_secret(const void *p, size_t n)
{
    struct error e;
    assert_int_equal(file_write(file, p, n, FILE_REPLACE, &e), 0);
}

static void test_file(void **state)
{
    (void)state;
    write_secret("top secret\n", 11);
    expect(form, "top secret", 10);
    write_secret("two\n\n", 5);
    expect(form, "two\n", 4);
    write_secret("n\0l", 3);
    expect(form, "n\0l", 3);
    write_secret("\n", 1);
    expect_error(form, true, "the secret is empty");
    write_secret("", 0);
    expect_error(form, true, "the secret is empty");
    char *large = calloc(1, SECRET_MAX + 1);
    write_secret(large, SECRET_MAX);
    expect(form, large, SECRET_MAX);
    write_secret(large, SECRET_MAX + 1);
    expect_error(form, true, "larger than 65536 bytes");
    free(large);
    write_secret(CANARY, strlen(CANARY));
    chmod(file, 0640);
    expect_error(form, true, "can be read by others (mode 0640)");
    unlink(file);
    expect_error(form, true, "No such file or directory");
    expect_error("@file:relative", true, "what follows '@file:' is no absolute path");
    expect_error("@file:", true, "what follows '@file:' is no absolute path");
}

static void test_environment(void **state)
{
    (void)state;
    setenv("COFRE_TEST_SECRET", CANARY, 1);
    expect("@env:COFRE_TEST_SECRET", CANARY, strlen(CANARY));
    setenv("COFRE_TEST_SECRET", "", 1);
    expect_error("@env:COFRE_TEST_SECRET", true, "the environment variable 'COFRE_TEST_SECRET' is empty");
    unsetenv("COFRE_TEST_SECRET");
    expect_error("@env:COFRE_TEST_SECRET", true, "the environment variable 'COFRE_TEST_SECRET' is not set");
    expect_error("@env:", true, "what follows '@env:' is no name of a variable");
    expect_error("@env:" CANARY "=", true, "what follows '@env:' is no name of a variable");
    expect_error("@env:1A", true, "what follows '@env:' is no name of a variable");
}

static void test_credentials(void **state)
{
    (void)state;
    write_secret("cred\n", 5);
    unsetenv("CREDENTIALS_DIRECTORY");
    expect_error("@cred:s", true, "credential 's': CREDENTIALS_DIRECTORY is not set");
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    expect("@cred:s", "cred", 4);
    chmod(file, 0440);
    expect("@cred:s", "cred", 4);
    expect_error("@cred:t", true, "No such file or directory");
    expect_error("@cred:", true, "no name of a credential");
    expect_error("@cred:../s", true, "no name of a credential");
    expect_error("@cred:..", true, "no name of a credential");
    unlink(file);
}

static void test_command(void **state)
{
    (void)state;
    expect("@cmd:echo hunter2", "hunter2", 7);
    expect("@cmd:printf 'a\\nb\\n'; exit 0", "a\nb", 3);
    expect("@cmd:cat; echo x", "x", 1);
    expect("@cmd:printf '\\0'", "\0", 1);
    expect("@cmd:exec 0<&- ; printf done", "done", 4);
    expect("@cmd:head -c 65536 /dev/zero | tr '\\0' x | head -c 3", "xxx", 3);
    expect_error("@cmd:", true, "no command follows '@cmd:'");
    expect_error("@cmd:  ", true, "no command follows '@cmd:'");
    expect_error("@cmd:true", true, "the secret is empty");
    expect_error("@cmd:echo " CANARY "; exit 7", true, "the secret's command ended with status 7");
    expect_error("@cmd:kill -9 $$", true, "the secret's command was ended by signal 9");
    expect_error("@cmd:exec /nonexistent/x 2>/dev/null", true, "ended with status 127");
    expect_error("@cmd:head -c 65537 /dev/zero", true, "prints more than 65536 bytes");
    expect_error("@cmd:cat /dev/zero", true, "prints more than 65536 bytes");
}

static int run(const char *command, int64_t timeout, uint8_t *out, size_t *length, int64_t *took, struct error *e)
{
    int64_t start = clock_monotonic();
    int result = secret_command_run(command, timeout, out, 100, length, e);
    *took = clock_monotonic() - start;
    return result;
}

static void test_command_timeout(void **state)
{
    (void)state;
    uint8_t out[100];
    size_t length;
    int64_t took;
    struct error e;
    assert_int_equal(run("sleep 60", 100, out, &length, &took, &e), -1);
    assert_string_equal(e.message, "the secret's command was not done after 100 ms");
    assert_int_equal(e.class, ERROR_CONFIG);
    assert_true(took < 20000);
    /* Its output ended, but it did not. */
    assert_int_equal(run("exec >&-; sleep 60", 100, out, &length, &took, &e), -1);
    assert_true(took < 20000);
    /* Its children go with it. */
    assert_int_equal(run("sleep 60 & echo $!; wait", 300, out, &length, &took, &e), -1);
    out[length] = '\0';
    pid_t child = (pid_t)strtol((char *)out, NULL, 10);
    assert_true(child > 1);
    for (int i = 0; i < 500 && kill(child, 0) == 0; i++) {
        char path[64], text[256];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        if (f)
            fclose(f);
        text[n] = '\0';
        if (strstr(text, ") Z "))
            return; /* dead; whoever inherited it has not looked yet */
        clock_sleep(10);
    }
    assert_int_equal(kill(child, 0), -1);
}

/* What a command leaves running in the background does not hold the secret up. */
static void test_command_leaves_a_daemon(void **state)
{
    (void)state;
    uint8_t out[100];
    size_t length;
    int64_t took;
    struct error e;
    assert_int_equal(run("sleep 30 2>/dev/null & echo ready", 20000, out, &length, &took, &e), 0);
    assert_int_equal(length, 6);
    assert_memory_equal(out, "ready\n", 6);
    assert_true(took < 20000);
}

static void test_check(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(secret_check("@file:/not/there", false, &e), 0);
    assert_int_equal(secret_check("@cmd:exit 1", false, &e), 0);
    assert_int_equal(secret_check("literal", true, &e), 0);
    assert_int_equal(secret_check("literal", false, &e), -1);
    assert_int_equal(secret_check("@foo:bar", true, &e), -1);
    assert_string_equal(e.hint, "a secret that begins with '@' is written with '@@'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_command_timeout),
        cmocka_unit_test(test_command_leaves_a_daemon),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
