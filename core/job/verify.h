/* verify: is every byte there, does it lead to every entry, and is no snapshot missing? */
#ifndef COFRE_JOB_VERIFY_H
#define COFRE_JOB_VERIFY_H

#include "format/vault.h"

struct error;
struct vault;

/* 0 also when damage was found: result->damages counts it. -1: could not look. Without a key that opens, only hashes,
 * signatures and the history are checked, and a warning says so. */
int verify_run(struct vault *vault, const struct verify_request *request,
               void (*damage)(void *context, const struct verify_damage *), void *context, struct verify_result *result,
               struct error *e);

#endif
