/* Whose word counts in a repository. A certificate says who may sign for a host; here it is held against what is known
 * besides:
 *
 * - Revocations, which the root has signed (revocation.h). What is stored as one is remembered in the state directory,
 *   so that nobody takes it back by removing the object.
 * - Accepted signers. Who signed the first manifest of a host and job that this machine came upon is accepted for them,
 *   and nobody else, until `cofre key accept` says so: with a put key for this machine, with the full key for all
 *   (acceptance.h). Our own key always is.
 */
#ifndef COFRE_REPOSITORY_SIGNERS_H
#define COFRE_REPOSITORY_SIGNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct bytes;
struct error;
struct key;
struct revocation;
struct signers;
struct sink;

/* Of a manifest whose envelope and host were checked. */
struct signers_claim {
    const char *object; /* its key: snapshots/HOST/JOB/ID */
    uint8_t signer[32];
    uint8_t hash[SEAL_HASH_SIZE]; /* of its bytes */
};

/* Read what the sink and the directory (of this repository's state) tell. Borrows sink and key. A revocation that is
 * damaged or was taken away is logged. More of them than anybody can mean: ERROR_RANGE. */
int signers_open(struct sink *sink, const struct key *key, const char *directory, struct signers **signers,
                 struct error *e);
/* Remembers whom it accepted; what goes wrong with that is logged. NULL is fine. */
void signers_free(struct signers *signers);

/* Who is revoked, 32 bytes each, appended to *out, sorted. */
int signers_list_revoked(const struct signers *signers, struct bytes *out, struct error *e);
/* NULL = not revoked. */
const struct revocation *signers_revoked(const struct signers *signers, const uint8_t signer[32]);
/* Nobody is accepted yet for the host (and job) of this object's key, and the signer is not we. */
bool signers_is_first(const struct signers *signers, const char *object, const uint8_t signer[32]);
/* ERROR_INTEGRITY: its signer is revoked, and had not stored it before. */
int signers_check_revoked(const struct signers *signers, const struct signers_claim *claim, struct error *e);
/* Does it count? ERROR_INTEGRITY: its signer is revoked, and had not stored it before; ERROR_SIGNER: another signer
 * than is accepted. The first one is accepted. */
int signers_admit(struct signers *signers, const struct signers_claim *claim, struct error *e);
/* From now on this one is accepted for the object's host and job, too. */
int signers_accept(struct signers *signers, const char *object, const uint8_t signer[32], struct error *e);

#endif
