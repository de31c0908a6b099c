#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

static void test_set_and_context(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERROR_RANGE, "read '%s': too large", "a"), -1);
    assert_int_equal(error_hint(&e, "make %s smaller", "it"), -1);
    assert_int_equal(error_context(&e, "read back '%s': ", "b"), -1);
    assert_string_equal(e.message, "read back 'b': read 'a': too large");
    assert_string_equal(e.hint, "make it smaller");
    assert_int_equal(e.class, ERROR_RANGE);
    error_set(&e, ERROR_CONFIG, "other");
    assert_string_equal(e.hint, "");
}

static void test_subject(void **state)
{
    (void)state;
    struct error e;
    char text[ERROR_TEXT_MAX];
    error_set(&e, ERROR_RANGE, "too large");
    assert_string_equal(error_text(&e, text), "too large");
    assert_int_equal(error_subject(&e, "sink", "nas"), -1);
    error_context(&e, "read 'a': ");  /* inside */
    error_subject(&e, "sink", "nas"); /* is said once */
    assert_string_equal(e.subject, "sink 'nas'");
    assert_string_equal(e.message, "read 'a': too large");
    assert_string_equal(error_text(&e, text), "sink 'nas': read 'a': too large");
    /* What belongs to something else, too, names it in front, and loses nothing. */
    error_subject(&e, "source", "db");
    assert_string_equal(e.subject, "source 'db'");
    assert_string_equal(error_text(&e, text), "source 'db': sink 'nas': read 'a': too large");
    error_consequence(&e, "nothing was %s: ", "done");
    assert_string_equal(e.subject, "");
    assert_string_equal(error_text(&e, text), "nothing was done: source 'db': sink 'nas': read 'a': too large");
    error_subject(&e, NULL, "plugin 'x'");
    assert_string_equal(e.subject, "plugin 'x'");
    error_set(&e, ERROR_CONFIG, "other");
    assert_string_equal(e.subject, "");
}

static void test_long_subjects_are_cut(void **state)
{
    (void)state;
    struct error e;
    char name[3000], text[ERROR_TEXT_MAX];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    error_set(&e, ERROR_RANGE, "%s", name);
    error_subject(&e, "sink", name);
    assert_int_equal(strlen(e.subject), sizeof e.subject - 1);
    assert_int_equal(strlen(error_text(&e, text)), sizeof e.subject - 1 + 2 + sizeof e.message - 1);
    error_subject(&e, "sink", "nas");
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    assert_memory_equal(e.message, "sink 'xxx", 9);
}

/* Statuses and retries hang on the class that a system call's error gets. */
static void test_class_of_errno(void **state)
{
    static const struct {
        int errnum;
        enum error_class class;
    } rows[] = {
        {ENOTDIR, ERROR_NOT_FOUND},  {EEXIST, ERROR_EXISTS}, {EROFS, ERROR_DENIED},          {EDQUOT, ERROR_NO_SPACE},
        {EFBIG, ERROR_NO_SPACE},     {ENOMEM, ERROR_MEMORY}, {ETIMEDOUT, ERROR_TIMEOUT},     {EBUSY, ERROR_BUSY},
        {ENOSYS, ERROR_UNSUPPORTED}, {EIO, ERROR_PERMANENT}, {EOPNOTSUPP, ERROR_UNSUPPORTED}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error e;
        error_system(&e, rows[i].errnum, "read 'a'");
        assert_int_equal(e.class, rows[i].class);
        assert_int_equal(e.os_errno, rows[i].errnum);
        assert_non_null(strstr(e.message, strerror(rows[i].errnum)));
    }
}

static void test_own_text_as_argument(void **state)
{
    (void)state;
    struct error e;
    error_set(&e, ERROR_RANGE, "inner");
    error_set(&e, ERROR_CONFIG, "outer (%s)", e.message);
    assert_string_equal(e.message, "outer (inner)");
    error_hint(&e, "one");
    error_hint(&e, "%s, two", e.hint);
    assert_string_equal(e.hint, "one, two");
}

static void test_system(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(error_system(&e, ENOENT, "open '%s'", "/x"), -1);
    assert_string_equal(e.message, "open '/x': No such file or directory");
    assert_int_equal(e.class, ERROR_NOT_FOUND);
    assert_int_equal(e.os_errno, ENOENT);
    assert_int_equal(error_class_of_errno(ENOSPC), ERROR_NO_SPACE);
    assert_int_equal(error_class_of_errno(EACCES), ERROR_DENIED);
    assert_int_equal(error_class_of_errno(EIO), ERROR_PERMANENT);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct error e;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&e, ERROR_RANGE, "%s", text);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    error_context(&e, "here: ");
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    assert_memory_equal(e.message, "here: xxx", 9);
    error_context(&e, "%s", text);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    error_hint(&e, "%s", text);
    assert_int_equal(strlen(e.hint), sizeof e.hint - 1);
}

static void test_table(void **state)
{
    (void)state;
    assert_string_equal(error_class_name(ERROR_NOT_FOUND), "not found");
    assert_string_equal(error_class_name((enum error_class)999), "unknown");
    assert_int_equal(error_exit_status(ERROR_CONFIG), 78);
    assert_int_equal(error_exit_status(ERROR_USAGE), 2);
    assert_int_equal(error_exit_status(ERROR_BUSY), 11);
    assert_int_equal(error_exit_status((enum error_class)999), 1);
    assert_int_equal(error_exit_status(ERROR_NONE), 1);
    for (int i = ERROR_NONE; i <= ERROR_PLUGIN; i++)
        assert_string_not_equal(error_class_name((enum error_class)i), "unknown");
}

static void test_assert_aborts(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        char text[2000];
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        error_assert_failed(text, "file.c", 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_of_errno),
        cmocka_unit_test(test_set_and_context),
        cmocka_unit_test(test_subject),
        cmocka_unit_test(test_long_subjects_are_cut),
        cmocka_unit_test(test_own_text_as_argument),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_assert_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
