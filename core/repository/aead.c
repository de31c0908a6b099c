#include "repository/aead.h"

#include <limits.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

#define NONCE_SIZE 12 /* of RFC 8439 */
/* libcrypto counts in int. */
#define STEP_MAX ((size_t)1 << 30)

_Static_assert(crypto_core_hchacha20_INPUTBYTES + 8 == AEAD_NONCE_SIZE && NONCE_SIZE == 4 + 8, "the nonce's two parts");

/* Looked up once: libcrypto would do it again for each text. Never changed afterwards. */
static EVP_CIPHER *algorithm;

int aead_init(struct error *e)
{
    /* Without its own state, for lack of memory, libcrypto does not fail but crash. */
    if (!algorithm && OSSL_LIB_CTX_get0_global_default())
        algorithm = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    return algorithm ? 0 : error_memory(e);
}

static EVP_CIPHER_CTX *begin(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], bool sealing)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint8_t derived[crypto_core_hchacha20_OUTPUTBYTES], rest[NONCE_SIZE] = {0};
    if (!cipher)
        return NULL;
    crypto_core_hchacha20(derived, nonce, key, NULL);
    memcpy(rest + 4, nonce + crypto_core_hchacha20_INPUTBYTES, 8);
    int begun = EVP_CipherInit_ex2(cipher, algorithm, derived, rest, sealing, NULL);
    sodium_memzero(derived, sizeof derived);
    if (begun != 1) {
        EVP_CIPHER_CTX_free(cipher);
        return NULL;
    }
    return cipher;
}

/* Any number of bytes, from `from` to `to`; to NULL: the context. */
static bool update(EVP_CIPHER_CTX *cipher, uint8_t *to, const uint8_t *from, size_t n)
{
    while (n > 0) {
        size_t step = n < STEP_MAX ? n : STEP_MAX;
        int done;
        if (EVP_CipherUpdate(cipher, to, &done, from, (int)step) != 1)
            return false;
        to = to ? to + step : NULL;
        from += step;
        n -= step;
    }
    return true;
}

int aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *context,
              size_t context_length, const void *p, size_t n, uint8_t *out, struct error *e)
{
    EVP_CIPHER_CTX *cipher = begin(key, nonce, true);
    int none;
    bool sealed = cipher && update(cipher, NULL, context, context_length) && update(cipher, out, p, n) &&
                  EVP_CipherFinal_ex(cipher, out + n, &none) == 1 &&
                  EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, out + n) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return sealed ? 0 : error_memory(e);
}

int aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *context,
              size_t context_length, const void *p, size_t n, uint8_t *out, const char *what, struct error *e)
{
    uint8_t tag[AEAD_TAG_SIZE];
    ASSERT(n >= sizeof tag);
    n -= sizeof tag;
    memcpy(tag, (const uint8_t *)p + n, sizeof tag);
    EVP_CIPHER_CTX *cipher = begin(key, nonce, false);
    bool read = cipher && update(cipher, NULL, context, context_length) && update(cipher, out, p, n) &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1;
    int none;
    bool opened = read && EVP_CipherFinal_ex(cipher, tag, &none) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (opened)
        return 0;
    sodium_memzero(out, n);
    return read ? error_set(e, ERROR_INTEGRITY, "open '%s': it was changed or damaged", what) : error_memory(e);
}
