/* Pins and proofs of a repository's snapshots: stored, removed, looked through (annotation.h). */
#ifndef COFRE_REPOSITORY_REPOSITORY_ANNOTATION_H
#define COFRE_REPOSITORY_REPOSITORY_ANNOTATION_H

#include "format/vault.h"

struct error;
struct repository;

/* As in the table of formats (format/vault.h). */
int repository_annotation_put(struct vault *vault, const struct vault_annotation *annotation, struct error *e);
int repository_annotation_unpin(struct vault *vault, const struct vault_name *name, bool *was, struct error *e);
int repository_annotation_each(struct vault *vault, const char *host, const char *job, vault_annotated *annotated,
                               void *context, struct error *e);

/* The same as the first, of an opened repository. */
int repository_annotation_store(struct repository *repository, const struct vault_annotation *annotation,
                                struct error *e);

#endif
