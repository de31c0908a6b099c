/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), the same bytes as libsodium's, at the speed of libcrypto.
 *
 * HChaCha20 of the first 16 bytes of the nonce makes a key for ChaCha20-Poly1305 (RFC 8439), whose nonce is four zero
 * bytes and the last 8. libcrypto's interleaves the cipher and the authenticator, and is faster for it.
 */
#ifndef COFRE_REPOSITORY_AEAD_H
#define COFRE_REPOSITORY_AEAD_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define AEAD_KEY_SIZE 32
#define AEAD_NONCE_SIZE 24
#define AEAD_TAG_SIZE 16

/* Must be called before anything else here, and before there are threads. It fails for lack of memory alone. */
int aead_init(struct error *e);

/* n + AEAD_TAG_SIZE bytes to out, which may be p; the tag is at the end. It fails for lack of memory alone. */
int aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *context,
              size_t context_length, const void *p, size_t n, uint8_t *out, struct error *e);

/* n - AEAD_TAG_SIZE bytes to out, which may be p; n >= AEAD_TAG_SIZE. ERROR_INTEGRITY when text, context, nonce or key
 * are not those of the sealing: then out is zeroed. what names the text, for the message. */
int aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *context,
              size_t context_length, const void *p, size_t n, uint8_t *out, const char *what, struct error *e);

#endif
