/* Pins and proofs of a repository's snapshots: stored, removed, looked through (annotation.h). */
#ifndef COFRE_REPOSITORY_REPOSITORY_ANNOTATION_H
#define COFRE_REPOSITORY_REPOSITORY_ANNOTATION_H

#include "base/bytes.h"
#include "format/vault.h"

struct error;
struct repository;

/* As in the table of formats (format/vault.h). */
int repository_annotation_put(struct vault *vault, const struct vault_annotation *annotation, struct error *e);
int repository_annotation_pinned(struct vault *vault, const struct vault_name *names, size_t count, bool *are,
                                 struct error *e);
int repository_annotation_unpin(struct vault *vault, const struct vault_name *name, bool *was, struct error *e);
int repository_annotation_each(struct vault *vault, const char *host, const char *job, vault_annotated *annotated,
                               void *context, struct error *e);

/* What a look at all content of snapshots has found; zero at first. */
struct repository_annotation_proofs {
    struct bytes whole, wrong; /* struct vault_annotation each */
};
/* Nothing is wrong with it, or something is. */
int repository_annotation_note(struct repository_annotation_proofs *proofs, const struct manifest *manifest, bool whole,
                               struct error *e);
void repository_annotation_forget(struct repository_annotation_proofs *proofs);
/* Store proofs of those that are whole, if content was read; of those with which something is wrong there are none any
 * more. What goes wrong with that is a warning. */
void repository_annotation_prove(struct repository *repository, const struct repository_annotation_proofs *proofs,
                                 bool read);

#endif
