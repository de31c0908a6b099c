#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rsync/verdict.h"

/* What the programs of Debian 12 print, and what it has to become. */
static const struct {
    int status;
    const char *text;
    int32_t class;
    const char *says;
} rows[] = {
    {255,
     "@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@\nHost key for h has changed and "
     "you "
     "have requested strict checking.\nHost key verification failed.\n",
     COFRE_E_AUTH, "has changed"},
    {255, "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.\n",
     COFRE_E_AUTH, "is not known"},
    {255, "root@h: Permission denied (publickey).\n", COFRE_E_AUTH, "Permission denied (publickey)"},
    {255, "ssh: connect to host h port 22: Connection refused\nrsync: connection unexpectedly closed (0 bytes)\n",
     COFRE_E_RETRY, "Connection refused"},
    {255, "ssh: Could not resolve hostname h: Name or service not known\n", COFRE_E_RETRY, "Could not resolve"},
    {5, "@ERROR: Unknown module 'x'\nrsync error: error starting client-server protocol (code 5)\n", COFRE_E_CONFIG,
     "Unknown module 'x'"},
    {5, "@ERROR: auth failed on module m\n", COFRE_E_AUTH, "auth failed"},
    {1, "ERROR: failed to read a password from -\nrsync error: syntax or usage error (code 1)\n", COFRE_E_AUTH,
     "asks for a password"},
    {5, "@ERROR: max connections (2) reached -- try again later\n", COFRE_E_RETRY, "max connections"},
    {1, "ERROR: module is read only\n", COFRE_E_DENIED, "read only"},
    {5, "@ERROR: chdir failed\n", COFRE_E_NOT_FOUND, "does not exist"},
    {12, "rsync: on remote machine: --fsync: unknown option\nrsync error: syntax or usage error (code 1)\n",
     COFRE_E_UNSUPPORTED, "3.2.4"},
    {4, "rsync: The server is configured to refuse --delete\n", COFRE_E_DENIED, "refuse --delete"},
    {12, "/usr/bin/rrsync error: option --delete-missing-args has been disabled on this server.\n", COFRE_E_DENIED,
     "has been disabled"},
    {12, "/usr/bin/rrsync error: reading from write-only server is not allowed\n", COFRE_E_DENIED, "write-only"},
    {11, "rsync: [receiver] write failed on \"x\": No space left on device (28)\n", COFRE_E_NO_SPACE, "No space left"},
    {11, "rsync: [receiver] write failed on \"x\": Disk quota exceeded (122)\n", COFRE_E_NO_SPACE, "quota"},
    {127, "bash: line 1: rsync: command not found\nrsync: connection unexpectedly closed\n", COFRE_E_CONFIG, "rsync"},
    {2, "protocol version mismatch -- is your shell clean?\n", COFRE_E_CONFIG, "mismatch"},
    {23, "rsync: [receiver] mkstemp \"x\" failed: Permission denied (13)\n", COFRE_E_DENIED, "mkstemp"},
    {12, "rsync: [sender] change_dir \"/x\" failed: No such file or directory (2)\n", COFRE_E_NOT_FOUND, "not there"},
    {1, "The temp-dir does not exist: .tmp\n", COFRE_E_NOT_FOUND, "not there"},
    {12, "rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n", COFRE_E_RETRY, "ended"},
    {30, "[sender] io timeout after 60 seconds -- exiting\n", COFRE_E_RETRY, "io_timeout"},
    {23, "rsync: [sender] something new (5)\nrsync error: some files (code 23)\n", COFRE_E_PERMANENT, "something new"},
    {137, "", COFRE_E_RETRY, ""},
    {99, "", COFRE_E_PERMANENT, "does not document"},
};

static void test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cofre_error error = {.struct_size = sizeof error};
        int32_t class = verdict_fail(&error, "send 3 objects", "h:/x", rows[i].status, rows[i].text);
        if (class != rows[i].class || !strstr(error.message, rows[i].says))
            fail_msg("%d '%s': class %d, '%s'", rows[i].status, rows[i].text, class, error.message);
        assert_non_null(strstr(error.message, "send 3 objects, target 'h:/x': "));
        assert_true(error.hint[0]);
        assert_null(strchr(error.message, '\n'));
    }
}

/* Every status of rsync(1), with nothing on stderr, is known, and says what to do. */
static void test_statuses(void **state)
{
    static const int statuses[] = {1,  2,  3,  4,  5,  6,  10, 11, 12,  13,  14,  15,  16,
                                   20, 21, 22, 23, 24, 25, 30, 35, 124, 125, 126, 127, 255};
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char code[16];
        struct cofre_error error = {.struct_size = sizeof error};
        assert_int_not_equal(verdict_fail(&error, "get 'k'", "h:/x", statuses[i], ""), COFRE_OK);
        assert_null(strstr(error.message, "does not document"));
        assert_true(error.hint[0]);
        snprintf(code, sizeof code, "exit %d", statuses[i]);
        assert_string_equal(error.code, code);
    }
}

/* Whatever the far side prints: one line of text that fits. */
static void test_hostile_text(void **state)
{
    char text[60000];
    struct cofre_error error = {.struct_size = sizeof error};
    (void)state;
    memset(text, '\x1b', sizeof text);
    memcpy(text, "rsync: ", 7);
    text[sizeof text - 1] = '\0';
    verdict_fail(&error, "get 'k'", "h:/x", 23, text);
    assert_null(strchr(error.message, '\x1b'));
    assert_true(strlen(error.message) < sizeof error.message);
}

/* Too many connections are told from every other refusal: there is a pause after them alone. */
static void test_crowded(void **state)
{
    (void)state;
    assert_true(verdict_is_crowded("@ERROR: max connections (1) reached -- try again later\n"));
    assert_false(verdict_is_crowded("@ERROR: access denied to m from h (192.0.2.1)\n"));
    assert_false(verdict_is_crowded(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_crowded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
