/* What is said of an archive's snapshots: pins, plain files `pins/JOB/ID.json`, and acceptances,
 * `accepted/JOB/ID.json`, which whoever can write there can make and remove. docs/format.md, section 14.6.
 */
#ifndef COFRE_ARCHIVE_ARCHIVE_ANNOTATION_H
#define COFRE_ARCHIVE_ARCHIVE_ANNOTATION_H

#include <stdbool.h>

#include "format/vault.h"

struct archive;
struct bytes;
struct error;

/* Store it, in the place of one that there is. A proof: ERROR_UNSUPPORTED. */
int archive_annotation_put(struct archive *archive, const struct vault_annotation *annotation, struct error *e);
/* As vault_pinned says. */
int archive_annotation_pinned(struct archive *archive, const struct vault_name *names, size_t count, bool *are,
                              struct error *e);
/* *was: it was there. */
int archive_annotation_remove(struct archive *archive, enum vault_annotation_kind kind, const struct vault_name *name,
                              bool *was, struct error *e);

/* Of its bytes: what the key says of it stands in *annotation. */
int archive_annotation_parse(const struct archive *archive, const char *key, const struct bytes *text,
                             struct vault_annotation *annotation, struct error *e);

/* An annotation; or, of one that cannot be read, its kind, job and id alone, and why. why: ERROR_NONE. */
typedef int archive_annotation_found(void *context, const struct vault_annotation *annotation, const struct error *why,
                                     struct error *e);
/* Each of the job (NULL = any), of whatever host. */
int archive_annotation_each(struct archive *archive, const char *job, archive_annotation_found *found, void *context,
                            struct error *e);

#endif
