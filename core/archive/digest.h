/* SHA-256, as `sha256sum` computes it. */
#ifndef COFRE_ARCHIVE_DIGEST_H
#define COFRE_ARCHIVE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct digest;
struct error;

#define DIGEST_SIZE 32
#define DIGEST_TEXT (2 * DIGEST_SIZE + 1)

int digest_new(struct digest **digest, struct error *e);
void digest_free(struct digest *digest);
void digest_add(struct digest *digest, const void *p, size_t n);
/* After it the digest is empty and can be used again. */
void digest_end(struct digest *digest, uint8_t out[DIGEST_SIZE]);

/* All at once. */
int digest_of(const void *p, size_t n, uint8_t out[DIGEST_SIZE], struct error *e);

#endif
