/* Pins of an archive's snapshots: plain files `pins/JOB/ID.json`, which whoever can write there can make and remove.
 * docs/format.md, section 14.6.
 */
#ifndef COFRE_ARCHIVE_ARCHIVE_PIN_H
#define COFRE_ARCHIVE_ARCHIVE_PIN_H

#include <stdbool.h>

#include "format/vault.h"

struct archive;
struct error;

/* Store it, in the place of one that there is. Of another kind than a pin: ERROR_UNSUPPORTED. */
int archive_pin_put(struct archive *archive, const struct vault_annotation *pin, struct error *e);
int archive_pin_remove(struct archive *archive, const struct vault_name *name, bool *was, struct error *e);

/* A pin; or, of one that cannot be read, its job and id alone, and why. why: ERROR_NONE. */
typedef int archive_pin_found(void *context, const struct vault_annotation *pin, const struct error *why,
                              struct error *e);
/* Each pin of the job (NULL = any), of whatever host. */
int archive_pin_each(struct archive *archive, const char *job, archive_pin_found *found, void *context,
                     struct error *e);

#endif
