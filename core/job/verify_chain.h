/* The chain of snapshots of each host and job: is any missing, replaced, or rolled back? */
#ifndef COFRE_JOB_VERIFY_CHAIN_H
#define COFRE_JOB_VERIFY_CHAIN_H

#include "job/verify.h"

struct bytes;

struct verify_chain {
    const struct engine *engine;
    struct repository *repository;
    const struct bytes *keys; /* of all manifests, each NUL terminated */
    void (*damage)(void *context, const struct verify_damage *);
    void *context;
    struct verify_result *result; /* damages are counted */
};

/* Every chain that the request touches. A put key is enough. */
int verify_chain_run(struct verify_chain *chain, const struct verify_request *request, struct error *e);

#endif
