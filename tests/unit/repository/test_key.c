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

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "repository/key.h"
#include "repository/seal.h"

/* Computed from the text of docs/format.md with Python's hashlib, b3sum and PyNaCl, for the seed 00 01 ... 1f. */
static const char full_text[] = "cofre full key 1\n"
                                "id: 4e7caad4915595e1d90bd51c20630393\n"
                                "seed: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                                "check: 1a51787bf6cb887b\n";

static struct key *full;

static int set_up(void **state)
{
    (void)state;
    struct error e;
    return seal_init(&e) < 0 ? -1 : key_decode(full_text, strlen(full_text), "test", &full, &e);
}

static int tear_down(void **state)
{
    (void)state;
    key_free(full);
    key_free(NULL);
    return 0;
}

static void assert_hex(const void *p, size_t n, const char *expected)
{
    char hex[257];
    assert_string_equal(text_hex(p, n, hex), expected);
}

static void test_derivation(void **state)
{
    (void)state;
    assert_true(full->full);
    assert_hex(full->chunk_id_key, 32, "d39660fdb20edd70dc2c421d47d2b5a1d89c5a218e796fdd1690bbe541efc0e4");
    assert_hex(full->chunker_seed, 32, "90b49acf7708ffac6aeac3a46602d5e732ea317030139d59bc2004290946df38");
    assert_hex(full->index_key, 32, "79cc07ff4e0cc7c6cc9e2b291427936e7cc726183cc44aae8c18c52d08acc642");
    assert_hex(full->public.box, 32, "2a300119814d77517b691b1fa7f6cd802e012a776d8afbf3da037a108db4115e");
    assert_hex(full->public.root, 32, "3a60fdefd2e862a5f53fd58d6673166ca2f4f14dc85e96e88253434d890d1b3a");
    assert_hex(full->signer_public, 32, "38c5547878136bbc8697e4c3fd5be0e008e1f8d8635847f952b1bb5b0535c856");
    assert_int_equal(full->certificate.roles, KEY_ADD | KEY_REMOVE);
    assert_hex(full->certificate.signature, 64,
               "d06cb9c11f3ac8667a281edf7fe339f579eba4e8a8d2558d05cb50b8eed621b6"
               "37c157e357adcf8781bfabd72b9da6f3716a47e93a4551447d7abbef55be5e0e");
}

static void test_full_text(void **state)
{
    (void)state;
    struct error e;
    struct bytes text = {.maximum = 4096};
    assert_int_equal(key_encode(full, &text, &e), 0);
    assert_int_equal(text.length, strlen(full_text));
    assert_memory_equal(text.data, full_text, text.length);
    bytes_free(&text);
}

static void test_put_key(void **state)
{
    (void)state;
    struct error e;
    struct key *put, *again, *none;
    struct bytes text = {.maximum = 4096};
    assert_int_equal(key_create_put(full, "web1", &put, &e), 0);
    assert_false(put->full);
    assert_memory_equal(&put->public, &full->public, sizeof put->public);
    assert_memory_not_equal(put->signer_public, full->signer_public, 32);
    assert_true(key_certifies(&full->public, put->signer_public, &put->certificate));
    assert_int_equal(key_encode(put, &text, &e), 0);
    assert_true(text.length <= KEY_TEXT_MAX);
    assert_null(memmem(text.data, text.length, "000102030405060708090a0b0c0d0e0f", 32));
    assert_int_equal(key_decode(text.data, text.length, "put", &again, &e), 0);
    assert_memory_equal(put, again, sizeof *put);
    assert_int_equal(key_create_put(put, "web1", &none, &e), -1);
    assert_int_equal(e.class, ERROR_DENIED);
    key_free(again);
    key_free(put);
    bytes_free(&text);
}

/* The same, but for another role, and without what chunks need. */
static void test_prune_key(void **state)
{
    (void)state;
    static const uint8_t nothing[KEY_SIZE] = {0};
    struct error e;
    struct key *prune, *again, *none;
    struct bytes text = {.maximum = 4096};
    for (const char *const *host = (const char *const[]){"web1", NULL}, *const *end = host + 2; host < end; host++) {
        assert_int_equal(key_create_prune(full, *host, &prune, &e), 0);
        assert_string_equal(key_kind(prune), "prune");
        assert_memory_equal(prune->chunk_id_key, nothing, KEY_SIZE);
        assert_memory_equal(prune->chunker_seed, nothing, KEY_SIZE);
        assert_true(key_may(&prune->certificate, KEY_REMOVE, "web1"));
        assert_int_equal(key_may(&prune->certificate, KEY_REMOVE, "db"), *host == NULL);
        assert_false(key_may(&prune->certificate, KEY_ADD, "web1"));
        bytes_reset(&text);
        assert_int_equal(key_encode(prune, &text, &e), 0);
        assert_memory_equal(text.data, "cofre prune key 1\n", 18);
        assert_int_equal(key_decode(text.data, text.length, "prune", &again, &e), 0);
        assert_memory_equal(prune, again, sizeof *prune);
        assert_int_equal(key_create_put(prune, "web1", &none, &e), -1);
        assert_int_equal(key_create_prune(prune, "web1", &none, &e), -1);
        assert_int_equal(e.class, ERROR_DENIED);
        assert_non_null(strstr(e.message, "only a prune key is at hand"));
        key_free(again);
        key_free(prune);
    }
    assert_int_equal(key_create_prune(full, "", &prune, &e), -1);
    bytes_free(&text);
}

/* A file whose first line and certificate say different things is no key: neither kind passes for the other. */
static void test_roles_belong_to_the_form(void **state)
{
    (void)state;
    struct error e;
    struct key *put, *key;
    struct bytes text = {.maximum = 4096};
    assert_int_equal(key_create_put(full, "web1", &put, &e), 0);
    put->certificate.roles = KEY_REMOVE; /* so that it is written as a prune key; the signature does not fit */
    assert_int_equal(key_encode(put, &text, &e), 0);
    assert_int_equal(key_decode(text.data, text.length, "other", &key, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    key_free(put);
    bytes_reset(&text);
    assert_int_equal(key_create_prune(full, NULL, &put, &e), 0);
    put->certificate = full->certificate; /* of another signer, with both roles */
    memcpy(put->signer_secret, full->signer_secret, sizeof put->signer_secret);
    assert_int_equal(key_encode(put, &text, &e), 0);
    assert_int_equal(key_decode(text.data, text.length, "both", &key, &e), -1);
    assert_non_null(strstr(e.message, "certificate"));
    key_free(put);
    bytes_free(&text);
}

/* Which role and host it is good for cannot be changed, and nothing else is meant by it. */
static void test_what_a_certificate_is_good_for(void **state)
{
    (void)state;
    struct error e;
    struct key *put;
    char host[KEY_HOST_SIZE + 1];
    assert_int_equal(key_create_put(full, "web1", &put, &e), 0);
    assert_string_equal(key_host(&put->certificate, host), "web1");
    assert_true(key_may(&put->certificate, KEY_ADD, "web1"));
    assert_false(key_may(&put->certificate, KEY_REMOVE, "web1"));
    for (const char *const *other = (const char *const[]){"web", "web11", "db", "", NULL}; *other; other++)
        assert_false(key_may(&put->certificate, KEY_ADD, *other));
    assert_true(key_may(&full->certificate, KEY_REMOVE, "web1") && key_may(&full->certificate, KEY_ADD, "db"));
    for (size_t i = 0; i < sizeof put->certificate; i++) {
        struct key_certificate changed = put->certificate;
        ((uint8_t *)&changed)[i] ^= 2;
        assert_false(key_certifies(&full->public, put->signer_public, &changed));
    }
    assert_false(key_certifies(&full->public, put->signer_public, &full->certificate));
    key_free(put);
    for (const char *const *none = (const char *const[]){"", "Web", "a/b", NULL}; *none; none++) {
        assert_int_equal(key_create_put(full, *none, &put, &e), -1);
        assert_int_equal(e.class, ERROR_USAGE);
    }
    char longest[KEY_HOST_SIZE + 1];
    memset(longest, 'a', KEY_HOST_SIZE);
    longest[KEY_HOST_SIZE] = '\0';
    assert_int_equal(key_create_put(full, longest, &put, &e), 0);
    assert_string_equal(key_host(&put->certificate, host), longest);
    key_free(put);
}

/* Whichever byte is changed or wherever it is cut, the reader notices. */
static void refuse_damage(const void *text, size_t n)
{
    struct error e;
    struct key *key;
    char *copy = malloc(n);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, text, n);
        copy[i] ^= 1;
        assert_int_equal(key_decode(copy, n, "damaged", &key, &e), -1);
        assert_int_equal(e.class, ERROR_AUTH);
        if (i + 1 == n) /* the last newline alone is missing */
            continue;
        assert_int_equal(key_decode(text, i, "cut", &key, &e), -1);
        assert_int_equal(e.class, ERROR_AUTH);
    }
    free(copy);
}

static void test_damage(void **state)
{
    (void)state;
    struct error e;
    struct key *put, *key;
    struct bytes text = {.maximum = 4096};
    refuse_damage(full_text, strlen(full_text));
    assert_int_equal(key_create_put(full, "web1", &put, &e), 0);
    assert_int_equal(key_encode(put, &text, &e), 0);
    refuse_damage(text.data, text.length);
    bytes_put(&text, "x\n", 2);
    assert_int_equal(key_decode(text.data, text.length, "longer", &key, &e), -1);
    key_free(put);
    bytes_free(&text);
}

/* What mail programs, editors and other systems do to a text. */
static void test_as_it_came_by_mail(void **state)
{
    (void)state;
    static const char lines[4][80] = {"cofre full key 1", "id: 4e7caad4915595e1d90bd51c20630393",
                                      "seed: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                                      "check: 1a51787bf6cb887b"};
    static const struct {
        const char *start, *end, *last;
    } forms[] = {{"", "\n", ""},     {"", "\r\n", "\r\n"}, {"", "\r\n", ""},       {"\xef\xbb\xbf", "\n", "\n"},
                 {"", " \t\n", " "}, {"", "\n", "\n\n\n"}, {"\n\r\n", "\n", "\n"}, {"", "\n\n", "\n \r\n"}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char text[512];
        struct key *key;
        struct error e;
        snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s%s", forms[i].start, lines[0], forms[i].end, lines[1],
                 forms[i].end, lines[2], forms[i].end, lines[3], forms[i].last);
        if (key_decode(text, strlen(text), "mailed", &key, &e) < 0)
            fail_msg("form %zu: %s", i, e.message);
        assert_memory_equal(key->seed, full->seed, KEY_SIZE);
        key_free(key);
    }
}

/* A right check does not make a wrong key: id and seed must belong together. */
static void test_mismatch(void **state)
{
    (void)state;
    struct error e;
    struct key *key;
    uint8_t hash[32];
    char hex[17], text[512];
    int n =
        snprintf(text, sizeof text, "%.*s", (int)(strlen(full_text) - strlen("check: 1a51787bf6cb887b\n")), full_text);
    text[22] = text[22] == '0' ? '1' : '0';
    seal_hash(text, (size_t)n, hash);
    snprintf(text + n, sizeof text - (size_t)n, "check: %s\n", text_hex(hash, 8, hex));
    assert_int_equal(key_decode(text, strlen(text), "forged", &key, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    assert_non_null(strstr(e.message, "id"));
}

static void test_files(void **state)
{
    (void)state;
    struct error e;
    struct key *key;
    char directory[] = "/tmp/cofre-test-key-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/full.key", directory);
    assert_int_equal(key_save(full, path, &e), 0);
    assert_int_equal(key_save(full, path, &e), -1);
    assert_int_equal(e.class, ERROR_EXISTS);
    assert_int_equal(key_load(path, &key, &e), 0);
    assert_memory_equal(key, full, sizeof *key);
    key_free(key);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(key_load(path, &key, &e), -1);
    assert_int_equal(e.class, ERROR_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivation), cmocka_unit_test(test_full_text),
        cmocka_unit_test(test_put_key),    cmocka_unit_test(test_what_a_certificate_is_good_for),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_as_it_came_by_mail),
        cmocka_unit_test(test_prune_key),  cmocka_unit_test(test_roles_belong_to_the_form),
        cmocka_unit_test(test_mismatch),   cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
