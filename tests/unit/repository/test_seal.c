#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "repository/key.h"
#include "repository/seal.h"

static struct key *full, *put, *other;

static int set_up(void **state)
{
    (void)state;
    struct error e;
    uint8_t seed[32];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    return seal_init(&e) < 0 || key_from_seed(seed, &full, &e) < 0 || key_create_put(full, "web1", &put, &e) < 0
               ? -1
               : key_create(&other, &e);
}

static int tear_down(void **state)
{
    (void)state;
    key_free(full);
    key_free(put);
    key_free(other);
    return 0;
}

static void assert_hex(const void *p, size_t n, const char *expected)
{
    char hex[257];
    assert_string_equal(text_hex(p, n, hex), expected);
}

static void test_hashes(void **state)
{
    (void)state;
    uint8_t hash[32];
    struct seal_hasher hasher;
    seal_hash("abc", 3, hash); /* b3sum */
    assert_hex(hash, 32, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, "a", 1);
    seal_hasher_add(&hasher, "bc", 2);
    seal_hasher_end(&hasher, hash);
    assert_hex(hash, 32, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    seal_chunk_id(full, "abc", 3, hash);
    assert_hex(hash, 32, "063f2c323665076424587a38da44da359b24570ddbe82c100c1d2b5b9fd14251");
    seal_chunk_id(put, "abc", 3, hash);
    assert_hex(hash, 32, "063f2c323665076424587a38da44da359b24570ddbe82c100c1d2b5b9fd14251");
}

/* From PyNaCl: XChaCha20-Poly1305 with key 00 .. 1f, nonce 0807060504030201 and 16 zero bytes. */
static void test_box(void **state)
{
    (void)state;
    struct error e;
    struct seal_box box, opened;
    uint8_t text[25] = "strongbox", wrapped[SEAL_WRAPPED_SIZE];
    for (size_t i = 0; i < 32; i++)
        box.key[i] = (uint8_t)i;
    assert_int_equal(seal_encrypt(&box, UINT64_C(0x0102030405060708), "chunk", 5, text, 9, text, &e), 0);
    assert_hex(text, 25, "23308300fe5e65bb833dbf1b30e79d2a1c85339c11c5a98090");
    assert_int_equal(seal_decrypt(&box, 1, "chunk", 5, text, 25, text, "x", &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    uint8_t copy[25];
    memcpy(copy, text, 25);
    assert_int_equal(seal_decrypt(&box, UINT64_C(0x0102030405060708), "chunk", 5, copy, 25, copy, "x", &e), -1);
    /* A failed call wiped the output, which was the input. */
    assert_int_equal(seal_encrypt(&box, 7, NULL, 0, "strongbox", 9, text, &e), 0);
    assert_int_equal(seal_decrypt(&box, 7, NULL, 0, text, 25, text, "x", &e), 0);
    assert_memory_equal(text, "strongbox", 9);
    assert_int_equal(seal_decrypt(&box, 7, NULL, 0, text, 15, text, "x", &e), -1);

    seal_box_new(put, &box, wrapped);
    assert_int_equal(seal_box_open(full, wrapped, &opened, &e), 0);
    assert_memory_equal(&box, &opened, sizeof box);
    assert_int_equal(seal_box_open(put, wrapped, &opened, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    assert_int_equal(seal_box_open(other, wrapped, &opened, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
}

static void seal_one(const struct key *key, enum seal_kind kind, struct bytes *out)
{
    struct error e;
    assert_int_equal(seal_envelope(key, kind, "clear", 5, "the body", 8, out, &e), 0);
}

static void open_one(const struct key *key, enum seal_kind kind, const struct bytes *object, int expected,
                     enum error_class class)
{
    struct error e = {0};
    struct seal_opened opened;
    struct bytes body = {.maximum = 100};
    assert_int_equal(seal_envelope_open(key, kind, object->data, object->length, "object", &opened, &body, &e),
                     expected);
    assert_int_equal(e.class, class);
    if (expected == 0) {
        assert_int_equal(body.length, 8);
        assert_memory_equal(body.data, "the body", 8);
        assert_int_equal(opened.clear_length, 5);
        assert_memory_equal(opened.clear, "clear", 5);
    }
    bytes_free(&body);
}

static void test_envelopes(void **state)
{
    (void)state;
    struct error e;
    struct seal_opened opened;
    struct bytes index = {.maximum = 4096}, manifest = {.maximum = 4096};
    seal_one(put, SEAL_INDEX, &index);
    seal_one(put, SEAL_MANIFEST, &manifest);
    assert_memory_equal(index.data, "cofreix1", 8);
    assert_memory_equal(manifest.data, "cofremf1", 8);
    open_one(full, SEAL_INDEX, &index, 0, ERROR_NONE);
    open_one(put, SEAL_INDEX, &index, 0, ERROR_NONE);
    open_one(full, SEAL_MANIFEST, &manifest, 0, ERROR_NONE);
    open_one(put, SEAL_MANIFEST, &manifest, -1, ERROR_AUTH);
    open_one(other, SEAL_MANIFEST, &manifest, -1, ERROR_AUTH);
    open_one(full, SEAL_INDEX, &manifest, -1, ERROR_INTEGRITY);
    assert_int_equal(seal_envelope_verify(put, SEAL_MANIFEST, manifest.data, manifest.length, "m", &opened, &e), 0);
    assert_memory_equal(opened.signer, put->signer_public, 32);
    bytes_free(&index);
    bytes_free(&manifest);
}

static void test_envelope_damage(void **state)
{
    (void)state;
    struct bytes object = {.maximum = 4096};
    seal_one(full, SEAL_INDEX, &object);
    size_t n = object.length;
    for (size_t i = 0; i < n; i++) {
        object.data[i] ^= 0x10;
        open_one(full, SEAL_INDEX, &object, -1, ERROR_INTEGRITY);
        object.data[i] ^= 0x10;
        object.length = i;
        open_one(full, SEAL_INDEX, &object, -1, ERROR_INTEGRITY);
        object.length = n;
    }
    open_one(full, SEAL_INDEX, &object, 0, ERROR_NONE);
    bytes_free(&object);
}

/* Somebody who knows the index key but whom the root never certified. */
static void test_uncertified(void **state)
{
    (void)state;
    struct error e;
    struct key *forged;
    struct bytes object = {.maximum = 4096};
    assert_int_equal(key_create_put(full, "web1", &forged, &e), 0);
    forged->certificate = put->certificate;
    seal_one(forged, SEAL_INDEX, &object);
    open_one(full, SEAL_INDEX, &object, -1, ERROR_INTEGRITY);
    key_free(forged);
    bytes_free(&object);
}

static void test_bounds(void **state)
{
    (void)state;
    struct error e;
    struct seal_opened opened;
    struct bytes object = {.maximum = 4096}, small = {.maximum = 64}, body = {.maximum = 7};
    seal_one(full, SEAL_INDEX, &object);
    assert_int_equal(seal_envelope_open(full, SEAL_INDEX, object.data, object.length, "o", &opened, &body, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    assert_int_equal(seal_envelope(full, SEAL_INDEX, NULL, 0, "x", 1, &small, &e), -1);
    assert_int_equal(e.class, ERROR_RANGE);
    assert_int_equal(small.length, 0);
    bytes_free(&object);
    bytes_free(&small);
    bytes_free(&body);
}

static void test_root(void **state)
{
    (void)state;
    struct error e;
    uint8_t signature[64];
    assert_int_equal(seal_sign_root(full, SEAL_CONFIG, "{}", 2, signature, &e), 0);
    assert_hex(signature, 64,
               "0ee465959798eefad43bc1b2de129650f5de6cb02fd018295ba5f2e6c9b8dab8"
               "215e20b4278f28122716c23c878dac8a4f0be11e601f5bda9e8ab82d5a262906");
    assert_true(seal_verify_root(full->public.root, SEAL_CONFIG, "{}", 2, signature));
    assert_false(seal_verify_root(full->public.root, SEAL_REVOKED, "{}", 2, signature));
    assert_false(seal_verify_root(full->public.root, SEAL_CONFIG, "{]", 2, signature));
    assert_false(seal_verify_root(other->public.root, SEAL_CONFIG, "{}", 2, signature));
    assert_int_equal(seal_sign_root(put, SEAL_CONFIG, "{}", 2, signature, &e), -1);
    assert_int_equal(e.class, ERROR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes),      cmocka_unit_test(test_box),
        cmocka_unit_test(test_envelopes),   cmocka_unit_test(test_envelope_damage),
        cmocka_unit_test(test_uncertified), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_root),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
