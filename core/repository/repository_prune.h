/* What retention decides by, and removing snapshots. A prune key is enough: nothing is opened but what it opens. */
#ifndef COFRE_REPOSITORY_REPOSITORY_PRUNE_H
#define COFRE_REPOSITORY_REPOSITORY_PRUNE_H

#include "format/vault.h"

struct bytes;
struct error;
struct removal;
struct repository;

/* All as in the table of formats (format/vault.h). */

/* Wherever a pin or proof cannot be read, its snapshot is taken as pinned: what it says may be that it is to stay. */
int repository_prune_standings(struct vault *vault, const char *host, const char *job, vault_stands *stands,
                               void *context, struct error *e);
/* A record of what is removed, then manifests, then what belongs to them: needs, pins, proofs. Each step is durable
 * before the next, so that whoever comes after an interruption knows what was meant. ERROR_AUTH: the key at hand may
 * not remove. */
int repository_prune_remove(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                            void *context, struct error *e);
int repository_prune_removals(struct vault *vault, const char *host, const char *job, vault_removed *removed,
                              void *context, struct error *e);
bool repository_prune_may_remove(struct vault *vault, const char *host);
int repository_prune_records(struct vault *vault, const char *host, const char *job, struct bytes *keys,
                             struct error *e);
int repository_prune_record(struct vault *vault, const char *host, const char *job, const struct verify_link *rows,
                            size_t count, struct error *e);
int repository_prune_forget(struct vault *vault, const struct bytes *keys, struct error *e);

/* Store the removal record, durably, and look at it. It gets an id and its time. */
int repository_prune_store(struct repository *repository, struct removal *removal, struct error *e);
/* By host, job and id: < 0, 0, > 0. */
int repository_prune_order(const struct vault_name *a, const struct vault_name *b);

#endif
