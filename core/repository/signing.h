/* Who signed what is stored: looked through, to accept it here or to revoke it for everybody (signers.h). */
#ifndef COFRE_REPOSITORY_SIGNING_H
#define COFRE_REPOSITORY_SIGNING_H

#include <stdint.h>

#include "format/vault.h"

struct error;
struct repository;
struct revocation;

/* As in the table of formats: with the full key for everybody who uses the repository. What is no word of a certified
 * signer of the host is logged and passed over. */
int signing_accept(struct vault *vault, const char *host, vault_signed *told, void *context, struct error *e);
/* What the signer stored before `since`, by the clock of the store, goes on counting; of two manifests with one place
 * in the history that which was stored first. */
int signing_revoke(struct vault *vault, const uint8_t signer[32], int64_t since, vault_signed *told, void *context,
                   struct error *e);

/* Part of the second: to what counts are added the needs, removal records, pins and proofs that the signer stored
 * before.
 */
int signing_count_placed(struct repository *repository, struct revocation *revocation, struct error *e);

#endif
